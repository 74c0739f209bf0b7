"""What happens without a person: new recordings in the watched folder are processed."""

import json

import dagster as dg

from cellstorm_assets.lineage_checks import UP_TO_DATE_KEYS
from cellstorm_assets.partitions import CAMERAS, DATASETS, RECORDINGS
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.run_inputs import tags_of_runs
from cellstorm_assets.training_sets import SPOTS, refuse_unready
from cellstorm_assets.watching import MOST_RUNS, Watch, watch
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.datasets import dataset_names, read_recipe

PARTITION_TAG = "dagster/partition"
#: Left-out files that a tick names when there is nothing else to say.
_MOST_REMARKS = 5
#: For what passes: a full disk, a store that does not answer. A bad file is not tried again.
_WHEN_IT_PASSES = dg.RetryPolicy(max_retries=3, delay=20, backoff=dg.Backoff.EXPONENTIAL)

process_recordings = dg.define_asset_job(
    "process_recordings",
    selection=dg.AssetSelection.groups("recordings") - dg.AssetSelection.checks(*UP_TO_DATE_KEYS),
    op_retry_policy=_WHEN_IT_PASSES,
    description="Takes one recording from its file to its report.",
)

compare_recordings = dg.define_asset_job(
    "compare_recordings",
    selection=dg.AssetSelection.groups("comparisons"),
    description="Sets all processed recordings side by side.",
)


reproduce_paper = dg.define_asset_job(
    "reproduce_paper",
    selection=dg.AssetSelection.groups("paper"),
    description="Makes the tables and figures of the cellSTORM paper again, by simulation.",
)


calibrate_cameras = dg.define_asset_job(
    "calibrate_cameras",
    selection=dg.AssetSelection.groups("calibration"),
    description="Measures one camera from its series, or takes the numbers stated for it.",
)


simulate_datasets = dg.define_asset_job(
    "simulate_datasets",
    selection=dg.AssetSelection.assets("simulated_truth", "simulated_recording"),
    description="Simulates the recording of one dataset.",
)


make_training_pairs = dg.define_asset_job(
    "make_training_pairs",
    selection=dg.AssetSelection.assets("training_pairs").upstream(depth=1)
    & dg.AssetSelection.groups("datasets"),
    description="Makes the pairs a dataset's recipe asks for, by each method, and mixes them.",
)


train_denoisers = dg.define_asset_job(
    "train_denoisers",
    selection=dg.AssetSelection.assets("denoiser", "denoiser_scores"),
    description="Trains a denoiser on the pairs of one dataset, and scores it beside the others.",
)


choose_champion = dg.define_asset_job(
    "choose_champion",
    selection=dg.AssetSelection.assets("champion_denoiser"),
    description="Makes the best scored denoiser the champion, if it beats the present one.",
)


@dg.sensor(
    job=process_recordings,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for new files in the recordings folder that have stopped growing.",
)
def new_recordings(
    context: dg.SensorEvaluationContext, project: ProjectResource
) -> dg.SensorResult | dg.SkipReason:
    """Add a partition and its first run for every recording not seen before.

    The cursor holds what was seen of each file: it is read when it looks the same on two ticks,
    and again when it changes. A run that failed is asked for again only when the file was put
    there anew or what lies beside it was changed; when anything else it depends on was, the
    schedule of stale results asks.
    """
    before = Watch.parsed(context.cursor)
    now = watch(project.project(), before)
    for remark in now.new_remarks(before):
        context.log.warning(remark)
    attempts: dict[str, str] = {}
    files: dict[str, str] = {}
    settled: list[str] = []
    for name in now.to_run():
        key = now.key_of(name)
        runs = context.instance.get_runs(
            dg.RunsFilter(job_name=process_recordings.name, tags={PARTITION_TAG: key})
        )
        if runs and not runs[0].is_finished:
            continue  # how it ends decides
        if not runs or runs[0].status == dg.DagsterRunStatus.FAILURE:
            if len(attempts) == MOST_RUNS:
                break
            attempts.setdefault(key, f"{key}-{len(runs)}" if runs else key)
            files.setdefault(key, name)
        settled.append(name)
    now = now.with_asked(settled)
    if not attempts and now.files == before.files:
        return dg.SkipReason("; ".join(("no new recording", *now.remarks()[:_MOST_REMARKS])))
    known = set(context.instance.get_dynamic_partitions("recording"))
    missing = [key for key in attempts if key not in known]
    tags = tags_of_runs(project.project(), files)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=attempt, partition_key=key, tags=tags[key])
            for key, attempt in attempts.items()
        ],
        dynamic_partitions_requests=[RECORDINGS.build_add_request(missing)] if missing else [],
        cursor=now.text(),
    )


@dg.sensor(
    job=calibrate_cameras,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for cameras in the cameras folder that are new, or whose series changed.",
)
def new_cameras(
    context: dg.SensorEvaluationContext, project: ProjectResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for every camera that is new or changed and looks the same on two ticks."""
    seen: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
    shelf = project.project().cameras
    now: dict[str, dict[str, str]] = {}
    new: list[str] = []
    for name in shelf.names():
        before = seen.get(name, {})
        entry = {"look": shelf.look_of(name), "asked": before.get("asked", "")}
        if before.get("look") == entry["look"] != entry["asked"]:
            entry["asked"] = entry["look"]
            new.append(name)
        now[name] = entry
    if now == seen:
        return dg.SkipReason("no new camera")
    known = set(context.instance.get_dynamic_partitions("camera"))
    missing = [name for name in new if name not in known]
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{name}-{now[name]['asked']}", partition_key=name)
            for name in new
        ],
        dynamic_partitions_requests=[CAMERAS.build_add_request(missing)] if missing else [],
        cursor=json.dumps(now, sort_keys=True),
    )


@dg.sensor(
    job=make_training_pairs,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for new recipes in the datasets folder, and makes the training pairs they "
    "ask for once the recordings they name are localized and the film they need is there. "
    "Simulating a film is left to a person.",
)
def new_datasets(
    context: dg.SensorEvaluationContext, project: ProjectResource
) -> dg.SensorResult | dg.SkipReason:
    """Add a partition for every recipe, and ask for a run where pairs are wanted and possible.

    The cursor holds, for each recipe that asks for pairs, the digest of what was asked for.
    """
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    home = project.project()
    folder = home.datasets_folder
    names = dataset_names(folder)
    localized = sorted(context.instance.get_materialized_partitions(SPOTS))
    now = {name: look for name, look in asked.items() if name in names}
    new = []
    for name in names:
        try:
            recipe = read_recipe(folder, name).pairs
            if recipe is None or asked.get(name) == digest_of(recipe):
                continue
            refuse_unready(home, name, localized)
        except SettingsError as error:
            context.log.info(f"no pairs for the dataset {name} yet: {error}")
            continue
        now[name] = digest_of(recipe)
        new.append(name)
    known = set(context.instance.get_dynamic_partitions("dataset"))
    missing = [name for name in names if name not in known]
    if not missing and now == asked:
        return dg.SkipReason("no new dataset")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{name}-{now[name]}", partition_key=name) for name in new
        ],
        dynamic_partitions_requests=[DATASETS.build_add_request(missing)] if missing else [],
        cursor=json.dumps(now, sort_keys=True),
    )
