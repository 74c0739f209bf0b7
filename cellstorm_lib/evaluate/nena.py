"""How precise the localizations are, from molecules seen in two consecutive frames.

A molecule that shines on is localized twice. Without error both positions were the same; their
distance d follows d/(2 s^2) exp(-d^2 / 4 s^2), s being the precision per axis. Nothing that the
fit claims goes in. Positions that the codec copied repeat the error of the frame before and are
left out; noise that compression carries from frame to frame in smaller measure is not seen, so on
compressed film the figure is a lower bound. A network that makes each frame from several gives
neighbours the same error, so on denoised frames it is a lower bound, too, and a looser one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.evaluate.recurrence import BLOCKS, Recurrence, Tally, fit_recurrence
from cellstorm_lib.tables import Localizations

#: Frames between a spot and its control; a blink should have ended by then.
CONTROL_FRAMES = 1000
MIN_FRAMES = 60
MIN_LOCALIZATIONS = 100
#: First look for neighbours within this many camera pixels, then within this many scales.
FIRST_REACH_PX = 4.0
LAST_REACH = 6.0
_BINS = 120
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionReport:
    """The localization precision by nearest neighbours in consecutive frames.

    Attributes
    ----------
    precision_nm : float or None
        One standard deviation per axis; None when it cannot be told.
    low_nm, high_nm : float or None
        95 % interval.
    share : float
        Share of the localizations that are seen again in the next frame.
    localizations, copied : int
        Rows that were used, and rows left out because the codec copied them.
    claimed_nm : float or None
        Median of the uncertainties that the table states for these rows.
    claim_ratio : float or None
        True spread over stated uncertainty, from distances divided by what both rows state; above
        1 the table claims too much.
    claim_ratio_low, claim_ratio_high : float or None
        95 % interval.
    is_lower_bound : bool
        Whether the frames share noise beyond what a codec does: those of a network.
    reason : str
        One sentence.
    """

    precision_nm: float | None
    low_nm: float | None
    high_nm: float | None
    share: float
    localizations: int
    copied: int
    claimed_nm: float | None
    claim_ratio: float | None
    claim_ratio_low: float | None
    claim_ratio_high: float | None
    is_lower_bound: bool
    reason: str


def measure_precision(localizations: Localizations) -> PrecisionReport:
    """Measure the localization precision from molecules seen in consecutive frames.

    Parameters
    ----------
    localizations : Localizations
        Spots as found, one row per spot and frame, not merged. Drift over one frame does not
        matter.

    Returns
    -------
    PrecisionReport
        With ``precision_nm`` None and a reason when no more neighbours are near in the next frame
        than in a frame far away.

    Notes
    -----
    The published form fits one histogram with a short-range term and guesses of the chance
    neighbours. Here those are measured, as the nearest neighbours in frames up to 1000 away, so
    that crowded or clustered molecules need no model. The result is one spread for spots that
    differ; it lies between the median and the root mean square of theirs.

    References
    ----------
    Endesfelder et al., Histochem. Cell Biol. 141, 629 (2014). doi:10.1007/s00418-014-1192-3
    """
    fresh = localizations
    if "is_copied" in localizations:
        fresh = localizations.take(~localizations.column("is_copied").astype(bool))
    counts = {"localizations": len(fresh), "copied": len(localizations) - len(fresh)}
    claimed_nm = _claimed_nm(fresh)
    if "detections" in fresh and len(fresh) and (fresh.column("detections") > 1).any():
        return _untold(counts, claimed_nm, "the table is merged: its molecules are seen only once")
    if len(fresh) < MIN_LOCALIZATIONS or fresh.field.frame_count < MIN_FRAMES:
        return _untold(
            counts,
            claimed_nm,
            f"{len(fresh)} localizations in {fresh.field.frame_count} frames are too few; "
            f"{MIN_LOCALIZATIONS} in {MIN_FRAMES} are needed",
        )
    first_reach_nm = FIRST_REACH_PX * fresh.field.pixel_size_nm
    found = _recurrence(fresh, first_reach_nm, None)
    if found.is_significant:
        found = _recurrence(fresh, min(first_reach_nm, LAST_REACH * found.scale), None)
    if not found.is_significant:
        return _untold(
            counts,
            claimed_nm,
            "neighbours in the next frame are as far away as in frames much later: no molecule is "
            "seen to shine on",
        )
    return _told(fresh, found, counts, claimed_nm)


def _told(
    fresh: Localizations, found: Recurrence, counts: dict[str, int], claimed_nm: _Floats | None
) -> PrecisionReport:
    """Return the report of a precision that was measured, beside what the table claims."""
    precision_nm, error_nm = found.scale / np.sqrt(2), found.scale_error / np.sqrt(2)
    text = (
        f"{found.share:.0%} of {len(fresh):,} localizations are seen again in the next frame, "
        f"{precision_nm:.3g} nm away from themselves per axis"
    )
    if _is_denoised(fresh):
        text += ", but denoised frames share the noise of the film with their neighbours"
    ratio, low, high = None, None, None
    if claimed_nm is not None:
        reach = LAST_REACH * float(found.scale / np.sqrt(2) / np.median(claimed_nm))
        by_claim = _recurrence(fresh, reach, claimed_nm)
        if by_claim.is_significant:
            ratio = by_claim.scale
            low, high = ratio - 1.96 * by_claim.scale_error, ratio + 1.96 * by_claim.scale_error
            text += (
                f"; errors are {ratio:.2f} times what the table states ({low:.2f} to {high:.2f})"
            )
    return PrecisionReport(
        precision_nm=float(precision_nm),
        low_nm=float(precision_nm - 1.96 * error_nm),
        high_nm=float(precision_nm + 1.96 * error_nm),
        share=found.share,
        claimed_nm=None if claimed_nm is None else float(np.median(claimed_nm)),
        claim_ratio=ratio,
        claim_ratio_low=low,
        claim_ratio_high=high,
        is_lower_bound=_is_denoised(fresh),
        reason=text,
        **counts,
    )


def _untold(counts: dict[str, int], claimed_nm: _Floats | None, reason: str) -> PrecisionReport:
    """Return the report of a table that cannot tell."""
    has_claims = claimed_nm is not None and len(claimed_nm) > 0
    return PrecisionReport(
        precision_nm=None,
        low_nm=None,
        high_nm=None,
        share=0.0,
        claimed_nm=float(np.median(claimed_nm)) if has_claims else None,  # type: ignore[arg-type]
        claim_ratio=None,
        claim_ratio_low=None,
        claim_ratio_high=None,
        is_lower_bound=False,
        reason=reason,
        **counts,
    )


def _is_denoised(localizations: Localizations) -> bool:
    """Return whether a network made the frames of a table."""
    return "model_digest" in localizations.provenance


def _claimed_nm(localizations: Localizations) -> _Floats | None:
    """Return the stated uncertainties; None when there are none, or not all are above 0."""
    if "uncertainty_nm" not in localizations:
        return None
    claimed_nm = localizations.column("uncertainty_nm").astype(np.float64)
    return claimed_nm if (claimed_nm > 0).all() else None


def _recurrence(fresh: Localizations, reach: float, claimed_nm: _Floats | None) -> Recurrence:
    """Fit the distances to the next frame; in units of what both rows claim, when given."""
    frames = fresh.field.frame_count
    lag = min(CONTROL_FRAMES, frames // 3)
    frame = fresh.column("frame").astype(np.int64)
    block = frame * BLOCKS // frames
    # far enough for every neighbour that can matter, however much it claims
    reach_nm = reach * (1.0 if claimed_nm is None else np.sqrt(2) * float(claimed_nm.max()))
    reach_nm = min(reach_nm, FIRST_REACH_PX * fresh.field.pixel_size_nm)
    search = _Search(fresh.xy_nm, frame, reach_nm, frames)
    edges = np.linspace(0, reach, _BINS + 1)

    def tally(steps: tuple[int, ...]) -> Tally:
        parts = [search.nearest(step, claimed_nm) for step in steps]
        distance = np.concatenate([part[0] for part in parts])
        rows = np.concatenate([part[1] for part in parts])
        return Tally.of(distance, block[rows], edges)

    per_frame = np.bincount(frame, minlength=frames).astype(np.float64)
    near = (per_frame[:-1] @ per_frame[1:]) / max(per_frame[:-1].sum(), 1)
    far = 2 * (per_frame[:-lag] @ per_frame[lag:])
    far /= max(per_frame[:-lag].sum() + per_frame[lag:].sum(), 1)
    return fit_recurrence(
        tally((1,)), tally((lag, -lag)), _rayleigh, chance_ratio=near / far if far > 0 else 1.0
    )


def _rayleigh(distance: _Floats) -> _Floats:
    """Return the share of distances beyond one, two equal errors per axis adding up to 1."""
    return np.asarray(np.exp(-0.5 * distance**2))


class _Search:
    """Finds the nearest spot of another frame: a tree in which frames lie out of reach."""

    def __init__(
        self, xy_nm: _Floats, frame: npt.NDArray[np.int64], reach_nm: float, frames: int
    ) -> None:
        self._xy_nm, self._frame, self._reach_nm, self._frames = xy_nm, frame, reach_nm, frames
        self._tree = cKDTree(np.column_stack([xy_nm, frame * (2 * reach_nm)]))

    def nearest(
        self, step: int, claimed_nm: _Floats | None
    ) -> tuple[_Floats, npt.NDArray[np.int64]]:
        """Return distances to the nearest spot `step` frames on, and the rows they belong to."""
        there = self._frame + step
        rows = np.flatnonzero((there >= 0) & (there < self._frames))
        place = np.column_stack([self._xy_nm[rows], there[rows] * (2 * self._reach_nm)])
        found = self._tree.query(place, distance_upper_bound=self._reach_nm)
        distance, other = np.asarray(found[0]), np.asarray(found[1])
        if claimed_nm is not None:
            is_found = np.isfinite(distance)
            both_nm = np.hypot(claimed_nm[rows[is_found]], claimed_nm[other[is_found]])
            distance[is_found] /= both_nm
        return distance, rows
