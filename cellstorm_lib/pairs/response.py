"""What the camera makes of the screen's light: black level, flat field and scale."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import RecordingFacts

#: Share of pixels at the highest grey value above which a film counts as saturated.
_MOST_SATURATED_SHARE = 0.005
#: Of the usual slope, below which a pixel does not see the screen.
_LEAST_LIGHT_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """Grey value of each pixel as a straight line of the screen's light.

    Attributes
    ----------
    slope_adu : (Y, X) float32
        Grey values from black to the brightest light: flat field times scale.
    black_adu : (Y, X) float32
        Grey value of the black screen.
    means_adu : (L,) float64
        Mean grey value of the field in the uniform frames, the darkest first.
    nonlinearity : float
        Largest distance of those means from the line, as a share of its height.
    """

    slope_adu: npt.NDArray[np.float32]
    black_adu: npt.NDArray[np.float32]
    means_adu: npt.NDArray[np.float64]
    nonlinearity: float

    def light(self, image: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return an image (Y, X) as light of the screen; 0 where the screen is not seen."""
        slope = self.slope_adu.astype(np.float64)
        is_lit = slope > _LEAST_LIGHT_SHARE * np.quantile(slope, 0.99)
        return np.where(is_lit, (image - self.black_adu) / np.where(is_lit, slope, 1.0), 0.0)


def fit_response(
    images: npt.NDArray[np.floating],
    levels: npt.NDArray[np.float64],
    brightness: npt.NDArray[np.float64],
    region: npt.NDArray[np.bool_],
) -> Response:
    """Fit a line through black to each pixel of the mean uniform frames.

    Parameters
    ----------
    images : (L, Y, X) float
        Mean frame of each brightness, that of black first.
    levels : (L,) float64
        Light of each, 0 to 1; the first is 0.
    brightness : (L,) float64
        Brightness of the whole screen meanwhile; only its changes matter.
    region : (Y, X) bool
        The field to judge by.
    """
    black = images[0]
    steady = levels * brightness / brightness.mean()
    slope = np.tensordot(steady / (steady**2).sum(), images - black, axes=1)
    means = images[:, region].mean(axis=1)
    height = max(float(slope[region].mean()), np.finfo(np.float32).tiny)
    line = means[0] + height * steady
    return Response(
        slope_adu=slope.astype(np.float32),
        black_adu=black.astype(np.float32),
        means_adu=means.astype(np.float64),
        nonlinearity=float(np.abs(means - line).max() / height),
    )


def refuse_saturated(facts: RecordingFacts, saturated_share: float) -> None:
    """Raise when too much of the brightest uniform frames is at the highest grey value."""
    if saturated_share > _MOST_SATURATED_SHARE:
        raise RecordingError(
            f"{facts.name} is saturated: {saturated_share:.1%} of the pixels of the brightest "
            f"uniform frames have the highest grey value, at most {_MOST_SATURATED_SHARE:.1%} may; "
            "film again with a lower ISO, a shorter exposure or a darker screen"
        )


def highest_adu(facts: RecordingFacts) -> int:
    """Return the grey value from which on a pixel counts as saturated."""
    limited = facts.is_video and facts.colour_range == "limited"
    return (235 if limited else 255) << (facts.bit_depth - 8)
