"""What a table of localizations looks like as an image.

Every method spreads each localization with total weight 1, so the sum of the image is the
number of localizations in the field, less what spreads over its edge.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import FieldOfView, Localizations

Method = Literal["auto", "gaussian", "histogram", "ash"]

#: A larger image is refused: half a gigabyte.
MAX_IMAGE_PX = 2**27
#: Longest side of an image whose pixel is chosen here.
MAX_AUTO_SIDE_PX = 4096
AUTO_PIXEL_NM = (2.0, 50.0)
#: Gaussians are drawn no narrower than this many pixels and no wider than this many times the
#: typical one: a claimed uncertainty of nothing, or of everything, must not spoil the image.
MIN_SIGMA_PX = 0.3
MAX_SIGMA_RATIO = 4.0
_REACH_SIGMAS = 4.0
_TILE_PX = 64
#: Localizations drawn between two words of progress.
_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """How to draw localizations."""

    pixel_nm: float | None = field(
        default=None,
        metadata={"about": "pixel of the image, nm; none: half the median uncertainty, 2 to 50"},
    )
    method: Method = field(
        default="auto",
        metadata={
            "about": "gaussian (as wide as the uncertainty), histogram, ash (average shifted "
            "histogram); auto: gaussian where the table has uncertainties, else ash"
        },
    )
    shifts: int = field(
        default=2, metadata={"about": "shifted histograms along each axis, for ash"}
    )

    def __post_init__(self) -> None:
        if self.pixel_nm is not None and not self.pixel_nm > 0:
            raise SettingsError(f"pixel_nm must be above 0, got {self.pixel_nm}")
        if self.method not in get_args(Method):
            raise SettingsError(
                f"method must be one of {list(get_args(Method))}, got {self.method!r}"
            )
        if not 1 <= self.shifts <= 16:
            raise SettingsError(f"shifts must be from 1 to 16, got {self.shifts}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedImage:
    """A super-resolution image.

    Attributes
    ----------
    image : (Y, X) float32
        Localizations per pixel.
    pixel_nm : float
        Side of a pixel; the image starts at the field's top-left corner, and its last row and
        column may reach beyond the field.
    method : str
        How localizations were drawn: ``gaussian``, ``histogram`` or ``ash``.
    localizations : int
        Drawn localizations.
    outside : int
        Localizations left out because they lie outside the field.
    """

    image: npt.NDArray[np.float32]
    pixel_nm: float
    method: Method
    localizations: int
    outside: int


def render(
    localizations: Localizations,
    settings: RenderSettings | None = None,
    *,
    progress: Progress | None = None,
) -> RenderedImage:
    """Draw a table of localizations.

    Parameters
    ----------
    localizations : Localizations
        For ``gaussian`` with the column ``uncertainty_nm``, or ``uncertainty_x_nm`` and
        ``uncertainty_y_nm``.
    settings : RenderSettings, optional
        Pixel and method.
    progress : callable, optional
        Called with localizations drawn and all.

    Returns
    -------
    RenderedImage
        ``histogram`` counts localizations in pixels. ``gaussian`` integrates over each pixel a
        Gaussian as wide as the localization's uncertainty, clamped to 0.3 px and 4 times the
        median. ``ash`` with `shifts` s averages s x s histograms with bins of s pixels, each
        shifted by one pixel: a localization adds (s - abs(i)) (s - abs(j)) / s^4 to pixel i, j
        from its own. ThunderSTORM's magnification m is ``pixel_nm = pixel_size_nm / m``.

    Raises
    ------
    TableError
        When ``gaussian`` is asked for and the table has no uncertainties.
    SettingsError
        When the image would be larger than 2^27 pixels.

    References
    ----------
    Ovesny et al., Bioinformatics 30, 2389 (2014). doi:10.1093/bioinformatics/btu202 (ash)
    """
    settings = settings or RenderSettings()
    fov, method = localizations.field, _method_for(localizations, settings)
    pixel_nm = settings.pixel_nm or _auto_pixel_nm(localizations)
    image = np.zeros(_shape(fov, pixel_nm), np.float32)
    xy_nm = localizations.xy_nm
    inside = (xy_nm >= 0).all(axis=1) & (xy_nm < [fov.width_nm, fov.height_nm]).all(axis=1)
    place_px = xy_nm[inside] / pixel_nm
    if method == "gaussian":
        # Neighbours one after the other: the image then stays in the cache.
        order = np.lexsort((place_px // _TILE_PX).astype(np.int32).T)
        sigma_px = _uncertainties_nm(localizations)[inside] / pixel_nm
        place_px, sigma_px = place_px[order], _clamped(sigma_px)[order]
    shifts = settings.shifts if method == "ash" else 1
    for start in range(0, len(place_px), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        if method == "gaussian":
            _add_gaussians(image, place_px[part], sigma_px[part])
        else:
            _add_triangles(image, place_px[part], shifts)
        if progress is not None:
            progress(min(part.stop, len(place_px)), len(place_px))
    return RenderedImage(
        image=image,
        pixel_nm=pixel_nm,
        method=method,
        localizations=int(inside.sum()),
        outside=int((~inside).sum()),
    )


def _method_for(localizations: Localizations, settings: RenderSettings) -> Method:
    """Return the method, the automatic one decided."""
    has_uncertainties = "uncertainty_nm" in localizations or (
        "uncertainty_x_nm" in localizations and "uncertainty_y_nm" in localizations
    )
    if settings.method == "auto":
        return "gaussian" if has_uncertainties else "ash"
    if settings.method == "gaussian" and not has_uncertainties:
        raise TableError(
            "drawing Gaussians needs the column 'uncertainty_nm'; the table has none: choose the "
            "method 'ash' or 'histogram'"
        )
    return settings.method


def _uncertainties_nm(localizations: Localizations) -> npt.NDArray[np.float64]:
    """Return the uncertainties along x and y, (N, 2)."""
    names = ["uncertainty_x_nm", "uncertainty_y_nm"]
    if not all(name in localizations for name in names):
        names = ["uncertainty_nm", "uncertainty_nm"]
    return np.column_stack([localizations.column(name) for name in names]).astype(np.float64)


def _clamped(sigma_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return widths that can be drawn."""
    typical = float(np.median(sigma_px)) if len(sigma_px) else 1.0
    return np.clip(sigma_px, MIN_SIGMA_PX, max(MAX_SIGMA_RATIO * typical, MIN_SIGMA_PX))


