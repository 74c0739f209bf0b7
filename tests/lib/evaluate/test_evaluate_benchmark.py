"""The figures of a denoiser over all benchmark films."""

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.evaluate.benchmark import mean_f1, summarize_benchmark


def rows(f1: float, false: float) -> pd.DataFrame:
    """Return two films with molecules and two without."""
    return pd.DataFrame(
        {
            "film": ["D", "L", "empty", "dark"],
            "recall": [0.8, 0.6, np.nan, np.nan],
            "precision": [1.0, 0.8, np.nan, np.nan],
            "f1": [f1, f1 - 0.2, np.nan, np.nan],
            "f1_error": [0.03, 0.04, np.nan, np.nan],
            "jaccard": [0.8, 0.5, np.nan, np.nan],
            "rmse_nm": [30.0, 50.0, np.nan, np.nan],
            "count_over_truth": [0.8, 0.75, np.nan, np.nan],
            "bias_x_px": [0.01, -0.03, np.nan, np.nan],
            "bias_y_px": [0.0, 0.02, np.nan, np.nan],
            "false_per_frame": [0.5, 0.7, 0.01, false],
        }
    )


def test_figures_are_means_over_the_films_that_hold_molecules() -> None:
    figures = summarize_benchmark(rows(0.9, 0.2), rows(0.7, 1.0))
    assert figures["f1"] == pytest.approx(0.8)
    assert figures["f1_error"] == pytest.approx(0.025)
    assert figures["f1_over_raw"] == pytest.approx(0.2)
    assert figures["rmse_nm"] == pytest.approx(40.0)
    assert figures["bias_px"] == pytest.approx(0.03)
    assert figures["false_per_frame"] == pytest.approx(0.2)


def test_figures_without_a_value_are_left_out() -> None:
    dark = rows(0.9, 0.2).iloc[2:]
    assert summarize_benchmark(dark) == {"bias_px": 0.0, "false_per_frame": 0.2}
    assert np.isnan(mean_f1(dark)).all()


def test_no_scores_are_refused() -> None:
    with pytest.raises(TableError, match="no benchmark scores to summarize"):
        summarize_benchmark(rows(0.9, 0.2).iloc[:0])
