"""Shown frames as the camera's pixels should see them."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from cellstorm_lib.pairs.layout import DisplayLayout
from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.pairs.pair_set import GRID_PX
from cellstorm_lib.recording import Roi

#: Screen pixels at the edge of the data that are left out: blur takes from the light there.
_EDGE_PX = 4.0


class Resampler:
    """Brings frames of the data onto a region of the camera, as blurred as the camera sees them.

    They are blurred first, by what the camera blurs and by the squares in which a magnified frame
    is shown, and then read by cubic splines at the middle of each camera pixel.

    Parameters
    ----------
    lens : LensMap
        Where the screen lies on the camera.
    layout : DisplayLayout
        Where the data lie on the screen.
    truth_px : (int, int)
        Width and height of the frames.
    roi : Roi
        Region of the camera frames as read.
    blur_px : float
        Width of the camera's blur, its pixels included; camera pixels.
    """

    def __init__(
        self,
        lens: LensMap,
        layout: DisplayLayout,
        truth_px: tuple[int, int],
        roi: Roi,
        *,
        blur_px: float,
    ) -> None:
        self._shape = (roi.height_px, roi.width_px)
        magnification = layout.data.width_px / truth_px[0]
        middle = np.stack(lens.scale_at(layout.data.corners.mean(axis=0)))
        squares = (magnification**2 - 1.0) / 12.0
        self._sigma = float(np.sqrt((blur_px / middle.mean()) ** 2 + squares) / magnification)
        rows, columns = np.indices(self._shape).reshape(2, -1)
        pixels = np.column_stack([columns + roi.x_px, rows + roi.y_px]).astype(np.float64)
        screen = lens.to_screen(pixels + 0.5)
        place = (screen - (layout.data.x_px, layout.data.y_px)) / magnification - 0.5
        self._weights = _spline_weights(place, *truth_px)

    def frame(self, truth: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return a frame (Y, X) on the camera's pixels."""
        blurred = ndimage.gaussian_filter(
            np.asarray(truth, np.float64), self._sigma, mode="constant", truncate=5.0
        )
        coefficients = ndimage.spline_filter(blurred, order=3, mode="mirror").astype(np.float32)
        return np.asarray(self._weights @ coefficients.ravel()).reshape(self._shape)


def seen_region(lens: LensMap, layout: DisplayLayout, field: Roi) -> Roi | None:
    """Return the largest region of the camera that shows nothing but data.

    Parameters
    ----------
    lens : LensMap
        Where the screen lies on the frames as read.
    layout : DisplayLayout
        Where the data lie on the screen.
    field : Roi
        The region of the full frame that is read.

    Returns
    -------
    Roi or None
        In pixels of the frames as read; corner and size are whole blocks of 16 pixels of the full
        frame, as the codec's. None when not even one block fits.
    """
    first_x, first_y = -field.x_px % GRID_PX, -field.y_px % GRID_PX
    counts = ((field.height_px - first_y) // GRID_PX, (field.width_px - first_x) // GRID_PX)
    if min(counts) < 1:
        return None
    rows, columns = np.indices(counts) * GRID_PX + np.array([first_y, first_x])[:, None, None]
    is_data = np.ones(rows.shape, dtype=bool)
    data = layout.data
    low, high = data.corners[0] + _EDGE_PX, data.corners[2] - _EDGE_PX
    for dy in (0, GRID_PX / 2, GRID_PX):
        for dx in (0, GRID_PX / 2, GRID_PX):
            screen = lens.to_screen(np.stack([columns + dx, rows + dy], axis=-1).astype(np.float64))
            is_data &= ((screen >= low) & (screen <= high)).all(axis=-1)
    return _largest_box(is_data, first_x, first_y)


def _largest_box(is_free: npt.NDArray[np.bool_], first_x: int, first_y: int) -> Roi | None:
    """Return the largest all-true rectangle of blocks, in pixels."""
    best, area = None, 0
    heights = np.zeros(is_free.shape[1], dtype=np.int64)
    for row, free in enumerate(is_free):
        heights = np.where(free, heights + 1, 0)
        for left in np.flatnonzero(heights):
            lowest = np.minimum.accumulate(heights[left:])
            areas = lowest * np.arange(1, len(lowest) + 1)
            widest = int(areas.argmax())
            if areas[widest] > area:
                area = int(areas[widest])
                height = int(lowest[widest])
                best = Roi(
                    x_px=first_x + int(left) * GRID_PX,
                    y_px=first_y + (row + 1 - height) * GRID_PX,
                    width_px=(widest + 1) * GRID_PX,
                    height_px=height * GRID_PX,
                )
    return best


def _spline_weights(
    place: npt.NDArray[np.float64], width_px: int, height_px: int
) -> sparse.csr_array:
    """Return the weights of spline coefficients (P, Y * X) at points (P, 2) in pixel indices."""
    base = np.floor(place).astype(np.int64)
    weights_x, weights_y = (
        _cubic(place[:, axis] - base[:, axis]).astype(np.float32) for axis in (0, 1)
    )
    steps = np.arange(-1, 3)
    columns = _mirrored(base[:, 0, None] + steps, width_px)
    rows = _mirrored(base[:, 1, None] + steps, height_px)
    index = rows[:, :, None] * width_px + columns[:, None, :]
    values = weights_y[:, :, None] * weights_x[:, None, :]
    starts = np.arange(len(place) + 1) * 16
    return sparse.csr_array(
        (values.ravel(), index.astype(np.int32).ravel(), starts.astype(np.int32)),
        shape=(len(place), width_px * height_px),
    )


def _cubic(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the four cubic B-spline weights (P, 4) at a fraction of a pixel."""
    return np.column_stack(
        [
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        ]
    )


def _mirrored(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return indices folded back at the first and last pixel."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(index) % period
    return np.asarray(np.minimum(folded, period - folded).clip(0, size - 1))