def _auto_pixel_nm(localizations: Localizations) -> float:
    """Return half the median uncertainty, or a tenth of a camera pixel, within bounds."""
    fov = localizations.field
    wanted_nm = fov.pixel_size_nm / 10
    if len(localizations) and _method_for(localizations, RenderSettings()) == "gaussian":
        wanted_nm = float(np.median(_uncertainties_nm(localizations))) / 2
    longest_nm = max(fov.width_nm, fov.height_nm)
    return max(float(np.clip(wanted_nm, *AUTO_PIXEL_NM)), longest_nm / MAX_AUTO_SIDE_PX)


def _shape(fov: FieldOfView, pixel_nm: float) -> tuple[int, int]:
    """Return rows and columns that cover the field, or refuse."""
    height = max(1, int(np.ceil(fov.height_nm / pixel_nm - 1e-9)))
    width = max(1, int(np.ceil(fov.width_nm / pixel_nm - 1e-9)))
    if height * width > MAX_IMAGE_PX:
        least_nm = float(np.sqrt(fov.height_nm * fov.width_nm / MAX_IMAGE_PX))
        raise SettingsError(
            f"pixels of {pixel_nm:g} nm make an image of {width} x {height} pixels, more than "
            f"{MAX_IMAGE_PX}; choose pixel_nm of at least {least_nm * 1.01:.3g}, or cut the table"
        )
    return height, width


@njit(cache=True, nogil=True)
def _add_triangles(image: Any, place_px: Any, shifts: int) -> None:
    """Add each localization with weights falling linearly over `shifts` pixels."""
    height, width = image.shape
    for i in range(len(place_px)):
        column, row = int(place_px[i, 0]), int(place_px[i, 1])
        for b in range(1 - shifts, shifts):
            for a in range(1 - shifts, shifts):
                if 0 <= row + b < height and 0 <= column + a < width:
                    weight = (shifts - abs(a)) * (shifts - abs(b))
                    image[row + b, column + a] += weight / shifts**4


@njit(cache=True, nogil=True)
def _add_gaussians(image: Any, place_px: Any, sigma_px: Any) -> None:
    """Add Gaussians integrated over pixels, cut off at 4 sigma, each with weight 1."""
    height, width = image.shape
    widest = int(2 * _REACH_SIGMAS * (sigma_px.max() if len(sigma_px) else 0)) + 4
    across, down = np.empty(widest, np.float32), np.empty(widest, np.float32)
    for i in range(len(place_px)):
        left, columns = _shares(across, place_px[i, 0], sigma_px[i, 0])
        top, rows = _shares(down, place_px[i, 1], sigma_px[i, 1])
        begin, end = max(0, -left), min(columns, width - left)
        shares = across[begin:end]
        for b in range(max(0, -top), min(rows, height - top)):
            line = image[top + b, left + begin : left + end]
            share = down[b]
            for a in range(len(shares)):
                line[a] += share * shares[a]


@njit(cache=True, nogil=True)
def _shares(shares: Any, centre_px: float, sigma_px: float) -> Any:
    """Write the share of a Gaussian in each pixel around it; return the first and how many."""
    first = int(np.floor(centre_px - _REACH_SIGMAS * sigma_px))
    count = int(np.floor(centre_px + _REACH_SIGMAS * sigma_px)) - first + 1
    total = 0.0
    scale = 1 / (np.sqrt(2.0) * sigma_px)
    before = math.erf((first - centre_px) * scale)
    for k in range(count):
        after = math.erf((first + k + 1 - centre_px) * scale)
        shares[k] = after - before
        total += shares[k]
        before = after
    for k in range(count):
        shares[k] /= total
    return first, count
