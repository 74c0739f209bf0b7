"""Denoisers by night: trained anew on new pairs, scored anew beside a new champion.

Both schedules are stopped until someone starts them, for they take the machine for hours; making
a version the champion is left to a person or to the job `choose_champion`.
"""

import dagster as dg
import pandas as pd
from upath import UPath

from cellstorm_assets.automation import PARTITION_TAG, train_denoisers
from cellstorm_assets.lineage import champion_input
from cellstorm_assets.object_store import store_in_use
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.pipeline.lineage import identity_of

_PAIRS, _DENOISER = dg.AssetKey("training_pairs"), dg.AssetKey("denoiser")
_SCORES = dg.AssetKey("denoiser_scores")
#: What a run was asked for: the pairs, or the champion.
NIGHT_TAG = "cellstorm/night"

score_denoisers = dg.define_asset_job(
    "score_denoisers",
    selection=dg.AssetSelection.assets(_SCORES),
    description="Scores the denoisers of one dataset beside the champion and the raw films.",
)


@dg.schedule(
    job=train_denoisers,
    cron_schedule="0 1 * * *",
    description="Trains anew on every dataset whose pairs are newer than its denoiser. Datasets "
    "that were never trained on wait for a person.",
)
def retrain_denoisers(
    context: dg.ScheduleEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for one training per dataset with new pairs."""
    return training_requests(context.instance)


def training_requests(instance: dg.DagsterInstance) -> list[dg.RunRequest] | dg.SkipReason:
    """Return a request for each dataset that was trained on, and has newer pairs."""
    requests = []
    for dataset in sorted(instance.get_dynamic_partitions("dataset")):
        pairs = _made_at(instance, _PAIRS, dataset)
        trained = _made_at(instance, _DENOISER, dataset)
        if pairs is None or trained is None or pairs < trained:
            continue
        if not _was_asked(instance, dataset, f"pairs of {pairs}"):
            requests.append(_request(dataset, f"pairs of {pairs}"))
    return requests or dg.SkipReason("no dataset has pairs newer than its denoiser")


@dg.schedule(
    job=score_denoisers,
    cron_schedule="0 5 * * *",
    description="Scores the denoisers of every dataset anew that were not yet scored beside the "
    "champion of today.",
)
def rescore_denoisers(
    context: dg.ScheduleEvaluationContext, project: ProjectResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for scores of every dataset whose scores lack the champion."""
    return score_requests(context.instance, project.project())


def score_requests(
    instance: dg.DagsterInstance, home: Project
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return a request for each dataset whose scores lack the champion."""
    champion = identity_of(champion_input(home))
    requests = []
    folder = (store_in_use() or UPath(home.assets_folder)) / "denoiser_scores"
    for path in sorted(folder.glob("[!.]*.parquet"), key=str):
        with path.open("rb") as stream:
            scored = set(pd.read_parquet(stream, columns=["weights_digest"])["weights_digest"])
        asked = f"champion {champion[:16]}"
        if champion not in scored and not _was_asked(instance, path.stem, asked):
            requests.append(_request(path.stem, asked))
    return requests or dg.SkipReason("all denoisers are scored beside the champion")


def _made_at(instance: dg.DagsterInstance, asset: dg.AssetKey, dataset: str) -> float | None:
    """Return when a partition was last materialized; None when it never was."""
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[dataset])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].timestamp if records else None


def _was_asked(instance: dg.DagsterInstance, dataset: str, what: str) -> bool:
    """Return whether a run for this was asked for; how it ended is for a person to look at."""
    tags = {PARTITION_TAG: dataset, NIGHT_TAG: what}
    return bool(instance.get_runs(dg.RunsFilter(tags=tags), limit=1))


def _request(dataset: str, what: str) -> dg.RunRequest:
    """Return the request for a run of a dataset."""
    return dg.RunRequest(run_key=f"{dataset}-{what}", partition_key=dataset, tags={NIGHT_TAG: what})
