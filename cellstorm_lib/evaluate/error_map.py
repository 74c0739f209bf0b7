"""Whether the super-resolution image explains the widefield image, and where it does not.

Blurred as the microscope blurs, scaled and put on a background, the super-resolution image should
be the widefield image. Where light is missing a structure was lost; where light is too much one was
made up, or drawn brighter than it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array

#: Blur that is tried: the width of the response, in camera pixels.
BLUR_PX = (0.3, 6.0)
#: The image is blurred on a grid so many times finer than the camera's.
OVERSAMPLING = 2
#: Camera pixels at the edge that do not count: no spot is looked for there.
EDGE_PX = 4
#: What is wider (a Gaussian's sigma, camera pixels) counts as haze.
HAZE_PX = 8.0
#: The blur is looked for in a part of so many camera pixels, the fullest of a larger field.
SEARCH_PX = 512
MIN_SIDE_PX = 4 * EDGE_PX
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorMapReport:
    """Comparison of a super-resolution image with the widefield image.

    Attributes
    ----------
    rsp : float or None
        Resolution-scaled Pearson coefficient: correlation of the widefield image with the blurred
        super-resolution image, 1 at best; None when they cannot be compared.
    rsp_detail : float or None
        The same for detail alone: what is wider than `HAZE_PX`, such as out-of-focus light and
        uneven background, is taken out of both images.
    rse : float or None
        Resolution-scaled error: root mean square of their difference, photoelectrons per pixel.
    blur_nm : float or None
        Standard deviation of the blur that suits best.
    scale, background : float or None
        Factor and constant that suit best.
    reason : str
        One sentence.
    difference : (Y, X) float32
        Widefield minus expected, photoelectrons per pixel: above 0 where light is missing in the
        super-resolution image. 0 x 0 when they cannot be compared.
    difference_detail : (Y, X) float32
        The same without haze, scale and blur fitted to detail alone.
    """

    rsp: float | None
    rsp_detail: float | None
    rse: float | None
    blur_nm: float | None
    scale: float | None
    background: float | None
    reason: str
    difference: npt.NDArray[np.float32]
    difference_detail: npt.NDArray[np.float32]


def map_errors(
    image: npt.NDArray[np.floating],
    *,
    pixel_nm: float,
    widefield: npt.NDArray[np.floating],
    pixel_size_nm: float,
) -> ErrorMapReport:
    """Compare a super-resolution image with the widefield image of the same field.

    Parameters
    ----------
    image : (Y, X) float
        Super-resolution image; its upper left corner is that of the widefield image.
    pixel_nm : float
        Its pixel.
    widefield : (Y, X) float
        Mean of the frames, photoelectrons.
    pixel_size_nm : float
        Its pixel.

    Returns
    -------
    ErrorMapReport
        With ``rsp`` None and a reason when either shows nothing.

    Notes
    -----
    The published form enlarges the widefield image to the pixels of the other; here the other is
    binned to the camera's pixels, as the widefield image knows of nothing finer. Intensities of a
    super-resolution image are numbers of blinks, not of dyes: bright spots of few, long-lived dyes
    lower the coefficient although nothing is wrong. A widefield image that is mostly out-of-focus
    light does so, too; `rsp_detail` leaves that out.

    References
    ----------
    Culley et al., Nat. Methods 15, 263 (2018). doi:10.1038/nmeth.4605 (SQUIRREL)
    """
    seen = np.asarray(widefield, np.float64)
    if seen.ndim != 2 or min(seen.shape) < MIN_SIDE_PX:
        return not_compared(f"the widefield image is smaller than {MIN_SIDE_PX} pixels")
    drawn = _binned(image, pixel_nm, seen.shape, pixel_size_nm)
    if not float(np.ptp(_inner(seen))) > 0:
        return not_compared("the widefield image is the same everywhere")
    if not float(np.ptp(drawn)) > 0:
        return not_compared("the super-resolution image is empty")
    whole, detail = _fit(seen, drawn), _fit(_detail(seen), _detail(drawn, OVERSAMPLING))
    if whole.pearson <= 0:
        return not_compared(
            "the widefield image is dark where the super-resolution image is bright"
        )
    blur_nm = whole.blur_px * pixel_size_nm
    is_bounded = not BLUR_PX[0] * 1.2 < whole.blur_px < BLUR_PX[1] * 0.95
    remark = ", the limit of what is tried: the two hardly belong together" if is_bounded else ""
    return ErrorMapReport(
        rsp=whole.pearson,
        rsp_detail=detail.pearson,
        rse=float(np.sqrt(np.mean(_inner(whole.difference) ** 2))),
        blur_nm=blur_nm,
        scale=whole.scale,
        background=whole.background,
        reason=f"compared after a blur of {blur_nm:.0f} nm (sigma){remark}",
        difference=whole.difference.astype(np.float32),
        difference_detail=detail.difference.astype(np.float32),
    )


def not_compared(reason: str) -> ErrorMapReport:
    """Return the report of images that cannot be compared, with the reason."""
    return ErrorMapReport(
        rsp=None,
        rsp_detail=None,
        rse=None,
        blur_nm=None,
        scale=None,
        background=None,
        reason=reason,
        difference=np.zeros((0, 0), np.float32),
        difference_detail=np.zeros((0, 0), np.float32),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Match:
    """A blur, a scale and a background that make one image most like the other."""

    pearson: float
    blur_px: float
    scale: float
    background: float
    difference: _Floats


def _fit(seen: _Floats, drawn: _Floats) -> _Match:
    """Find the blur that correlates best, then scale and background by least squares."""
    rows, columns = _fullest(drawn)
    part, part_drawn = seen[rows, columns], drawn[_finer(rows), _finer(columns)]
    best = minimize_scalar(
        lambda blur_px: -_pearson(_inner(part), _inner(_blurred(part_drawn, blur_px))),
        bounds=BLUR_PX,
        method="bounded",
        options={"xatol": 0.02},
    )
    model = _blurred(drawn, float(best.x))
    pearson, spread = _pearson(_inner(seen), _inner(model)), float(_inner(model).std())
    scale = pearson * float(_inner(seen).std()) / max(spread, 1e-300)
    background = float(_inner(seen).mean()) - scale * float(_inner(model).mean())
    return _Match(
        pearson=pearson,
        blur_px=float(best.x),
        scale=scale,
        background=background,
        difference=seen - scale * model - background,
    )


def _blurred(drawn: _Floats, blur_px: float) -> _Floats:
    """Return the fine image blurred and summed into the camera's pixels."""
    blurred = gaussian_filter(drawn, blur_px * OVERSAMPLING, mode="nearest")
    rows, columns = (side // OVERSAMPLING for side in drawn.shape)
    fine = blurred.reshape(rows, OVERSAMPLING, columns, OVERSAMPLING)
    return np.asarray(fine.sum(axis=(1, 3)))


def _fullest(drawn: _Floats) -> tuple[slice, slice]:
    """Return the camera's rows and columns by which to find the blur: those that hold most."""
    chosen = []
    for axis in (1, 0):
        lit = np.abs(drawn).sum(axis=axis).reshape(-1, OVERSAMPLING).sum(axis=1)
        side = min(len(lit), SEARCH_PX)
        within = np.convolve(lit, np.ones(side), "valid")
        start = int(np.argmax(within))
        chosen.append(slice(start, start + side))
    return chosen[0], chosen[1]


def _finer(pixels: slice) -> slice:
    """Return the same stretch on the finer grid."""
    return slice(pixels.start * OVERSAMPLING, pixels.stop * OVERSAMPLING)


def _inner(image: _Floats) -> _Floats:
    """Return an image less its edge, where no spot is looked for."""
    return image[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]


def _detail(image: _Floats, pixels: int = 1) -> _Floats:
    """Return an image less what is wide in it; `pixels` of it make one of the camera's."""
    return np.asarray(image - gaussian_filter(image, HAZE_PX * pixels, mode="nearest"))


def _pearson(one: _Floats, other: _Floats) -> float:
    """Return the correlation coefficient; 0 where either is constant."""
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 0 else 0.0


def _binned(
    image: npt.NDArray[np.floating], pixel_nm: float, shape: tuple[int, ...], pixel_size_nm: float
) -> _Floats:
    """Return the image summed into pixels of a grid finer than the camera's, areas shared."""
    ratio = pixel_size_nm / OVERSAMPLING / pixel_nm
    rows = _shares(shape[0] * OVERSAMPLING, image.shape[0], ratio)
    columns = _shares(shape[1] * OVERSAMPLING, image.shape[1], ratio)
    return np.asarray((columns @ (rows @ np.asarray(image, np.float64)).T).T)


def _shares(count: int, length: int, ratio: float) -> csr_array:
    """Return which share of each of `length` pixels lies in each of `count` larger ones."""
    edges = np.minimum(np.arange(count + 1) * ratio, length)
    cuts = np.unique(np.r_[edges, np.arange(length + 1)])
    cuts = cuts[cuts <= edges[-1]]
    middle, width = (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts)
    row = np.minimum((middle / ratio).astype(np.int64), count - 1)
    return csr_array((width, (row, middle.astype(np.int64))), shape=(count, length))
