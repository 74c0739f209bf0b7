"""Denoisers judged on the benchmark films, and the figures written down in MLflow."""

# ruff: noqa: PLC0415 - torch takes seconds to import; only those wait who need it.

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cellstorm_assets.project import Project
from cellstorm_assets.tracking import TrackedRun
from cellstorm_lib.evaluate.benchmark import summarize_benchmark
from cellstorm_lib.progress import Progress

if TYPE_CHECKING:
    from cellstorm_lib.gan.denoiser import Denoiser
    from cellstorm_lib.pipeline.film_look import FilmLook

#: Names of the films as they are, and of those one network made of them.
RAW, DENOISED = "raw", "denoised"
#: The film that is shown: the paper's own case.
SHOWN_FILM = "fig7"


def benchmark_scores(
    denoisers: "Mapping[str, Denoiser | None]",
    project: Project,
    films: Sequence[str] = (),
    *,
    look: "Callable[[FilmLook], None] | None" = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the scores of denoisers on benchmark films, which are made once per project.

    `look` is given each film with molecules as it looks closely; `progress` is called with the
    rows done and all rows.
    """
    from cellstorm_lib.pipeline.score_denoiser import score_denoisers

    folder = project.home / "data" / "benchmark"
    return score_denoisers(
        denoisers, list(films) or None, folder=folder, look=look, progress=progress
    )


def log_scores(run: TrackedRun, table: pd.DataFrame, name: str) -> dict[str, float]:
    """Write the scores of one denoiser down, and return the figures over all films."""
    own = table[table["name"] == name]
    raw = table[table["name"] == RAW]
    figures = summarize_benchmark(own, raw)
    run.log_numbers({f"benchmark/{key}": value for key, value in figures.items()})
    run.log_numbers(dict(zip("f1/" + own["film"], own["f1"], strict=True)))
    false = "false_per_frame/" + own["film"]
    run.log_numbers(dict(zip(false, own["false_per_frame"], strict=True)))
    run.log_numbers(dict(zip("frc_nm/" + own["film"], own["frc_nm"], strict=True)))
    run.log_text(table.to_csv(index=False, float_format="%.5g"), "benchmark.csv")
    return figures


def look_pictures(looks: "Sequence[FilmLook]", names: Sequence[str]) -> dict[str, bytes]:
    """Return the pictures of the paper's Fig. 7 as PNG by title, of some branches of one film.

    The film is `SHOWN_FILM`, or the first there is; without any there is no picture.
    """
    from cellstorm_lib.report.drawing import figure_png
    from cellstorm_lib.report.film_look import look_figure, nearest_figure

    if not looks:
        return {}
    look = next((one for one in looks if one.film == SHOWN_FILM), looks[0]).of(names)
    return {
        "spots found and missed": figure_png(look_figure(look), width_px=1000),
        "distance to the truth": figure_png(nearest_figure(look), width_px=700),
    }


def best_name(table: pd.DataFrame) -> str:
    """Return the network with the highest mean F1; the raw films where there is none."""
    networks = table[(table["name"] != RAW) & table["f1"].notna()]
    means = networks.groupby("name", sort=False)["f1"].mean()
    return RAW if means.empty else str(means.idxmax())


def figure_tags(figures: Mapping[str, float]) -> dict[str, str]:
    """Return the figures that a list of versions shows."""
    shown = ("f1", "f1_error", "f1_over_raw", "false_per_frame")
    return {name: f"{figures[name]:.4g}" for name in shown if name in figures}
