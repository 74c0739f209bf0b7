"""The figure of a flat field: its map, and how the light falls off towards the corners."""

import numpy as np
from matplotlib.figure import Figure

from cellstorm_lib.calibrate.flat_field import FlatField
from cellstorm_lib.report.drawing import BLUE, styled

_RINGS = 40


@styled
def flat_field_figure(flat_field: FlatField) -> Figure:
    """Draw the map of a flat field and its mean along the radius."""
    values = flat_field.relative_sensitivity
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    step = max(1, max(values.shape) // 400)
    shown = left.imshow(
        values[::step, ::step],
        cmap="cividis",
        extent=(0, values.shape[1], values.shape[0], 0),
    )
    figure.colorbar(shown, ax=left, label="relative to the mean")
    left.set_xlabel("x, px")
    left.set_ylabel("y, px")
    radius_px, profile = _radial_mean(values)
    right.plot(radius_px, profile, color=BLUE)
    right.set_xlabel("distance from the middle, px")
    right.set_ylabel("relative sensitivity")
    right.grid(visible=True)
    return figure


def _radial_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return radii and the mean of the map on rings about its middle."""
    rows, columns = np.indices(values.shape)
    middle_y, middle_x = (np.array(values.shape) - 1) / 2.0
    radius = np.hypot(rows - middle_y, columns - middle_x)
    edges = np.linspace(0.0, radius.max() + 1e-6, _RINGS + 1)
    ring = np.digitize(radius.ravel(), edges) - 1
    count = np.bincount(ring, minlength=_RINGS)[:_RINGS]
    total = np.bincount(ring, values.ravel().astype(np.float64), minlength=_RINGS)[:_RINGS]
    is_there = count > 0
    return 0.5 * (edges[1:] + edges[:-1])[is_there], total[is_there] / count[is_there]
