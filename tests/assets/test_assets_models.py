"""The models group: a training, the scores beside the others, and the contest for champion."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from tiny_training import TINY, Scorer, TrainedProject, tiny_pairs, tiny_recipe

from cellstorm_assets import registry
from cellstorm_assets.champion import hold_championship, score_versions
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.models import DenoiserForm, _summaries, reason_of
from cellstorm_assets.project import Project
from cellstorm_assets.registry import DECISION, MODEL, crown, registered_versions
from cellstorm_assets.tracking import Tracking
from cellstorm_assets.training import TrainedVersion, train_version
from cellstorm_assets.training_plan import TrainingSettings
from cellstorm_lib.errors import CheckpointError, SettingsError, TableError
from cellstorm_lib.gan.checkpoint import (
    Checkpoint,
    TrainingDomain,
    TrainingFacts,
    make_generator,
    write_checkpoint,
)
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pairs.pair_set import write_pairs
from cellstorm_lib.pipeline.store import read_records


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a network that comes with the program, in the stead of the real one."""
    recipe = Recipe(name="shipped", first_filters=8)
    path = tmp_path / "champion.safetensors"
    checkpoint = Checkpoint(
        recipe=recipe,
        weights=make_generator(recipe).state_dict(),
        domain=TrainingDomain.of(tiny_pairs()),
        facts=TrainingFacts(),
    )
    write_checkpoint(checkpoint, path)
    monkeypatch.setattr(registry, "SHIPPED", path)
    return path


def champion(project: Project) -> list[int]:
    """Return the numbers of the versions with the alias."""
    return [entry.version for entry in registered_versions(project) if entry.is_champion]


