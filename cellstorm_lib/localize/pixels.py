"""How each pixel of the frames answers to light, for cameras whose pixels differ."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pixel_maps import Map
from cellstorm_lib.recording import RecordingFacts

#: No pixel is taken to be quieter, electrons squared.
LEAST_VARIANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelResponse:
    """Offset, gain, noise and sensitivity of every pixel; what was not mapped is everywhere alike.

    Attributes
    ----------
    offset_adu : (Y, X) float32
        Mean grey value without light.
    gain_e_per_adu : (Y, X) float32
        Photoelectrons per grey value.
    variance_e2 : (Y, X) float32
        Variance without light: read noise and rounding, and the spread of the offsets where
        they are not mapped; electrons squared.
    sensitivity : (Y, X) float32
        Photoelectrons under even light / mean of all pixels.
    least_noise : float
        The smallest ``variance_e2 / sensitivity``.
    has_flat_field : bool
        Whether the sensitivity was mapped.
    """

    offset_adu: Map
    gain_e_per_adu: Map
    variance_e2: Map
    sensitivity: Map
    least_noise: float
    has_flat_field: bool

    @classmethod
    def of(cls, calibration: CameraCalibration) -> Self | None:
        """Return it for a camera with pixel maps; None for one whose pixels are all alike."""
        maps = calibration.maps
        if maps is None:
            return None

        def everywhere(value: float) -> Map:
            return np.full(maps.shape, value, np.float32)

        offset_adu, gain_e_per_adu = maps.offset_adu, maps.gain_e_per_adu
        variance_e2, sensitivity = maps.read_variance_e2, maps.relative_sensitivity
        if gain_e_per_adu is None:
            gain_e_per_adu = everywhere(calibration.gain_e_per_adu)
        if variance_e2 is None:
            variance_e2 = everywhere(calibration.read_noise_e**2)
        unmapped_e2 = calibration.fixed_pattern_e**2 if offset_adu is None else 0.0
        variance_e2 = variance_e2 + np.float32(unmapped_e2) + gain_e_per_adu**2 / np.float32(12.0)
        variance_e2 = np.maximum(variance_e2, np.float32(LEAST_VARIANCE))
        has_flat_field = sensitivity is not None
        sensitivity = everywhere(1.0) if sensitivity is None else sensitivity
        return cls(
            offset_adu=everywhere(calibration.offset_adu) if offset_adu is None else offset_adu,
            gain_e_per_adu=gain_e_per_adu,
            variance_e2=variance_e2,
            sensitivity=sensitivity,
            least_noise=float(np.min(variance_e2 / sensitivity)),
            has_flat_field=has_flat_field,
        )

    def sensitivity_at(
        self,
        where: npt.NDArray[np.int32],
        x_px: npt.NDArray[np.float32],
        y_px: npt.NDArray[np.float32],
        sigma_px: npt.NDArray[np.float32],
        side: int,
    ) -> npt.NDArray[np.float32]:
        """Return the mean sensitivity of the pixels of each box, weighted by the light of its spot.

        Parameters
        ----------
        where : (3, M) int32
            Index of the frame, row and column of the pixel in the middle of each box.
        x_px, y_px, sigma_px : (M,) float32
            Position from the outer corner of the box, and width, of its spot.
        side : int
            Pixels along each side of a box.

        Returns
        -------
        (M,) float32
        """
        out = np.ones(where.shape[1], np.float32)
        if self.has_flat_field:
            _weighted_means(self.sensitivity, where, x_px, y_px, sigma_px, side, out)
        return out


def cropped_to_frames(calibration: CameraCalibration, facts: RecordingFacts) -> CameraCalibration:
    """Return the camera with its maps, if any, cropped to the region that is read.

    Raises
    ------
    CalibrationError
        When the maps have neither the size of the full frame nor that of the region.
    """
    maps, roi = calibration.maps, facts.roi
    if maps is None or maps.shape == (roi.height_px, roi.width_px):
        return calibration
    if maps.shape == (facts.frame_height_px, facts.frame_width_px):
        return calibration.cropped(roi)
    rows, columns = maps.shape
    raise CalibrationError(
        f"the pixel maps of the camera {calibration.name} hold {columns} x {rows} pixels, but "
        f"{facts.name} has frames of {facts.frame_width_px} x {facts.frame_height_px}; calibrate "
        "with frames of the size that is recorded, or leave the maps out"
    )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _weighted_means(
    values: Any, where: Any, x_px: Any, y_px: Any, sigma_px: Any, side: Any, out: Any
) -> None:
    """Write the mean of the values in each box, weighted by a Gaussian."""
    half = side // 2
    across = np.empty(side, np.float32)
    for spot in range(where.shape[1]):
        top, left = where[1, spot] - half, where[2, spot] - half
        scale = 1.0 / sigma_px[spot]
        for k in range(side):
            u = (k + 0.5 - x_px[spot]) * scale
            across[k] = np.exp(-0.5 * u * u)
        total = weights = 0.0
        for row in range(side):
            v = (row + 0.5 - y_px[spot]) * scale
            down = np.exp(-0.5 * v * v)
            for k in range(side):
                weight = down * across[k]
                total += weight * values[top + row, left + k]
                weights += weight
        out[spot] = total / weights if weights > 1e-30 else values[top + half, left + half]
