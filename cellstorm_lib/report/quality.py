"""The section on quality: what every measure says, or why it says nothing, and its pictures."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.evaluate.checks import GridReport
from cellstorm_lib.evaluate.error_map import ErrorMapReport
from cellstorm_lib.evaluate.nena import PrecisionReport
from cellstorm_lib.pipeline.quality import Quality
from cellstorm_lib.reconstruct.frc_map import FrcMap
from cellstorm_lib.reconstruct.frc_repeats import THRESHOLD, RepeatsReport
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    PAPER,
    legend_above,
    new_axes,
    styled,
)
from cellstorm_lib.report.rows import Row, interval_text, rounded_text

_UNTOLD = "cannot tell"
#: Longer side of a map that is drawn, in its own pixels.
_MOST_PX = 400
#: Share of the pixels of the difference that reach the ends of the colour scale.
_SATURATED = 0.5


def quality_rows(quality: Quality) -> tuple[Row, ...]:
    """Return every measure as a line: its name, its value with an interval, and how it came."""
    return (
        _precision_row(quality.precision),
        _claim_row(quality.precision),
        *_repeats_rows(quality.repeats),
        _map_row(quality.frc_map),
        _row("Resolution of the image by itself (decorrelation)",
             _nm(quality.decorrelation.resolution_nm), quality.decorrelation.reason),
        _error_row(quality.error_map),
        _count_row(quality),
        _grid_row("Share that sits on the codec's blocks", quality.codec_grid),
        _grid_row("Share that gathers within the pixel", quality.subpixel_bias),
    )  # fmt: skip


def quality_figures(quality: Quality) -> dict[str, Callable[[], Figure]]:
    """Return the pictures there are, by name."""
    figures: dict[str, Callable[[], Figure]] = {}
    if quality.frc_map.median_nm is not None:
        figures["resolution map"] = lambda: frc_map_figure(quality.frc_map)
    if quality.error_map.rsp is not None:
        figures["error map"] = lambda: error_map_figure(quality.error_map)
    if len(quality.repeats.frequency_per_nm) > 1:
        figures["repeats"] = lambda: repeats_figure(quality.repeats)
    return figures


@styled
def frc_map_figure(found: FrcMap) -> Figure:
    """Draw the resolution from place to place; blocks without one are grey.

    Every block is drawn at its middle, half as wide as it is.
    """
    figure, ax = _picture_axes()
    colours = mpl.colormaps["viridis_r"].with_extremes(bad=FAINT)
    rows, columns = found.resolution_nm.shape
    edge_um = found.step_nm / 2e3
    shown = ax.imshow(
        np.ma.masked_invalid(found.resolution_nm), cmap=colours, interpolation="nearest",
        extent=(edge_um, edge_um + columns * found.step_nm / 1e3,
                edge_um + rows * found.step_nm / 1e3, edge_um),
    )  # fmt: skip
    figure.colorbar(shown, ax=ax, shrink=0.9).set_label("resolution, nm")
    ax.set_xlabel("x, µm")
    ax.set_ylabel("y, µm")
    return figure


@styled
def error_map_figure(found: ErrorMapReport) -> Figure:
    """Draw widefield less expected, haze left out: light that is missing, or too much."""
    figure, ax = _picture_axes()
    step = max(1, max(found.difference_detail.shape) // _MOST_PX)
    rows, columns = (side // step for side in found.difference_detail.shape)
    values = found.difference_detail[: rows * step, : columns * step]
    values = values.reshape(rows, step, columns, step).mean(axis=(1, 3))
    end = float(np.percentile(np.abs(values), 100 - _SATURATED)) or 1.0
    shown = ax.imshow(
        values, cmap="RdBu_r", vmin=-end, vmax=end, interpolation="nearest",
        extent=(0, columns * step, rows * step, 0),
    )  # fmt: skip
    figure.colorbar(shown, ax=ax, shrink=0.9).set_label("widefield less expected, photoelectrons")
    ax.set_xlabel("x, px")
    ax.set_ylabel("y, px")
    return figure


@styled
def repeats_figure(found: RepeatsReport) -> Figure:
    """Draw the correlation with localizations dealt one by one, with and without repeats."""
    figure, (ax,) = new_axes()
    per_um = 1e3 * found.frequency_per_nm[1:]
    ax.plot(per_um, found.uncorrected[1:], color=BLUE, linestyle="--", label="as dealt")
    ax.plot(per_um, found.corrected[1:], color=ORANGE, label="repeats taken off")
    ax.axhline(THRESHOLD, color=INK, linestyle="--", linewidth=1, label="threshold 1/7")
    ax.axhline(0, color=FAINT, linewidth=0.8)
    finest_nm = found.uncorrected_nm or found.corrected_nm
    if finest_nm:
        ax.set_xlim(0, min(float(per_um[-1]), 2.5e3 / finest_nm))
    ax.set_ylim(-0.15, 1.05)
    ax.set_xlabel("spatial frequency, 1/µm")
    ax.set_ylabel("Fourier ring correlation")
    legend_above(ax, column_count=3)
    return figure


def _picture_axes() -> tuple[Figure, Axes]:
    """Return axes for a map."""
    figure = Figure(figsize=(4.4, 3.4), layout="compressed")
    ax = figure.subplots()
    ax.set_facecolor(PAPER)
    return figure, ax


def _row(name: str, value: str, remark: str) -> Row:
    """Return one line, its remark a sentence without a full stop."""
    return Row(name=name, value=value or _UNTOLD, remark=remark.rstrip("."))


def _nm(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a length with its interval; empty when there is none."""
    if value is None:
        return ""
    interval = interval_text(low, high, unit="nm")
    return f"{rounded_text(value)} nm" + (f" ({interval})" if interval else "")


