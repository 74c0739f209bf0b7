"""The cells of the barcodes in camera frames, found through the map and never by searching."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.pairs.barcode import WORD_BITS
from cellstorm_lib.pairs.layout import DisplayLayout
from cellstorm_lib.pairs.lens import LensMap


class StripReader:
    """Reads the mean brightness of all cells of frames of one size.

    Parameters
    ----------
    lens : LensMap
        Where the screen lies on the camera.
    layout : DisplayLayout
        Where the cells lie on the screen.
    frame_px : (int, int)
        Width and height of the frames.
    dark_adu : float
        Grey value of the black screen.

    Attributes
    ----------
    is_inside : bool
        Whether the frames hold both strips whole.
    """

    def __init__(
        self,
        lens: LensMap,
        layout: DisplayLayout,
        frame_px: tuple[int, int],
        *,
        dark_adu: float = 0.0,
    ) -> None:
        width_px, height_px = frame_px
        points = lens.to_camera(layout.cell_points)
        pixels = np.floor(points).astype(np.int64)
        is_inside = (pixels >= 0) & (pixels < (width_px, height_px))
        self.is_inside = bool(is_inside.all())
        pixels = pixels.clip(0, (width_px - 1, height_px - 1))
        self._flat = pixels[..., 1] * width_px + pixels[..., 0]
        self._dark_adu = np.float32(dark_adu)

    def cells(self, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the brightness above black of the cells of frames (N, Y, X), (N, 2, 2, 36)."""
        flat = frames.reshape(len(frames), -1)
        values = np.empty((len(frames), 2, 2, WORD_BITS), np.float32)
        for index, frame in enumerate(flat):
            values[index] = frame[self._flat].mean(axis=-1, dtype=np.float32)
        return np.asarray(np.maximum(values - self._dark_adu, 0.0), np.float32)


def smallest_cell_px(lens: LensMap, layout: DisplayLayout) -> float:
    """Return the smallest side of a cell, in camera pixels."""
    across, down = lens.scale_at(layout.cell_points)
    width_px, height_px = layout.cell_size_px
    return float(min(across.min() * width_px, down.min() * height_px))
