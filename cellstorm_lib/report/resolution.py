"""The figures of the Fourier ring correlation."""

from collections.abc import Sequence
from itertools import cycle, product

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    RED,
    figure_of_nothing,
    legend_above,
    new_axes,
    shortened,
    styled,
)

#: Names of this length fit into two columns above the axes.
_NAME_CHARACTERS = 20


@styled
def frc_figure(report: FrcReport) -> Figure:
    """Draw the Fourier ring correlation with its interval, threshold and crossing.

    The frequency 0 is left out: it compares only how many localizations the halves hold.

    Parameters
    ----------
    report : FrcReport
        Without a curve the figure says why there is none.
    """
    if not has_curve(report):
        return figure_of_nothing(report.reason)
    figure, (ax,) = new_axes()
    per_um = _frequency_per_um(report)
    ax.fill_between(
        per_um, report.curve_low[1:], report.curve_high[1:], color=BLUE, alpha=0.25, linewidth=0,
        label="middle 68 % of the splits",
    )  # fmt: skip
    ax.plot(per_um, report.curve[1:], color=BLUE, label="correlation")
    ax.set_xlim(0, _last_frequency_per_um(report))
    ax.axhline(report.threshold, color=INK, linestyle="--", linewidth=1, label=_threshold(report))
    if report.resolution_nm is not None:
        crossing = 1e3 / report.resolution_nm
        ax.axvline(crossing, color=ORANGE, linestyle=":")
        ax.annotate(
            f"{report.resolution_nm:.0f} nm",
            (crossing, 0.62),
            xytext=(5, 0),
            textcoords="offset points",
            color=ORANGE,
            weight="bold",
        )
    _finish(ax)
    return figure


@styled
def frc_curves_figure(named_reports: Sequence[tuple[str, FrcReport]]) -> Figure:
    """Draw several Fourier ring correlations into one figure, their crossings marked.

    Parameters
    ----------
    named_reports : sequence of (str, FrcReport)
        Names, which may repeat, and reports; those without a curve are left out.
    """
    drawn = [(name, report) for name, report in named_reports if has_curve(report)]
    if not drawn:
        return figure_of_nothing("no Fourier ring correlation was measured")
    figure, (ax,) = new_axes(height_inch=3.4)
    looks = cycle(product(("-", "--", ":", "-."), (BLUE, ORANGE, GREEN, RED)))
    last_per_um = 0.0
    for (name, report), (line, colour) in zip(drawn, looks, strict=False):
        last_per_um = max(last_per_um, _last_frequency_per_um(report))
        per_um = _frequency_per_um(report)
        ax.plot(
            per_um,
            report.curve[1:],
            color=colour,
            linestyle=line,
            label=shortened(name, character_count=_NAME_CHARACTERS),
        )
        if report.resolution_nm is not None:
            ax.plot(1e3 / report.resolution_nm, report.threshold, "o", color=colour)
    ax.axhline(drawn[0][1].threshold, color=INK, linestyle="--", linewidth=0.8)
    ax.set_xlim(0, last_per_um)
    _finish(ax)
    return figure


def has_curve(report: FrcReport) -> bool:
    """Return whether there is more to draw than the frequency 0."""
    return len(report.curve) > 1


def _finish(ax: Axes) -> None:
    """Set what all figures of the correlation share."""
    ax.axhline(0, color=FAINT, linewidth=0.8)
    ax.set_ylim(-0.15, 1.05)
    ax.set_xlabel("spatial frequency, 1/µm")
    ax.set_ylabel("Fourier ring correlation")
    legend_above(ax)


def _threshold(report: FrcReport) -> str:
    """Return how the threshold is written."""
    inverse = 1 / report.threshold if report.threshold > 0 else 0.0
    is_whole = inverse > 0 and abs(inverse - round(inverse)) < 1e-6
    return f"threshold 1/{inverse:.0f}" if is_whole else f"threshold {report.threshold:.3g}"


def _frequency_per_um(report: FrcReport) -> npt.NDArray[np.float64]:
    """Return the frequencies of the curve above 0."""
    return np.asarray(report.frequency_per_nm[1:], np.float64) * 1e3


def _last_frequency_per_um(report: FrcReport) -> float:
    """Return where to end the axis: beyond the crossing the curve is noise about 0."""
    last_per_um = float(_frequency_per_um(report)[-1])
    if report.resolution_nm is None:
        return last_per_um
    return min(last_per_um, 2.5e3 / report.resolution_nm)
