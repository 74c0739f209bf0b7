"""The correlation curves of all splits of a table, on a canvas fine enough for them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.crossing import Crossing, Smoothing, correlation, first_crossing
from cellstorm_lib.reconstruct.deal import GROUPS, Units, deal, halves
from cellstorm_lib.reconstruct.rings import ring_sums
from cellstorm_lib.tables import Localizations

#: Pixels in the finest resolved detail, at least.
PIXELS_PER_RESOLUTION = 4.0
#: Sides of the canvas: the first to be tried, and the longest, which bounds the time.
FIRST_CANVAS_PX = 1024
MAX_CANVAS_PX = 8192
#: Side of the canvas below which there would be too few rings.
MIN_CANVAS_PX = 256
MIN_PIXEL_NM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Smoothed correlation of every split, and where it crosses the threshold.

    Attributes
    ----------
    frequency_per_nm : (R,) float64
        Frequency of each ring.
    curves : (S, R) float64
        Correlation of each split.
    samples : (R,) float64
        Independent samples behind each value.
    crossings : sequence of Crossing
        One for each split.
    pixel_nm : float
        Pixel of the canvas.
    """

    frequency_per_nm: npt.NDArray[np.float64]
    curves: npt.NDArray[np.float64]
    samples: npt.NDArray[np.float64]
    crossings: Sequence[Crossing]
    pixel_nm: float

    @property
    def resolutions_nm(self) -> npt.NDArray[np.float64]:
        """Resolution of every split that crossed."""
        return np.array([1 / c.frequency_per_nm for c in self.crossings if c.frequency_per_nm])


def field_side_nm(localizations: Localizations) -> float:
    """Return the longer side of the field."""
    return max(localizations.field.width_nm, localizations.field.height_nm)


def measure_curves(
    localizations: Localizations,
    units: Units,
    *,
    pixel_nm: float,
    threshold: float,
    repeats: int = 1,
    seed: int = 0,
    group_count: int = GROUPS,
    progress: Progress | None = None,
) -> Curves:
    """Return the curves of as many splits as there are to be.

    Parameters
    ----------
    localizations : Localizations
        Positions and field.
    units : Units
        What must stay in one half.
    pixel_nm : float
        Pixel of the canvas.
    threshold : float
        Correlation of the crossing.
    repeats : int
        Random splits; units that are halves already give one.
    seed : int
        Seed of the dealing.
    group_count : int
        Groups to deal into, even; 8 give 35 splits before the units are dealt again.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    Curves
        The same for the same arguments.
    """
    rng = np.random.default_rng(seed)
    size_nm = (localizations.field.width_nm, localizations.field.height_nm)
    raw: list[npt.NDArray[np.float64]] = []
    wanted = repeats if units.is_random else 1
    splits_per_deal = math.comb(group_count - 1, group_count // 2 - 1)
    deals = in_parts(progress, *[1.0] * math.ceil(wanted / splits_per_deal))
    for told in deals:
        group, count = deal(units, rng, group_count=group_count)
        sums = ring_sums(
            localizations.xy_nm, group,
            group_count=count, size_nm=size_nm, pixel_nm=pixel_nm, progress=told,
        )  # fmt: skip
        raw += [correlation(sums, half) for half in halves(count, wanted - len(raw), rng)]
    smoothing, frequency = Smoothing.of(sums), sums.frequency_per_nm
    curves = np.array(raw) @ smoothing.weights.T
    return Curves(
        frequency_per_nm=frequency,
        curves=curves,
        samples=smoothing.samples,
        crossings=[
            first_crossing(frequency, curve, smoothing.samples, threshold) for curve in curves
        ],
        pixel_nm=pixel_nm,
    )


def fitting_pixel_nm(
    localizations: Localizations,
    units: Units,
    *,
    threshold: float,
    progress: Progress | None = None,
) -> float:
    """Return a quarter of the resolution, found by one split on finer and finer canvases.

    Parameters
    ----------
    localizations : Localizations
        Positions and field.
    units : Units
        What must stay in one half.
    threshold : float
        Correlation of the crossing.
    progress : callable, optional
        Called with what is done and the whole. How many canvases it takes shows only at the
        last: each is told as half of what was left.

    Returns
    -------
    float
        Without a resolution the pixel at which that was clear; never one that would make the
        longer side of the field more than 8192 pixels.
    """
    side_nm = field_side_nm(localizations)
    finest_nm = max(side_nm / MAX_CANVAS_PX, MIN_PIXEL_NM)
    coarsest_nm = side_nm / MIN_CANVAS_PX
    pixel_nm = min(max(side_nm / FIRST_CANVAS_PX, finest_nm), coarsest_nm)
    left = progress
    while True:
        told, left = in_parts(left, 1.0, 1.0)
        crossing = measure_curves(
            localizations, units,
            pixel_nm=pixel_nm, threshold=threshold, group_count=2, progress=told,
        ).crossings[0]  # fmt: skip
        if crossing.frequency_per_nm is not None:
            fitting_nm = 1 / (PIXELS_PER_RESOLUTION * crossing.frequency_per_nm)
            return min(max(fitting_nm, finest_nm), coarsest_nm)
        if not crossing.has_risen or pixel_nm <= finest_nm:
            return pixel_nm
        pixel_nm = max(pixel_nm / 2, finest_nm)
