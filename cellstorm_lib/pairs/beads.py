"""Bright points found to a hundredth of a pixel: Gaussians fitted to many windows at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_Floats = npt.NDArray[np.float64]

_ROUNDS = 25
_LARGEST_STEP_PX = 0.5
_DAMPING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeadFits:
    """Gaussians fitted to bright points.

    Attributes
    ----------
    xy_px : (M, 2) float64
        Centres; pixel ``[0, 0]`` spans 0 to 1.
    sigma_px : (M,) float64
        Widths.
    is_found : (M,) bool
        False where there is no bright point near the guess, or the window leaves the image.
    """

    xy_px: _Floats
    sigma_px: _Floats
    is_found: npt.NDArray[np.bool_]


def fit_beads(
    image: npt.NDArray[np.floating],
    guess_px: _Floats,
    *,
    sigma_px: float,
    search_px: float,
) -> BeadFits:
    """Fit a Gaussian on a flat background to the bright point nearest each guess.

    Parameters
    ----------
    image : (Y, X) float
        Light, with vignetting taken out.
    guess_px : (M, 2) float64
        Where points are expected, x and y.
    sigma_px : float
        Expected width.
    search_px : float
        How far a point may be from its guess along each axis.
    """
    reach = int(np.ceil(3.0 * sigma_px))
    peaks, is_inside = _peaks(image, guess_px, sigma_px, search_px, margin=reach)
    offsets = np.arange(-reach, reach + 1)
    windows = np.asarray(image, np.float64)[
        peaks[:, 1, None, None] + offsets[:, None], peaks[:, 0, None, None] + offsets
    ].reshape(len(peaks), -1)
    dy, dx = (part.ravel() for part in np.meshgrid(offsets, offsets, indexing="ij"))
    low = np.median(windows, axis=1)
    values = np.column_stack(
        [windows.max(axis=1) - low, np.zeros((len(peaks), 2)), np.full(len(peaks), sigma_px), low]
    )
    for _ in range(_ROUNDS):
        model, slopes = _gaussians(values, dx, dy)
        normal = slopes.transpose(0, 2, 1) @ slopes
        scale = np.einsum("mii->mi", normal)
        normal += _DAMPING * scale[:, :, None] * np.eye(5) + 1e-12 * np.eye(5)
        gradient = slopes.transpose(0, 2, 1) @ (windows - model)[:, :, None]
        step = np.linalg.solve(normal, gradient)[:, :, 0]
        step[:, 1:4] = step[:, 1:4].clip(-_LARGEST_STEP_PX, _LARGEST_STEP_PX)
        values += step
        values[:, 3] = values[:, 3].clip(0.3, 4 * sigma_px)
        values[:, 1:3] = values[:, 1:3].clip(-reach, reach)
    model, _slopes = _gaussians(values, dx, dy)
    noise = (windows - model).std(axis=1)
    is_bright = values[:, 0] > 5.0 * noise
    is_near = (np.abs(values[:, 1:3]) < sigma_px + 1.0).all(axis=1)
    is_round = (values[:, 3] > 0.4 * sigma_px) & (values[:, 3] < 2.5 * sigma_px)
    return BeadFits(
        xy_px=peaks + 0.5 + values[:, 1:3],
        sigma_px=values[:, 3],
        is_found=is_inside & is_bright & is_near & is_round,
    )


def _peaks(
    image: npt.NDArray[np.floating],
    guess_px: _Floats,
    sigma_px: float,
    search_px: float,
    *,
    margin: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the brightest pixel (x, y) near each guess, and whether its window is inside."""
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), sigma_px)
    height_px, width_px = image.shape
    search = max(1, round(search_px))
    offsets = np.arange(-search, search + 1)
    centre = np.floor(guess_px).astype(np.int64)
    columns = (centre[:, 0, None] + offsets).clip(0, width_px - 1)
    rows = (centre[:, 1, None] + offsets).clip(0, height_px - 1)
    around = smooth[rows[:, :, None], columns[:, None, :]].reshape(len(centre), -1)
    row, column = np.divmod(around.argmax(axis=1), len(offsets))
    index = np.arange(len(centre))
    peaks = np.column_stack([columns[index, column], rows[index, row]])
    limits = np.array([width_px - 1 - margin, height_px - 1 - margin])
    is_inside = np.asarray(((peaks >= margin) & (peaks <= limits)).all(axis=1))
    return peaks.clip(margin, np.maximum(limits, margin)), is_inside


def _gaussians(
    values: _Floats, dx: npt.NDArray[np.int64], dy: npt.NDArray[np.int64]
) -> tuple[_Floats, _Floats]:
    """Return Gaussians (M, P) of (amplitude, x, y, sigma, background) and slopes (M, P, 5)."""
    amplitude, x, y, sigma, background = (values[:, index, None] for index in range(5))
    across, down = dx - x, dy - y
    bell = np.exp(-0.5 * (across**2 + down**2) / sigma**2)
    light = amplitude * bell
    slopes = np.stack(
        [
            bell,
            light * across / sigma**2,
            light * down / sigma**2,
            light * (across**2 + down**2) / sigma**3,
            np.ones_like(bell),
        ],
        axis=-1,
    )
    return light + background, slopes
