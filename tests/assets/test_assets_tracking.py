"""Trainings are written down in MLflow, and end there as they went."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_training import TrainedProject, tiny_pairs

from cellstorm_assets.code_version import code_tags
from cellstorm_assets.project import Project
from cellstorm_assets.tracking import PAGE_VARIABLE, SERVER_VARIABLE, Tracking
from cellstorm_lib import __version__
from cellstorm_lib.errors import ExportError, SettingsError


def stored(trained: TrainedProject, number: int = 0) -> Any:
    """Return what MLflow holds of a training."""
    tracking = Tracking.of(trained.project)
    return tracking.client().get_run(trained.versions[number].run_id)


def test_a_training_is_a_run_with_settings_tags_curves_and_scores(trained: TrainedProject) -> None:
    run, version = stored(trained), trained.versions[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("demo ")
    assert "steps=4" in run.info.run_name
    assert run.data.params["learning_rate"] == "0.001"
    assert run.data.params["adversarial_weight"] == "0.0"
    assert run.data.params["dataset_digest"] == tiny_pairs().digest == version.dataset_digest
    assert run.data.tags["threads"] == "1"
    assert run.data.tags["weights_digest"] == version.weights_digest
    assert run.data.tags["code_version"].startswith(f"cellstorm {__version__}")
    assert run.data.tags["dagster/run_id"] == "run-of-dagster"
    assert run.data.tags["camera"].startswith("0.7 to 0.7 e-/grey value, background")
    assert run.data.tags["codec"] == "0.4 to 0.4 bit/px"
    assert "meant for cameras of 0.7" in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["benchmark/f1"] == pytest.approx(0.6)
    assert run.data.metrics["benchmark/f1_over_raw"] == pytest.approx(0.1)
    assert run.data.metrics["f1/L"] == pytest.approx(0.6)
    assert "f1/empty" not in run.data.metrics
    (entry,) = run.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("tiny", version.dataset_digest[:16])


def test_learning_curves_have_a_point_for_each_report(trained: TrainedProject) -> None:
    client = Tracking.of(trained.project).client()
    version = trained.versions[0]
    for name, expected in (
        ("loss", version.loss),
        ("validation_loss", version.validation_loss),
        ("light_kept", version.light_kept),
    ):
        points = client.get_metric_history(version.run_id, f"training/{name}")
        assert [point.step for point in points] == version.step.tolist() == [1, 2, 3, 4]
        np.testing.assert_allclose([point.value for point in points], expected)


def test_a_run_keeps_weights_samples_and_scores(trained: TrainedProject) -> None:
    client = Tracking.of(trained.project).client()
    run_id = trained.versions[0].run_id
    weights = {entry.path for entry in client.list_artifacts(run_id, "weights")}
    assert weights == {"weights/best.safetensors", "weights/last.safetensors"}
    assert any(".png" in entry.path for entry in client.list_artifacts(run_id, "images"))
    assert "benchmark.csv" in {entry.path for entry in client.list_artifacts(run_id)}


def test_a_run_that_fails_says_so_and_why(trained: TrainedProject) -> None:
    tracking = Tracking.of(trained.project)
    with (
        pytest.raises(SettingsError, match="a sentence"),
        tracking.run("denoisers", "to fail") as run,
    ):
        run.log_numbers({"loss": 1.0, "nothing": float("nan")}, step=3)
        raise SettingsError("a sentence\nin two lines")
    found = tracking.client().get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["failure"] == "a sentence in two lines"
    assert found.data.metrics == {"loss": 1.0}


def test_a_run_that_a_person_stops_was_killed(trained: TrainedProject) -> None:
    tracking = Tracking.of(trained.project)
    with pytest.raises(KeyboardInterrupt), tracking.run("denoisers", "to stop") as run:
        raise KeyboardInterrupt
    assert tracking.client().get_run(run.run_id).info.status == "KILLED"


def test_the_address_of_a_run_is_on_the_page(
    trained: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = trained.versions[0].run_id
    monkeypatch.setenv(PAGE_VARIABLE, "http://127.0.0.1:5055")
    run = Tracking.of(trained.project).reopened(run_id)
    place = f"#/experiments/{run.experiment_id}/runs/{run_id}"
    assert run.url == f"http://127.0.0.1:5055/{place}?workflowType=machine_learning"


def test_the_address_of_a_run_is_on_the_labs_server_when_one_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAGE_VARIABLE, "http://127.0.0.1:5055")  # as below `cellstorm ui`
    monkeypatch.setenv(SERVER_VARIABLE, "http://127.0.0.1:9/")
    address = Tracking.of(Project(home=tmp_path)).address("models/one")
    assert address == "http://127.0.0.1:9/#/models/one?workflowType=machine_learning"


def test_a_database_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    project = Project(home=tmp_path / "lab")
    (project.home / "mlruns").mkdir(parents=True)
    (project.home / "mlruns" / "mlflow.db").write_bytes(b"no database at all, " * 100)
    with (
        pytest.raises(ExportError, match=r"MLflow at sqlite.*mlflow.db cannot be used.*see that"),
        Tracking.of(project).run("denoisers", "nowhere"),
    ):
        raise AssertionError("the block must not be entered")


def test_a_server_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVER_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking.of(Project(home=tmp_path))
    assert tracking.exists
    with pytest.raises(ExportError) as caught, tracking.run("denoisers", "nowhere"):
        raise AssertionError("the block must not be entered")
    message = str(caught.value)
    assert message.startswith("MLflow at http://127.0.0.1:9 cannot be used: ")
    assert f"unset {SERVER_VARIABLE}" in message
    assert "\n" not in message


def test_the_code_version_names_the_commit_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellstorm_assets.code_version.CHECKOUT", tmp_path)
    assert code_tags()["code_version"] == f"cellstorm {__version__}"
    assert "mlflow.source.git.commit" not in code_tags()
    monkeypatch.setattr("cellstorm_assets.code_version._commit", lambda: ("a" * 40, True))
    assert code_tags()["code_version"] == f"cellstorm {__version__}, commit {'a' * 12}+"
    assert code_tags()["mlflow.source.git.commit"] == "a" * 40
