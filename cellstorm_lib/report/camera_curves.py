"""How a camera's noise grows with the light: the curve that its gain was read from."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    figure_of_nothing,
    legend_above,
    new_axes,
    styled,
)

Floats = npt.NDArray[np.float64]

#: Residuals beyond this share are drawn at the edge, so that those of the line stay readable.
_FARTHEST_RESIDUAL = 0.3


@styled
def photon_transfer_figure(calibration: CameraCalibration) -> Figure:
    """Draw variance against mean with the fitted line, and what the points leave over.

    Parameters
    ----------
    calibration : CameraCalibration
        With a ``transfer`` curve; its numbers give line and linear range.
    """
    points = calibration.transfer
    if points is None or not points.mean_adu:
        return figure_of_nothing("this camera's numbers were not measured by photon transfer")
    mean = np.array(points.mean_adu)
    variance = np.array(points.variance_adu2)
    error = 1.96 * np.array(points.variance_error_adu2)
    gain = calibration.gain_e_per_adu
    dark = (calibration.read_noise_e / gain) ** 2 + 1.0 / 12.0
    light = (mean - calibration.offset_adu) / gain
    line = dark + np.maximum(light, 0.0)
    figure, (above, below) = new_axes(width_inch=6.2, height_inch=4.7, rows=2)
    grid = above.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([2.4, 1.0])
    _draw_range(above, calibration, mean, label="linear range")
    _draw_range(below, calibration, mean, label="")
    above.errorbar(
        mean, variance, yerr=error, color=BLUE, marker="o", markersize=3, linestyle="none",
        elinewidth=1, label="measured, 95 % interval",
    )  # fmt: skip
    order = np.argsort(mean)
    above.plot(mean[order], line[order], color=ORANGE, label="fitted line")
    above.set_ylim(0, 1.12 * max(float(variance.max()), float(dark)))
    above.set_ylabel("variance in time, grey values²")
    _write_numbers(above, calibration)
    legend_above(above, column_count=3)
    below.axhline(0.0, color=ORANGE)
    _draw_residuals(below, mean, (variance - line) / line, error / line)
    below.set_ylabel("off the line, %")
    below.set_xlabel("mean grey value")
    return figure


def _draw_residuals(ax: Axes, mean: Floats, residual: Floats, error: Floats) -> None:
    """Draw residuals in percent; those too far off stand as triangles at the edge."""
    is_near = np.abs(residual) < _FARTHEST_RESIDUAL
    ax.errorbar(
        mean[is_near], 100.0 * residual[is_near], yerr=100.0 * error[is_near], color=BLUE,
        marker="o", markersize=3, linestyle="none", elinewidth=1,
    )  # fmt: skip
    largest = float(np.abs(residual[is_near]).max(initial=0.0))
    limit = 100.0 * (_FARTHEST_RESIDUAL if not is_near.all() else max(1.3 * largest, 0.03))
    for marker, sign in (("^", 1.0), ("v", -1.0)):
        beyond = mean[sign * residual >= _FARTHEST_RESIDUAL]
        ax.plot(beyond, np.full(len(beyond), sign * limit), color=BLUE, marker=marker,
                markersize=4, linestyle="none")  # fmt: skip
    ax.set_ylim(-1.08 * limit, 1.08 * limit)


def _draw_range(ax: Axes, calibration: CameraCalibration, mean: Floats, *, label: str) -> None:
    """Shade the grey values in which the camera is linear, and the interval of their end."""
    if calibration.linear_to_adu is None:
        return
    begin = max(calibration.linear_from_adu or 0.0, 0.0)
    ax.axvspan(begin, calibration.linear_to_adu, color=GREEN, alpha=0.1, linewidth=0, label=label)
    low, high = calibration.intervals.get("linear_to_adu", (calibration.linear_to_adu,) * 2)
    ax.axvline(calibration.linear_to_adu, color=GREEN, linewidth=1, linestyle="--")
    farthest = 1.06 * float(mean.max())
    if low < high <= farthest:
        ax.axvspan(low, high, color=GREEN, alpha=0.15, linewidth=0)
    ax.set_xlim(min(0.0, float(mean.min())), max(farthest, 1.02 * calibration.linear_to_adu))


def _write_numbers(ax: Axes, calibration: CameraCalibration) -> None:
    """Write the measured numbers, with their intervals, into the free upper left corner."""
    rows = [
        ("offset", "offset_adu", "grey values"),
        ("gain", "gain_e_per_adu", "e- per grey value"),
        ("read noise", "read_noise_e", "e- RMS"),
        ("fixed pattern", "fixed_pattern_e", "e- RMS"),
    ]
    lines = []
    for title, name, unit in rows:
        value = getattr(calibration, name)
        text = f"{title} {value:.4g} {unit}"
        if name in calibration.intervals:
            low, high = calibration.intervals[name]
            text = f"{title} {value:.4g} ({low:.4g} to {high:.4g}) {unit}"
        lines.append(text)
    ax.text(
        0.015, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=8.5, color=INK,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": FAINT, "linewidth": 0.4, "pad": 3},
    )  # fmt: skip
