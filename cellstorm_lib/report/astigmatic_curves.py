"""How the widths of beads tell height: the curves of an astigmatic lens, and how well they do."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.calibrate.astigmatism import AstigmatismReport
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    legend_above,
    new_axes,
    styled,
)

_MOST_DOTS = 4000


@styled
def astigmatism_figure(report: AstigmatismReport) -> Figure:
    """Draw the widths of all beads with both curves, and how far heights are off the stage."""
    figure, (above, below) = new_axes(width_inch=6.8, height_inch=5.4, rows=2)
    grid = above.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([2.4, 1.0])
    calibration = report.calibration
    for ax, label in ((above, "z can be told"), (below, None)):
        ax.axvspan(
            calibration.z_from_nm, calibration.z_to_nm, color=GREEN, alpha=0.08, lw=0, label=label
        )
    _draw_widths(above, report)
    above.set_ylabel("standard deviation of a bead, px")
    legend_above(above, column_count=3)
    held_out = report.held_out
    below.axhline(0.0, color=FAINT)
    below.fill_between(
        held_out.z_nm, -held_out.rms_nm, held_out.rms_nm, color=INK, alpha=0.12, lw=0
    )
    below.plot(held_out.z_nm, held_out.bias_nm, color=INK, marker="o", markersize=3)
    below.set_ylabel("z off the stage, nm")
    below.set_xlabel(
        "z, nm (below: beads that were not fitted; line: mean, shaded: root mean square)"
    )
    return figure


def _draw_widths(ax: Axes, report: AstigmatismReport) -> None:
    """Draw the widths and the curves along both axes."""
    widths, calibration = report.widths, report.calibration
    every = max(1, len(widths.stage_nm) // _MOST_DOTS)
    z_nm = np.linspace(widths.stage_nm.min(), widths.stage_nm.max(), 400)
    for axis, (name, colour, curve) in enumerate(
        (("x", BLUE, calibration.along_x), ("y", ORANGE, calibration.along_y))
    ):
        ax.plot(
            widths.stage_nm[::every],
            widths.sigma_px[::every, axis],
            linestyle="none",
            marker=".",
            markersize=3,
            alpha=0.35,
            markeredgewidth=0,
            color=colour,
        )
        ax.plot(z_nm, curve.sigma_px(z_nm), color=colour, label=f"along {name}")
    ax.set_ylim(0, 1.08 * float(widths.sigma_px.max()))
