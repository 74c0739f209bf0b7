"""How many molecules there are, though each blinks several times.

Every blink (a row of a merged table) is followed, or not, by another blink of the same molecule
after a dark time. The number of molecules is the number of blinks without a follower. A blink at
the same place may also be another molecule; how often, is seen at the same places half a recording
earlier or later, where the molecule itself is unlikely to be.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.evaluate.recurrence import (
    BLOCKS,
    Recurrence,
    Tally,
    fit_recurrence,
    share_limit,
)
from cellstorm_lib.tables import Localizations

#: Blinks within so many combined uncertainties may be the same molecule: 0.2 % lie further.
REACH = 3.5
#: Blinks that are followed up, at most; the others only follow.
MAX_ORIGINS = 50_000
MAX_PAIRS = 4_000_000
MIN_BLINKS = 100
MIN_FRAMES = 100
#: A molecule must be done within this share of the recording (mean dark time x blinks per
#: molecule), or else it is also where it is looked for by chance, half a recording away.
LONGEST_SHARE = 0.1
#: Where another molecule follows at more of the places, they are too crowded.
MAX_CHANCE = 0.97
_BINS = 100
#: The rate of blinks in the whole field is smoothed over so many frames.
_RATE_FRAMES = 21
#: Side of the squares that are left out together, nm: molecules stay in one, mostly.
_CELL_NM = 2000.0
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountReport:
    """The number of molecules, corrected for blinking.

    Attributes
    ----------
    molecules : float or None
        Molecules that were seen to blink at least once; None when it cannot be told.
    low, high : float or None
        95 % interval.
    blinks : int
        Rows that were counted.
    blinks_per_molecule : float or None
        Blinks over molecules.
    dark_frames : float or None
        Mean dark time between two blinks of a molecule; None when none comes back.
    chance : float
        Share of the blinks at whose place another one follows by chance within the time looked at.
    reason : str
        One sentence.
    """

    molecules: float | None
    low: float | None
    high: float | None
    blinks: int
    blinks_per_molecule: float | None
    dark_frames: float | None
    chance: float
    reason: str


def count_molecules(
    localizations: Localizations, *, claim_ratio: float = 1.0, rng: np.random.Generator
) -> CountReport:
    """Count molecules from their blinks and dark times.

    Parameters
    ----------
    localizations : Localizations
        Merged and drift-corrected, one row per blink (columns ``uncertainty_nm`` and, for the
        length of a blink, ``detections``).
    claim_ratio : float
        True errors over stated uncertainties, as `nena.measure_precision` finds it.
    rng : numpy.random.Generator
        Chooses the blinks to follow up where there are very many.

    Returns
    -------
    CountReport
        With ``molecules`` None and a reason where blinks are too few, too crowded, or come back on
        the time scale of the recording.

    Notes
    -----
    The number of blinks that remain when dark times up to t are allowed is
    N (1 + b exp(-t / dark)), with b reappearances per molecule: the semi-empirical law of Annibale,
    here fitted to times of the next blink, with chance taken off. One mean dark time is assumed,
    and that a molecule's blinks stay within the reach of their uncertainties (0.2 % do not).
    Molecules that never blinked, or too faintly, are not counted.

    References
    ----------
    Annibale et al., PLoS ONE 6, e22678 (2011). doi:10.1371/journal.pone.0022678
    Lee et al., PNAS 109, 17436 (2012). doi:10.1073/pnas.1215175109
    """
    blinks, frames = len(localizations), localizations.field.frame_count
    if "uncertainty_nm" not in localizations:
        return _untold(blinks, "the table states no uncertainty to tell the same place by")
    if blinks < MIN_BLINKS or frames < MIN_FRAMES:
        return _untold(
            blinks,
            f"{blinks} blinks in {frames} frames are too few; {MIN_BLINKS} in {MIN_FRAMES} are "
            "needed",
        )
    waits = _waits(localizations, claim_ratio, rng)
    if waits is None:
        return _untold(blinks, "the blinks lie so densely that every place is another's too")
    chance = float(np.isfinite(waits.control).mean())
    if chance > MAX_CHANCE:
        return _untold(
            blinks,
            f"{chance:.0%} of the places are lit by another molecule within half the recording",
            chance,
        )
    return _report(waits, blinks, frames, chance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waits:
    """Frames until the next blink at the same place, and half a recording away."""

    observed: _Floats
    observed_limit: _Floats
    control: _Floats
    control_limit: _Floats
    block: _Integers
    per_frame: _Floats
    end: _Integers
    away: _Integers

    def chance_ratio(self, wait: _Floats) -> _Floats:
        """Return how many more blinks begin so long after an origin than after its control."""
        return self._rate(self.end, wait) / np.maximum(self._rate(self.away, wait), 1e-300)

    def _rate(self, start: _Integers, wait: _Floats) -> _Floats:
        """Return the mean rate of blinks in the whole field at each wait after the starts."""
        then = start[:, None] + wait.astype(np.int64)
        inside = then < len(self.per_frame)
        rate = np.where(inside, self.per_frame[np.minimum(then, len(self.per_frame) - 1)], 0)
        return np.asarray(rate.sum(axis=0) / np.maximum(inside.sum(axis=0), 1))


def _report(waits: _Waits, blinks: int, frames: int, chance: float) -> CountReport:
    """Return what the waits say, also when nothing comes back."""
    edges = np.unique(np.r_[0, np.rint(np.geomspace(1, frames // 2, _BINS))]).astype(np.float64)
    tallies = (
        Tally.of(waits.observed, waits.block, edges, limit=waits.observed_limit),
        Tally.of(waits.control, waits.block, edges, limit=waits.control_limit),
    )
    ratio = waits.chance_ratio((edges[1:] + edges[:-1]) / 2)
    found = fit_recurrence(*tallies, _exponential, chance_ratio=ratio)
    longest = LONGEST_SHARE * frames
    if not found.is_significant:
        most = share_limit(*tallies, _exponential, longest=longest, chance_ratio=ratio)
        return _told(
            Recurrence(share=0, share_error=most / 1.96, scale=0, scale_error=0, gain=0),
            blinks,
            chance,
            f"no blink of {blinks:,} is followed by more at its place than chance brings; a "
            f"molecule dark for more than {longest:.0f} frames counts anew",
        )
    if found.scale > longest * (1 - found.share):
        return _untold(
            blinks,
            f"molecules come back over {found.scale / (1 - found.share):.0f} frames or more, too "
            f"long for a recording of {frames} to tell them from others: film longer",
            chance,
        )
    # of those that come back, some do so after the end of the recording
    seen = 1 - float(np.mean(np.exp(-waits.observed_limit / found.scale)))
    return _told(
        replace(found, share=found.share * seen, share_error=found.share_error * seen),
        blinks,
        chance,
        f"{found.share * seen:.0%} of {blinks:,} blinks are followed by another of the same "
        f"molecule, after {found.scale:.3g} dark frames on average",
    )


def _told(found: Recurrence, blinks: int, chance: float, reason: str) -> CountReport:
    """Return the count, given the share of blinks that have a follower."""
    molecules, error = blinks * (1 - found.share), blinks * 1.96 * found.share_error
    return CountReport(
        molecules=float(molecules),
        low=float(max(molecules - error, 0)),
        high=float(min(molecules + error, blinks)),
        blinks=blinks,
        blinks_per_molecule=float(blinks / max(molecules, 1.0)),
        dark_frames=found.scale or None,
        chance=chance,
        reason=reason,
    )


def _untold(blinks: int, reason: str, chance: float = 0.0) -> CountReport:
    """Return the report of a table that cannot tell."""
    return CountReport(
        molecules=None,
        low=None,
        high=None,
        blinks=blinks,
        blinks_per_molecule=None,
        dark_frames=None,
        chance=chance,
        reason=reason,
    )


def _waits(
    localizations: Localizations, claim_ratio: float, rng: np.random.Generator
) -> _Waits | None:
    """Return how long every place waits for its next blink; None where there are far too many."""
    frame = localizations.column("frame").astype(np.int64)
    length = np.ones(len(frame), np.int64)
    if "detections" in localizations:
        length = np.maximum(localizations.column("detections").astype(np.int64), 1)
    frames, half = localizations.field.frame_count, localizations.field.frame_count // 2
    end = np.minimum(frame + length - 1, frames - 1)
    origin = np.sort(rng.permutation(len(frame))[:MAX_ORIGINS])
    pairs = _pairs(localizations, origin, claim_ratio)
    if pairs is None:
        return None
    first, second = pairs
    shift = np.where(end[origin] < half, half, -half)
    away = end[origin] + shift
    cells = (localizations.xy_nm[origin] // _CELL_NM).astype(np.int64)
    per_frame = np.bincount(frame, minlength=frames).astype(np.float64)
    return _Waits(
        observed=_next(first, frame[second] - end[origin][first], len(origin)),
        observed_limit=(frames - end[origin]).astype(np.float64),
        control=_next(first, frame[second] - away[first], len(origin)),
        control_limit=(frames - away).astype(np.float64),
        block=(cells[:, 0] * 7 + cells[:, 1] * 13) % BLOCKS,
        per_frame=np.convolve(per_frame, np.ones(_RATE_FRAMES) / _RATE_FRAMES, "same"),
        end=end[origin],
        away=away,
    )


def _pairs(
    localizations: Localizations, origin: _Integers, claim_ratio: float
) -> tuple[_Integers, _Integers] | None:
    """Return which blinks lie at the place of which origin (by its number among the origins)."""
    sigma_nm = claim_ratio * localizations.column("uncertainty_nm").astype(np.float64)
    # a few rows that claim to know nothing must not widen the search for all
    sigma_nm = np.minimum(sigma_nm, 4 * np.median(sigma_nm))
    reach_nm = REACH * np.sqrt(2) * float(np.percentile(sigma_nm, 98))
    xy_nm = localizations.xy_nm
    tree, seekers = cKDTree(xy_nm), cKDTree(xy_nm[origin])
    if seekers.count_neighbors(tree, reach_nm) > MAX_PAIRS:
        return None
    near = seekers.sparse_distance_matrix(tree, reach_nm, output_type="ndarray")
    first, second = near["i"].astype(np.int64), near["j"].astype(np.int64)
    is_same = near["v"] <= REACH * np.hypot(sigma_nm[origin[first]], sigma_nm[second])
    is_same &= origin[first] != second
    return first[is_same], second[is_same]


def _next(first: _Integers, wait: _Integers, origins: int) -> _Floats:
    """Return the shortest wait above 0 of every origin; infinite without one."""
    shortest = np.full(origins, np.inf)
    later = wait > 0
    # a wait of n frames is n - 1 dark ones
    np.minimum.at(shortest, first[later], wait[later] - 1.0)
    return shortest


def _exponential(time: _Floats) -> _Floats:
    """Return the share of dark times longer than one, their mean being 1."""
    return np.asarray(np.exp(-time))
