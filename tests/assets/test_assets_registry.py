"""A model is found by what a person calls it: champion, version, run or file."""

import html
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from tiny_training import TrainedProject

from cellstorm_assets import registry
from cellstorm_assets.project import Project
from cellstorm_assets.registry import (
    DECISION,
    MODEL,
    SHIPPED_LABEL,
    checkpoint_path,
    crown,
    register,
    registered_versions,
)
from cellstorm_assets.tracking import Tracking
from cellstorm_assets.training import described
from cellstorm_assets.training_plan import run_name
from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser


@pytest.mark.parametrize("name", ["2", "v2", f"{MODEL}/2", f"models:/{MODEL}/2"])
def test_a_version_is_found_by_its_number(trained: TrainedProject, name: str) -> None:
    found = checkpoint_path(name, trained.project)
    assert found.label == f"{MODEL}/2"
    assert found.version == 2
    assert digest_of_file(found.path) == trained.versions[1].weights_digest


def test_a_run_and_a_file_are_found(trained: TrainedProject, tmp_path: Path) -> None:
    version = trained.versions[0]
    found = checkpoint_path(version.run_id, trained.project)
    assert found.label == f"MLflow run {version.run_id}"
    assert digest_of_file(found.path) == version.weights_digest
    copy = shutil.copy(found.path, tmp_path / "mine.safetensors")
    mine = checkpoint_path(str(copy), trained.project)
    assert (mine.path, mine.label, mine.version) == (Path(copy), "mine.safetensors", None)


def test_the_champion_is_the_shipped_file_until_one_is_registered(
    trained: TrainedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "champion.safetensors"
    monkeypatch.setattr(registry, "SHIPPED", shipped)
    with pytest.raises(CheckpointError, match="no champion yet; train a denoiser"):
        checkpoint_path("champion", trained.project)
    shutil.copy(checkpoint_path("1", trained.project).path, shipped)
    assert checkpoint_path("champion", trained.project).path == shipped
    assert checkpoint_path("champion", trained.project).label == SHIPPED_LABEL
    crown(trained.project, 2, "for a test")
    assert checkpoint_path("champion", trained.project).label == f"{MODEL}/2"
    one, two = registered_versions(trained.project)
    assert [one.is_champion, two.is_champion] == [False, True]
    assert two.tags[DECISION] == "became champion: for a test"


def test_a_project_without_trainings_is_not_touched(tmp_path: Path) -> None:
    project = Project(home=tmp_path / "empty")
    assert registered_versions(project) == []
    with pytest.raises(CheckpointError, match="no version 3 of .*none is registered yet"):
        checkpoint_path("3", project)
    with pytest.raises(CheckpointError, match="no MLflow run 0{32}, for nothing is written down"):
        checkpoint_path("0" * 32, project)
    assert not project.home.exists()


def test_the_shipped_network_can_be_read() -> None:
    assert registry.SHIPPED.stat().st_size < 1_000_000
    assert read_checkpoint(registry.SHIPPED).recipe.frames % 2 == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("9", rf"no version 9 of {MODEL} .there are 1 to 2.; see `cellstorm models`"),
        ("gone.safetensors", "no model 'gone.safetensors': neither a file, nor a version"),
        ("other-model/1", "no model 'other-model/1'"),
        ("", "no model ''"),
        ("f" * 32, "MLflow run f{32} has no weights that can be read"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(
    trained: TrainedProject, name: str, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint_path(name, trained.project)
    assert "\n" not in str(caught.value)


def test_a_version_whose_weights_are_gone_is_named(trained: TrainedProject) -> None:
    tracking = Tracking.of(trained.project)
    with tracking.run("denoisers", "without weights") as run:
        source = run.client.get_model_version(MODEL, "1").source
        assert register(run, source, {"dataset": "tiny"}, "a version without weights") == 3
    with pytest.raises(CheckpointError, match=f"{MODEL}/3 has no weights that can be read"):
        checkpoint_path("3", trained.project)
    crown(trained.project, 3, "for a test")
    with pytest.raises(CheckpointError, match=f"{MODEL}/3 has no weights"):
        checkpoint_path("champion", trained.project)


def test_a_version_says_what_it_is_made_of_and_meant_for(trained: TrainedProject) -> None:
    one, two = registered_versions(trained.project)
    assert (one.label, two.label) == (f"{MODEL}/1", f"{MODEL}/2")
    assert one.run_id == trained.versions[0].run_id
    for entry, version, f1 in (
        (one, trained.versions[0], "0.6"),
        (two, trained.versions[1], "0.8"),
    ):
        assert entry.tags["dataset"] == "tiny"
        assert entry.tags["weights_digest"] == version.weights_digest
        assert entry.tags["dataset_digest"] == version.dataset_digest
        assert entry.tags["f1"] == f1
        assert "e-/grey value" in entry.tags["camera"]
        assert "bit/px" in entry.tags["codec"]


def test_the_page_of_the_model_says_which_is_the_champion_and_why(trained: TrainedProject) -> None:
    client = Tracking.of(trained.project).client()
    about = client.get_registered_model(MODEL).description
    assert "None is yet" in about
    crown(trained.project, 2, "its F1 is 0.8, <b>0.2</b> above that of raw")
    about = client.get_registered_model(MODEL).description
    page = MarkdownIt("commonmark").render(about)
    assert "It is version 2</strong>: <code>its F1 is 0.8, &lt;b&gt;0.2&lt;/b&gt;" in page
    assert "None is yet" not in about
    crown(trained.project, 1, "for a test")
    assert "version 2" not in client.get_registered_model(MODEL).description


def test_notes_show_names_of_recipes_and_datasets_as_they_are_written(
    trained: TrainedProject,
) -> None:
    checkpoint = read_checkpoint(checkpoint_path("1", trained.project).path)
    name = "<script>x</script> [a](http://b) _one_ *two*"
    page = MarkdownIt("commonmark").render(described(checkpoint, name))
    assert set(re.findall(r"<(\w+)", page)) == {"p", "code"}
    assert name in html.unescape(page)
    assert run_name(checkpoint.recipe) in html.unescape(page)


@pytest.mark.parametrize("shape", [(48, 48), (37, 101)])
def test_the_registered_program_gives_what_the_weights_give(
    trained: TrainedProject, shape: tuple[int, int]
) -> None:
    checkpoint = read_checkpoint(checkpoint_path("1", trained.project).path)
    frames_e = np.random.default_rng(0).poisson(20.0, (3, *shape)).astype(np.float32)
    expected = Denoiser(checkpoint, device="cpu").light(frames_e)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pytorch
        import torch

        mlflow.set_tracking_uri(trained.project.mlflow_uri)
        program = mlflow.pytorch.load_model(f"models:/{MODEL}/1")
        with torch.inference_mode():
            made = program(torch.from_numpy(frames_e)[None])
    np.testing.assert_allclose(made[0].numpy(), expected, atol=1e-4)
