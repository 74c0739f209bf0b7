"""Denoisers judged on the benchmark films, and the figures written down in MLflow."""

# ruff: noqa: PLC0415 - torch takes seconds to import; only those wait who need it.

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cellstorm_assets.project import Project
from cellstorm_assets.tracking import TrackedRun
from cellstorm_lib.evaluate.benchmark import summarize_benchmark

if TYPE_CHECKING:
    from cellstorm_lib.gan.denoiser import Denoiser

#: Names of the films as they are, and of those one network made of them.
RAW, DENOISED = "raw", "denoised"


def benchmark_scores(
    denoisers: "Mapping[str, Denoiser | None]", project: Project, films: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the scores of denoisers on benchmark films, which are made once per project."""
    from cellstorm_lib.pipeline.score_denoiser import score_denoisers

    folder = project.home / "data" / "benchmark"
    return score_denoisers(denoisers, list(films) or None, folder=folder)


def log_scores(run: TrackedRun, table: pd.DataFrame, name: str) -> dict[str, float]:
    """Write the scores of one denoiser down, and return the figures over all films."""
    own = table[table["name"] == name]
    raw = table[table["name"] == RAW]
    figures = summarize_benchmark(own, raw)
    run.log_numbers({f"benchmark/{key}": value for key, value in figures.items()})
    run.log_numbers(dict(zip("f1/" + own["film"], own["f1"], strict=True)))
    false = "false_per_frame/" + own["film"]
    run.log_numbers(dict(zip(false, own["false_per_frame"], strict=True)))
    run.log_text(table.to_csv(index=False, float_format="%.5g"), "benchmark.csv")
    return figures


def figure_tags(figures: Mapping[str, float]) -> dict[str, str]:
    """Return the figures that a list of versions shows."""
    shown = ("f1", "f1_error", "f1_over_raw", "false_per_frame")
    return {name: f"{figures[name]:.4g}" for name in shown if name in figures}
