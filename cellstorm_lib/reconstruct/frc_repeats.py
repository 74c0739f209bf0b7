"""The Fourier ring correlation without what molecules agree on with themselves.

A molecule that was seen several times lies in both halves of a table and correlates there although
it shows no structure. Dealing whole molecules prevents that as far as they are known; one that
comes back after a long dark time is not. Here the repeats are measured in the correlation itself
and taken off. Over the localizations of a table, dealt one by one, the product of the halves is
x(q) = D(q) / N + Q w(q): the structure D, and Q repeats of each localization, blurred by the
precision, w = exp(-4 pi^2 s^2 q^2). Q is told from D in two ways:

* by frequency: structure falls off faster than w, and what is left at high frequencies is Q.
  Filaments fall off so slowly that this often cannot be told.
* by time: molecules come back soon, and structure is there always. Localizations of parts of the
  recording that lie far apart have D alone. Molecules that come back over the whole recording are
  not seen so, and Q is a lower bound.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.crossing import Crossing, Smoothing, first_crossing
from cellstorm_lib.reconstruct.curves import fitting_pixel_nm
from cellstorm_lib.reconstruct.deal import Units, deal
from cellstorm_lib.reconstruct.frc import MIN_UNITS
from cellstorm_lib.reconstruct.repeats import (
    PRECISION_MEASURED,
    PRECISION_STATED,
    TIME_PARTS,
    Blur,
    RepeatsFit,
    agreement,
    fit_by_frequency,
    fit_by_time,
    noise_of_groups,
    time_parts,
    without_repeats,
)
from cellstorm_lib.reconstruct.rings import RingSums, ring_sums
from cellstorm_lib.tables import Localizations

#: Q is told when its error is below this share of Q + 1.
MAX_ERROR = 0.5
#: Frequencies that tell so many of their errors more than time: molecules come back too late for
#: time to see.
LATE_ERRORS = 5.0
#: Of a field wider than so many times the precision the fullest part is looked at, which bounds
#: the time; places along each side that are tried for it.
MAX_SIDE_SIGMAS = 2048.0
_STEPS = 5
#: Times to find the pixel, and for both kinds of groups, beside each other.
_TIMES = (0.4, 1.0, 1.0)
#: Frames with localizations, or else time tells nothing.
MIN_FRAMES = 80
THRESHOLD = 1 / 7
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepeatsReport:
    """Resolution before and after the repeats of molecules are taken off.

    Attributes
    ----------
    repeats : float or None
        Q: other localizations of the same molecule, for an average localization; None when it
        cannot be told.
    repeats_error : float or None
        Its standard error.
    told_by : str
        ``frequency``, or ``time`` (Q is then a lower bound); empty when it cannot be told.
    uncorrected_nm, corrected_nm : float or None
        Resolution with the localizations dealt one by one, as they are and without repeats; None
        without a resolution.
    corrected_low_nm, corrected_high_nm : float or None
        68 % interval, from the noise of the curve and the error of Q.
    reason : str
        One sentence.
    frequency_per_nm, uncorrected, corrected : (R,) float64
        The curves; empty without any.
    """

    repeats: float | None
    repeats_error: float | None
    told_by: str
    uncorrected_nm: float | None
    corrected_nm: float | None
    corrected_low_nm: float | None
    corrected_high_nm: float | None
    reason: str
    frequency_per_nm: _Floats
    uncorrected: _Floats
    corrected: _Floats


def correct_repeats(
    localizations: Localizations,
    *,
    claim_ratio: float = 1.0,
    is_measured: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> RepeatsReport:
    """Measure the repeats of molecules in the Fourier ring correlation, and correct for them.

    Parameters
    ----------
    localizations : Localizations
        Any table with the column ``uncertainty_nm``. Of a merged one Q counts the blinks that
        merging did not put together.
    claim_ratio : float
        True errors over stated uncertainties.
    is_measured : bool
        Whether that ratio was measured, and is no guess.
    seed : int
        Of the dealing.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    RepeatsReport
        With ``repeats`` None and a reason where structure and repeats cannot be told apart.

    Notes
    -----
    Of a field wider than 2048 times the precision the fullest part is measured. The correlation is
    x / (2 + x); corrected it is (x - Q w) / (2 + x + Q w), which is what halves
    of whole molecules would give. Clusters smaller than the precision count as repeats when the
    frequencies decide; drift that was not corrected does when time does.

    References
    ----------
    Nieuwenhuizen et al., Nat. Methods 10, 557 (2013). doi:10.1038/nmeth.2448 (supplement: Q)
    """
    if "uncertainty_nm" not in localizations:
        return _untold("the table states no uncertainty, which the repeats are known by")
    if len(localizations) < 8 * MIN_UNITS:
        return _untold(f"{len(localizations)} localizations are too few")
    sigma_nm = np.maximum(localizations.column("uncertainty_nm").astype(np.float64), 0.1)
    sigma_nm *= claim_ratio
    box = _fullest_box(localizations, MAX_SIDE_SIGMAS * float(np.median(sigma_nm)))
    units = Units(unit=np.arange(len(box)), names="localizations", is_random=True)
    pixel, at_random_told, parts_told = in_parts(progress, *_TIMES)
    pixel_nm = fitting_pixel_nm(box, units, threshold=THRESHOLD, progress=pixel)
    pixel(1, 1)
    at_random, count = deal(units, np.random.default_rng(seed))
    sums = _sums(box, at_random, count, pixel_nm, at_random_told)
    blur = Blur(sums.frequency_per_nm, sigma_nm)
    power = agreement(sums)
    known = PRECISION_MEASURED if is_measured else PRECISION_STATED
    fits = [fit_by_frequency(power, sums.samples, blur, known=known)]
    if len(np.unique(box.column("frame"))) >= MIN_FRAMES:
        parts = _sums(box, time_parts(len(box)), TIME_PARTS, pixel_nm, parts_told)
        fits.append(
            fit_by_time(parts, noise_of_groups(sums) * count / TIME_PARTS, power, blur, known=known)
        )
    fit = _chosen([fit for fit in fits if fit is not None])
    return _report(sums, power, blur, fit)


def _fullest_box(localizations: Localizations, side_nm: float) -> Localizations:
    """Return the part of a large field that holds most; the whole of one no larger than that."""
    fov, xy_nm = localizations.field, localizations.xy_nm
    side_px = int(np.ceil(side_nm / fov.pixel_size_nm))
    if max(fov.width_px, fov.height_px) <= side_px:
        return localizations
    across_px, down_px = min(side_px, fov.width_px), min(side_px, fov.height_px)
    corners_px = [
        (left, top)
        for left in np.linspace(0, fov.width_px - across_px, _STEPS).astype(int)
        for top in np.linspace(0, fov.height_px - down_px, _STEPS).astype(int)
    ]
    size_nm = np.array([across_px, down_px]) * fov.pixel_size_nm

    def inside(corner_px: tuple[int, int]) -> npt.NDArray[np.bool_]:
        place_nm = xy_nm - np.array(corner_px) * fov.pixel_size_nm
        return np.asarray(((place_nm >= 0) & (place_nm < size_nm)).all(axis=1))

    best = max(corners_px, key=lambda corner_px: int(inside(corner_px).sum()))
    kept = localizations.take(inside(best))
    shifted = kept.with_columns(
        x_nm=kept.column("x_nm") - best[0] * fov.pixel_size_nm,
        y_nm=kept.column("y_nm") - best[1] * fov.pixel_size_nm,
    )
    return replace(shifted, field=replace(fov, width_px=across_px, height_px=down_px))


def _chosen(fits: list[RepeatsFit]) -> RepeatsFit | None:
    """Return the fit to believe: the surer one, unless the other tells what it cannot see."""
    told = [fit for fit in fits if fit.error < MAX_ERROR * (1 + fit.repeats)]
    if len(told) < 2:
        return told[0] if told else None
    by_frequency, by_time = told
    if (
        by_frequency.repeats - LATE_ERRORS * by_frequency.error
        > by_time.repeats + 2 * by_time.error
    ):
        return by_frequency
    if by_frequency.repeats < by_time.repeats:  # time tells at least what there is
        return by_time
    return min(told, key=lambda fit: fit.error)


def _sums(
    localizations: Localizations,
    group: npt.NDArray[np.int64],
    count: int,
    pixel_nm: float,
    progress: Progress,
) -> RingSums:
    """Return the ring sums of groups of a table."""
    fov = localizations.field
    return ring_sums(
        localizations.xy_nm,
        group,
        group_count=count,
        size_nm=(fov.width_nm, fov.height_nm),
        pixel_nm=pixel_nm,
        progress=progress,
    )


def _report(sums: RingSums, power: _Floats, blur: Blur, fit: RepeatsFit | None) -> RepeatsReport:
    """Return the resolution with and without repeats."""
    frequency, smoothing = sums.frequency_per_nm, Smoothing.of(sums)
    smooth = smoothing.weights @ power
    uncorrected = without_repeats(smooth, np.zeros_like(smooth))
    before = first_crossing(frequency, uncorrected, smoothing.samples, THRESHOLD)
    if fit is None:
        return _untold(
            "the correlation is noise before structure and repeats can be told apart",
            uncorrected_nm=_nm(before),
        )
    spurious = blur.w(fit.ratio)

    def crossing(q: float) -> Crossing:
        return first_crossing(
            frequency, without_repeats(smooth, q * spurious), smoothing.samples, THRESHOLD
        )

    after = crossing(fit.repeats)
    low_nm, high_nm = _interval_nm(
        after, crossing(fit.repeats - fit.error), crossing(fit.repeats + fit.error)
    )
    return RepeatsReport(
        repeats=fit.repeats,
        repeats_error=fit.error,
        told_by=fit.told_by,
        uncorrected_nm=_nm(before),
        corrected_nm=_nm(after),
        corrected_low_nm=low_nm,
        corrected_high_nm=high_nm,
        reason=f"an average localization has {fit.repeats:.2g} others of its molecule (standard "
        f"error {fit.error:.1g}), told by {fit.told_by}"
        + ("" if _nm(after) else "; without them the halves agree on no structure"),
        frequency_per_nm=frequency,
        uncorrected=uncorrected,
        corrected=without_repeats(smooth, fit.repeats * spurious),
    )


def _untold(reason: str, *, uncorrected_nm: float | None = None) -> RepeatsReport:
    """Return the report of a table that cannot tell."""
    empty = np.zeros(0)
    return RepeatsReport(
        repeats=None,
        repeats_error=None,
        told_by="",
        uncorrected_nm=uncorrected_nm,
        corrected_nm=None,
        corrected_low_nm=None,
        corrected_high_nm=None,
        reason=reason,
        frequency_per_nm=empty,
        uncorrected=empty,
        corrected=empty,
    )


def _nm(crossing: Crossing) -> float | None:
    """Return the resolution of a crossing."""
    return None if crossing.frequency_per_nm is None else 1 / crossing.frequency_per_nm


def _interval_nm(
    at: Crossing, with_less: Crossing, with_more: Crossing
) -> tuple[float | None, float | None]:
    """Return the interval of a crossing: its own noise, and what Q does to it."""
    if at.frequency_per_nm is None:
        return None, None
    shifts = [
        abs((other.frequency_per_nm or 0.0) - at.frequency_per_nm)
        for other in (with_less, with_more)
    ]
    up, down = (float(np.hypot(at.spread_per_nm, shift)) for shift in shifts)
    down = min(down, 0.9 * at.frequency_per_nm)
    return 1 / (at.frequency_per_nm + up), 1 / (at.frequency_per_nm - down)
