"""A project in which two tiny denoisers were trained, and scores that cost nothing."""

import shutil
from pathlib import Path

import pytest
from tiny_training import Scorer, TrainedProject, tiny_pairs, tiny_recipe

from cellstorm_assets.project import Project, find_project
from cellstorm_assets.registry import MODEL
from cellstorm_assets.tracking import TrackedRun, Tracking
from cellstorm_assets.training import TrainedVersion, train_version
from cellstorm_assets.training_plan import TrainingSettings


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Scorer:
    """Return what scores in place of the benchmark films."""
    stand_in = Scorer()
    monkeypatch.setattr("cellstorm_lib.pipeline.score_denoiser.score_denoisers", stand_in)
    return stand_in


@pytest.fixture(scope="session")
def _trained_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedProject:
    """Train two versions once for all tests."""
    home = tmp_path_factory.mktemp("trained") / "lab"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLSTORM_HOME", str(home))
        patch.setattr("cellstorm_lib.pipeline.score_denoiser.score_denoisers", Scorer())
        project = find_project()
        one = _version(project, 1e-3)
        # Exporting a program takes longer than such a training; one is enough to test it.
        source = Tracking.of(project).client().get_model_version(MODEL, "1").source
        patch.setattr(TrackedRun, "log_program", lambda *_, **__: source)
        two = _version(project, 2e-3)
    return TrainedProject(project=project, versions=(one, two))


def _version(project: Project, learning_rate: float) -> TrainedVersion:
    """Train one version."""
    return train_version(
        tiny_pairs(),
        tiny_recipe(learning_rate=learning_rate),
        project,
        dataset="tiny",
        settings=TrainingSettings(threads=1, device="cpu"),
        tags={"dagster/run_id": "run-of-dagster"},
    ).version


@pytest.fixture
def trained(
    _trained_once: TrainedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrainedProject:
    """Return the project with a database of its own; the files of its runs are only read."""
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    project = find_project()
    database = "mlruns/mlflow.db"
    shutil.copyfile(_trained_once.project.home / database, project.home / database)
    return TrainedProject(project=project, versions=_trained_once.versions)
