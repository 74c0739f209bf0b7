"""The scores of one denoiser on all benchmark films in a few numbers."""

import numpy as np
import pandas as pd

from cellstorm_lib.errors import TableError

#: What is averaged over the films with molecules.
_AVERAGED = ("f1", "recall", "precision", "jaccard", "rmse_nm", "count_over_truth")


def mean_f1(scores: pd.DataFrame) -> tuple[float, float]:
    """Return the mean F1 over the films that hold molecules, and its standard error.

    Parameters
    ----------
    scores : DataFrame
        One row per film: ``film``, ``recall``, ``f1``, ``f1_error``. Films whose ``recall`` is
        missing hold no molecules.

    Returns
    -------
    (float, float)
        NaN both when there is no such film.
    """
    lit = _lit(scores)
    if lit.empty:
        return float("nan"), float("nan")
    errors = lit["f1_error"].to_numpy(np.float64)
    return float(lit["f1"].mean()), float(np.sqrt((errors**2).sum()) / len(errors))


def summarize_benchmark(scores: pd.DataFrame, raw: pd.DataFrame | None = None) -> dict[str, float]:
    """Return the figures of one denoiser over all films.

    Parameters
    ----------
    scores : DataFrame
        Its rows of `score_denoisers`, one per film.
    raw : DataFrame, optional
        The rows of the raw film, for what the denoiser gains.

    Returns
    -------
    dict of str to float
        Means over the films with molecules of ``f1`` (with ``f1_error``), ``recall``,
        ``precision``, ``jaccard``, ``rmse_nm`` and ``count_over_truth``; ``bias_px``, the largest
        median offset of a film in x or y; ``false_per_frame``, the most false spots per frame of
        a film without molecules; ``f1_over_raw``. Figures without a value are left out.

    Raises
    ------
    TableError
        When there are no scores.
    """
    if scores.empty:
        raise TableError("there are no benchmark scores to summarize; score the denoiser first")
    lit, empty = _lit(scores), scores[scores["recall"].isna()]
    f1, f1_error = mean_f1(scores)
    figures = {name: float(lit[name].mean()) for name in _AVERAGED}
    figures["f1_error"] = f1_error
    figures["bias_px"] = float(lit[["bias_x_px", "bias_y_px"]].abs().to_numpy().max(initial=0.0))
    figures["false_per_frame"] = float(empty["false_per_frame"].max())
    if raw is not None:
        figures["f1_over_raw"] = f1 - mean_f1(raw)[0]
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _lit(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the films that hold molecules."""
    return scores[scores["recall"].notna()]