def _precision_row(found: PrecisionReport) -> Row:
    """Return the measured precision."""
    left_out = f"; {found.copied:,} copied by the codec left out"
    if found.precision_nm is None or not found.copied:
        left_out = ""
    return _row(
        "Localization precision, measured (NeNA)",
        ("at least " if found.is_lower_bound else "")
        + _nm(found.precision_nm, found.low_nm, found.high_nm),
        found.reason.partition(";")[0] + left_out,
    )


def _claim_row(found: PrecisionReport) -> Row:
    """Return what the table states, and what to make of it."""
    name = "Uncertainty that the table states, median"
    if found.claimed_nm is None:
        return _row(name, "none", "the table has no column uncertainty_nm")
    if found.claim_ratio is None or found.claim_ratio_low is None or found.claim_ratio_high is None:
        return _row(name, _nm(found.claimed_nm), "not measured, so it cannot be checked")
    ratio = f"{found.claim_ratio:.2f} ({found.claim_ratio_low:.2f} to {found.claim_ratio_high:.2f})"
    if found.is_lower_bound:
        ratio, judgement = f"at least {ratio}", "whether it is honest cannot be told"
    elif found.claim_ratio_low > 1.1:
        judgement = "it states too little"
    elif found.claim_ratio_high < 0.9:
        judgement = "it states too much"
    else:
        judgement = "it is honest within a tenth, or nearly"
    return _row(name, _nm(found.claimed_nm), f"the errors are {ratio} times that: {judgement}")


def _repeats_rows(found: RepeatsReport) -> tuple[Row, ...]:
    """Return how often molecules are repeated, and the resolution without repeats."""
    value = "" if found.repeats is None else f"{found.repeats:.2f} ± {found.repeats_error:.2f}"
    uncorrected = _nm(found.uncorrected_nm) or "none"
    if found.repeats is None:
        corrected = ""
    else:
        corrected = (
            _nm(found.corrected_nm, found.corrected_low_nm, found.corrected_high_nm) or "none"
        )
    return (
        _row("Repeats of a molecule in the table (Q)", value, found.reason),
        _row(
            "Resolution without repeats",
            corrected,
            f"{uncorrected} when localizations are dealt one by one, repeats and all",
        ),
    )


def _map_row(found: FrcMap) -> Row:
    """Return the spread of the resolution over the field."""
    value = ""
    if found.median_nm is not None and found.finest_nm is not None:
        spread = interval_text(found.finest_nm, found.coarsest_nm, unit="nm")
        value = f"{_nm(found.median_nm)} ({spread} in the middle 80 %)"
    return _row("Resolution from place to place", value, found.reason)


def _error_row(found: ErrorMapReport) -> Row:
    """Return how well the image explains the widefield image."""
    value, remark = "", found.reason
    if found.rsp is not None and found.rse is not None:
        value = f"{found.rsp:.3f} ({found.rsp_detail:.3f} without haze)"
        remark += f"; they differ by {rounded_text(found.rse)} photoelectrons per pixel (RMS, RSE)"
    return _row("Correlation with the widefield image (RSP)", value, remark)


def _count_row(quality: Quality) -> Row:
    """Return the number of molecules."""
    found = quality.molecules
    if found.molecules is None or found.low is None or found.high is None:
        return _row("Molecules, blinking taken off", "", found.reason)
    interval = f"{round(found.low):,} to {round(found.high):,}"
    return _row(
        "Molecules, blinking taken off", f"{round(found.molecules):,} ({interval})", found.reason
    )


def _grid_row(name: str, found: GridReport) -> Row:
    """Return a preference for a grid with its interval."""
    if found.passed is None:
        return _row(name, "", found.reason)
    interval = f"{100 * found.effect_low:.1f} to {100 * found.effect_high:.1f} %"
    return _row(name, f"{100 * found.effect:.1f} % ({interval})", found.reason)
