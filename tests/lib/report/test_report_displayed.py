"""Figures of a filmed display movie say what the numbers say."""

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.pairs.register import Registration
from cellstorm_lib.report.displayed import overlap_figure, residual_map_figure
from cellstorm_lib.report.drawing import figure_png

LENS = LensMap(matrix=np.eye(3), centre_px=np.zeros(2), radius_px=100.0)


def a_registration(count=25):
    rng = np.random.default_rng(1)
    x_px, y_px = rng.uniform(0, 100, (2, count))
    dx_px, dy_px = rng.normal(0, 0.01, (2, count))
    residuals = pd.DataFrame(
        {"x_px": x_px, "y_px": y_px, "dx_px": dx_px, "dy_px": dy_px,
         "is_held_out": np.arange(count) % 5 == 2}
    )  # fmt: skip
    return Registration(
        lens=LENS, residuals=residuals, fit_rms_px=0.01, held_out_rms_px=0.0123,
        bead_sigma_px=2.0, blur_px=1.0,
    )  # fmt: skip


def texts(figure):
    ax = figure.axes[0]
    return [ax.get_title(loc="left"), *(text.get_text() for text in ax.get_legend().get_texts())]


@pytest.mark.parametrize("count", [25, 3])
def test_residual_map_counts_the_beads_and_says_the_rms(count):
    figure = residual_map_figure(a_registration(count), max_rms_px=0.05)
    held = len([n for n in range(count) if n % 5 == 2])
    assert texts(figure) == [
        "kept out: 0.0123 px RMS, accepted 0.05",
        f"fitted, {count - held} beads",
        f"kept out, {held} beads",
    ]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_overlap_figure_counts_data_only():
    table = pd.DataFrame(
        {
            "truth_frame": [-1, 0, 0, 0, -1, 1],
            "overlap": [0.0, 0.01, 0.02, 0.2, 0.4, 0.01],
            "is_kept": [False, True, False, False, False, True],
            "reason": ["no data", "", "not the n-th", "mixed", "torn", ""],
        }
    )
    figure = overlap_figure(table, max_overlap=0.05)
    assert texts(figure)[1:] == [
        "kept, 2",
        "whole, not the n-th, 1",
        "left out, 2",
        "most accepted",
    ]
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == 5  # the torn exposure, too, but not what shows no data
    assert figure_png(figure).startswith(b"\x89PNG")
