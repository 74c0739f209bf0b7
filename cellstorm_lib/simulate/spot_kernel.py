"""Spots of any shape: a look-up table of pixel-integrated images at sub-pixel positions."""

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError

_MAX_CELLS = 6000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineImage:
    """The image of a molecule on cells finer than a pixel.

    Attributes
    ----------
    light : (C, C) float64
        Share of the light in each cell; C is even, and the molecule sits in the middle, on the
        corner of four cells. Sums to 1.
    cells_per_px : int
        Cells along the side of a pixel.
    """

    light: NDArray[np.float64]
    cells_per_px: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpotKernel:
    """The share of a molecule's light that each pixel around it collects.

    Attributes
    ----------
    shares : (S + 1, S + 1, W, W) float32
        For each of S + 1 positions in y and x of the molecule in its pixel, 0, 1/S, ... 1: the
        shares of the W x W pixels around; each image sums to 1.
    """

    shares: NDArray[np.float32]


def fine_cells(*, radius_nm: float, cell_nm: float, pixel_size_nm: float) -> tuple[int, int]:
    """Return cells per pixel, at least 4, and cells across a fine image that holds a radius.

    Raises
    ------
    SettingsError
        When the image would be too large.
    """
    cells_per_px = max(4, math.ceil(pixel_size_nm / cell_nm))
    radius_px = math.ceil(radius_nm / pixel_size_nm)
    across = 2 * radius_px * cells_per_px
    if across > _MAX_CELLS:
        raise SettingsError(
            f"the spot would be drawn {2 * radius_px + 1} pixels wide, finely enough for "
            f"{_MAX_CELLS} cells across, got {across}; are its lengths in nm?"
        )
    return cells_per_px, across


def kernel_of(image: FineImage) -> SpotKernel:
    """Return the look-up table of a fine image: its light summed over shifted pixels."""
    cells, across = image.cells_per_px, len(image.light)
    width = across // cells + 1
    summed = np.zeros((across + 2 * cells + 1,) * 2)
    padded = np.pad(image.light, cells)
    summed[1:, 1:] = padded.cumsum(axis=0).cumsum(axis=1)
    lower = cells * np.arange(1, width + 1) - np.arange(cells + 1)[:, None]  # (S + 1, W)
    rows = summed[lower + cells] - summed[lower]
    shares = rows[:, :, lower + cells] - rows[:, :, lower]  # (S + 1, W, S + 1, W)
    return SpotKernel(shares=np.ascontiguousarray(shares.transpose(0, 2, 1, 3), np.float32))


def add_kernels(
    frames: NDArray[np.float32],
    *,
    frame: NDArray[np.int64],
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    photons: NDArray[np.float64],
    kernel: SpotKernel,
) -> None:
    """Add the expected light of molecules to frames, in place.

    Between the tabulated positions the images are mixed in proportion, which keeps the light
    and its centre exactly.

    Parameters
    ----------
    frames : (N, Y, X) float32
        Frames to draw into.
    frame : (M,) int64
        Index into `frames` of each molecule's image.
    x_px, y_px : (M,) float64
        Position; pixel ``[0, 0]`` spans 0 to 1, so its centre is at 0.5. May lie outside.
    photons : (M,) float64
        Photons of the whole spot, including those falling outside the frame.
    kernel : SpotKernel
    """
    _add_kernels(frames, frame, x_px, y_px, photons, kernel.shares)


@numba.njit(cache=True, nogil=True)
def _add_kernels(frames, frame, x_px, y_px, photons, shares):  # type: ignore[no-untyped-def]
    """Mix the four tabulated images about each position and add them, row by row."""
    height, width = frames.shape[1:]
    phases, size = shares.shape[0] - 1, shares.shape[2]
    for spot in range(len(frame)):
        top, left = math.floor(y_px[spot]), math.floor(x_px[spot])
        phase_y = (y_px[spot] - top) * phases
        phase_x = (x_px[spot] - left) * phases
        above = min(int(phase_y), phases - 1)
        before = min(int(phase_x), phases - 1)
        below, after = phase_y - above, phase_x - before
        light = photons[spot]
        weight_00 = np.float32(light * (1.0 - below) * (1.0 - after))
        weight_01 = np.float32(light * (1.0 - below) * after)
        weight_10 = np.float32(light * below * (1.0 - after))
        weight_11 = np.float32(light * below * after)
        image_00, image_01 = shares[above, before], shares[above, before + 1]
        image_10, image_11 = shares[above + 1, before], shares[above + 1, before + 1]
        top -= size // 2
        left -= size // 2
        for row in range(max(-top, 0), min(size, height - top)):
            for column in range(max(-left, 0), min(size, width - left)):
                frames[frame[spot], top + row, left + column] += (
                    weight_00 * image_00[row, column]
                    + weight_01 * image_01[row, column]
                    + weight_10 * image_10[row, column]
                    + weight_11 * image_11[row, column]
                )
