"""The figure of a flat field: its map, and how the light falls off from the middle outwards."""

import numpy as np
from matplotlib.figure import Figure

from cellstorm_lib.calibrate.flat_field import FlatField
from cellstorm_lib.report.drawing import BLUE, INK, ORANGE, legend_above, styled

_MOST_PX = 400
_CONTOURS = 7


@styled
def flat_field_figure(flat_field: FlatField) -> Figure:
    """Draw the map of a flat field, and cuts along its middle row and column.

    Cuts rather than a mean over rings, for a phone on an eyepiece is seldom centred.
    """
    values = flat_field.relative_sensitivity
    rows, columns = values.shape
    figure = Figure(figsize=(7.6, 3.4), layout="compressed")
    left, right = figure.subplots(1, 2)
    step = max(1, max(values.shape) // _MOST_PX)
    extent = (0, columns, rows, 0)
    shown = left.imshow(values[::step, ::step], cmap="cividis", extent=extent)
    if np.ptp(values) > 0:
        left.contour(
            values[::step, ::step], _CONTOURS, colors="white", linewidths=0.6, extent=extent,
            origin="upper",
        )  # fmt: skip
    figure.colorbar(shown, ax=left, shrink=0.9)
    left.set_title("light / mean of the field", loc="left")
    left.set_xlabel("x, px")
    left.set_ylabel("y, px")
    x_px, y_px = np.arange(columns) + 0.5, np.arange(rows) + 0.5
    right.plot(x_px, values[rows // 2], color=BLUE, label="middle row, along x")
    right.plot(
        y_px, values[:, columns // 2], color=ORANGE, linestyle="--", label="middle column, along y"
    )
    right.axhline(1.0, color=INK, linewidth=0.6, linestyle=":")
    right.set_xlabel("x or y, px")
    right.set_ylabel("light / mean of the field")
    right.grid(visible=True)
    right.margins(x=0.01)
    legend_above(right, column_count=1)
    return figure
