"""Figures of what was found: histograms of the columns, and what was rejected and why."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cellstorm_lib.report.drawing import (
    BLUE,
    INK,
    ORANGE,
    figure_of_nothing,
    legend_above,
    new_axes,
    styled,
)
from cellstorm_lib.report.rows import rounded_text
from cellstorm_lib.tables import COLUMNS, Localizations

#: Columns worth a histogram, and what people call them.
HISTOGRAMS: Mapping[str, str] = {
    "photons": "photons per localization",
    "uncertainty_nm": "localization uncertainty",
    "sigma_nm": "spot width (sigma)",
    "background_photons": "background",
}
_BIN_COUNT = 60


@styled
def histogram_figure(column: str, tables: Mapping[str, Localizations]) -> Figure:
    """Draw the distribution of one column in one or two tables, with their medians.

    Parameters
    ----------
    column : str
        Name of a column that every table has.
    tables : mapping of str to Localizations
        What the tables are called, and the tables; those that are empty or lack the column are
        left out.

    Notes
    -----
    The axis covers 99 % of the first table; it starts at 0 unless all values lie far from it.
    """
    filled = {name: table for name, table in tables.items() if len(table) and column in table}
    if not filled:
        return figure_of_nothing(f"no localization with {HISTOGRAMS.get(column, column)}")
    figure, (ax,) = new_axes(height_inch=2.6)
    edges = _edges(next(iter(filled.values())).column(column))
    for (name, table), colour, line in zip(
        filled.items(), (BLUE, ORANGE), ("-", "--"), strict=False
    ):
        values = table.column(column)
        share = np.histogram(values, edges)[0] / len(values) * 100
        median = float(np.median(values))
        label = f"{name}: median {rounded_text(median)}"
        ax.stairs(share, edges, color=colour, linestyle=line, label=label)
        ax.axvline(median, color=colour, linestyle=":", linewidth=1)
    unit = COLUMNS[column][1] if column in COLUMNS else ""
    ax.set_xlabel(f"{HISTOGRAMS.get(column, column)}{', ' if unit else ''}{unit}")
    ax.set_ylabel("share, %")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    legend_above(ax)
    return figure


def _edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the borders of the bins."""
    low, high = (float(edge) for edge in np.percentile(values, (0.5, 99.5)))
    if 0 < low < high / 3:
        low = 0.0
    return np.linspace(low, high if high > low else low + 1.0, _BIN_COUNT + 1)


@styled
def rejected_figure(rejected: Mapping[str, int]) -> Figure:
    """Draw how many candidates were rejected, by reason, the commonest on top."""
    if not rejected:
        return figure_of_nothing("no candidate was rejected")
    ordered = sorted(rejected.items(), key=lambda entry: (entry[1], entry[0]))
    figure, (ax,) = new_axes(height_inch=0.9 + 0.32 * len(ordered))
    names = [reason.replace("_", " ") for reason, _ in ordered]
    counts = [count for _, count in ordered]
    bars = ax.barh(range(len(names)), counts, color=BLUE, height=0.65)
    ax.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=3, color=INK)
    ax.set_yticks(range(len(names)), names)
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.18)
    ax.set_xlabel("candidates rejected")
    return figure
