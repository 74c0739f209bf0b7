"""What is known of a camera: how grey values become photoelectrons."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import CalibrationError, refusing
from cellstorm_lib.files import digest_of, written_whole
from cellstorm_lib.pixel_maps import PixelMaps, read_pixel_maps, write_pixel_maps
from cellstorm_lib.recording import Roi
from cellstorm_lib.settings import plain_json

_MAKE_ONE = "make one with `cellstorm calibrate`"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPoints:
    """A measured photon transfer curve, bin by bin: what gain and linear range were read from.

    Attributes
    ----------
    mean_adu, variance_adu2, variance_error_adu2 : tuple of float
        Mean grey value of a bin's pixels, their temporal variance, its standard error.
    pixel_count : tuple of int
        Pixels in the bin.
    """

    mean_adu: tuple[float, ...]
    variance_adu2: tuple[float, ...]
    variance_error_adu2: tuple[float, ...]
    pixel_count: tuple[int, ...]

    def __post_init__(self) -> None:
        if len({len(getattr(self, entry.name)) for entry in fields(self)}) != 1:
            raise CalibrationError("all columns of a photon transfer curve need the same length")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraCalibration:
    """Linear camera model: photoelectrons = (adu - offset_adu) * gain_e_per_adu.

    Attributes
    ----------
    name : str
        What people call the camera.
    source : str
        Where the numbers come from: a paper, ``measured``, ``given`` or ``estimated``.
    offset_adu : float
        Mean grey level without light, in grey values of the decoded frames.
    gain_e_per_adu : float
        Photoelectrons per grey value; above 0.
    read_noise_e : float
        Read noise of one pixel, electrons RMS.
    fixed_pattern_e : float
        Spread of the pixels' own offsets (DSNU), electrons RMS.
    gain_spread : float
        Spread of the pixels' response to light (PRNU): standard deviation / mean.
    bit_depth : int
        Bits of a grey value of the frames this calibration was made for.
    iso : int or None
        Sensitivity setting of the camera.
    quantum_efficiency : float
        Photoelectrons per photon. Kept for the simulator; tables never divide by it.
    linear_from_adu, linear_to_adu : float or None
        Range of grey values in which the model holds; None where it was not measured.
    intervals : mapping of str to (float, float)
        The 95 % interval of each measured number, by its name.
    frame_width_px, frame_height_px : int or None
        Size of the frames it was measured on; None where that is not known.
    codec : str or None
        Video standard of those frames; None for raw files and stacks.
    bits_per_px : float or None
        Compressed bits per pixel of those frames.
    planes : mapping of str to (mapping of str to float)
        For colour sensors: the numbers of each plane of the mosaic (``R G1 G2 B``), by name.
    transfer : TransferPoints or None
        The photon transfer curve.
    maps : PixelMaps or None
        What differs from pixel to pixel.
    """

    name: str
    source: str
    offset_adu: float
    gain_e_per_adu: float
    read_noise_e: float
    fixed_pattern_e: float = 0.0
    bit_depth: int = 8
    iso: int | None = None
    quantum_efficiency: float = 1.0
    linear_from_adu: float | None = None
    linear_to_adu: float | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gain_spread: float = 0.0
    frame_width_px: int | None = None
    frame_height_px: int | None = None
    codec: str | None = None
    bits_per_px: float | None = None
    planes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    transfer: TransferPoints | None = None
    maps: PixelMaps | None = None

    def __post_init__(self) -> None:
        numbers = ("offset_adu", "gain_e_per_adu", "read_noise_e", "fixed_pattern_e", "gain_spread")
        for name in numbers:
            if not np.isfinite(getattr(self, name)):
                raise CalibrationError(f"{name} must be a finite number, got {getattr(self, name)}")
        if self.gain_e_per_adu <= 0:
            raise CalibrationError(
                f"gain_e_per_adu must be above 0 e- per grey value, got {self.gain_e_per_adu}"
            )
        for name in ("read_noise_e", "fixed_pattern_e", "gain_spread"):
            if getattr(self, name) < 0:
                raise CalibrationError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 < self.quantum_efficiency <= 1:
            raise CalibrationError(
                f"quantum_efficiency must be above 0 and at most 1, got {self.quantum_efficiency}"
            )
        if not 1 <= self.bit_depth <= 32:
            raise CalibrationError(f"bit_depth must be 1 to 32, got {self.bit_depth}")

    @property
    def saturation_adu(self) -> float:
        """Grey value from which on a pixel is clipped."""
        return float(2**self.bit_depth - 1)

    @property
    def pixel_noise_e(self) -> float:
        """Noise of one pixel without light: read noise, fixed pattern and rounding, electrons."""
        rounding_e = self.gain_e_per_adu / np.sqrt(12.0)
        return float(np.sqrt(self.read_noise_e**2 + self.fixed_pattern_e**2 + rounding_e**2))

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers and maps; identifies the calibration in a table."""
        return digest_of(self.plain())

    @property
    def knows_gain_spread(self) -> bool:
        """Whether the spread of the pixels' response is known; else it counts as 0."""
        return bool(self.gain_spread) or "gain_spread" in self.intervals

    def plain(self) -> dict[str, Any]:
        """Return everything as names and numbers; of the maps, their digests."""
        content = asdict(replace(self, maps=None))
        return {**content, "maps": self.maps.digests if self.maps is not None else None}

    def photoelectrons(self, frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return grey values as photoelectrons, same shape, float32.

        With maps of offset and gain each pixel is converted by its own; `frames` must then have
        the maps' rows and columns, see `cropped`.
        """
        offset_adu: Any = np.float32(self.offset_adu)
        gain_e_per_adu: Any = np.float32(self.gain_e_per_adu)
        if self.maps is not None and self.maps.offset_adu is not None:
            offset_adu = self.maps.offset_adu
        if self.maps is not None and self.maps.gain_e_per_adu is not None:
            gain_e_per_adu = self.maps.gain_e_per_adu
        electrons = (frames.astype(np.float32) - offset_adu) * gain_e_per_adu
        return np.asarray(electrons, np.float32)

    def cropped(self, roi: Roi) -> Self:
        """Return the same camera with its maps, if any, cropped to a region of the frame."""
        return self if self.maps is None else replace(self, maps=self.maps.cropped(roi))

    def for_bit_depth(self, bit_depth: int) -> Self:
        """Return the same numbers stated for frames of another bit depth."""
        return replace(self, bit_depth=bit_depth)


#: The paper's cameras (arXiv 1804.06244, Table 1, Supplement B), in grey values of raw files.
CAMERA_PRESETS: Mapping[str, CameraCalibration] = {
    "huawei-p9-raw": CameraCalibration(
        name="huawei-p9-raw",
        source="cellSTORM, Supplement B, Fig. 5: photon transfer on 12-bit DNG at ISO 3200",
        offset_adu=4.074,
        gain_e_per_adu=0.34,
        read_noise_e=1.23,
        fixed_pattern_e=0.343,
        bit_depth=12,
        iso=3200,
        quantum_efficiency=0.75,
    ),
    "andor-ixon-897": CameraCalibration(
        name="andor-ixon-897",
        source="cellSTORM, Table 1; offset and gain are those of a typical unit, not measured",
        offset_adu=200.0,
        gain_e_per_adu=0.06,
        read_noise_e=0.2,
        bit_depth=14,
        quantum_efficiency=0.9,
    ),
}


def read_calibration(path: Path) -> CameraCalibration:
    """Read a calibration written by `write_calibration` (a CAL.json).

    Raises
    ------
    CalibrationError
        When the file is missing, is not JSON, or lacks or misspells a number.
    """
    if not Path(path).exists():
        raise CalibrationError(f"{path} does not exist; give a CAL.json or a preset")
    with refusing(CalibrationError, path, "is not a calibration", _MAKE_ONE):
        content = plain_json(Path(path))
    if not isinstance(content, dict):
        raise CalibrationError(f"{path} holds no calibration; {_MAKE_ONE}")
    known = {entry.name for entry in fields(CameraCalibration)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise CalibrationError(f"{path} has unknown entries {unknown}; known are {sorted(known)}")
    with refusing(CalibrationError, path, "is not a calibration", _MAKE_ONE):
        content["intervals"] = {
            str(name): (float(low), float(high))
            for name, (low, high) in dict(content.get("intervals", {})).items()
        }
        if content.get("transfer") is not None:
            columns = {name: tuple(column) for name, column in content["transfer"].items()}
            content["transfer"] = TransferPoints(**columns)
        if content.get("maps") is not None:
            content["maps"] = read_pixel_maps(content["maps"], Path(path))
        return CameraCalibration(**content)


def write_calibration(calibration: CameraCalibration, path: Path) -> None:
    """Write a calibration as JSON (a CAL.json), its maps as TIFF files beside it."""
    content = calibration.plain()
    if calibration.maps is not None:
        content["maps"] = write_pixel_maps(calibration.maps, Path(path))
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
