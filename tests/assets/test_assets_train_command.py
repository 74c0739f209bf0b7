"""`cellstorm train` and `cellstorm models`."""

import json
from pathlib import Path

import pytest
from tiny_training import TINY, Scorer, TrainedProject, tiny_pairs

from cellstorm_assets.commands import main
from cellstorm_assets.commands_train import planned_recipes
from cellstorm_assets.project import find_project
from cellstorm_assets.registry import MODEL, checkpoint_path, crown, registered_versions
from cellstorm_assets.tracking import TrackedRun, Tracking
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.gan.recipe import RECIPES
from cellstorm_lib.pairs.pair_set import write_pairs

SMALL = [word for key, value in TINY.items() for word in ("--set", f"{key}={str(value).lower()}")]


def first_program(run: TrackedRun) -> str:
    """Return the address of the program that the first version keeps."""
    return str(run.client.get_model_version(MODEL, "1").source)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    # Exporting the program takes longer than these trainings; test_assets_registry.py tests it.
    monkeypatch.setattr(TrackedRun, "log_program", lambda self, *_, **__: first_program(self))

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


def test_a_sweep_trains_each_combination_and_mlflow_compares_them(
    run, trained: TrainedProject, scorer: Scorer, tmp_path: Path
) -> None:
    write_pairs(tiny_pairs(seed=7), tmp_path / "mine.zarr")
    scorer.f1_of |= {5e-3: 0.7, 6e-3: 0.75}
    code, out, err = run(
        "train", "--dataset", tmp_path / "mine.zarr", "--recipe", "demo", *SMALL,
        "--sweep", "learning_rate=5e-3,6e-3", "--threads", 1, "--seed", 3, "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    figures = json.loads(out.splitlines()[-1])
    assert figures["failed"] == []
    one, two = figures["trained"]
    assert (one["model"], two["model"]) == (f"{MODEL}/3", f"{MODEL}/4")
    assert one["dataset"] == "mine"
    assert one["recipe"]["seed"] == 3
    assert (one["f1"], two["f1"]) == (pytest.approx(0.7), pytest.approx(0.75))
    assert "version 4  demo first_filters=4 learning_rate=0.006 steps=4" in out
    client = Tracking.of(trained.project).client()
    found = client.search_runs(["1"], "tags.sweep = 'demo learning_rate=5e-3,6e-3'")
    assert {entry.data.params["learning_rate"] for entry in found} == {"0.005", "0.006"}
    assert not any(entry.is_champion for entry in registered_versions(trained.project))


def test_one_failure_of_a_sweep_does_not_stop_the_others(
    run, trained: TrainedProject, scorer: Scorer, tmp_path: Path
) -> None:
    write_pairs(tiny_pairs(), tmp_path / "mine.zarr")
    scorer.f1_of[5e-3] = 0.7
    code, out, err = run(
        "train", "--dataset", tmp_path / "mine.zarr", "--recipe", "demo", *SMALL,
        "--sweep", "learning_rate=1e6,5e-3", "--threads", 1,
    )  # fmt: skip
    assert code == 2
    assert "1 of 2 trainings failed" in err
    assert "not finite" in err
    assert len(err.strip().splitlines()) == 1
    assert "version 3" in out
    assert len(registered_versions(trained.project)) == 3


def test_the_same_training_gives_the_same_weights_and_can_be_resumed(
    run, trained: TrainedProject, scorer: Scorer, tmp_path: Path
) -> None:
    write_pairs(tiny_pairs(), trained.project.assets_folder / "training_pairs" / "tiny.zarr")
    words = ["train", "--dataset", "tiny", "--recipe", "demo", *SMALL, "--threads", 1,
             "--device", "cpu", "--set", "learning_rate=2e-3"]  # fmt: skip
    code, _, err = run(*words, "--resume")
    assert code == 2
    assert "holds no training that can be resumed" in err
    assert run(*words)[0] == 0
    code, _, err = run(*words, "--resume")
    assert (code, err) == (0, "")
    digests = [entry.tags["weights_digest"] for entry in registered_versions(trained.project)]
    assert digests[2:] == [trained.versions[1].weights_digest] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "nothing"], "no dataset 'nothing' with training pairs (there are: tiny)"),
        (["--dataset", "tiny", "--recipe", "best"], "there is no recipe 'best'"),
        (["--dataset", "tiny", "--set", "steps"], "written KEY=VALUE, as steps=2000, got 'steps'"),
        (["--dataset", "tiny", "--set", "step=3"], "unknown setting step"),
        (["--dataset", "tiny", "--set", "steps=many"], "steps must be int, got 'many'"),
        (["--dataset", "tiny", "--sweep", "frames=3,4"], "frames must be odd"),
        (["--dataset", "tiny", "--device", "abacus"], "there is no device 'abacus'"),
        (["--dataset", "tiny", "--threads", "0"], "threads must be 1 or more, got 0"),
        ([], "Missing option '--dataset'"),
    ],
)
def test_bad_options_are_one_sentence(
    run, trained: TrainedProject, words: list[str], message: str
) -> None:
    write_pairs(tiny_pairs(), trained.project.assets_folder / "training_pairs" / "tiny.zarr")
    code, _, err = run("train", *words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert len(registered_versions(trained.project)) == 2


def test_recipes_are_planned_before_anything_is_trained() -> None:
    planned = planned_recipes(
        ("default", "paper"), ("steps=10", "half_precision=false"), ("batch=2,4",), seed=5
    )
    assert [(recipe.name, recipe.batch) for recipe in planned] == [
        ("default", 2), ("paper", 2), ("default", 4), ("paper", 4)
    ]  # fmt: skip
    assert {(recipe.steps, recipe.seed, recipe.half_precision) for recipe in planned} == {
        (10, 5, False)
    }
    assert planned_recipes(("demo", "demo"), (), (), None) == [RECIPES["demo"]]
    both = planned_recipes(("demo",), (), ("batch=1,2", "loss=squared,relative"), None)
    assert len({(recipe.batch, recipe.loss) for recipe in both}) == 4
    with pytest.raises(SettingsError, match="loss must be one of"):
        planned_recipes(("demo",), (), ("loss=squared,cubic",), None)


def test_models_lists_versions_scores_and_the_champion(run, trained: TrainedProject) -> None:
    crown(trained.project, 2, "it was better")
    code, out, _ = run("models", "--json")
    assert code == 0
    first, second, champion, figures = out.splitlines()
    assert first.startswith(f"{MODEL}/1  demo first_filters=4 learning_rate=0.001")
    assert "on tiny, F1 0.6 +- 0.007071 (+0.100 against raw)" in first
    assert "CHAMPION" in second
    assert "became champion: it was better" in second
    assert champion.split() == ["champion", f"{MODEL}/2"]
    assert [entry["version"] for entry in json.loads(figures)["versions"]] == [1, 2]


def test_models_of_a_new_project_says_who_is_champion(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "new"))
    monkeypatch.setattr("cellstorm_assets.registry.SHIPPED", tmp_path / "none")
    code, out, _ = run("models")
    assert code == 0
    assert out.strip() == "champion  none yet; the raw frames are used"
    assert not (find_project().home / "mlruns" / "mlflow.db").exists()


def test_a_network_is_fine_tuned_and_the_run_says_from_which(
    run, trained: TrainedProject, scorer: Scorer, tmp_path: Path
) -> None:
    write_pairs(tiny_pairs(seed=9), tmp_path / "phone.zarr")
    scorer.f1_of |= {RECIPES["fine-tune"].learning_rate: 0.7}
    words = ["train", "--dataset", tmp_path / "phone.zarr", *SMALL, "--threads", 1, "--json"]
    code, out, err = run(*words, "--recipe", "fine-tune", "--start", "1")
    assert (code, err) == (0, "")
    made = json.loads(out.splitlines()[-1])["trained"][0]
    tags = Tracking.of(trained.project).client().get_run(made["run_id"]).data.tags
    assert tags["start"] == f"{MODEL}/1"
    first = checkpoint_path("1", trained.project)
    assert tags["start_digest"] == digest_of_file(first.path)
    assert made["weights_digest"] != tags["start_digest"]
    code, _, err = run(*words, "--recipe", "fine-tune")
    assert code == 2
    assert "the recipe fine-tune goes on with a trained network; give the one to start" in err
