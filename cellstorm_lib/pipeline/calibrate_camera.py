"""A camera measured from files: series opened, the codec asked, photon transfer and flat field."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cellstorm_lib.calibrate.flat_field import FlatField, flat_field_from_series
from cellstorm_lib.calibrate.photon_transfer import (
    PhotonTransfer,
    PhotonTransferSettings,
    measure_photon_transfer,
)
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.video.quantiser import key_frame_qp
from cellstorm_lib.video.series import open_series

#: How long it takes to open series, and so to read them once, beside measuring them.
_OPENING_TIME = 0.3


def calibrate_camera(
    bright: Sequence[Path],
    dark: Sequence[Path],
    *,
    name: str,
    settings: PhotonTransferSettings | None = None,
    progress: Progress | None = None,
) -> PhotonTransfer:
    """Measure a camera by photon transfer from bright and dark series.

    Parameters
    ----------
    bright, dark : sequence of Path
        Folders and files, as `open_series` reads them; whole frames are used.
    name : str
        What to call the camera.
    settings : PhotonTransferSettings, optional
        How it is measured.
    progress : callable, optional
        Called with what is done and the whole.

    Raises
    ------
    RecordingError, CalibrationError
        When the series cannot be read, or tell nothing; the message says what to record.
    """
    if not bright or not dark:
        missing = "bright" if not bright else "dark"
        raise CalibrationError(
            f"the camera {name} has no {missing} series; photon transfer needs bright frames of "
            "something that does not move, and dark frames taken with the same settings"
        )
    opened, opened_dark, measured = in_parts(progress, _OPENING_TIME, _OPENING_TIME, 2.0)
    return measure_photon_transfer(
        open_series(bright, progress=opened),
        open_series(dark, progress=opened_dark),
        name=name,
        settings=settings or PhotonTransferSettings(),
        key_frame_qp=key_frame_qp,
        progress=measured,
    )


def measure_flat_field(
    flat: Sequence[Path], calibration: CameraCalibration, *, progress: Progress | None = None
) -> FlatField:
    """Measure the flat field of a camera from series of even light.

    `progress`, where it is given, is called with what is done and the whole.
    """
    opened, measured = in_parts(progress, _OPENING_TIME, 1.0)
    return flat_field_from_series(
        open_series(flat, progress=opened), calibration, progress=measured
    )


def with_flat_field(calibration: CameraCalibration, flat_field: FlatField) -> CameraCalibration:
    """Return the camera with a flat field among its maps."""
    others = calibration.maps.named() if calibration.maps is not None else {}
    maps = PixelMaps(**{**others, "relative_sensitivity": flat_field.relative_sensitivity})
    return replace(calibration, maps=maps)
