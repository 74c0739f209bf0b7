"""The photon transfer curve as a table, and as the few points that a calibration keeps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.pixel_statistics import Floats
from cellstorm_lib.calibrate.plane_transfer import PlaneTransfer
from cellstorm_lib.camera import TransferPoints

#: Points of a curve that a calibration file keeps.
_KEPT_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhotonTransferCurve:
    """The curve, bin by bin.

    Attributes
    ----------
    plane : (B,) str
        Plane of the sensor; ``grey`` for all of a monochrome one.
    mean_adu : (B,) float64
        Mean grey value.
    variance_adu2, variance_error_adu2 : (B,) float64
        Mean variance in time and its standard error.
    pixel_count : (B,) int64
        Pixels in the bin.
    fitted_variance_adu2 : (B,) float64
        The straight line.
    is_linear : (B,) bool
        Whether the bin lies in the linear range.
    """

    plane: npt.NDArray[np.str_]
    mean_adu: Floats
    variance_adu2: Floats
    variance_error_adu2: Floats
    pixel_count: npt.NDArray[np.int64]
    fitted_variance_adu2: Floats
    is_linear: npt.NDArray[np.bool_]


def curve_of(found: Mapping[str, PlaneTransfer]) -> PhotonTransferCurve:
    """Return the bins of all planes, one plane after the other."""
    planes = list(found.values())
    variance = np.concatenate([plane.bins.variance_adu2 for plane in planes])
    return PhotonTransferCurve(
        plane=np.concatenate(
            [np.full(len(plane.bins.signal_adu), name) for name, plane in found.items()]
        ),
        mean_adu=np.concatenate(
            [plane.bins.signal_adu + plane.noise.offset_adu for plane in planes]
        ),
        variance_adu2=variance,
        variance_error_adu2=variance
        * np.concatenate([plane.bins.relative_error for plane in planes]),
        pixel_count=np.concatenate([plane.bins.pixel_count for plane in planes]),
        fitted_variance_adu2=np.concatenate(
            [plane.line.line(plane.bins.signal_adu) for plane in planes]
        ),
        is_linear=np.concatenate([plane.is_linear for plane in planes]),
    )


def points_of(curve: PhotonTransferCurve) -> TransferPoints:
    """Return the curve with neighbouring bins joined, few enough for a file that people read."""
    order = np.argsort(curve.mean_adu, kind="stable")
    group = np.arange(len(order)) * min(_KEPT_POINTS, len(order)) // len(order)
    pixels = curve.pixel_count[order].astype(np.float64)
    count = np.bincount(group, pixels)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, pixels * values[order]) / count)

    errors = np.bincount(group, np.square(pixels * curve.variance_error_adu2[order]))
    return TransferPoints(
        mean_adu=tuple(mean(curve.mean_adu).tolist()),
        variance_adu2=tuple(mean(curve.variance_adu2).tolist()),
        variance_error_adu2=tuple((np.sqrt(errors) / count).tolist()),
        pixel_count=tuple(count.astype(int).tolist()),
    )
