"""Spots fitted, sixteen to a block."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.cut import cut_boxes, end_of_range_adu
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.kernels import LANES, STATE, fit_blocks, rate_blocks, start_blocks
from cellstorm_lib.localize.kernels_by_pixel import (
    fit_blocks_by_pixel,
    rate_blocks_by_pixel,
    start_blocks_by_pixel,
)
from cellstorm_lib.localize.pixels import LEAST_VARIANCE, PixelResponse

_BATCH = 8192
_FIRST_STEPS = 4
#: A spot has come to rest when a step is smaller than this share of its uncertainty.
_REST = 0.03
_ACTIVE = STATE.index("is_active")
#: What is returned of each spot.
QUANTITIES = (*STATE, "out_of_range_px", "relative_sensitivity")


def fit_spots(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Fit spots whose boxes lie within their frames.

    Spots with pixels beyond the camera's range are fitted a second time: first without those
    pixels, then with what they tell. A fit of the width too that does not come to rest (faint
    spots, neighbours) is repeated with the width kept at ``sigma_px``.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box.
    offset_px : (M, 2) float32
        Where to start, x and y from the centre of that pixel.
    calibration : CameraCalibration
        A pixel at its ``saturation_adu`` or ``linear_to_adu`` counts as at least that bright.
    settings : FitSettings
        Box, start and limits.
    pixels : PixelResponse, optional
        The camera's pixels, where they differ.

    Returns
    -------
    dict of (M,) float32
        The quantities of `STATE`, ``out_of_range_px`` (pixels of the box outside the camera's
        range) and ``relative_sensitivity`` (of the pixels at the spot; 1 without a flat field).
        Positions count from the outer corner of the box; photons and background are as detected.
    """
    fit = _Fit.of(calibration, settings, pixels)
    parts = []
    for start in range(0, where.shape[1], _BATCH):
        batch = where[:, start : start + _BATCH], offset_px[start : start + _BATCH]
        parts.append(_fit_batch(frames, *batch, calibration, settings, fit))
    values = np.concatenate([np.empty((len(QUANTITIES), 0), np.float32), *parts], axis=1)
    return dict(zip(QUANTITIES, values, strict=True))