def test_versions_are_scored_beside_the_champion_and_the_raw_films(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    table, remarks = score_versions(trained.project, "tiny")
    names = ["raw", registry.SHIPPED_LABEL, f"{MODEL}/1", f"{MODEL}/2"]
    assert scorer.asked == [tuple(names)]
    assert remarks == ()
    lit = table[table["film"] == "D"].set_index("name")
    assert lit.loc[names, "f1"].tolist() == [0.5, 0.7, 0.6, 0.8]
    assert lit.loc[names, "version"].tolist() == [0, 0, 1, 2]
    assert lit.loc[names, "dataset"].tolist() == ["", "", "tiny", "tiny"]
    assert lit.loc[f"{MODEL}/1", "weights_digest"] == trained.versions[0].weights_digest


def test_new_scores_replace_those_of_the_training(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    scorer.f1_of[1e-3] = 0.65
    score_versions(trained.project, "tiny")
    (one, _) = registered_versions(trained.project)
    assert one.tags["f1"] == "0.65"
    client = Tracking.of(trained.project).client()
    assert client.get_run(one.run_id).data.metrics["benchmark/f1"] == pytest.approx(0.65)
    assert client.get_run(one.run_id).data.metrics["frc_nm/D"] == pytest.approx(90.0)
    drawn = [item.path for item in client.list_artifacts(one.run_id, "images")]
    assert any("found" in path for path in drawn)


def test_only_the_newest_versions_are_scored_when_there_are_many(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    table, remarks = score_versions(trained.project, "tiny", at_most=1)
    assert set(table["version"]) == {0, 2}
    assert remarks == (f"{MODEL}/1 is older and was not scored",)


def test_a_dataset_nothing_was_trained_on_is_named(trained: TrainedProject) -> None:
    with pytest.raises(CheckpointError, match="no registered denoiser was trained on huge"):
        score_versions(trained.project, "huge")


def test_the_best_version_takes_the_place_of_the_shipped_network(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    table, _ = score_versions(trained.project, "tiny")
    held = hold_championship([table], trained.project)
    assert (held.before, held.after) == (registry.SHIPPED_LABEL, f"{MODEL}/2")
    assert held.weights_digest == trained.versions[1].weights_digest
    assert champion(trained.project) == [2]
    (_, two) = registered_versions(trained.project)
    assert two.tags[DECISION].startswith("became champion: F1 +0.1000 +- 0.0100 on 2 films")
    assert f"compared with {registry.SHIPPED_LABEL}" in two.tags[DECISION]
    assert "better by more than the error" in reason_of(held)


def test_a_champion_stays_when_nobody_is_better(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    table, _ = score_versions(trained.project, "tiny")
    hold_championship([table], trained.project)
    again = hold_championship([table], trained.project)
    assert (again.before, again.after) == (f"{MODEL}/2", f"{MODEL}/2")
    assert again.weights_digest == trained.versions[1].weights_digest
    assert champion(trained.project) == [2]
    (one, _) = registered_versions(trained.project)
    assert one.tags[DECISION].startswith("refused: F1 -0.2000")
    assert "clearly worse on D" in reason_of(again)
    about = Tracking.of(trained.project).client().get_registered_model(MODEL).description
    told = MarkdownIt("commonmark").render(about)
    assert f"still</strong> <code>{MODEL}/2</code>; of the others, <code>{MODEL}/1</code>" in told


def test_without_any_champion_the_raw_films_are_to_be_beaten(
    trained: TrainedProject, scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "none.safetensors")
    scorer.raw_f1 = 0.81
    table, remarks = score_versions(trained.project, "tiny")
    assert remarks == ()
    held = hold_championship([table], trained.project)
    assert held.after == "raw"
    assert champion(trained.project) == []
    scorer.raw_f1 = 0.7
    table, _ = score_versions(trained.project, "tiny")
    assert hold_championship([table], trained.project).after == f"{MODEL}/2"


def test_nothing_scored_leaves_everything_as_it_is(trained: TrainedProject, shipped: Path) -> None:
    held = hold_championship([], trained.project)
    assert reason_of(held) == f"no other version is scored; {registry.SHIPPED_LABEL} stays"
    assert champion(trained.project) == []


def test_the_champion_never_changes_on_a_failure(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    crown(trained.project, 1, "for a test")
    table, _ = score_versions(trained.project, "tiny")
    without_champion = table[table["version"] != 1]
    with pytest.raises(TableError, match=f"{MODEL}/1 is not among the scores.*scores again"):
        hold_championship([without_champion], trained.project)
    one_film_less = table[(table["version"] != 2) | (table["film"] != "L")]
    with pytest.raises(TableError, match="different films"):
        hold_championship([one_film_less], trained.project)
    assert champion(trained.project) == [1]


def test_a_version_whose_weights_are_gone_is_left_out(
    trained: TrainedProject, scorer: Scorer, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", "weights/gone.safetensors")
    table, remarks = score_versions(trained.project, "tiny")
    assert set(table["name"]) == {"raw", registry.SHIPPED_LABEL}
    assert len(remarks) == 2
    assert f"{MODEL}/1 has no weights that can be read" in remarks[0]


def test_a_training_that_fails_registers_nothing(trained: TrainedProject) -> None:
    with pytest.raises(CheckpointError, match="not finite"):
        train_version(
            tiny_pairs(), tiny_recipe(learning_rate=1e6, steps=8), trained.project, dataset="tiny"
        )
    assert len(registered_versions(trained.project)) == 2
    client = Tracking.of(trained.project).client()
    newest = client.search_runs(["1"], max_results=1)[0]
    assert newest.info.status == "FAILED"
    assert "not finite" in newest.data.tags["failure"]


def test_scores_that_fail_register_nothing(
    trained: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise SettingsError("there is no benchmark film 'X'")

    monkeypatch.setattr("cellstorm_lib.pipeline.score_denoiser.score_denoisers", refuse)
    with pytest.raises(SettingsError, match="no benchmark film"):
        train_version(tiny_pairs(), tiny_recipe(), trained.project, dataset="tiny")
    assert len(registered_versions(trained.project)) == 2


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    trained: TrainedProject,
) -> None:
    with pytest.raises(SettingsError, match="no device 'abacus'"):
        train_version(
            tiny_pairs(), tiny_recipe(), trained.project,
            dataset="tiny", settings=TrainingSettings(device="abacus"),
        )  # fmt: skip
    client = Tracking.of(trained.project).client()
    assert len(client.search_runs(["1"])) == 2


def test_the_form_changes_only_what_is_filled_in() -> None:
    form = DenoiserForm(recipe="paper", steps=10, learning_rate=1e-3)
    recipe = form.chosen_recipe()
    assert (recipe.name, recipe.steps, recipe.learning_rate) == ("paper", 10, 1e-3)
    assert recipe.adversarial_weight == 2.0
    assert form.settings() == TrainingSettings()
    with pytest.raises(SettingsError, match="no recipe 'best'"):
        DenoiserForm(recipe="best").chosen_recipe()
    with pytest.raises(SettingsError, match="loss must be one of"):
        DenoiserForm(loss="cubic").chosen_recipe()


def test_the_group_is_materialized_from_pairs_to_champion(
    trained: TrainedProject, scorer: Scorer, shipped: Path
) -> None:
    project = trained.project
    write_pairs(tiny_pairs(), project.assets_folder / "training_pairs" / "tiny.zarr")
    scorer.f1_of[4e-3] = 0.9
    defs = build_defs()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["tiny", "other"])
        run = defs.resolve_job_def("train_denoisers").execute_in_process(
            instance=instance,
            partition_key="tiny",
            run_config={
                "ops": {
                    "denoiser": {
                        "config": {
                            "recipe": "demo", **TINY, "learning_rate": 4e-3, "threads": 1
                        }
                    },
                    "denoiser_scores": {"config": {"films": ["D", "empty"]}},
                }
            },
        )  # fmt: skip
        chosen = defs.resolve_job_def("choose_champion").execute_in_process(instance=instance)
    assert run.success
    assert chosen.success
    version: TrainedVersion = run.asset_value("denoiser")
    assert version.version == 3
    stored = read_records(TrainedVersion, project.assets_folder / "denoiser" / "tiny.parquet")[0]
    assert stored.recipe == tiny_recipe(learning_rate=4e-3)
    np.testing.assert_array_equal(stored.step, version.step)
    table = pd.read_parquet(project.assets_folder / "denoiser_scores" / "tiny.parquet")
    assert set(table["version"]) == {0, 1, 2, 3}
    assert champion(project) == [3]
    tags = Tracking.of(project).client().get_run(version.run_id).data.tags
    assert tags["dagster/run_id"] == run.run_id
    assert tags["dagster/asset"] == "denoiser"
    assert tags["dagster/partition"] == "tiny"
    shown = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in [
            *run.get_asset_materialization_events(), *chosen.get_asset_materialization_events()
        ]
        if event.asset_key
    }  # fmt: skip
    assert shown["denoiser"]["MLflow run"].value == version.run_url
    assert shown["denoiser"]["film, output, truth"].value.startswith("![film")
    (resolution,) = shown["denoiser_scores"]["FRC resolution, nm"].records
    assert resolution.data["film"] == "D"
    assert resolution.data["raw"] == "90 (80 to 110)"
    for title in ("spots found and missed", "distance to the truth"):
        assert shown["denoiser_scores"][title].value.startswith(f"![{title}](data:")
    assert shown["champion_denoiser"]["champion"].value == f"{MODEL}/3"
    assert "better by more than the error" in shown["champion_denoiser"]["reason"].value


def test_a_wrong_recipe_fails_the_step_with_one_sentence(trained: TrainedProject) -> None:
    project = trained.project
    write_pairs(tiny_pairs(), project.assets_folder / "training_pairs" / "tiny.zarr")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["tiny"])
        run = (
            build_defs()
            .resolve_job_def("train_denoisers")
            .execute_in_process(
                instance=instance,
                partition_key="tiny",
                raise_on_error=False,
                run_config={"ops": {"denoiser": {"config": {"recipe": "best"}}}},
            )
        )
    failure = next(event for event in run.all_events if event.is_step_failure)
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert str(data.description).startswith("there is no recipe 'best'")


def test_a_network_that_finds_nothing_has_its_row_all_the_same(
    trained: TrainedProject, scorer: Scorer
) -> None:
    table, _ = score_versions(trained.project, "tiny")
    table.loc[table["name"] == f"{MODEL}/1", ["rmse_nm", "bias_x_px", "bias_y_px"]] = np.nan
    records = _summaries(table)
    assert len({frozenset(record.data) for record in records}) == 1
    assert next(r.data for r in records if r.data["name"] == f"{MODEL}/1")["rmse_nm"] == "none"
    dg.MetadataValue.table(records)  # Dagster refuses rows that are not alike
