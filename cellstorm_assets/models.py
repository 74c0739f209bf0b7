"""The models group: denoisers are trained, scored, and the best becomes the champion."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from pydantic import Field

from cellstorm_assets.champion import Championship, hold_championship, score_versions
from cellstorm_assets.config import config_for, with_changes
from cellstorm_assets.metadata import picture, said_plainly
from cellstorm_assets.partitions import DATASETS
from cellstorm_assets.registry import MODEL
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.scoring import RAW, best_name, look_pictures
from cellstorm_assets.tracking import Tracking
from cellstorm_assets.training import TrainedVersion, train_version
from cellstorm_assets.training_plan import TrainingSettings, recipe_from, run_name
from cellstorm_lib.evaluate.benchmark import summarize_benchmark
from cellstorm_lib.evaluate.championship import ChampionshipSettings
from cellstorm_lib.gan.recipe import RECIPES, Recipe
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.pipeline.film_look import FilmLook
from cellstorm_lib.progress import Announce, Progress
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.learning import benchmark_figure, learning_figure

GROUP = "models"
OWNERS = ["team:method-development"]
_ALL_THERE_ARE = {"allow_missing_partitions": True}
_FRC_COLUMNS = ("frc_nm", "frc_low_nm", "frc_high_nm")
_SHOWN = ("f1", "f1_error", "f1_over_raw", "rmse_nm", "bias_px", "false_per_frame")

RecipeForm = config_for(Recipe)
TrainingForm = config_for(TrainingSettings)
ChampionshipForm = config_for(ChampionshipSettings)


class DenoiserForm(RecipeForm, TrainingForm):  # type: ignore[valid-type,misc]
    """A recipe by name, what is to be different in it, and how the training is run."""

    recipe: str = Field(
        default="default", description=f"recipe to start from: {', '.join(RECIPES)}"
    )

    def chosen_recipe(self) -> Recipe:
        """Return the recipe with the entries that were filled in."""
        filled = {
            name: value
            for name, value in self.model_dump().items()
            if name in RecipeForm.model_fields and value is not None
        }
        return recipe_from(self.recipe, filled)

    def settings(self) -> TrainingSettings:
        """Return how the training is run."""
        return with_changes(TrainingSettings(), self)


class ScoresForm(dg.Config):
    """What is scored."""

    films: list[str] = Field(default=[], description="benchmark films; all when empty")
    at_most: int = Field(default=8, ge=1, description="newest versions that are scored")


def _logged(context: dg.AssetExecutionContext) -> Announce:
    """Return what writes the progress of each step into the log of a run."""

    def announce(step: str, unit: str = "frames", /) -> Progress:
        return lambda done, total: context.log.info(f"{step}: {done} of {total} {unit}".rstrip())

    return announce


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"pytorch", "mlflow"},
    code_version="1",
    io_manager_key="parquet",
    pool="training",
)
def denoiser(
    context: dg.AssetExecutionContext,
    config: DenoiserForm,
    training_pairs: PairSet,
    project: ProjectResource,
) -> dg.MaterializeResult[TrainedVersion]:
    """A network trained on the pairs of this dataset, with its curves and pictures in MLflow."""
    with said_plainly():
        outcome = train_version(
            training_pairs,
            config.chosen_recipe(),
            project.project(),
            dataset=context.partition_key,
            settings=config.settings(),
            tags=dagster_tags(context),
            announce=_logged(context),
        )
    version = outcome.version
    curves = learning_figure(
        version.step, version.loss, version.validation_loss, version.light_kept
    )
    return dg.MaterializeResult(
        value=version,
        metadata={
            "MLflow run": dg.MetadataValue.url(version.run_url),
            "version": f"{MODEL}/{version.version}",
            "recipe": run_name(version.recipe),
            "best step": version.best_step,
            "dataset digest": version.dataset_digest[:16],
            "weights digest": version.weights_digest[:16],
            **_shown(version.figures),
            "learning curves": picture(figure_png(curves), "learning curves"),
            "film, output, truth": picture(outcome.panel, "film, output of the network, truth"),
        },
        data_version=dg.DataVersion(version.weights_digest[:16]),
    )


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet", "mlflow"},
    code_version="1",
    io_manager_key="parquet",
    deps=[denoiser],
    pool="training",
)
def denoiser_scores(
    context: dg.AssetExecutionContext, config: ScoresForm, project: ProjectResource
) -> dg.MaterializeResult[pd.DataFrame]:
    """The versions trained on this dataset, the champion and the raw films, side by side."""
    looks: list[FilmLook] = []
    with said_plainly():
        table, remarks = score_versions(
            project.project(),
            context.partition_key,
            films=config.films,
            at_most=config.at_most,
            look=looks.append,
        )
    shown = look_pictures(looks, (RAW, best_name(table)))
    return dg.MaterializeResult(
        value=table,
        metadata={
            "dagster/row_count": len(table),
            "scores": dg.MetadataValue.table(records=_summaries(table)),
            "FRC resolution, nm": dg.MetadataValue.table(records=_resolutions(table)),
            "left out": "\n".join(remarks) or "nothing",
            "F1 by film": picture(figure_png(benchmark_figure(table)), "F1 by film"),
            **{title: picture(png, title) for title, png in shown.items()},
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mlflow"},
    code_version="1",
    ins={"denoiser_scores": dg.AssetIn(metadata=_ALL_THERE_ARE)},
)
def champion_denoiser(
    config: ChampionshipForm,  # type: ignore[valid-type]
    denoiser_scores: dict[str, pd.DataFrame],
    project: ProjectResource,
) -> dg.MaterializeResult[None]:
    """The network that recordings are denoised with; it changes only for a better one."""
    with said_plainly():
        home = project.project()
        settings = with_changes(ChampionshipSettings(), config)
        held = hold_championship(denoiser_scores.values(), home, settings)
    return dg.MaterializeResult(
        metadata={
            "champion": held.after,
            "before": held.before,
            "reason": reason_of(held),
            "registry": dg.MetadataValue.url(Tracking.of(home).address(f"models/{MODEL}")),
            "contests": dg.MetadataValue.table(
                records=[
                    dg.TableRecord(
                        {
                            "version": contest.label,
                            "dataset": contest.dataset,
                            "f1": round(contest.f1, 4),
                            "f1_error": round(contest.f1_error, 4),
                            "outcome": contest.decision.reason,
                        }
                    )
                    for contest in held.contests
                ]
            ),
        },
        data_version=dg.DataVersion(held.weights_digest[:16] or held.after),
    )


def dagster_tags(context: dg.AssetExecutionContext) -> dict[str, str]:
    """Return what an MLflow run says of the Dagster run it belongs to."""
    return {
        "dagster/run_id": context.run.run_id,
        "dagster/asset": context.asset_key.to_user_string(),
        "dagster/partition": context.partition_key,
    }


def reason_of(held: Championship) -> str:
    """Return in a sentence why there is another champion, or why not."""
    if not held.contests:
        return f"no other version is scored; {held.before} stays"
    last = held.contests[-1] if held.before != held.after else held.contests[0]
    return f"{last.label} against {held.before}: {last.decision.reason}"


def _summaries(table: pd.DataFrame) -> list[dg.TableRecord]:
    """Return a row of figures for each denoiser; one that finds nothing has no distances."""
    raw = table[table["version"].eq(0) & table["weights_digest"].eq("")]
    records = []
    for name, rows in table.groupby("name", sort=False):
        figures: Mapping[str, Any] = _shown(summarize_benchmark(rows, raw))
        told = {figure: figures.get(figure, "none") for figure in _SHOWN}
        records.append(dg.TableRecord({"name": str(name), **told}))
    return records


def _resolutions(table: pd.DataFrame) -> list[dg.TableRecord]:
    """Return a row per film with molecules: the resolution of each branch with its interval."""
    records = []
    for film, rows in table[table["recall"].notna()].groupby("film", sort=False):
        branches = zip(*(rows[name] for name in ("name", *_FRC_COLUMNS)), strict=True)
        told = {
            name: "none" if np.isnan(nm) else f"{nm:.0f} ({low:.0f} to {high:.0f})"
            for name, nm, low, high in branches
        }
        records.append(dg.TableRecord({"film": str(film), **told}))
    return records


def _shown(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that people look at first, to four digits."""
    return {name: float(f"{figures[name]:.4g}") for name in _SHOWN if name in figures}


MODEL_ASSETS = (denoiser, denoiser_scores, champion_denoiser)
