"""Figures over the frames of a recording: what was found, how it drifted, what the file says."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellstorm_lib.refine.drift import Drift
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
from cellstorm_lib.tables import Localizations

#: Points along the time axis; each is the mean of the frames in its stretch of time.
_STRETCH_COUNT = 200
#: Fewest frames behind a mean that is shown with its error.
_FEWEST_CASES = 3
#: Points of a trace that a page of 600 px can show.
_POINT_COUNT = 600


@styled
def localizations_per_frame_figure(
    localizations: Localizations, frame_facts: pd.DataFrame
) -> Figure:
    """Draw how many localizations the frames hold, key frames apart from the others.

    Parameters
    ----------
    localizations : Localizations
        Spots as found, before merging.
    frame_facts : pandas.DataFrame
        Columns frame, time_s, is_key and is_tainted; without rows the axis counts frames.
    """
    counted = with_counts(localizations, frame_facts)
    if counted.empty:
        return figure_of_nothing("no frame was read")
    figure, (ax,) = new_axes()
    _draw_kinds(ax, counted, "localization_count")
    _mark_tainted(ax, counted)
    legend_above(ax)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("time, s" if len(frame_facts) else "frame")
    ax.set_ylabel("localizations per frame")
    return figure


@styled
def key_distance_figure(localizations: Localizations, frame_facts: pd.DataFrame) -> Figure:
    """Draw the mean number of localizations against the frames since the last key frame.

    Molecules do not know where the key frames are: a slope or a step here is the codec's work.
    """
    counted = with_counts(localizations, frame_facts)
    if counted.empty:
        return figure_of_nothing("no frame was read")
    figure, (ax,) = new_axes()
    groups = counted.groupby("frames_since_key")["localization_count"].agg(["mean", "std", "size"])
    groups = groups[groups["size"] >= _FEWEST_CASES]
    error = groups["std"] / np.sqrt(groups["size"])
    ax.errorbar(
        groups.index, groups["mean"], yerr=error, color=BLUE, marker="o", markersize=3.5,
        linestyle="none", elinewidth=1, label="mean and its standard error",
    )  # fmt: skip
    average = counted["localization_count"].mean()
    ax.axhline(average, color=ORANGE, linestyle="--", linewidth=1, label="mean of all frames")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("frames since the last key frame")
    ax.set_ylabel("localizations per frame")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(ax)
    return figure


@styled
def frame_facts_figure(frame_facts: pd.DataFrame) -> Figure:
    """Draw the mean level of the frames over time, and their stored size where it varies.

    Parameters
    ----------
    frame_facts : pandas.DataFrame
        Columns time_s, is_key, packet_bytes, mean_adu and is_tainted.
    """
    if frame_facts.empty:
        return figure_of_nothing("no frame was read")
    facts = frame_facts.assign(stored_kb=frame_facts["packet_bytes"] / 1000)
    curves = {"mean_adu": "mean grey value", "stored_kb": "stored size, kB"}
    if facts["stored_kb"].min() == facts["stored_kb"].max():
        del curves["stored_kb"]
    figure, axes = new_axes(rows=len(curves), height_inch=0.9 + 1.5 * len(curves))
    for ax, (column, label) in zip(axes, curves.items(), strict=True):
        _draw_kinds(ax, facts, column)
        _mark_tainted(ax, facts)
        ax.set_ylabel(label)
    legend_above(axes[0])
    axes[-1].set_xlabel("time, s")
    return figure


@styled
def drift_figure(drift: Drift, *, frame_rate_hz: float | None = None) -> Figure:
    """Draw the estimated motion of the sample with its standard deviation, x and y.

    Parameters
    ----------
    drift : Drift
        The trace, one value per frame; all zero when there is none.
    frame_rate_hz : float, optional
        Turns the axis from frames into seconds.
    """
    if not has_trace(drift):
        return figure_of_nothing(f"no drift to draw: {drift.reason}")
    figure, (ax,) = new_axes()
    frame = _spread(len(drift.x_nm))
    at = frame / frame_rate_hz if frame_rate_hz else frame
    for values, colour, line, label in (
        (drift.x_nm, BLUE, "-", "x, to the right"),
        (drift.y_nm, ORANGE, "--", "y, downwards"),
    ):
        ax.plot(at, values[frame], color=colour, linestyle=line, label=label)
        low, high = values - drift.uncertainty_nm, values + drift.uncertainty_nm
        ax.fill_between(at, low[frame], high[frame], color=colour, alpha=0.2, linewidth=0)
    _mark_segments(ax, drift, 1.0 / frame_rate_hz if frame_rate_hz else 1.0)
    ax.set_xlabel("time, s" if frame_rate_hz else "frame")
    ax.set_ylabel("drift, nm")
    ax.margins(x=0.01)
    legend_above(ax)
    return figure


def has_trace(drift: Drift) -> bool:
    """Return whether a drift was found that is worth drawing."""
    return bool(np.any(drift.x_nm) or np.any(drift.y_nm))


def with_counts(localizations: Localizations, frame_facts: pd.DataFrame) -> pd.DataFrame:
    """Return the frames with ``localization_count``; frames counted as time when none is known."""
    frames = frame_facts
    if frames.empty:
        number = np.arange(localizations.field.frame_count)
        frames = pd.DataFrame(
            {"frame": number, "time_s": number.astype(np.float64), "is_key": False}
        ).assign(is_tainted=False, frames_since_key=0)
    number = frames["frame"].to_numpy()
    counts = np.bincount(localizations.column("frame"), minlength=number.max(initial=0) + 1)
    return frames.assign(localization_count=counts[number])


def _draw_kinds(ax: Axes, frames: pd.DataFrame, column: str) -> None:
    """Draw means over stretches of time, key frames apart where a codec made the difference."""
    kinds = (
        (~frames["is_key"], BLUE, "-", "", "predicted frames"),
        (frames["is_key"], ORANGE, "none", "o", "key frames"),
    )
    is_mixed = bool(frames["is_key"].any()) and not frames["is_key"].all()
    for chosen, colour, line, marker, label in kinds if is_mixed else ():
        means = _stretch_means(frames[chosen], column)
        ax.plot(*means, color=colour, linestyle=line, marker=marker, markersize=3, label=label)
    if not is_mixed:
        ax.plot(*_stretch_means(frames, column), color=BLUE, label="all frames")
    ax.margins(x=0.01)


def _stretch_means(frames: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Return times and means of at most `_STRETCH_COUNT` stretches of equal frame count."""
    stretch = np.arange(len(frames)) * min(_STRETCH_COUNT, len(frames)) // max(len(frames), 1)
    means = frames[["time_s", column]].groupby(stretch).mean()
    return means["time_s"], means[column]


def _mark_tainted(ax: Axes, frames: pd.DataFrame) -> None:
    """Shade the frames that may be wrong because of damage in the file."""
    tainted = frames["is_tainted"].to_numpy(bool)
    starts = np.flatnonzero(tainted & ~np.r_[False, tainted[:-1]])
    stops = np.flatnonzero(tainted & ~np.r_[tainted[1:], False])
    time_s = frames["time_s"].to_numpy()
    for start, stop, number in zip(starts, stops, range(len(starts)), strict=True):
        label = "" if number else "tainted by damage"
        ax.axvspan(time_s[start], time_s[stop], color=RED, alpha=0.25, linewidth=0.8, label=label)


def _spread(count: int) -> npt.NDArray[np.int64]:
    """Return at most `_POINT_COUNT` indices spread over `count`, with both ends."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, _POINT_COUNT)).astype(np.int64))


def _mark_segments(ax: Axes, drift: Drift, scale: float) -> None:
    """Mark where the segments of the estimate meet."""
    count = len(drift.x_nm)
    if 1 < drift.segments <= 40:
        for border in np.linspace(0, count, drift.segments + 1):
            ax.axvline(border * scale, ymax=0.03, color=FAINT, linewidth=0.8)
