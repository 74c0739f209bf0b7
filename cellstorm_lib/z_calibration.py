"""How a cylindrical lens tells height: the widths of a spot along x and y, as curves of z."""

import json
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.errors import CalibrationError, refusing
from cellstorm_lib.files import digest_of, written_whole
from cellstorm_lib.settings import plain_json

#: The square of a width never falls below this share of its square in focus.
_LEAST_SQUARE = 0.05
#: Pixel sizes that differ by more are taken to be another magnification.
_SAME_PIXEL = 0.02
#: Half of the box holds this many widths of the widest spot, as far as boxes go.
_WIDTHS_IN_HALF_BOX = 2.0
_BOXES_PX = (7, 15)


@njit(cache=True, nogil=True, error_model="numpy")
def width_and_slope(z_nm: Any, curve: Any) -> Any:
    """Return the standard deviation of a spot at some height, pixels, and its derivative by z.

    Parameters
    ----------
    z_nm : float or array
        Height.
    curve : tuple of 7 float
        The numbers of a `DefocusCurve`, in their order.
    """
    width_px, centre_nm, depth_nm, cubic, quartic, quintic, sextic = curve
    u = (z_nm - centre_nm) / depth_nm
    square = 1.0 + u * u * (1.0 + u * (cubic + u * (quartic + u * (quintic + u * sextic))))
    by_u = u * (
        2.0 + u * (3.0 * cubic + u * (4.0 * quartic + u * (5.0 * quintic + u * 6.0 * sextic)))
    )
    root = np.sqrt(np.maximum(square, _LEAST_SQUARE))
    slope = 0.5 * by_u / (root * depth_nm)
    return width_px * root, width_px * slope