def _fit_batch(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
    fit: "_Fit",
) -> npt.NDArray[np.float32]:
    """Return the quantities of `QUANTITIES`, (len(QUANTITIES), M) float32."""
    boxes = cut_boxes(frames, where, offset_px, fit.box, calibration, fit.pixels)
    spots = _Spots(data=boxes.data, state=boxes.state, fit=fit)
    spots.start()
    spots.bring_to_rest(settings.max_steps)
    chosen = np.flatnonzero(boxes.above)
    if len(chosen):
        clipped = spots.chosen(chosen)
        clipped.bring_to_rest(settings.max_steps, is_censored=True)
        spots.put(chosen, clipped)
    restless = spots.restless()
    if len(restless) and settings.is_sigma_fitted:
        again = spots.chosen(restless, is_sigma_fitted=False)
        again.start()
        again.bring_to_rest(settings.max_steps)
        spots.put(restless, again)
    spots.rate()
    count = where.shape[1]
    values = np.empty((len(QUANTITIES), count), np.float32)
    values[: len(STATE)] = _as_rows(spots.state)[:count].T
    values[-2] = boxes.above + boxes.below
    values[-1] = 1.0
    if fit.pixels is not None:
        x_px, y_px, photons, background, sigma_px = values[:5]
        values[-1] = fit.pixels.sensitivity_at(where, x_px, y_px, sigma_px, settings.box_px)
        photons *= values[-1]
        background *= values[-1]
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """What the kernels need to know; see `fit_blocks` and `fit_blocks_by_pixel`."""

    box: tuple[int, ...]
    camera: tuple[np.float32, np.float32]
    sigma_px: np.float32
    limits: tuple[np.float32, ...]
    pixels: PixelResponse | None

    @classmethod
    def of(
        cls, calibration: CameraCalibration, settings: FitSettings, pixels: PixelResponse | None
    ) -> Self:
        """Return it for a camera; a value is clipped that rounds to the end of its range."""
        noise = max(calibration.pixel_noise_e**2, LEAST_VARIANCE)
        highest_adu = end_of_range_adu(calibration) - 0.5 - calibration.offset_adu
        return cls(
            box=(0,) * settings.box_px,
            camera=(
                np.float32(noise if pixels is None else pixels.least_noise),
                np.float32(highest_adu * calibration.gain_e_per_adu + noise),
            ),
            sigma_px=np.float32(settings.sigma_px),
            limits=(
                np.float32(0.5 * settings.min_sigma_px),
                np.float32(2.0 * settings.max_sigma_px),
                np.float32(_REST),
                np.float32(settings.is_sigma_fitted),
            ),
            pixels=pixels,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spots:
    """Blocks of 16 spots, (blocks, pixels, 16) and (blocks, len(STATE), 16), and their fit."""

    data: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32]
    fit: _Fit

    def start(self) -> None:
        """Guess where the fits begin."""
        fit = self.fit
        data, state = self.data.ravel(), self.state.ravel()
        if fit.pixels is None:
            start_blocks(data, state, fit.box, fit.camera, fit.sigma_px)
        else:
            start_blocks_by_pixel(data, state, fit.box, fit.camera[0], fit.sigma_px)

    def step(self, steps: int, *, is_censored: bool) -> None:
        """Take a few steps with all spots that have not come to rest."""
        fit = self.fit
        data, state = self.data.ravel(), self.state.ravel()
        if fit.pixels is None:
            fit_blocks(data, state, fit.box, fit.camera, fit.limits, steps, is_censored)
        else:
            least = fit.camera[0]
            fit_blocks_by_pixel(data, state, fit.box, least, fit.limits, steps, is_censored)

    def rate(self) -> None:
        """Note how well the model fits."""
        data, state = self.data.ravel(), self.state.ravel()
        if self.fit.pixels is None:
            rate_blocks(data, state, self.fit.box, self.fit.camera)
        else:
            rate_blocks_by_pixel(data, state, self.fit.box)

    def bring_to_rest(
        self, max_steps: int, *, is_censored: bool = False, first_steps: int = _FIRST_STEPS
    ) -> None:
        """Fit all spots in place.

        After a few steps most have come to rest; the others are gathered into blocks of their
        own, again and again, so that one stubborn spot does not keep 15 finished ones busy.
        Lanes are independent: how spots are gathered changes no result.
        """
        steps = min(first_steps, max_steps)
        self.step(steps, is_censored=is_censored)
        if steps < max_steps and len(restless := self.restless()):
            rest = self.chosen(restless)
            rest.bring_to_rest(
                max_steps - steps, is_censored=is_censored, first_steps=2 * first_steps
            )
            self.put(restless, rest)

    def restless(self) -> npt.NDArray[np.int64]:
        """Return the places of the spots that have not come to rest."""
        return np.flatnonzero(self.state[:, _ACTIVE].ravel())

    def chosen(self, places: npt.NDArray[np.int64], *, is_sigma_fitted: bool | None = None) -> Self:
        """Return some spots in blocks of their own; the last block is filled up with repeats."""
        limits = self.fit.limits
        if is_sigma_fitted is not None:
            limits = (*limits[:-1], np.float32(is_sigma_fitted))
        blocks = -(-len(places) // LANES)
        data = np.empty((blocks, *self.data.shape[1:]), np.float32)
        state = np.empty((blocks, *self.state.shape[1:]), np.float32)
        filled = np.resize(places, blocks * LANES)
        everyone = np.arange(blocks * LANES)
        _move_lanes(self.data, filled, data, everyone)
        _move_lanes(self.state, filled, state, everyone)
        state[:, _ACTIVE] = 1.0
        return replace(self, data=data, state=state, fit=replace(self.fit, limits=limits))

    def put(self, places: npt.NDArray[np.int64], other: Self) -> None:
        """Put spots made by `chosen` back in their places."""
        _move_lanes(other.state, np.arange(len(places)), self.state, places)


def _as_rows(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (M / 16, K, 16) blocks as (M, K) rows."""
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])


@njit(cache=True, nogil=True)
def _move_lanes(source: Any, places: Any, target: Any, target_places: Any) -> None:
    """Copy the lanes of some spots to other places; blocks are (M / 16, K, 16)."""
    count = source.shape[1]
    values, out = source.reshape(-1), target.reshape(-1)
    for spot in range(len(places)):
        block, lane = places[spot] // LANES, places[spot] % LANES
        target_block, target_lane = target_places[spot] // LANES, target_places[spot] % LANES
        first = block * count * LANES + lane
        target_first = target_block * count * LANES + target_lane
        for k in range(count):
            out[np.uint64(target_first + k * LANES)] = values[np.uint64(first + k * LANES)]
