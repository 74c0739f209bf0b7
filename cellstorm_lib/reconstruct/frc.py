"""How fine the detail is that two halves of the localizations agree on.

Fourier ring correlation, split so that one molecule stays in one half. Splitting a blinking
molecule over both halves makes it agree with itself, and even molecules strewn at random get a
resolution then. "No resolution" is an answer here, with its reason.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.crossing import noise_of
from cellstorm_lib.reconstruct.curves import (
    FIRST_CANVAS_PX,
    Curves,
    field_side_nm,
    fitting_pixel_nm,
    measure_curves,
)
from cellstorm_lib.reconstruct.deal import SPLITS, Split, Units, units_of
from cellstorm_lib.tables import Localizations

__all__ = ["SPLITS", "FrcReport", "FrcSettings", "Split", "measure_frc"]

#: Units weighted by their share; below this nothing can be said.
MIN_UNITS = 16
#: Splits made from the same eight groups scatter by sqrt(3/4) of the error of their mean where
#: noise dominates: with G groups the mean has variance (1 - 1/G) (G / 2 (G - 1))^2, a split 1/2.
SHARED_GROUPS = float(np.sqrt(4 / 3))
#: A canvas of fewer pixels has too few rings, one of more takes too long.
CANVAS_PX = (64, 32768)
#: Time to deal the units and to find the pixel, beside that of all splits.
_DEALING_TIME, _PIXEL_TIME = 0.2, 0.4
#: A resolution must fit into the field this many times.
MIN_DETAILS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FrcSettings:
    """How to measure the Fourier ring correlation."""

    split: Split = field(
        default="molecules",
        metadata={
            "about": "what stays in one half: molecules, blocks of frames, halves (in time), "
            "localizations, odd-even (frames)"
        },
    )
    repeats: int = field(
        default=20, metadata={"about": "random splits; halves and odd-even have only one"}
    )
    threshold: float = field(
        default=1 / 7, metadata={"about": "correlation at which detail counts as unresolved"}
    )
    seed: int = field(default=0, metadata={"about": "seed of the random splits"})
    block_frames: int = field(
        default=500,
        metadata={"about": "frames of a block; fewer where that gives less than 40 blocks"},
    )
    render_pixel_nm: float | None = field(
        default=None,
        metadata={"about": "pixel of the transformed images, nm; none: a quarter of the result"},
    )

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise SettingsError(f"split must be one of {list(SPLITS)}, got {self.split!r}")
        if self.repeats < 1:
            raise SettingsError(f"repeats must be at least 1, got {self.repeats}")
        if not 0 < self.threshold < 1:
            raise SettingsError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.block_frames < 1:
            raise SettingsError(f"block_frames must be at least 1, got {self.block_frames}")
        if self.render_pixel_nm is not None and not self.render_pixel_nm > 0:
            raise SettingsError(f"render_pixel_nm must be above 0, got {self.render_pixel_nm}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrcReport:
    """Resolution by Fourier ring correlation, with the curve it was read from.

    Attributes
    ----------
    resolution_nm : float or None
        Inverse of the frequency at which the curve first falls below the threshold, median over
        the splits; None when there is no resolution.
    low_nm, high_nm : float or None
        68 % interval: 16th and 84th percentile of the splits, their distance from the median
        widened by sqrt(4/3) as a power; for a split without repeats, one standard deviation to
        each side from the noise of the curve and its slope.
    reason : str
        Why there is no resolution; else how many splits crossed.
    split : str
        What stayed in one half.
    threshold : float
        Correlation at the crossing.
    render_pixel_nm : float
        Pixel of the transformed images.
    localizations : int
        Rows of the table.
    units : int
        Molecules (blocks, ...) that were dealt.
    repeats, repeats_crossed : int
        Splits made, and those whose curve crossed.
    frequency_per_nm : (R,) float64
        Empty when there was too little to measure.
    curve, curve_low, curve_high : (R,) float64
        Median and 16th and 84th percentile of the correlation over the splits.
    noise : (R,) float64
        Standard deviation of the correlation of one split.
    """

    resolution_nm: float | None
    low_nm: float | None
    high_nm: float | None
    reason: str
    split: Split
    threshold: float
    render_pixel_nm: float
    localizations: int
    units: int
    repeats: int
    repeats_crossed: int
    frequency_per_nm: npt.NDArray[np.float64]
    curve: npt.NDArray[np.float64]
    curve_low: npt.NDArray[np.float64]
    curve_high: npt.NDArray[np.float64]
    noise: npt.NDArray[np.float64]


def measure_frc(
    localizations: Localizations,
    settings: FrcSettings | None = None,
    *,
    progress: Progress | None = None,
) -> FrcReport:
    """Measure the resolution of a table by Fourier ring correlation.

    FRC(q) = sum Re(F1 F2*) / sqrt(sum |F1|^2 sum |F2|^2) over rings of equal frequency, of two
    halves inside a mask with cosine edges an eighth of the field wide, their mean density
    removed. A parabola through the rings within a fifth of each frequency smooths the curve. The
    pixel is chosen by measuring: from a coarse canvas it is refined until it is a quarter of the
    resolution.

    Parameters
    ----------
    localizations : Localizations
        For the split ``molecules`` linked or merged (column ``molecule`` or ``detections``).
    settings : FrcSettings, optional
        Split, repeats, threshold.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    FrcReport
        With ``resolution_nm`` None and a reason where the halves do not agree on anything, agree
        down to the finest detail shown, or are too small.

    Raises
    ------
    TableError
        When the split asks for molecules and the table does not tell them.
    SettingsError
        When the given pixel makes less than 64 or more than 32768 pixels of the field.

    Notes
    -----
    Close to the threshold, where noise dominates, splits of one table scatter like results of
    tables recorded again; splits made of the same eight groups scatter by sqrt(3/4) of that, and
    the interval makes up for it. It holds the truth of tables with a closed form in 55 to 65 %
    of cases; that of a single split in about 45 %, as the noise of the curve leaves out that
    molecules are few. Molecules that come back as another molecule after a long dark time still
    agree with themselves: compare the split by blocks or halves.

    References
    ----------
    Nieuwenhuizen et al., Nat. Methods 10, 557 (2013). doi:10.1038/nmeth.2448
    Banterle et al., J. Struct. Biol. 183, 363 (2013). doi:10.1016/j.jsb.2013.05.004
    """
    settings = settings or FrcSettings()
    _check_canvas(localizations, settings.render_pixel_nm)
    dealing, pixel, curves = in_parts(progress, _DEALING_TIME, _PIXEL_TIME, 1.0)
    units = units_of(localizations, settings.split, block_frames=settings.block_frames)
    dealing(1, 1)
    if units.is_random and units.effective_count < MIN_UNITS:
        return _too_few(localizations, units, settings)
    if not units.is_random and np.bincount(units.unit, minlength=2).min() < MIN_UNITS:
        return _too_few(localizations, units, settings)
    pixel_nm = settings.render_pixel_nm or fitting_pixel_nm(
        localizations, units, threshold=settings.threshold, progress=pixel
    )
    pixel(1, 1)
    measured = measure_curves(
        localizations,
        units,
        pixel_nm=pixel_nm,
        threshold=settings.threshold,
        repeats=settings.repeats,
        seed=settings.seed,
        progress=curves,
    )
    return _report(measured, localizations, units, settings)


def _check_canvas(localizations: Localizations, pixel_nm: float | None) -> None:
    """Refuse a pixel that makes the canvas too small or too large."""
    side_nm = field_side_nm(localizations)
    least_nm, most_nm = side_nm / CANVAS_PX[1], side_nm / CANVAS_PX[0]
    if pixel_nm is not None and not least_nm <= pixel_nm <= most_nm:
        raise SettingsError(
            f"render_pixel_nm must lie between {least_nm:.3g} and {most_nm:.3g} nm for a field of "
            f"{side_nm:.0f} nm, got {pixel_nm:g}; leave it out to have it chosen"
        )


def _report(
    measured: Curves, localizations: Localizations, units: Units, settings: FrcSettings
) -> FrcReport:
    """Return what the splits say together."""
    resolutions_nm, count = measured.resolutions_nm, len(measured.crossings)
    reason = _why_none(measured, localizations, settings)
    low_nm, middle_nm, high_nm = None, None, None
    if not reason:
        middle_nm = float(np.median(resolutions_nm))
        low_nm, high_nm = _interval_nm(measured, middle_nm)
    low, middle, high = np.percentile(measured.curves, [16, 50, 84], axis=0)
    return FrcReport(
        resolution_nm=middle_nm,
        low_nm=low_nm,
        high_nm=high_nm,
        reason=reason or f"{len(resolutions_nm)} of {count} splits crossed",
        render_pixel_nm=measured.pixel_nm,
        repeats=count,
        repeats_crossed=len(resolutions_nm),
        frequency_per_nm=measured.frequency_per_nm,
        curve=middle,
        curve_low=low,
        curve_high=high,
        noise=noise_of(middle, measured.samples),
        **_circumstances(localizations, units, settings),
    )


def _interval_nm(measured: Curves, middle_nm: float) -> tuple[float, float]:
    """Return the interval of the median: from the splits, or for a single one from its noise."""
    if len(measured.crossings) == 1:
        spread = measured.crossings[0].spread_per_nm
        return 1 / (1 / middle_nm + spread), 1 / (1 / middle_nm - spread)
    ratio = np.percentile(measured.resolutions_nm, [16, 84]) / middle_nm
    low_nm, high_nm = middle_nm * ratio**SHARED_GROUPS
    return float(low_nm), float(high_nm)


def _why_none(measured: Curves, localizations: Localizations, settings: FrcSettings) -> str:
    """Return why there is no resolution; empty when there is one."""
    resolutions_nm, count = measured.resolutions_nm, len(measured.crossings)
    flat = count - sum(crossing.has_risen for crossing in measured.crossings)
    level, pixel_nm = f"{settings.threshold:.3g}", measured.pixel_nm
    if 2 * len(resolutions_nm) < count:
        if flat >= count - flat - len(resolutions_nm):
            return (
                f"no resolution: the halves agree on no structure (the curve stays within its "
                f"noise or below {level} in {flat} of {count} splits)"
            )
        return (
            f"no resolution: the curve is still above {level} at the finest detail that pixels "
            f"of {pixel_nm:.3g} nm show; either positions repeat exactly, or a smaller "
            "render_pixel_nm is needed"
        )
    coarsest_nm = field_side_nm(localizations) / MIN_DETAILS
    if np.median(resolutions_nm) > coarsest_nm:
        return (
            f"no resolution: the halves agree only on detail coarser than {coarsest_nm:.0f} nm, "
            "an eighth of the field"
        )
    return ""


def _counted(localizations: Localizations, units: Units) -> str:
    """Return what there is to be dealt into halves, and what that is worth when it is less."""
    count = len(localizations)
    told = f"{count} localizations"
    if count != round(units.effective_count):
        told += f" in {units.names}, which count for {units.effective_count:.0f} equal ones,"
    return told


def _too_few(localizations: Localizations, units: Units, settings: FrcSettings) -> FrcReport:
    """Return the report of a table too small to be split."""
    nothing = np.zeros(0)
    return FrcReport(
        resolution_nm=None,
        low_nm=None,
        high_nm=None,
        reason=f"no resolution: {_counted(localizations, units)} are too few; "
        f"at least {MIN_UNITS} {'' if units.is_random else 'in each half '}are needed",
        render_pixel_nm=settings.render_pixel_nm or field_side_nm(localizations) / FIRST_CANVAS_PX,
        repeats=0,
        repeats_crossed=0,
        frequency_per_nm=nothing,
        curve=nothing,
        curve_low=nothing,
        curve_high=nothing,
        noise=nothing,
        **_circumstances(localizations, units, settings),
    )


def _circumstances(
    localizations: Localizations, units: Units, settings: FrcSettings
) -> dict[str, Any]:
    """Return what every report states."""
    return {
        "split": settings.split,
        "threshold": settings.threshold,
        "localizations": len(localizations),
        "units": int(units.unit.max(initial=-1)) + 1,
    }
