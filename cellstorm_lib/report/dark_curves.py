"""The figure of a recording made in the dark: its level over time and within a period."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellstorm_lib.calibrate.dark_stability import DarkStability
from cellstorm_lib.calibrate.folding import Folded
from cellstorm_lib.report.drawing import BLUE, FAINT, GREEN, ORANGE, legend_above, styled

#: Of longer recordings the lines that mark key frames would hide all else.
_MOST_KEY_LINES = 80
#: A mean over fewer periods is not worth a look.
_FEWEST_PERIODS = 3
_DECAYS = {"none": "steady level", "linear": "straight line", "exponential": "exponential"}


@styled
def dark_stability_figure(stability: DarkStability) -> Figure:
    """Draw the mean of each frame over time, and folded over the period (the paper's Fig. 6).

    Parameters
    ----------
    stability : DarkStability
        As measured; the lower panel shows the period found or, where none was, that of the key
        frames, and is left out where there is neither, or where fewer than three fit in.
    """
    folded = stability.folded() if _has_periods(stability) else None
    figure = Figure(figsize=(7.2, 5.8 if folded else 3.2), layout="constrained")
    axes = figure.subplots(2 if folded else 1, 1, squeeze=False)[:, 0]
    for ax in axes:
        ax.grid(visible=True)
    _draw_series(axes[0], stability)
    if folded is not None:
        _draw_folded(axes[1], stability, folded)
    return figure


def _draw_series(ax: Axes, stability: DarkStability) -> None:
    """Draw the frame means, the decay and the key frames."""
    time_s, mean_adu = stability.time_s, stability.mean_adu
    is_key = stability.is_key & (not stability.is_key.all())
    if 0 < np.count_nonzero(is_key) <= _MOST_KEY_LINES:
        for at_s in time_s[is_key]:
            ax.axvline(at_s, color=FAINT, linewidth=0.6, alpha=0.5, zorder=0)
    ax.plot(time_s, mean_adu, color=BLUE, linewidth=0.9, label="mean of a frame")
    if is_key.any():
        ax.plot(
            time_s[is_key], mean_adu[is_key], color=ORANGE, linestyle="none", marker="o",
            markersize=3.2, label="key frames",
        )  # fmt: skip
    label = f"slow change: {_DECAYS[stability.decay]}"
    ax.plot(time_s, stability.level_adu, color=GREEN, linestyle="--", label=label)
    ax.set_xlabel("time, s")
    ax.set_ylabel("dark level, grey values")
    ax.margins(x=0.01)
    legend_above(ax, column_count=3)


def _draw_folded(ax: Axes, stability: DarkStability, folded: Folded) -> None:
    """Draw the mean at each phase of the period with its standard error."""
    is_found = stability.period_s is not None
    frames = folded.phase_s / stability.interval_s
    label = (
        f"folded over the period found, {stability.period_s:.3g} s "
        f"({stability.period_frames:.1f} frames)"
        if is_found
        else "no periodic step; folded over the key frames' "
        f"{stability.key_period_frames:.4g} frames"
    )
    ax.axhline(0.0, color=GREEN, linestyle="--", linewidth=1)
    ax.errorbar(
        frames, folded.mean_adu, yerr=folded.error_adu, color=BLUE if is_found else FAINT,
        marker="o", markersize=3.5, linewidth=0.9, elinewidth=1, capsize=2, label=label,
    )  # fmt: skip
    if _has_keys(stability):
        ax.plot(
            frames[:1], folded.mean_adu[:1], color=ORANGE, linestyle="none", marker="o",
            markersize=4.5, zorder=3, label="key frame",
        )  # fmt: skip
    ax.set_xlabel(f"frames since {'the key frame' if _has_keys(stability) else 'a period began'}")
    ax.set_ylabel("off the slow change,\ngrey values")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(ax, column_count=2)


def _has_periods(stability: DarkStability) -> bool:
    """Return whether the recording is long enough for a mean over its periods."""
    period = stability.period_frames or stability.key_period_frames
    seconds = stability.time_s[-1] - stability.time_s[0]
    return period is not None and seconds >= _FEWEST_PERIODS * period * stability.interval_s


def _has_keys(stability: DarkStability) -> bool:
    """Return whether periods begin at a key frame."""
    return stability.key_period_frames is not None and stability.is_period_of_keys is not False
