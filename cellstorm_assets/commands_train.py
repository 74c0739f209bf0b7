"""Commands around the networks: train, models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING, Any

import click

from cellstorm_assets.command_options import announced, as_json, tell
from cellstorm_assets.registry import MODEL
from cellstorm_lib.errors import CellstormError, CheckpointError, SettingsError

if TYPE_CHECKING:
    from cellstorm_assets.training import TrainedVersion
    from cellstorm_lib.gan.recipe import Recipe


@click.command()
@click.option(
    "--dataset",
    required=True,
    metavar="NAME",
    help="A dataset of the project, or a folder of pairs.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=("default",),
    show_default=True,
    metavar="NAME",
    help="A recipe that comes with the program: default, demo, paper, or fine-tune (with --start). "
    "Several: one after another.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value for a setting of the recipe, as steps=2000.",
)
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="KEY=A,B,...",
    help="Train once with each value; several sweeps: with each combination.",
)
@click.option(
    "--start",
    metavar="MODEL",
    help="A network to fine-tune: champion, a registered version, or a checkpoint's path.",
)
@click.option("--resume", is_flag=True, help="Go on with the same training where it stopped.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--threads", type=int, help="Threads of the CPU; decides the last bits.")
@click.option("--seed", type=int, help="Number that decides all chance. Default: the recipe's.")
@click.option(
    "--films",
    metavar="NAMES",
    default="",
    help="Benchmark films to score by, as D,L,empty. Default: all.",
)
@as_json
def train(
    *,
    dataset: str,
    recipes: Sequence[str],
    changes: Sequence[str],
    sweeps: Sequence[str],
    start: str | None,
    resume: bool,
    device: str,
    threads: int | None,
    seed: int | None,
    films: str,
    wants_json: bool,
) -> None:
    """Train a denoiser on the pairs of a dataset, score it, and register it.

    Everything is written down in MLflow, where `cellstorm ui` shows it. The champion does not
    change; that is for the asset champion_denoiser.
    """
    from cellstorm_assets.project import find_project
    from cellstorm_assets.training import train_version
    from cellstorm_assets.training_plan import TrainingSettings, pairs_named, run_name

    project = find_project()
    chosen = planned_recipes(recipes, changes, sweeps, seed)
    name, pairs = pairs_named(dataset, project)
    settings = TrainingSettings(
        device=device,
        threads=threads,
        resume=resume,
        start=start,
        films=tuple(filter(None, films.split(","))),
    )
    tags = {"sweep": sweep_name(recipes, sweeps)} if len(chosen) > 1 else {}
    announce = announced()
    made: list[TrainedVersion] = []
    failures: list[str] = []
    for recipe in chosen:
        try:
            outcome = train_version(
                pairs, recipe, project,
                dataset=name, settings=settings, tags=tags, announce=announce,
            )  # fmt: skip
            made.append(outcome.version)
        except CellstormError as error:
            if len(chosen) == 1:
                raise
            failures.append(f"{run_name(recipe)}: {error}")
    tell(
        {f"version {version.version}": in_words(version) for version in made},
        {"trained": [figures_of(version) for version in made], "failed": failures},
        wants_json=wants_json,
    )
    if failures:
        raise CheckpointError(
            f"{len(failures)} of {len(chosen)} trainings failed: {'; '.join(failures)}"
        )


@click.command()
@as_json
def models(*, wants_json: bool) -> None:
    """List the registered denoisers with their scores, and say which one is the champion."""
    from cellstorm_assets.project import find_project
    from cellstorm_assets.registry import DECISION, champion_of, registered_versions

    project = find_project()
    versions = registered_versions(project)
    champion = champion_of(project)
    lines = {
        entry.label: ", ".join(
            filter(
                None,
                (
                    "CHAMPION" if entry.is_champion else "",
                    f"{entry.tags.get('recipe')} on {entry.tags.get('dataset')}",
                    _score_words(entry.tags),
                    entry.tags.get(DECISION, ""),
                ),
            )
        )
        for entry in versions
    }
    tell(
        {**lines, "champion": champion.label if champion else "none yet; the raw frames are used"},
        {
            "champion": champion.label if champion else None,
            "versions": [
                {
                    "version": entry.version,
                    "is_champion": entry.is_champion,
                    "run_id": entry.run_id,
                    **entry.tags,
                }
                for entry in versions
            ],
        },
        wants_json=wants_json,
    )


def planned_recipes(
    names: Sequence[str], changes: Sequence[str], sweeps: Sequence[str], seed: int | None
) -> "list[Recipe]":
    """Return the recipes to train: each preset with each combination of the swept values.

    Raises
    ------
    SettingsError
        When a name, a setting or a value is wrong; then nothing is trained.
    """
    from cellstorm_assets.training_plan import recipe_from

    fixed = dict(_assignment(text) for text in changes)
    if seed is not None:
        fixed["seed"] = str(seed)
    swept = [_assignment(text) for text in sweeps]
    combinations = product(*([(key, value) for value in text.split(",")] for key, text in swept))
    planned = [
        recipe_from(
            name, {key: _plain(value) for key, value in {**fixed, **dict(combination)}.items()}
        )
        for combination in combinations
        for name in names
    ]
    return list(dict.fromkeys(planned))


def sweep_name(recipes: Sequence[str], sweeps: Sequence[str]) -> str:
    """Return by what the runs of one sweep can be found."""
    return " ".join([",".join(recipes), *sweeps])


def figures_of(version: "TrainedVersion") -> dict[str, Any]:
    """Return what programs read of a trained version."""
    return {
        "version": version.version,
        "model": f"{MODEL}/{version.version}",
        "run_id": version.run_id,
        "run": version.run_url,
        "dataset": version.dataset,
        "dataset_digest": version.dataset_digest,
        "weights_digest": version.weights_digest,
        "recipe": asdict(version.recipe),
        "best_step": version.best_step,
        **version.figures,
    }


def in_words(version: "TrainedVersion") -> str:
    """Return what people read of a trained version."""
    from cellstorm_assets.training_plan import run_name

    figures = {name: f"{value:.4g}" for name, value in version.figures.items()}
    return f"{run_name(version.recipe)}, {_score_words(figures)}, {version.run_url}"


def _score_words(figures: Mapping[str, str]) -> str:
    """Return the scores of a version in words."""
    if "f1" not in figures:
        return "not scored"
    words = f"F1 {figures['f1']} +- {figures.get('f1_error', '?')}"
    if "f1_over_raw" in figures:
        words += f" ({float(figures['f1_over_raw']):+.3f} against raw)"
    if "false_per_frame" in figures:
        words += f", at most {figures['false_per_frame']} false spots per empty frame"
    return words


def _assignment(text: str) -> tuple[str, str]:
    """Return ``KEY=VALUE`` as its two parts."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise SettingsError(f"settings are written KEY=VALUE, as steps=2000, got {text!r}")
    return key.strip(), value.strip()


def _plain(text: str) -> Any:
    """Return a value as a number or a truth value where it is one."""
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


COMMANDS = (train, models)
