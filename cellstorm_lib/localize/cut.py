"""The boxes around the spots cut out of the frames, sixteen to a block."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.kernels import CLIPPED, LANES, STATE, UNUSED, columns_of
from cellstorm_lib.localize.kernels_by_pixel import PLANES
from cellstorm_lib.localize.pixels import LEAST_VARIANCE, PixelResponse

_ACTIVE = STATE.index("is_active")

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """Boxes of M spots, as the kernels want them.

    Attributes
    ----------
    data : (blocks, K, 16) float32
        The pixels: photoelectrons plus noise variance for `fit_blocks`, the `PLANES` of
        `fit_blocks_by_pixel` where pixels differ.
    state : (blocks, len(STATE), 16) float32
        Where the fits start.
    above, below : (M,) int32
        Pixels of each box at or above the end of the camera's range, and below its beginning.
    """

    data: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32]
    above: npt.NDArray[np.int32]
    below: npt.NDArray[np.int32]


def end_of_range_adu(calibration: CameraCalibration) -> float:
    """Return the lowest grey value that tells only that there was at least as much light.

    The camera is saturated there, or its answer is certainly no longer linear: above the upper end
    of the linear range's interval, which is the saturation where no bend was seen.
    """
    if calibration.linear_to_adu is None:
        return calibration.saturation_adu
    end_adu = calibration.linear_to_adu
    end_adu = max(end_adu, calibration.intervals.get("linear_to_adu", (end_adu, end_adu))[1])
    return min(calibration.saturation_adu, float(np.ceil(end_adu)))


def cut_boxes(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    box: tuple[int, ...],
    calibration: CameraCalibration,
    pixels: PixelResponse | None,
) -> Boxes:
    """Cut out the boxes of some spots.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box, which lies in
        the frame.
    offset_px : (M, 2) float32
        Where to start, x and y from the centre of that pixel.
    box : tuple
        Its length is the side of the boxes, pixels.
    calibration : CameraCalibration
        The camera.
    pixels : PixelResponse or None
        Its pixels, where they differ.
    """
    count = where.shape[1]
    blocks = -(-count // LANES)
    planes = 1 if pixels is None else PLANES
    data = np.ones((blocks, planes * len(box) * columns_of(box), LANES), np.float32)
    state = np.zeros((blocks, len(STATE), LANES), np.float32)
    counts = np.zeros((blocks, 2, LANES), np.float32)
    lowest = 0.0 if calibration.linear_from_adu is None else np.ceil(calibration.linear_from_adu)
    end, beginning = np.float32(end_of_range_adu(calibration)), np.float32(lowest)
    _start(offset_px, np.float32(0.5 * len(box)), state.reshape(-1))
    if pixels is None:
        noise = max(calibration.pixel_noise_e**2, LEAST_VARIANCE)
        numbers = (calibration.offset_adu, calibration.gain_e_per_adu, noise)
        camera = tuple(map(np.float32, numbers))
        _cut(frames, where, box, camera, end, data)
        _count(data.reshape(-1), box, camera, beginning, counts.reshape(-1))
    else:
        maps = (pixels.offset_adu, pixels.gain_e_per_adu, pixels.variance_e2, pixels.sensitivity)
        _cut_by_pixel(frames, where, box, maps, (end, beginning), data, counts)
    above, below = counts.transpose(1, 0, 2).reshape(2, -1)[:, :count].astype(np.int32)
    return Boxes(data=data, state=state, above=above, below=below)


@_compiled
def _start(offset_px: Any, middle: Any, states: Any) -> None:
    """Write where each fit starts, and that it is to be done."""
    for spot in range(len(offset_px)):
        first = spot // LANES * len(STATE) * LANES + spot % LANES
        states[first] = middle + offset_px[spot, 0]
        states[first + LANES] = middle + offset_px[spot, 1]
        states[first + _ACTIVE * LANES] = np.float32(1.0)


@_compiled
def _cut(frames: Any, where: Any, box: Any, camera: Any, end: Any, data: Any) -> None:
    """Copy the box of every spot into its lane, as photoelectrons plus noise variance."""
    side = len(box)
    columns = columns_of(box)
    half = side // 2
    offset, gain, noise = camera
    height, width = frames.shape[1:]
    grey = frames.reshape(-1)
    pixels = data.reshape(-1)
    for spot in range(where.shape[1]):
        source = (np.int64(where[0, spot]) * height + where[1, spot] - half) * width
        source += where[2, spot] - half
        target = spot // LANES * side * columns * LANES + spot % LANES
        for _ in range(side):
            for column in range(side):
                value = np.float32(grey[np.uint64(source + column)])
                electrons = (value - offset) * gain + noise
                pixels[np.uint64(target + column * LANES)] = electrons if value < end else CLIPPED
            for column in range(side, columns):
                pixels[target + column * LANES] = UNUSED
            source += width
            target += columns * LANES


@_compiled
def _count(data: Any, box: Any, camera: Any, beginning: Any, counts: Any) -> None:
    """Count the pixels of each box above and below the camera's range, 16 boxes at a time."""
    offset, gain, noise = camera
    # halfway between two grey values, so that rounding has no say
    lowest = (beginning - np.float32(0.5) - offset) * gain + noise
    one, zero = np.float32(1.0), np.float32(0.0)
    side, columns = len(box), columns_of(box)
    size = side * columns * LANES
    for block in range(data.size // size):
        pixels = data[block * size : (block + 1) * size]
        target = counts[2 * block * LANES : 2 * (block + 1) * LANES]
        for row in range(side):
            line = np.uint64(row * columns * LANES)
            for lane in range(LANES):
                i = np.uint64(lane)
                above = below = zero
                for k in range(columns):
                    value = pixels[line + np.uint64(k * LANES) + i]
                    above += one if value == CLIPPED else zero
                    below += one if value < lowest else zero
                target[lane] += above
                target[LANES + lane] += below


@_compiled
def _cut_by_pixel(
    frames: Any, where: Any, box: Any, maps: Any, limits: Any, data: Any, counts: Any
) -> None:
    """Copy the box of every spot into its lane: value, noise and weight of each pixel.

    A pixel out of range has the level it is at least at, and a negative weight.
    """
    side = len(box)
    columns = columns_of(box)
    half = side // 2
    offset, gain, variance, sensitivity = maps
    end, beginning = limits
    just_below = end - np.float32(0.5)
    plane = side * columns * LANES
    pixels = data.reshape(-1)
    for spot in range(where.shape[1]):
        frame, top, left = where[0, spot], where[1, spot] - half, where[2, spot] - half
        first = spot // LANES * PLANES * plane + spot % LANES
        above = below = 0
        for row in range(side):
            for column in range(side):
                y, x = top + row, left + column
                value = np.float32(frames[frame, y, x])
                is_above = value >= end
                electrons = (min(value, just_below) - offset[y, x]) * gain[y, x]
                weight = sensitivity[y, x]
                at = first + (row * columns + column) * LANES
                pixels[at] = (electrons + variance[y, x]) / weight
                pixels[at + plane] = variance[y, x] / weight
                pixels[at + 2 * plane] = -weight if is_above else weight
                above += is_above
                below += value < beginning
            for column in range(side, columns):
                pixels[first + (row * columns + column) * LANES + 2 * plane] = np.float32(0.0)
        counts[spot // LANES, 0, spot % LANES] = above
        counts[spot // LANES, 1, spot % LANES] = below
