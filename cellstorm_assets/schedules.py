"""What happens by the clock: results that no longer fit the project are made anew."""

from itertools import takewhile

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from cellstorm_assets.automation import PARTITION_TAG, new_recordings, process_recordings
from cellstorm_assets.lineage import Present, RecordingLineage, lineages, result_file
from cellstorm_assets.lineage_checks import tell_page
from cellstorm_assets.metadata import said_plainly
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.watching import Watch
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.lineage import STEPS, identity_of, results_after

#: Runs for stale results that wait or work at a time; new recordings go before them.
MOST_AT_A_TIME = 10
#: Runs for the same inputs, when what stopped them may pass.
MOST_ATTEMPTS = 5
#: Which inputs a run was asked for.
STALE_TAG = "cellstorm/stale"
#: Why, for the page.
REASON_TAG = "cellstorm/why"
_REASON_LENGTH = 200
_TAG_LENGTH = 16
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
#: Made by one step, so one is not made without the other.
_TOGETHER = {"frame_facts", "widefield"}


@dg.schedule(
    job=process_recordings,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Makes anew what no longer fits: results of recordings whose camera, region, "
    "settings, champion or code changed. A few at a time; each is asked for once.",
)
def reprocess_stale(
    context: dg.ScheduleEvaluationContext, project: ProjectResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a run of every recording with stale results, and write the checks of the page."""
    told = stale_requests(context.instance, project.project(), keys_there(context.instance))
    for request in [] if isinstance(told, dg.SkipReason) else told:
        context.log.info(f"{request.partition_key}: {request.tags[REASON_TAG]}")
    return told


def stale_requests(
    instance: dg.DagsterInstance, project: Project, there: set[str] | None
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return requests for the recordings with stale results that nothing stands against.

    `there`: the keys of the recordings whose film is there; None when that is not known.
    """
    with said_plainly():
        known = sorted(instance.get_dynamic_partitions("recording"))
        found = list(lineages(Present(project), known))
    tell_page(instance, found)
    stale = [each for each in found if each.stale(with_deliberate=False)]
    running = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    busy = {run.tags.get(PARTITION_TAG, "") for run in running}
    room = MOST_AT_A_TIME - sum(STALE_TAG in run.tags for run in running)
    requests: list[dg.RunRequest] = []
    for each in stale:
        if len(requests) >= room:
            break
        is_there = there is None or each.key in there
        if is_there and each.key not in busy and not was_asked(instance, each):
            requests.append(request_for(project, each))
    if requests:
        return requests
    left = f"the {len(stale)} stale ones are under way, failed for good, or lack their film"
    return dg.SkipReason(f"{len(found)} recordings: {left if stale else 'none is stale'}")


def keys_there(instance: dg.DagsterInstance) -> set[str] | None:
    """Return the keys of the recordings whose films the sensor saw; None when it never looked."""
    for state in instance.all_instigator_state():
        if state.instigator_name == new_recordings.name and state.instigator_data is not None:
            seen = Watch.parsed(getattr(state.instigator_data, "cursor", None))
            if seen.files:
                return {seen.key_of(name) for name, file in seen.files.items() if file.digest}
    return None


def inputs_tag(lineage: RecordingLineage) -> str:
    """Return what is the same as long as nothing changes that a run could do differently.

    First the inputs as they are now, then what is stale.
    """
    now = {name: identity_of(value) for name, value in lineage.now.items()}
    stale = lineage.stale(with_deliberate=False)
    return f"{digest_of(now)[:_TAG_LENGTH]}-{digest_of(stale)[:_TAG_LENGTH]}"


def was_asked(instance: dg.DagsterInstance, lineage: RecordingLineage) -> bool:
    """Return whether a run for these very inputs was asked for, and another would do no better.

    What was asked for before other inputs came between says nothing: they may have come back.
    """
    tags = {PARTITION_TAG: lineage.key}
    runs = instance.get_runs(dg.RunsFilter(job_name=process_recordings.name, tags=tags))
    asked, wanted = [run for run in runs if STALE_TAG in run.tags], inputs_tag(lineage)
    if not asked:
        return False
    newest, has_failed = asked[0].tags[STALE_TAG], asked[0].status == dg.DagsterRunStatus.FAILURE
    if has_failed and not may_have_passed(instance, asked[0]):  # also when it did half of it
        return newest.partition("-")[0] == wanted.partition("-")[0]
    attempts = len(list(takewhile(lambda run: run.tags[STALE_TAG] == wanted, asked)))
    return attempts >= (MOST_ATTEMPTS if has_failed else 1)


def may_have_passed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a run failed by what may pass: its step was tried again, or its worker died.

    A step that fails for a bad file is not tried again, see `said_plainly`.
    """
    kinds = {
        record.dagster_event.event_type
        for record in instance.all_logs(
            run.run_id,
            of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY},
        )
        if record.dagster_event is not None
    }
    return (
        dg.DagsterEventType.STEP_FAILURE not in kinds
        or dg.DagsterEventType.STEP_UP_FOR_RETRY in kinds
    )


def request_for(project: Project, lineage: RecordingLineage) -> dg.RunRequest:
    """Return the request for a run that makes the stale results of a recording anew.

    The others stay, unless one that is needed is gone.
    """
    first = lineage.stale(with_deliberate=False)
    names = set(results_after(first))
    if names & _TOGETHER:
        names |= _TOGETHER
    needed = {source for name in names for source in STEPS[name].results} - names
    selected = [dg.AssetKey(name.split("/")) for name in STEPS if name in names]
    is_whole = all(result_file(project, name, lineage.key).is_file() for name in needed)
    return dg.RunRequest(
        partition_key=lineage.key,
        run_key=f"{lineage.key}-{inputs_tag(lineage)}",
        tags={
            STALE_TAG: inputs_tag(lineage),
            REASON_TAG: lineage.standings[first[0]].reason[:_REASON_LENGTH],
            PRIORITY_TAG: "-1",
        },
        asset_selection=selected if is_whole else None,
    )
