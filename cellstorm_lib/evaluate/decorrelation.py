"""How fine the detail of one image is, by decorrelation analysis.

An image is correlated with itself, all its Fourier amplitudes set to 1. Keeping only frequencies
up to r, the correlation rises while r takes in signal and falls once it takes in noise; the peak is
where signal ends. Filtering away more and more of the coarse detail moves the peak to finer and
finer signal; the finest peak is the resolution. It needs no threshold, no second image and no
knowledge of the structure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft2

#: Longest side that is looked at, from the middle of a larger image; bounds the time.
MAX_SIDE_PX = 4096
MIN_SIDE_PX = 64
MIN_LIT_PX = 100
#: High-pass filters, from a blur of this share of the image to one of this many pixels.
FILTERS = 20
FINEST_BLUR_PX = 0.15
#: A peak counts when the curve falls by so much behind it, and is so high.
MIN_FALL = 5e-4
MIN_HEIGHT = 0.05
_POINTS = 400
#: A shorter fall at the edges lets strong coarse detail leak over more than the noise beyond it.
_EDGE_PX = 32
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecorrelationReport:
    """Resolution of one image by decorrelation.

    Attributes
    ----------
    resolution_nm : float or None
        Two pixels over the finest peak's frequency, in units of the Nyquist frequency; None when
        there is no peak.
    height : float
        Correlation at that peak, 0 to 1: how much of the image is signal.
    pixel_nm : float
        Pixel of the image; no resolution below two of them can be seen.
    reason : str
        One sentence.
    frequency : (P,) float64
        Frequencies in units of the Nyquist frequency; empty without a curve.
    curve : (P,) float64
        Decorrelation of the unfiltered image.
    finest_curve : (P,) float64
        Of the image filtered so that its peak is the finest.
    """

    resolution_nm: float | None
    height: float
    pixel_nm: float
    reason: str
    frequency: _Floats
    curve: _Floats
    finest_curve: _Floats


def measure_decorrelation(image: npt.NDArray[np.floating], pixel_nm: float) -> DecorrelationReport:
    """Measure the resolution of one image by decorrelation analysis.

    Parameters
    ----------
    image : (Y, X) float
        At least 64 x 64; of a larger one than 4096 x 4096 the middle.
    pixel_nm : float
        Side of a pixel.

    Returns
    -------
    DecorrelationReport
        With ``resolution_nm`` None and a reason for an image that is small, empty, or noise alone.

    Notes
    -----
    The filters are isotropic, so the image is needed only as sums over rings of |F| and |F|^2, and
    all filters together cost no more than one Fourier transform. An image drawn with Gaussians has
    no noise beyond them: the result is then the width of the Gaussians as much as the structure. A
    histogram of the positions keeps its noise and does not have that trap.

    References
    ----------
    Descloux et al., Nat. Methods 16, 918 (2019). doi:10.1038/s41592-019-0515-7
    """
    values = _middle(np.asarray(image, np.float32))
    if min(values.shape) < MIN_SIDE_PX:
        return _nothing(pixel_nm, f"the image is smaller than {MIN_SIDE_PX} pixels")
    if float(np.ptp(values)) == 0:
        return _nothing(pixel_nm, "the image is empty: all pixels are alike")
    lit = int((values != np.median(values)).sum())
    if lit < MIN_LIT_PX:
        return _nothing(pixel_nm, f"only {lit} pixels of the image are lit")
    rings = _Rings(values)
    curve = rings.curve(np.ones(len(rings.frequency)))
    blurs_px = np.geomspace(min(values.shape) / 4, FINEST_BLUR_PX, FILTERS)
    curves = [curve, *(rings.filtered(blur_px) for blur_px in blurs_px)]
    peaks = [_peak(rings.frequency, each) for each in curves]
    at, height, index = max(
        ((peak[0], peak[1], number) for number, peak in enumerate(peaks) if peak is not None),
        default=(0.0, 0.0, 0),
    )
    if not at:
        reason = "the correlation rises to the finest detail, as in noise without any structure"
        return _nothing(pixel_nm, reason)
    return DecorrelationReport(
        resolution_nm=2 * pixel_nm / at,
        height=height,
        pixel_nm=pixel_nm,
        reason=f"the finest signal lies at {at:.2f} of what pixels of {pixel_nm:.3g} nm can show",
        frequency=rings.frequency,
        curve=curve,
        finest_curve=curves[index],
    )


def _nothing(pixel_nm: float, reason: str) -> DecorrelationReport:
    """Return the report of an image without resolution."""
    empty = np.zeros(0)
    return DecorrelationReport(
        resolution_nm=None,
        height=0.0,
        pixel_nm=pixel_nm,
        reason=reason,
        frequency=empty,
        curve=empty,
        finest_curve=empty,
    )


class _Rings:
    """Amplitude and power of an image in fine rings of frequency, up to the Nyquist frequency."""

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        amplitude = np.abs(rfft2(_softened(values)))
        height, width = values.shape
        ky = 2 * np.abs(np.fft.fftfreq(height))[:, None]
        kx = 2 * np.fft.rfftfreq(width)[None, :]
        bins = min(_POINTS, min(height, width) // 2)
        ring = (np.hypot(ky, kx) * bins).astype(np.int32).ravel()
        both = np.where((kx > 0) & (kx < 1), 2.0, 1.0) * np.ones_like(ky)
        inside = ring < bins
        ring, both, amplitude = ring[inside], both.ravel()[inside], amplitude.ravel()[inside]
        self.frequency = (np.arange(bins) + 1.0) / bins
        self._middle = (np.arange(bins) + 0.5) / bins
        self._count = np.bincount(ring, both, bins)
        self._amplitude = np.bincount(ring, both * amplitude, bins)
        self._power = np.bincount(ring, both * amplitude.astype(np.float64) ** 2, bins)

    def curve(self, gain: _Floats) -> _Floats:
        """Return the correlation with the flattened image up to each frequency."""
        shared = np.cumsum(self._amplitude * gain)
        power = float((self._power * gain**2).sum())
        return np.asarray(shared / np.sqrt(max(power, 1e-300) * np.cumsum(self._count)))

    def filtered(self, blur_px: float) -> _Floats:
        """Return the curve of the image less itself blurred by a Gaussian."""
        return self.curve(1 - np.exp(-0.5 * (np.pi * self._middle * blur_px) ** 2))


def _peak(frequency: _Floats, curve: _Floats) -> tuple[float, float] | None:
    """Return frequency and height of the last peak that the curve truly falls behind."""
    last = len(curve)
    while last > 1:
        top = int(np.argmax(curve[:last]))
        if curve[top] - curve[top:].min() > MIN_FALL and top < last - 1:
            break
        last = top
    if last <= 1 or curve[top] < MIN_HEIGHT or top == 0:
        return None
    return float(frequency[top]), float(curve[top])


def _middle(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the middle of an image, at most 4096 pixels to each side."""
    top, left = (max(0, (side - MAX_SIDE_PX) // 2) for side in image.shape)
    return image[top : top + MAX_SIDE_PX, left : left + MAX_SIDE_PX]


def _softened(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the image, mean removed, falling to 0 over 32 pixels at its edges."""
    flanks = []
    for side in values.shape:
        from_edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
        share = np.clip(from_edge / min(_EDGE_PX, side / 8), 0, 1)
        flanks.append((0.5 - 0.5 * np.cos(np.pi * share)).astype(np.float32))
    softened = values - values.mean()
    softened *= flanks[0][:, None]
    softened *= flanks[1][None, :]
    return np.asarray(softened)
