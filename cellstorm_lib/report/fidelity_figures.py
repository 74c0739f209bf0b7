"""Figures of two clips compared: a real one in blue, a simulated one in orange."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cellstorm_lib.evaluate.clip_measures import GRID_PERIODS_PX, ClipMeasures
from cellstorm_lib.evaluate.clip_noise import Measured
from cellstorm_lib.evaluate.fidelity import LIMIT, FidelityReport
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    ORANGE,
    RED,
    figure_of_nothing,
    legend_above,
    new_axes,
    styled,
)

_SHOWN_SHARE = 1e-6
_FARTHEST_PERCENT = 60.0
_LINES = ("-", "--", ":")
_Floats = npt.NDArray[np.float64]


@styled
def fidelity_figure(report: FidelityReport) -> Figure:
    """Draw the relative difference of every measure, with the range that counts as alike."""
    if not report.rows:
        return figure_of_nothing("no measure is known of both clips")
    count = len(report.rows)
    figure, (ax,) = new_axes(width_inch=6.0, height_inch=0.8 + 0.19 * count)
    percent = 100.0 * np.array([row.relative_difference for row in report.rows])
    error = 100.0 * np.nan_to_num([row.error for row in report.rows])
    shown = np.clip(percent, -_FARTHEST_PERCENT, _FARTHEST_PERCENT)
    rank = np.arange(count)
    ax.axvspan(-100 * LIMIT, 100 * LIMIT, color=FAINT, alpha=0.18, linewidth=0)
    ax.axvline(0.0, color=FAINT, linewidth=0.8)
    ax.errorbar(shown, rank, xerr=error, fmt="none", ecolor=FAINT, elinewidth=1)
    passed = np.array([row.passed for row in report.rows])
    ax.plot(shown[passed], rank[passed], "o", color=BLUE, markersize=4.5)
    ax.plot(shown[~passed], rank[~passed], "D", color=RED, markersize=4.5)
    ax.set_yticks(rank, [f"{row.group}, {row.measure}" for row in report.rows])
    ax.set_ylim(count - 0.5, -0.5)
    reach = max(20.0, 1.1 * float(np.abs(shown).max()))
    ax.set_xlim(-reach, reach)
    ax.set_xlabel("simulated against real, %")
    return figure


@styled
def levels_figure(report: FidelityReport) -> Figure:
    """Draw both grey-level histograms, their shares on a logarithmic axis."""
    figure, (ax,) = new_axes(height_inch=2.9)
    for clip, colour, line, name in _clips(report):
        share = clip.share.mean(axis=0)
        edges = np.arange(len(share) + 1) - 0.5
        ax.stairs(np.maximum(share, 1e-12), edges, color=colour, linestyle=line, label=name)
    shares = report.real.share.mean(axis=0) + report.simulated.share.mean(axis=0)
    found = np.flatnonzero(shares > _SHOWN_SHARE)
    ax.set_xlim(max(found[0] - 1, -0.5), found[-1] + 1)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    ax.set_ylim(_SHOWN_SHARE / 2, 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("grey value")
    ax.set_ylabel("share of the pixels")
    legend_above(ax)
    return figure


@styled
def variance_figure(report: FidelityReport) -> Figure:
    """Draw the temporal variance of the pixels against their mean level."""
    figure, (ax,) = new_axes(height_inch=2.9)
    for clip, colour, line, name in _clips(report):
        ax.errorbar(
            clip.level_adu, clip.variance_adu2, yerr=clip.variance_error_adu2,
            color=colour, linestyle=line, marker="o", markersize=3, linewidth=1.1, label=name,
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.set_xlabel("mean grey value of a pixel")
    ax.set_ylabel("temporal variance, grey values²")
    legend_above(ax)
    return figure


@styled
def correlation_figure(report: FidelityReport) -> Figure:
    """Draw the correlation of noise between neighbours along x, y and time."""
    figure, (ax,) = new_axes(height_inch=2.6)
    for offset, (clip, colour, _, name) in zip((-0.2, 0.2), _clips(report), strict=True):
        found: Sequence[Measured] = (
            clip.correlation_x, clip.correlation_y, clip.correlation_time,
        )  # fmt: skip
        ax.bar(
            np.arange(3) + offset,
            [one.value for one in found],
            0.38,
            yerr=np.nan_to_num([one.error for one in found]),
            color=colour,
            ecolor=FAINT,
            label=name,
        )
    ax.set_xticks(range(3), ["next in the row", "next in the column", "next frame"])
    ax.grid(visible=False, axis="x")
    ax.axhline(0.0, color=FAINT, linewidth=0.8)
    ax.set_ylabel("correlation of noise")
    legend_above(ax)
    return figure


@styled
def grid_figure(report: FidelityReport) -> Figure:
    """Draw how much larger steps are across the codec's block edges, by position after a key frame.

    Above along x, below along y; one line per block size.
    """
    figure, axes = new_axes(rows=2, height_inch=4.4)
    for axis, (ax, direction) in enumerate(zip(axes, "xy", strict=True)):
        for clip, colour, _, name in _clips(report):
            ratios = _by_position(clip, clip.grid_ratio[:, :, axis])
            for index, line in enumerate(_LINES):
                ax.plot(
                    ratios[:, index], color=colour, linestyle=line, marker=".", markersize=4,
                    label=f"{name}, {GRID_PERIODS_PX[index]} px" if axis == 0 else None,
                )  # fmt: skip
        ax.axhline(1.0, color=FAINT, linewidth=0.8)
        ax.set_ylabel(f"steps: edges / others, {direction}")
    axes[-1].set_xlabel("frames after the key frame")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(axes[0])
    return figure


def _by_position(clip: ClipMeasures, values: _Floats) -> _Floats:
    """Return the mean of (N, ...) values at each position after the key frame; NaN at none."""
    means = np.full((int(clip.frames_since_key.max()) + 1, *values.shape[1:]), np.nan)
    for position in np.unique(clip.frames_since_key).tolist():
        means[position] = values[clip.frames_since_key == position].mean(axis=0)
    return means


@styled
def codec_figure(report: FidelityReport) -> Figure:
    """Draw quantiser and compressed size of the frames; the quantiser only where it is known."""
    has_qp = any(np.isfinite(clip.qp).any() for clip in (report.real, report.simulated))
    columns = {"bits_per_px": "bits per pixel"} | ({"qp": "mean QP"} if has_qp else {})
    figure, axes = new_axes(rows=len(columns), height_inch=0.9 + 1.6 * len(columns))
    for ax, (column, label) in zip(axes, columns.items(), strict=True):
        for clip, colour, line, name in _clips(report):
            values = getattr(clip, column)
            ax.plot(clip.frame, values, color=colour, linestyle=line, marker=".", label=name)
        _mark_keys(ax, report.real)
        ax.set_ylim(bottom=0)
        ax.set_ylabel(label)
    _name_frames(axes[-1])
    legend_above(axes[0])
    return figure


def _clips(report: FidelityReport) -> tuple[tuple[ClipMeasures, str, str, str], ...]:
    """Return both clips with colour, line and name."""
    return (
        (report.real, BLUE, "-", "real"),
        (report.simulated, ORANGE, "--", "simulated"),
    )


def _mark_keys(ax: Axes, clip: ClipMeasures) -> None:
    """Mark the key frames."""
    for frame in clip.frame[clip.is_key].tolist()[:40]:
        ax.axvline(frame, color=FAINT, linewidth=0.8, linestyle=":")


def _name_frames(ax: Axes) -> None:
    """Label an axis that counts frames."""
    ax.set_xlabel("frame; dotted: key frames of the real clip")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
