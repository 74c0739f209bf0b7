"""What two tables of one recording have in common, and which of the rest is likely to be real.

Without a truth nobody can say of a single spot whether it is a molecule. But molecules sit on the
structure that is seen throughout the recording, and false spots do not: of spots that only one of
two tables has, the share that lies where others were found at other times tells how many are real.
Where one table comes from frames that were made of the recording, its spots must show in the
recording itself, too; what a network makes up at one place again and again does not. And as many
of them must begin a blink as end one: afterimages only follow.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.evaluate.match import Matches, match_localizations
from cellstorm_lib.evaluate.real_shares import Counted, Draws, Echoes, Own, Range, Shown, range_of
from cellstorm_lib.evaluate.support import (
    Support,
    block_edges,
    count_echoes,
    count_supports,
    per_block,
    places,
)
from cellstorm_lib.tables import Localizations

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOLERANCE_NM = 250.0
#: Spots of one place count as independent when so many frames lie between them.
APART_FRAMES = 50
#: Fainter real spots, mostly beginnings and ends of a blink, speak neither for nor against the
#: table that has them: denoised frames are not searched for them.
FAINT_PHOTONS = 112.5
#: Next to the edge a localizer may leave spots out for want of pixels.
EDGE_PX = 4.0
_FEWEST_COMMON, _FEWEST_SHOWN = 60, 20
#: With fewer, the first table takes the place of the common spots.
_LEAST_COMMON_SHARE = 0.2
#: Standard deviations by which spots must exceed their control before it tells anything.
_CERTAIN, _LEAST_EXCESS = 5.0, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """By how much the second table's common spots lie beside the first's, pixels.

    Attributes
    ----------
    x_px, y_px : float
        Medians of second minus first.
    error_px : float
        Standard error of either.
    photons_ratio : float or None
        Median of the photons of the second over those of the first.
    """

    x_px: float
    y_px: float
    error_px: float
    photons_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """Two tables of one recording, compared without a truth.

    Attributes
    ----------
    common : int
        Spots that both tables have.
    only_first, only_second : (N,) bool
        Rows of either table that the other has not.
    real_first, real_second : Range or None
        Share of these that is likely to be real; None when there are none, or when the
        recording does not tell.
    shown_second : Range or None
        Light that the recording shows of `only_second`, each for its photons, over the same of
        the common spots; None when it was not asked for.
    gain : Range or None
        Jaccard index of the second table minus that of the first, the truth being all that is
        likely to be real in either; None when the recording does not tell.
    displacement : Displacement or None
        Of the common spots; None when there are too few.
    reason : str
        Why it does not tell; empty when it does.
    """

    common: int
    only_first: Mask
    only_second: Mask
    real_first: Range | None
    real_second: Range | None
    gain: Range | None
    shown_second: Range | None = None
    displacement: Displacement | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of two tables: far from the edge, of one alone, both of these, and common pairs."""

    inner: tuple[Mask, Mask]
    only: tuple[Mask, Mask]
    own: tuple[Mask, Mask]
    common: Matches

    @classmethod
    def of(cls, first: Localizations, second: Localizations, matches: Matches) -> "_Rows":
        """Return the rows of two tables whose spots were paired."""
        inner = _is_inner(first), _is_inner(second)
        only_first, only_second = np.ones(len(first), bool), np.ones(len(second), bool)
        only_first[matches.localization], only_second[matches.emitter] = False, False
        return cls(
            inner=inner,
            only=(only_first, only_second),
            own=(only_first & inner[0], only_second & inner[1]),
            common=matches.take(inner[1][matches.emitter]),
        )