@dataclass(frozen=True, slots=True, kw_only=True)
class DefocusCurve:
    """Width of a spot along one axis, as a function of height.

    ``width_px sqrt(1 + u^2 + cubic u^3 + quartic u^4 + quintic u^5 + sextic u^6)`` with
    ``u = (z - centre_nm) / depth_nm``: the curve of Huang et al. with two terms more, which halve
    what a diffracted spot is off it.

    Attributes
    ----------
    width_px : float
        Standard deviation in focus.
    centre_nm : float
        Where this axis is in focus.
    depth_nm : float
        Depth of focus.
    cubic, quartic, quintic, sextic : float
        What differs from an ideal lens.

    References
    ----------
    Huang et al., Science 319, 810 (2008). doi:10.1126/science.1153529
    """

    width_px: float
    centre_nm: float
    depth_nm: float
    cubic: float = 0.0
    quartic: float = 0.0
    quintic: float = 0.0
    sextic: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(astuple(self)).all():
            raise CalibrationError(f"a defocus curve needs finite numbers, got {astuple(self)}")
        if self.width_px <= 0 or self.depth_nm <= 0:
            raise CalibrationError(
                "width_px and depth_nm of a defocus curve must be above 0, got "
                f"{self.width_px} and {self.depth_nm}"
            )

    @property
    def numbers(self) -> tuple[float, ...]:
        """The seven numbers, for `width_and_slope`."""
        return tuple(map(float, astuple(self)))

    def sigma_px(self, z_nm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the standard deviation at each height, same shape."""
        width, _ = width_and_slope.py_func(np.asarray(z_nm, np.float64), self.numbers)
        return np.asarray(width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZCalibration:
    """What a stack of beads told about an astigmatic microscope.

    Attributes
    ----------
    name : str
        What people call it.
    source : str
        Which recording it was measured on, or where else it comes from.
    source_digest : str
        SHA-256 of that recording; empty when there is none.
    pixel_size_nm : float
        Object-side pixel of the frames it was measured on.
    along_x, along_y : DefocusCurve
        Width along each axis; z is 0 where both are equal.
    z_from_nm, z_to_nm : float
        Where z can be told.
    residual_nm : float
        Root mean square distance of z from the stage, of beads that were left out of the fit.
    systematic_nm : float
        The part of it that planes next to each other have in common: no noise.
    bead_count, plane_count : int
        What it was measured on.
    box_px : int or None
        Side of the square of pixels in which the beads were fitted. A real spot is no Gaussian,
        and its width depends on it: molecules are to be fitted in the same. None: as the widest
        spot needs.
    background_share : float
        Background per pixel / photons of the molecules that it is for.
    mismatch_factor : float
        Distance in the sample / distance the stage moved; below 1 where the sample's refractive
        index is smaller than that of the immersion medium. Stated heights are multiplied by it.
    """

    name: str
    source: str
    pixel_size_nm: float
    along_x: DefocusCurve
    along_y: DefocusCurve
    z_from_nm: float
    z_to_nm: float
    residual_nm: float = 0.0
    systematic_nm: float = 0.0
    bead_count: int = 0
    plane_count: int = 0
    box_px: int | None = None
    background_share: float = 0.0
    mismatch_factor: float = 1.0
    source_digest: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.pixel_size_nm) and self.pixel_size_nm > 0):
            raise CalibrationError(f"pixel_size_nm must be above 0, got {self.pixel_size_nm}")
        if not -np.inf < self.z_from_nm < self.z_to_nm < np.inf:
            raise CalibrationError(
                f"z_from_nm must lie below z_to_nm, got {self.z_from_nm} and {self.z_to_nm}"
            )
        for name in ("residual_nm", "systematic_nm"):
            if not 0 <= getattr(self, name) < np.inf:
                raise CalibrationError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.box_px is not None and self.box_px not in range(5, 16, 2):
            raise CalibrationError(f"box_px must be odd and between 5 and 15, got {self.box_px}")
        if not 0.1 <= self.mismatch_factor <= 10:
            raise CalibrationError(
                f"mismatch_factor must lie between 0.1 and 10, got {self.mismatch_factor}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers; identifies the calibration in a table."""
        return digest_of(self.plain())

    @property
    def widest_px(self) -> float:
        """The largest width within the range of z."""
        z_nm = np.linspace(self.z_from_nm, self.z_to_nm, 101)
        return float(max(self.along_x.sigma_px(z_nm).max(), self.along_y.sigma_px(z_nm).max()))

    @property
    def suited_box_px(self) -> int:
        """The side of the square in which spots are to be fitted."""
        half_px = int(np.ceil(_WIDTHS_IN_HALF_BOX * self.widest_px))
        return self.box_px or int(np.clip(2 * half_px + 1, *_BOXES_PX))

    def plain(self) -> dict[str, Any]:
        """Return everything as names and numbers."""
        return asdict(self)

    def check_pixel_size(self, pixel_size_nm: float) -> None:
        """Refuse frames of another magnification.

        Raises
        ------
        CalibrationError
            When the pixel sizes differ by more than 2 %.
        """
        if abs(pixel_size_nm / self.pixel_size_nm - 1) > _SAME_PIXEL:
            raise CalibrationError(
                f"the z calibration {self.name} was measured with pixels of "
                f"{self.pixel_size_nm:g} nm, but the recording has pixels of {pixel_size_nm:g} nm; "
                "calibrate with the magnification that is recorded with"
            )


def read_z_calibration(path: Path) -> ZCalibration:
    """Read a calibration written by `write_z_calibration` (a Z.json).

    Raises
    ------
    CalibrationError
        When the file is missing, is not JSON, or lacks or misspells a number.
    """
    remedy = "make one with `cellstorm calibrate-z`"
    fault = "is not a z calibration"
    if not Path(path).exists():
        raise CalibrationError(f"{path} does not exist; {remedy}")
    with refusing(CalibrationError, path, fault, remedy):
        content = plain_json(Path(path))
    if not isinstance(content, dict) or not {"along_x", "along_y"} <= content.keys():
        raise CalibrationError(f"{path} holds no z calibration; {remedy}")
    known = {entry.name for entry in fields(ZCalibration)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise CalibrationError(f"{path} has unknown entries {unknown}; known are {sorted(known)}")
    with refusing(CalibrationError, path, fault, remedy):
        curves = {name: DefocusCurve(**content[name]) for name in ("along_x", "along_y")}
        return ZCalibration(**{**content, **curves})


def write_z_calibration(calibration: ZCalibration, path: Path) -> None:
    """Write a calibration as JSON (a Z.json)."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(calibration.plain(), indent=2) + "\n", encoding="utf-8")
