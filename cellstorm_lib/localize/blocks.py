"""Spots cut out of the frames, sixteen to a block, and fitted."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.kernels import (
    CLIPPED,
    LANES,
    STATE,
    UNUSED,
    columns_of,
    fit_blocks,
    rate_blocks,
    start_blocks,
)

_BATCH = 8192
_FIRST_STEPS = 4
#: A spot has come to rest when a step is smaller than this share of its uncertainty.
_REST = 0.03
_LEAST_VARIANCE = 0.01
_ACTIVE = STATE.index("is_active")


def fit_spots(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
) -> dict[str, npt.NDArray[np.float32]]:
    """Fit spots whose boxes lie within their frames.

    Spots with clipped pixels are fitted a second time: first without those pixels, then with
    what they tell. A fit of the width too that does not come to rest (faint spots, neighbours)
    is repeated with the width kept at ``sigma_px``.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box.
    offset_px : (M, 2) float32
        Where to start, x and y from the centre of that pixel.
    calibration : CameraCalibration
        A pixel at its ``saturation_adu`` counts as at least that bright.
    settings : FitSettings
        Box, start and limits.

    Returns
    -------
    dict of (M,) float32
        The quantities of `STATE`; positions count from the outer corner of the box.
    """
    parts = [
        _fit_batch(
            frames,
            where[:, start : start + _BATCH],
            offset_px[start : start + _BATCH],
            calibration,
            settings,
        )
        for start in range(0, where.shape[1], _BATCH)
    ]
    values = np.concatenate([np.empty((len(STATE), 0), np.float32), *parts], axis=1)
    return dict(zip(STATE, values, strict=True))


def _fit_batch(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
) -> npt.NDArray[np.float32]:
    """Return the quantities of `STATE`, (len(STATE), M) float32."""
    count = where.shape[1]
    pixels = settings.box_px * columns_of((0,) * settings.box_px)
    spots = _Spots(
        data=np.ones((-(-count // LANES), pixels, LANES), np.float32),
        state=np.zeros((-(-count // LANES), len(STATE), LANES), np.float32),
        fit=_Fit.of(calibration, settings),
    )
    is_clipped = np.zeros(count, np.bool_)
    offset, gain = np.float32(calibration.offset_adu), np.float32(calibration.gain_e_per_adu)
    saturation = np.float32(calibration.saturation_adu)
    camera = (offset, gain, spots.fit.camera[0], saturation)
    _cut(frames, where, offset_px, spots.fit.box, camera, spots.data, spots.state, is_clipped)
    spots.start()
    spots.bring_to_rest(settings.max_steps)
    if is_clipped.any():
        chosen = np.flatnonzero(is_clipped)
        clipped = spots.chosen(chosen)
        clipped.bring_to_rest(settings.max_steps, is_censored=True)
        spots.put(chosen, clipped)
    restless = spots.restless()
    if len(restless) and settings.is_sigma_fitted:
        again = spots.chosen(restless, is_sigma_fitted=False)
        again.start()
        again.bring_to_rest(settings.max_steps)
        spots.put(restless, again)
    rate_blocks(spots.data.ravel(), spots.state.ravel(), spots.fit.box, spots.fit.camera)
    return np.ascontiguousarray(_as_rows(spots.state)[:count].T)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """What the kernels need to know; see `fit_blocks`."""

    box: tuple[int, ...]
    camera: tuple[np.float32, np.float32]
    sigma_px: np.float32
    limits: tuple[np.float32, ...]

    @classmethod
    def of(cls, calibration: CameraCalibration, settings: FitSettings) -> Self:
        """Return it for a camera; a value is clipped that rounds to the highest grey value."""
        noise = max(calibration.pixel_noise_e**2, _LEAST_VARIANCE)
        highest_adu = calibration.saturation_adu - 0.5 - calibration.offset_adu
        return cls(
            box=(0,) * settings.box_px,
            camera=(
                np.float32(noise),
                np.float32(highest_adu * calibration.gain_e_per_adu + noise),
            ),
            sigma_px=np.float32(settings.sigma_px),
            limits=(
                np.float32(0.5 * settings.min_sigma_px),
                np.float32(2.0 * settings.max_sigma_px),
                np.float32(_REST),
                np.float32(settings.is_sigma_fitted),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spots:
    """Blocks of 16 spots, (blocks, pixels, 16) and (blocks, len(STATE), 16), and their fit."""

    data: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32]
    fit: _Fit

    def start(self) -> None:
        """Guess where the fits begin."""
        start_blocks(
            self.data.ravel(), self.state.ravel(), self.fit.box, self.fit.camera, self.fit.sigma_px
        )

    def bring_to_rest(
        self, max_steps: int, *, is_censored: bool = False, first_steps: int = _FIRST_STEPS
    ) -> None:
        """Fit all spots in place.

        After a few steps most have come to rest; the others are gathered into blocks of their
        own, again and again, so that one stubborn spot does not keep 15 finished ones busy.
        Lanes are independent: how spots are gathered changes no result.
        """
        steps = min(first_steps, max_steps)
        fit = self.fit
        data, state = self.data.ravel(), self.state.ravel()
        fit_blocks(data, state, fit.box, fit.camera, fit.limits, steps, is_censored)
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _cut(
    frames: Any,
    where: Any,
    offset_px: Any,
    box: Any,
    camera: Any,
    data: Any,
    state: Any,
    is_clipped: Any,
) -> None:
    """Copy the box of every spot into its lane, as photoelectrons plus noise variance."""
    side = len(box)
    columns = columns_of(box)
    half = side // 2
    offset, gain, noise, saturation = camera
    height, width = frames.shape[1:]
    grey = frames.reshape(-1)
    pixels = data.reshape(-1)
    states = state.reshape(-1)
    middle = np.float32(side) * np.float32(0.5)
    for spot in range(where.shape[1]):
        block, lane = spot // LANES, spot % LANES
        first = block * len(STATE) * LANES + lane
        states[first] = middle + offset_px[spot, 0]
        states[first + LANES] = middle + offset_px[spot, 1]
        states[first + _ACTIVE * LANES] = np.float32(1.0)
        source = (np.int64(where[0, spot]) * height + where[1, spot] - half) * width
        source += where[2, spot] - half
        target = block * side * columns * LANES + lane
        highest = np.float32(0.0)
        for _ in range(side):
            for column in range(side):
                value = np.float32(grey[np.uint64(source + column)])
                electrons = (value - offset) * gain + noise
                pixels[np.uint64(target + column * LANES)] = (
                    electrons if value < saturation else CLIPPED
                )
                highest = max(highest, value)
            for column in range(side, columns):
                pixels[target + column * LANES] = UNUSED
            source += width
            target += columns * LANES
        is_clipped[spot] = highest >= saturation