def compare_tables(
    first: Localizations,
    second: Localizations,
    *,
    shown_e: Floats | None = None,
    seed: int = 0,
    apart_frames: int = APART_FRAMES,
) -> Agreement:
    """Compare two tables of spots, one row a spot and frame, of the same recording.

    Parameters
    ----------
    first, second : Localizations
        Before merging; fields must be the same. The first is of the recording as it is.
    shown_e : (N,) float64, optional
        Light that the recording shows at each spot of the second table, photoelectrons.
    seed : int
        Of the control's directions and of the bootstrap.
    apart_frames : int
        Spots at one place confirm each other when more frames than this lie between them.

    Returns
    -------
    Agreement

    Raises
    ------
    TableError
        When the tables are of different fields.

    Notes
    -----
    A spot is supported when another one, found in both tables, lies within 0.5, 1 or 2 px of it
    more than `apart_frames` frames before or after. Of common spots a share S is supported,
    of the same spots moved by 4 to 8 px a share C; of spots that one table alone has, s and c.
    (s - c) / (S - C) is the share that is real, if false spots lie anywhere in the neighbourhood
    and real ones on the structure. The radius is that with the largest S - C. With `shown_e`, no
    larger share of the second table's own spots is real than shows light in the recording; nor is
    the excess of those that follow a common spot at their place over those that precede one. Where
    less than a fifth of the first table is common, the first table stands in for the common spots.
    Intervals are from a bootstrap over blocks of frames, in which either share is divided by a
    number from 0.8 to 1.05, as it may be off by that. Spots within 4 px of the edge are left
    out; real spots fainter than `FAINT_PHOTONS` (on the first table's scale) are not missed in
    the other table. Real spots that sit at places never seen again count as false in both tables
    alike; copies of a molecule that the codec leaves in its place count as real.
    """
    _refuse_other_field(first, second)
    matches = match_localizations(first, second, TOLERANCE_NM)
    rows = _Rows.of(first, second, matches)
    edges = block_edges(first.field.frame_count)
    shown = _shown(second, shown_e, rows, edges)
    moved = _displacement(first, second, rows.common)
    rng = np.random.default_rng(seed)
    draws = Draws.by_chance(len(edges) + 1, rng)
    found = Agreement(
        common=len(matches),
        only_first=rows.only[0],
        only_second=rows.only[1],
        real_first=None,
        real_second=None,
        gain=None,
        shown_second=range_of(shown.share, draws) if shown is not None else None,
        displacement=moved,
    )
    ratio = moved.photons_ratio if moved is not None and moved.photons_ratio else 1.0
    at = places(first), places(second)
    shared = at[1][rows.common.emitter]
    reference = shared
    if len(shared) < max(_FEWEST_COMMON, _LEAST_COMMON_SHARE * rows.inner[0].sum()):
        reference = at[0][rows.inner[0]]
    parts = [
        at[k][rows.own[k] & is_of_kind]
        for k, is_faint in enumerate((_is_faint(first, 1.0), _is_faint(second, ratio)))
        for is_of_kind in (~is_faint, is_faint)
    ]
    seen, *counts = count_supports([reference, *parts], reference, first, apart_frames, rng)
    reason = _untold(seen, len(matches))
    if reason:
        return replace(found, reason=reason)
    alone = at[1][rows.own[1]]
    counted = Counted(
        common=per_block(shared[:, 2], edges),
        reference=seen,
        own=(Own(*counts[:2]), Own(*counts[2:])),
        shown=shown,
        echoes=Echoes(*count_echoes(alone, shared, edges), per_block(alone[:, 2], edges)),
    )
    return replace(
        found,
        real_first=range_of(counted.real_first, draws) if rows.own[0].any() else None,
        real_second=range_of(counted.real_second, draws) if rows.own[1].any() else None,
        gain=range_of(counted.gain, draws),
    )


def _untold(reference: Support, common: int) -> str:
    """Return why the recording does not tell what is real; nothing when it does."""
    few = f"only {common} spots are found in both, too few to show a structure"
    total = float(reference.count.sum())
    if total < _FEWEST_COMMON:
        return few
    chance = float(np.sqrt(max(reference.supported.sum(), 1.0))) / total
    if reference.excess >= max(_CERTAIN * chance, _LEAST_EXCESS):
        return ""
    if common < _FEWEST_COMMON:
        return few
    return "the spots show no structure that is seen again at another time"


def _refuse_other_field(first: Localizations, second: Localizations) -> None:
    """Raise when two tables are of different fields."""
    one, other = first.field, second.field
    if (one.width_px, one.height_px) != (other.width_px, other.height_px):
        raise TableError(
            "tables of two different fields cannot be compared: "
            f"{one.width_px} x {one.height_px} and {other.width_px} x {other.height_px} pixels"
        )


def _displacement(
    first: Localizations, second: Localizations, matches: Matches
) -> Displacement | None:
    """Return how far common spots are apart, along either axis, and how their photons compare."""
    if len(matches) < _FEWEST_COMMON:
        return None
    size_nm = first.field.pixel_size_nm
    apart = (second.xy_nm[matches.emitter] - first.xy_nm[matches.localization]) / size_nm
    middle = np.median(apart, axis=0)
    # of a median, from the median absolute deviation of normal errors
    spread = 1.4826 * np.median(np.abs(apart - middle), axis=0).max()
    ratio = None
    if "photons" in first and "photons" in second:
        one = first.column("photons")[matches.localization].astype(np.float64)
        other = second.column("photons")[matches.emitter].astype(np.float64)
        ratio = float(np.median(other / np.maximum(one, 1e-9)))
    return Displacement(
        x_px=float(middle[0]),
        y_px=float(middle[1]),
        error_px=float(np.sqrt(np.pi / 2 / len(matches)) * spread),
        photons_ratio=ratio,
    )


def _is_inner(table: Localizations) -> Mask:
    """Return which spots are far enough from the edge to be found by any localizer."""
    field = table.field
    xy_px = table.xy_nm / field.pixel_size_nm
    size_px = np.array([field.width_px, field.height_px])
    return np.asarray((np.minimum(xy_px, size_px - xy_px) >= EDGE_PX).all(axis=1))


def _is_faint(table: Localizations, photons_ratio: float) -> Mask:
    """Return which spots are fainter than is asked for; none of a table without photons."""
    if "photons" not in table:
        return np.zeros(len(table), bool)
    return np.asarray(table.column("photons") < FAINT_PHOTONS * photons_ratio)


def _shown(
    second: Localizations, shown_e: Floats | None, rows: _Rows, edges: Floats
) -> Shown | None:
    """Return what light a recording shows of common and own spots, by block."""
    common, own = rows.common.emitter, np.flatnonzero(rows.own[1])
    if shown_e is None or "photons" not in second or len(common) < _FEWEST_SHOWN or not len(own):
        return None
    frame = second.column("frame").astype(np.float64)
    photons = second.column("photons").astype(np.float64)
    sums = [
        per_block(frame[chosen], edges, weight[chosen])
        for chosen in (common, own)
        for weight in (shown_e, photons)
    ]
    return Shown(*sums)
