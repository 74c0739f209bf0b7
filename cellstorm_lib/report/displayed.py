"""Figures of a filmed display movie: how well screen and camera match, and how clean frames are."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cellstorm_lib.pairs.pairing import whole_frames
from cellstorm_lib.pairs.register import Registration
from cellstorm_lib.report.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    RED,
    legend_above,
    new_axes,
    styled,
)

_BINS = np.linspace(0.0, 0.5, 51)


@styled
def residual_map_figure(registration: Registration, *, max_rms_px: float) -> Figure:
    """Draw how far each bead lies from where the registration expects it, as enlarged arrows.

    Parameters
    ----------
    registration : Registration
        Where the screen lies on the camera.
    max_rms_px : float
        What was accepted of the beads kept out of the fit.
    """
    beads = registration.residuals
    across, down = (float(np.ptp(beads[name])) or 1.0 for name in ("x_px", "y_px"))
    figure, (ax,) = new_axes(width_inch=6.0, height_inch=1.6 + 5.5 * min(down / across, 1.5))
    key_px = max(float(f"{registration.held_out_rms_px:.1g}"), 0.001)
    for is_held_out, colour, label in ((False, BLUE, "fitted"), (True, ORANGE, "kept out")):
        some = beads[beads["is_held_out"] == is_held_out]
        arrows = ax.quiver(
            some["x_px"], some["y_px"], some["dx_px"], some["dy_px"], color=colour,
            angles="xy", scale_units="xy", scale=key_px / (0.05 * across), width=0.004,
            label=f"{label}, {len(some)} beads",
        )  # fmt: skip
    ax.quiverkey(
        arrows, 0.88, 0.96, key_px, f"{key_px:g} px", labelpos="E", color=INK, coordinates="figure"
    )
    ax.set_aspect("equal")
    edge_px = 0.06 * across
    ax.set_xlim(beads["x_px"].min() - edge_px, beads["x_px"].max() + edge_px)
    ax.set_ylim(beads["y_px"].max() + edge_px, beads["y_px"].min() - edge_px)
    ax.set_xlabel("x on the camera, px")
    ax.set_ylabel("y on the camera, px")
    ax.set_title(
        f"kept out: {registration.held_out_rms_px:.4f} px RMS, accepted {max_rms_px:g}",
        loc="left", pad=24,
    )  # fmt: skip
    legend_above(ax)
    return figure


@styled
def overlap_figure(table: pd.DataFrame, *, max_overlap: float) -> Figure:
    """Draw how much of another shown frame is in the exposures of the data.

    Parameters
    ----------
    table : pandas.DataFrame
        The pairing, see `cellstorm_lib.pairs.pairing.pair_frames`.
    max_overlap : float
        What was accepted.
    """
    figure, (ax,) = new_axes(width_inch=6.0, height_inch=3.0)
    data = table[(table["truth_frame"] >= 0) | table["reason"].isin(["mixed", "torn"])]
    is_whole = whole_frames(data)
    kinds = {
        "kept": data["is_kept"],
        "whole, not the n-th": is_whole & ~data["is_kept"],
        "left out": ~is_whole,
    }
    ax.hist(
        [data.loc[kind, "overlap"] for kind in kinds.values()], bins=list(_BINS), stacked=True,
        color=[BLUE, GREEN, ORANGE],
        label=[f"{name}, {kind.sum()}" for name, kind in kinds.items()],
    )  # fmt: skip
    ax.axvline(max_overlap, color=RED, linestyle="--", linewidth=1, label="most accepted")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(bottom=0.5)
    ax.set_xlim(0.0, 0.5)
    ax.set_xlabel("share of another shown frame in the exposure")
    ax.set_ylabel("camera frames")
    legend_above(ax, column_count=4)
    return figure
