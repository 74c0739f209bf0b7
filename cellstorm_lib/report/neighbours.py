"""The figure that tells true spots from false ones: how far each is from the nearest true one."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from cellstorm_lib.evaluate.scores import NeighbourHistogram
from cellstorm_lib.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    figure_of_nothing,
    legend_above,
    new_axes,
    styled,
)

_COLOURS = (ORANGE, BLUE, GREEN, RED)


@styled
def neighbours_figure(histograms: Mapping[str, NeighbourHistogram]) -> Figure:
    """Draw the spots in each range of distances, a colour per table (the paper's Fig. 7 a).

    Parameters
    ----------
    histograms : mapping of str to NeighbourHistogram
        By name, four at most, with the same ranges.
    """
    if not histograms:
        return figure_of_nothing("nothing was localized")
    figure, (ax,) = new_axes(width_inch=6.6, height_inch=3.2)
    width = 0.8 / len(histograms)
    names: list[str] = []
    for number, ((name, found), colour) in enumerate(
        zip(histograms.items(), _COLOURS, strict=False)
    ):
        names = [
            f"{low:g} to {high:g}" if np.isfinite(high) else f"beyond {low:g}"
            for low, high in zip(found.edges_nm[:-1], found.edges_nm[1:], strict=True)
        ]
        at = np.arange(len(names)) + (number - (len(histograms) - 1) / 2) * width
        ax.bar(at, found.counts, width=width, color=colour, label=name)
    ax.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    ax.set_xlabel("distance to the nearest true spot, nm")
    ax.set_ylabel("spots found")
    ax.grid(visible=False, axis="x")
    legend_above(ax, column_count=len(histograms))
    return figure
