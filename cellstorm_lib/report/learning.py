"""Figures of a training: how it learned, and what the benchmark films say of the networks."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    RED,
    figure_of_nothing,
    legend_above,
    new_axes,
    styled,
)

_COLOURS = (BLUE, ORANGE, GREEN, RED)
#: More networks than this cannot be told apart in a figure of this size.
_MOST_SHOWN = 4

Curve = npt.NDArray[np.float64]


@styled
def learning_figure(
    step: npt.NDArray[np.int64], loss: Curve, validation_loss: Curve, light_kept: Curve
) -> Figure:
    """Draw the loss on both kinds of pairs, and the share of the light that is kept."""
    if not len(step):
        return figure_of_nothing("no step was reported")
    figure, (above, below) = new_axes(rows=2, height_inch=3.8)
    above.plot(step, loss, color=FAINT, marker=".", label="training pairs")
    above.plot(step, validation_loss, color=BLUE, marker=".", label="validation pairs, squared")
    above.set_yscale("log")
    above.set_ylabel("loss")
    legend_above(above)
    below.plot(step, light_kept, color=ORANGE, marker=".")
    below.axhline(1.0, color=FAINT, linestyle="--", linewidth=1)
    below.set_ylim(bottom=0)
    below.set_ylabel("light made / true")
    below.set_xlabel("step")
    return figure


@styled
def benchmark_figure(scores: pd.DataFrame) -> Figure:
    """Draw F1 on each benchmark film with its error, a colour per network.

    Parameters
    ----------
    scores : DataFrame
        Columns ``film``, ``name``, ``recall``, ``f1``, ``f1_error``; films without molecules,
        whose ``recall`` is missing, are left out. Of more than four networks the first, the raw
        film, and the best three are shown.
    """
    lit = scores[scores["recall"].notna()]
    if lit.empty:
        return figure_of_nothing("no film with molecules was scored")
    names = _shown_names(lit)
    films = list(dict.fromkeys(lit["film"]))
    figure, (ax,) = new_axes(width_inch=6.6, height_inch=3.2)
    width = 0.8 / len(names)
    for number, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        rows = lit[lit["name"] == name].set_index("film").reindex(films)
        ax.errorbar(
            np.arange(len(films)) + (number - (len(names) - 1) / 2) * width,
            rows["f1"],
            yerr=rows["f1_error"],
            color=colour,
            marker="o",
            markersize=4,
            linestyle="none",
            elinewidth=1,
            label=name,
        )
    ax.set_xticks(np.arange(len(films)), films)
    ax.set_ylabel("F1")
    ax.grid(visible=False, axis="x")
    legend_above(ax, column_count=len(names))
    return figure


def _shown_names(lit: pd.DataFrame) -> list[str]:
    """Return the first network and the best of the others, in the order of the table."""
    order = list(dict.fromkeys(lit["name"]))
    if len(order) <= _MOST_SHOWN:
        return order
    means = lit.groupby("name")["f1"].mean().drop(order[0])
    best = set(means.nlargest(_MOST_SHOWN - 1).index)
    return [name for name in order if name == order[0] or name in best]
