"""How a camera's noise grows with the light: the curve that its gain was read from."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.report.camera_numbers import NUMBERS, frames_text, interval_of
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    figure_of_nothing,
    legend_above,
    new_axes,
    shortened,
    styled,
)
from cellstorm_lib.report.rows import number_text

Floats = npt.NDArray[np.float64]

#: Residuals are drawn up to the farthest one of the linear range, within these shares; those
#: beyond stand at the edge, so that those of the line stay readable.
_LEAST_LIMIT, _FARTHEST_LIMIT = 0.02, 0.3
#: A bin whose noise reaches beyond the linear range so many standard deviations from its mean is
#: no longer on the line: pixels are cut there, not bins.
_REACH_DEVIATIONS = 2.0


@styled
def photon_transfer_figure(calibration: CameraCalibration) -> Figure:
    """Draw variance against mean with the fitted line, and what the points leave over (Fig. 5).

    Parameters
    ----------
    calibration : CameraCalibration
        With a ``transfer`` curve; its numbers give line and linear range. Bins of which single
        pixels reach beyond the linear range are drawn hollow.
    """
    points = calibration.transfer
    if points is None or not points.mean_adu:
        return figure_of_nothing("this camera's numbers were not measured by photon transfer")
    mean = np.array(points.mean_adu)
    variance = np.array(points.variance_adu2)
    error = 1.96 * np.array(points.variance_error_adu2)
    line = _line(calibration, mean)
    is_inside = mean + _REACH_DEVIATIONS * np.sqrt(line) <= (calibration.linear_to_adu or np.inf)
    figure, (above, below) = new_axes(width_inch=6.8, height_inch=5.4, rows=2)
    grid = above.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([2.4, 1.0])
    _draw_range(above, calibration, mean, label="linear range")
    _draw_range(below, calibration, mean, label="")
    _draw_bins(above, (mean, variance, error), is_inside, is_labelled=True)
    _draw_line(above, calibration, mean)
    above.set_ylim(0, 1.12 * max(float(variance.max()), float(line.min())))
    above.set_ylabel("variance in time, grey values²")
    _write_numbers(above, calibration)
    legend_above(above, column_count=2)
    below.axhline(0.0, color=ORANGE)
    _draw_residuals(below, mean, (variance - line) / line, error / line, is_inside)
    below.set_ylabel("off the line, %")
    below.set_xlabel("mean grey value")
    return figure


def _line(calibration: CameraCalibration, mean: Floats) -> Floats:
    """Return the variance that the camera's numbers give to a mean grey value."""
    gain = calibration.gain_e_per_adu
    dark = (calibration.read_noise_e / gain) ** 2 + 1.0 / 12.0
    return np.asarray(dark + np.maximum((mean - calibration.offset_adu) / gain, 0.0))


def _draw_line(ax: Axes, calibration: CameraCalibration, mean: Floats) -> None:
    """Draw the fitted line: solid where it holds, dotted where the camera has left it."""
    end = calibration.linear_to_adu or float(mean.max())
    inside = np.array([min(float(mean.min()), end), end])
    ax.plot(inside, _line(calibration, inside), color=ORANGE, label="fitted line")
    if end < mean.max():
        beyond = np.array([end, float(mean.max())])
        ax.plot(beyond, _line(calibration, beyond), color=ORANGE, linestyle=":")


def _draw_bins(
    ax: Axes,
    points: tuple[Floats, Floats, Floats],
    is_inside: npt.NDArray[np.bool_],
    *,
    is_labelled: bool,
) -> None:
    """Draw the bins (x, y, error of y): full in the linear range, hollow where it ends."""
    for mask, face, label in (
        (is_inside, BLUE, "one bin of pixels alike in light, 95 % interval"),
        (~is_inside, PAPER, "bin that reaches beyond the range"),
    ):
        if mask.any():
            x, y, error = (values[mask] for values in points)
            ax.errorbar(
                x, y, yerr=error, color=BLUE, marker="o", markersize=3.5, linestyle="none",
                elinewidth=1, markerfacecolor=face, label=label if is_labelled else "",
            )  # fmt: skip


def _draw_residuals(
    ax: Axes, mean: Floats, residual: Floats, error: Floats, is_inside: npt.NDArray[np.bool_]
) -> None:
    """Draw residuals in percent; those too far off stand as triangles at the edge."""
    farthest = float(np.max((np.abs(residual) + error)[is_inside], initial=0.0))
    limit = float(np.clip(1.15 * farthest, _LEAST_LIMIT, _FARTHEST_LIMIT))
    is_near = np.abs(residual) < limit
    points = (mean[is_near], 100.0 * residual[is_near], 100.0 * error[is_near])
    _draw_bins(ax, points, is_inside[is_near], is_labelled=False)
    for marker, sign in (("^", 1.0), ("v", -1.0)):
        beyond = mean[sign * residual >= limit]
        ax.plot(beyond, np.full(len(beyond), sign * 100.0 * limit), color=BLUE, marker=marker,
                markersize=5, markerfacecolor=PAPER, linestyle="none")  # fmt: skip
    ax.set_ylim(-108.0 * limit, 108.0 * limit)


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
        ends = "95 % interval of its end" if label else ""
        ax.axvspan(low, high, color=GREEN, alpha=0.3, linewidth=0, label=ends)
    ax.set_xlim(min(0.0, float(mean.min())), max(farthest, 1.02 * calibration.linear_to_adu))


def _write_numbers(ax: Axes, calibration: CameraCalibration) -> None:
    """Write the measured numbers, with their intervals, into the free upper left corner."""
    lines = [f"{shortened(calibration.name)}: {frames_text(calibration)}"]
    for name, (title, unit) in {**NUMBERS, "linear_to_adu": ("Linear to", "grey values")}.items():
        value, interval = getattr(calibration, name), interval_of(calibration, name)
        if value:
            known = f"({interval}) " if interval else ""
            lines.append(f"{title.lower()} {number_text(value)} {known}{unit}")
    ax.text(
        0.015, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=8.5, color=INK,
        bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": FAINT, "linewidth": 0.4, "pad": 3},
    )  # fmt: skip
