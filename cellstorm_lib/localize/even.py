"""Frames as a camera with equal pixels would have given them, for the search.

The search compares pixels with their neighbours, so pixels that differ look like spots. Here
each pixel is converted by its own offset and gain, and one that is noisier than the light it is
compared with is replaced by the mean of itself and its neighbours, weighted by how little each
varies: a hot pixel no longer stands out, a spot on it still does.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.filters import wavelet_planes
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.pixel_maps import Map

#: A pixel that varies more than this many times as much as usual is mixed with its neighbours.
_NOISY = 2.0
#: Differences below this share of the usual noise are not seen in a frame.
_UNSEEN = 0.1
#: How much a neighbour tells of a pixel, by its place around it.
_NEIGHBOURS = np.array([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]], np.float32)
#: Grey values below the level without light, in units of the usual noise, that are kept.
_PEDESTAL_NOISES = 16.0
_HIGHEST = np.float32(65535.0)
#: Every so many pixels along each axis tell the usual light.
_THINNED = 4

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvenPixels:
    """How the frames of a camera whose pixels differ are made even.

    Attributes
    ----------
    offset_adu : (Y, X) float32
        Mean grey value without light.
    gain_e_per_adu : (Y, X) float32
        Photoelectrons per grey value; where there is a flat field, over the sensitivity of the
        pixel relative to its surroundings. Its slow change across the field is left: taking it
        out would make dim corners noisier than the middle.
    row, column : (M,) int32
        Noisy pixels.
    weight : (M, 3, 3) float32
        What a noisy pixel and its neighbours count, in sum 1.
    unit_e : float
        Photoelectrons per grey value of `grey`.
    pedestal_e : float
        Level without light in `grey`, photoelectrons.
    """

    offset_adu: Map
    gain_e_per_adu: Map
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    unit_e: float
    pedestal_e: float

    @classmethod
    def of(
        cls, pixels: PixelResponse, calibration: CameraCalibration, sample: npt.NDArray[Any]
    ) -> Self | None:
        """Return it for a camera and some of its frames, which tell the usual light.

        None where the pixels differ so little that noise hides it: such frames, of a camera
        with a smooth flat field alone, say, are searched as they are.

        Parameters
        ----------
        pixels : PixelResponse
            The pixels, of the frames' size.
        calibration : CameraCalibration
            The camera; its bit depth and gain set the grey values of `grey`.
        sample : (N, Y, X) uint8 or uint16
            Frames; possibly none.
        """
        fine = pixels.sensitivity / wavelet_planes(pixels.sensitivity)["V2"]
        gain_e_per_adu = pixels.gain_e_per_adu / fine
        variance_e2 = pixels.variance_e2 / fine**2
        usual_e2 = float(np.median(variance_e2))
        thinned = np.s_[::_THINNED, ::_THINNED]
        light = (sample[:, *thinned] - pixels.offset_adu[thinned]) * gain_e_per_adu[thinned]
        light_e = float(np.median(light)) if light.size else 0.0
        total_e2 = usual_e2 + max(light_e, 0.0)
        trust = total_e2 / (total_e2 + np.maximum(variance_e2 - usual_e2, 0.0))
        row, column = np.nonzero(trust < 1.0 / _NOISY)
        usual_gain = calibration.gain_e_per_adu
        uneven_e = float(np.ptp(pixels.offset_adu)) * usual_gain
        uneven_e += float(np.ptp(gain_e_per_adu)) / usual_gain * max(light_e, 0.0)
        if not len(row) and uneven_e < _UNSEEN * np.sqrt(total_e2):
            return None
        return cls(
            offset_adu=pixels.offset_adu,
            gain_e_per_adu=gain_e_per_adu,
            row=row.astype(np.int32),
            column=column.astype(np.int32),
            weight=_weights(trust.astype(np.float32), row, column),
            unit_e=calibration.gain_e_per_adu * 2.0 ** (calibration.bit_depth - 16),
            pedestal_e=_PEDESTAL_NOISES * float(np.sqrt(total_e2)),
        )

    def photoelectrons(self, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return even frames, (N, Y, X) float32 photoelectrons."""
        out = np.empty(frames.shape, np.float32)
        _write_photoelectrons(frames, self._maps, out)
        return out

    def grey(self, frames: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Return even frames, (N, Y, X) uint16: `unit_e` per grey value, above the pedestal."""
        out = np.empty(frames.shape, np.uint16)
        scale, pedestal = 1.0 / self.unit_e, self.pedestal_e / self.unit_e
        _write_grey(frames, self._maps, np.float32(scale), np.float32(pedestal), out)
        return out

    @property
    def _maps(self) -> tuple[npt.NDArray[Any], ...]:
        return self.offset_adu, self.gain_e_per_adu, self.row, self.column, self.weight


def _weights(
    trust: Map, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return what noisy pixels and their neighbours count, (M, 3, 3), in sum 1."""
    padded = np.pad(trust, 1)
    around = np.arange(3)
    near = padded[row[:, None, None] + around[:, None], column[:, None, None] + around]
    near = near * _NEIGHBOURS
    near /= near.sum(axis=(1, 2), keepdims=True)
    own = trust[row, column]
    weight = near * (1.0 - own)[:, None, None]
    weight[:, 1, 1] = own
    return np.asarray(weight, np.float32)


@_compiled
def _make_even(frame: Any, maps: Any, even: Any, mean: Any) -> None:
    """Write a frame's photoelectrons, then those of its noisy pixels."""
    offset, gain, noisy_row, noisy_column, weight = maps
    height, width = frame.shape
    for y in range(height):
        source, target, line_offset, line_gain = frame[y], even[y], offset[y], gain[y]
        for x in range(width):
            target[x] = (np.float32(source[x]) - line_offset[x]) * line_gain[x]
    for noisy in range(len(noisy_row)):
        total = np.float32(0.0)
        for dy in range(3):
            y = min(max(noisy_row[noisy] + dy - 1, 0), height - 1)
            for dx in range(3):
                x = min(max(noisy_column[noisy] + dx - 1, 0), width - 1)
                total += weight[noisy, dy, dx] * even[y, x]
        mean[noisy] = total
    for noisy in range(len(noisy_row)):
        even[noisy_row[noisy], noisy_column[noisy]] = mean[noisy]


@_compiled
def _write_photoelectrons(frames: Any, maps: Any, out: Any) -> None:
    """Write each frame, even."""
    mean = np.empty(len(maps[2]), np.float32)
    for index in range(len(frames)):
        _make_even(frames[index], maps, out[index], mean)


@_compiled
def _write_grey(frames: Any, maps: Any, scale: Any, pedestal: Any, out: Any) -> None:
    """Write each frame, even, rounded to grey values."""
    count, height, width = frames.shape
    even = np.empty((height, width), np.float32)
    mean = np.empty(len(maps[2]), np.float32)
    rounding = pedestal + np.float32(0.5)
    for index in range(count):
        _make_even(frames[index], maps, even, mean)
        for y in range(height):
            source, target = even[y], out[index, y]
            for x in range(width):
                grey = source[x] * scale + rounding
                target[x] = np.uint16(np.int32(min(max(grey, np.float32(0.0)), _HIGHEST)))
