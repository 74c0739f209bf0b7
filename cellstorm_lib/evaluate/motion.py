"""Whether the scene of a clip moves."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

_TILE_PX = 64
_SMOOTHING_PX = 1.0
_Floats = npt.NDArray[np.float64]


def moving_share(frames: npt.NDArray[Any], mean: npt.NDArray[np.float32]) -> float:
    """Return the share of what changes from frame to frame that shifts of the picture explain.

    In every tile of every frame the difference from the mean picture is fitted by the slopes of
    that picture along x and y, as a small shift would have it.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
    mean : (Y, X) float32
        Their mean.

    Returns
    -------
    float
        0 to 1: below 0.01 for noise in a still scene larger than a tile of 64 px; with noise of
        3 grey values on structure of 30, 0.1 for shifts of 0.1 px.

    References
    ----------
    Lucas, Kanade, IJCAI 1981, 674: displacement from slopes.
    """
    smooth = gaussian_filter(mean, _SMOOTHING_PX)
    slope_y, slope_x = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    xx, yy, xy = _tile_sums(slope_x**2), _tile_sums(slope_y**2), _tile_sums(slope_x * slope_y)
    determinant = xx * yy - xy**2 + 1e-9 * (xx + yy) ** 2
    determinant[determinant <= 0] = np.inf
    explained = total = 0.0
    for frame in frames:
        residual = frame - mean
        residual -= residual.mean()
        along_x, along_y = _tile_sums(slope_x * residual), _tile_sums(slope_y * residual)
        power = yy * along_x**2 - 2.0 * xy * along_x * along_y + xx * along_y**2
        explained += float((power / determinant).sum())
        total += float(_tile_sums(residual**2).sum())
    return explained / total if total > 0 else 0.0


def _tile_sums(picture: npt.NDArray[Any]) -> _Floats:
    """Return the sums over square tiles; rows and columns left over are not used."""
    side = min(_TILE_PX, *picture.shape)
    rows, columns = (size // side for size in picture.shape)
    used = picture[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(used.sum(axis=(1, 3), dtype=np.float64))
