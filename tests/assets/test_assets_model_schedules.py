"""Denoisers by night: only those whose pairs or whose champion are new, and each once."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.test_utils import create_run_for_test

from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.definitions import defs
from cellstorm_assets.project import Project, find_project
from cellstorm_assets.registry import checkpoint_path
from cellstorm_assets.schedules_models import score_requests, training_requests
from cellstorm_lib.files import digest_of_file


class Night:
    """A project with datasets, and a stand-in for the daemon."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance

    def made(self, asset: str, dataset: str) -> None:
        """Say that an asset of a dataset was materialized now."""
        self.instance.add_dynamic_partitions("dataset", [dataset])
        event = dg.AssetMaterialization(asset_key=asset, partition=dataset)
        self.instance.report_runless_asset_event(event)

    def scored(self, dataset: str, *digests: str) -> None:
        """Write scores of networks with these weights."""
        folder = self.project.assets_folder / "denoiser_scores"
        folder.mkdir(exist_ok=True)
        pd.DataFrame({"weights_digest": ["", *digests]}).to_parquet(folder / f"{dataset}.parquet")

    def launched(self, told: list[dg.RunRequest] | dg.SkipReason) -> list[str]:
        """Create the runs that are asked for, and return their datasets."""
        requests = [] if isinstance(told, dg.SkipReason) else told
        for request in requests:
            tags = {PARTITION_TAG: str(request.partition_key), **request.tags}
            create_run_for_test(self.instance, job_name="any", tags=tags)
        return [str(request.partition_key) for request in requests]


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Night(find_project(), instance)


def test_only_trained_datasets_with_newer_pairs_are_trained_again_and_once(night: Night) -> None:
    for dataset in ("as it was", "new pairs", "never trained"):
        night.made("training_pairs", dataset)
    for dataset in ("as it was", "new pairs"):
        night.made("denoiser", dataset)
    assert night.launched(training_requests(night.instance)) == []
    night.made("training_pairs", "new pairs")
    assert night.launched(training_requests(night.instance)) == ["new pairs"]
    assert night.launched(training_requests(night.instance)) == []
    night.made("training_pairs", "new pairs")
    assert night.launched(training_requests(night.instance)) == ["new pairs"]


def test_scores_that_lack_the_champion_are_made_again_and_once(night: Night) -> None:
    champion = digest_of_file(checkpoint_path("champion", night.project).path)
    night.scored("with it", champion, "another")
    night.scored("without", "another")
    assert night.launched(score_requests(night.instance, night.project)) == ["without"]
    assert night.launched(score_requests(night.instance, night.project)) == []


def test_both_wait_until_a_person_starts_them_and_the_others_do_not() -> None:
    schedules = {schedule.name: schedule for schedule in defs.schedules or ()}
    running = {
        name
        for name, schedule in schedules.items()
        if schedule.default_status == dg.DefaultScheduleStatus.RUNNING  # type: ignore[union-attr]
    }
    assert running == {"reprocess_stale", "review_calibrations"}
    assert set(schedules) - running == {"retrain_denoisers", "rescore_denoisers"}
