"""Which localization belongs to which true emitter.

As in the challenge of 2016 (Sage et al.): frame by frame, one to one, within a lateral
tolerance. The default ``greedy`` is the challenge's own: all candidate pairs in order of their
distance, each taken when both are still free. ``hungarian`` makes as many pairs as possible and
among those the least total distance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import Emitters, Localizations

MatchMethod = Literal["greedy", "hungarian"]
#: Localizations whose frames are matched together, unless one frame has more.
_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Pairs of localizations and emitters.

    Attributes
    ----------
    localization, emitter : (K,) int64
        Rows in the two tables.
    distance_nm : (K,) float64
        Lateral distance of each pair.
    """

    localization: npt.NDArray[np.int64]
    emitter: npt.NDArray[np.int64]
    distance_nm: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.distance_nm)

    def take(self, chosen: npt.NDArray[Any]) -> "Matches":
        """Return some of the pairs, by mask or by indices."""
        return Matches(
            localization=self.localization[chosen],
            emitter=self.emitter[chosen],
            distance_nm=self.distance_nm[chosen],
        )

    def shifted(self, localizations: int, emitters: int) -> "Matches":
        """Return the pairs of tables whose first rows stand further down in larger ones."""
        return Matches(
            localization=self.localization + localizations,
            emitter=self.emitter + emitters,
            distance_nm=self.distance_nm,
        )


def match_localizations(
    localizations: Localizations,
    emitters: Emitters | Localizations,
    tolerance_nm: float = 250.0,
    *,
    method: MatchMethod = "greedy",
    min_photons: float = 0.0,
    progress: Progress | None = None,
) -> Matches:
    """Pair localizations with true emitters of the same frame.

    Parameters
    ----------
    localizations : Localizations
        What was found; may be empty.
    emitters : Emitters or Localizations
        The truth, one row for each emitter in each frame; may be empty.
    tolerance_nm : float
        Largest lateral distance of a pair; a pair at exactly this distance counts.
    method : str
        ``greedy`` or ``hungarian``.
    min_photons : float
        Emitters dimmer than this cannot be matched.
    progress : callable, optional
        Called with localizations done and all; they are matched some frames at a time.

    Returns
    -------
    Matches
        In the order of the localizations.

    Raises
    ------
    SettingsError
        When the tolerance is not above 0, or the method unknown.

    References
    ----------
    Sage et al., Nat. Methods 16, 387 (2019). doi:10.1038/s41592-019-0364-4
    """
    if not (np.isfinite(tolerance_nm) and tolerance_nm > 0):
        raise SettingsError(f"tolerance_nm must be above 0, got {tolerance_nm}")
    if method not in get_args(MatchMethod):
        raise SettingsError(f"method must be one of {list(get_args(MatchMethod))}, got {method!r}")
    found, true = places(localizations, tolerance_nm), places(emitters, tolerance_nm)
    is_bright = emitters.column("photons") >= min_photons if min_photons > 0 else None
    parts = []
    for rows, true_rows in _some_frames(localizations, emitters):
        pairs = _candidate_pairs(found[rows], true[true_rows], tolerance_nm)
        if is_bright is not None:
            pairs = pairs.take(is_bright[true_rows][pairs.emitter])
        sizes = rows.stop - rows.start, true_rows.stop - true_rows.start
        chosen = _greedy(pairs, sizes) if method == "greedy" else _hungarian(pairs, sizes)
        chosen = chosen[np.argsort(pairs.localization[chosen], kind="stable")]
        parts.append(pairs.take(chosen).shifted(rows.start, true_rows.start))
        if progress is not None:
            progress(rows.stop, len(localizations))
    return Matches(
        localization=np.concatenate([np.zeros(0, np.int64), *(it.localization for it in parts)]),
        emitter=np.concatenate([np.zeros(0, np.int64), *(it.emitter for it in parts)]),
        distance_nm=np.concatenate([np.zeros(0), *(it.distance_nm for it in parts)]),
    )


def _some_frames(
    localizations: Localizations, emitters: Emitters | Localizations
) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of some frames after the other in both tables, which are sorted by frame."""
    frame, true_frame = localizations.column("frame"), emitters.column("frame")
    first = np.unique(frame[::_AT_ONCE])
    starts = np.append(np.searchsorted(frame, first), len(frame)).tolist()
    true_starts = np.append(np.searchsorted(true_frame, first), len(true_frame)).tolist()
    for at in range(len(first)):
        yield slice(*starts[at : at + 2]), slice(*true_starts[at : at + 2])


def _candidate_pairs(
    found: npt.NDArray[np.float64], true: npt.NDArray[np.float64], tolerance_nm: float
) -> Matches:
    """Return all pairs of one frame that are within the tolerance, of the places of two tables."""
    if not (len(found) and len(true)):
        nothing = np.zeros(0, np.int64)
        return Matches(localization=nothing, emitter=nothing, distance_nm=np.zeros(0))
    # A hair more, then exactly: rounding must not decide about pairs at the tolerance itself.
    near = cKDTree(found).sparse_distance_matrix(
        cKDTree(true), tolerance_nm * (1 + 1e-9), output_type="ndarray"
    )
    row, column = near["i"].astype(np.int64), near["j"].astype(np.int64)
    distance = np.hypot(*(found[row, :2] - true[column, :2]).T)
    kept = distance <= tolerance_nm
    return Matches(localization=row[kept], emitter=column[kept], distance_nm=distance[kept])


def places(table: Emitters | Localizations, tolerance_nm: float) -> npt.NDArray[np.float64]:
    """Return x, y and a third axis on which frames are too far apart to meet, (N, 3)."""
    frame = table.column("frame").astype(np.float64)
    return np.column_stack(
        [table.column("x_nm"), table.column("y_nm"), frame * (4 * tolerance_nm + 1)]
    )


def _greedy(pairs: Matches, sizes: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the pairs taken in order of distance; ties by row, so that the order is fixed."""
    order = np.lexsort((pairs.emitter, pairs.localization, pairs.distance_nm))
    taken = _taken_in_order(pairs.localization[order], pairs.emitter[order], *sizes)
    return np.asarray(order[taken])


@njit(cache=True, nogil=True)
def _taken_in_order(one: Any, two: Any, one_count: int, two_count: int) -> Any:
    """Return which pairs are taken when each row may be used once."""
    one_free, two_free = np.ones(one_count, np.bool_), np.ones(two_count, np.bool_)
    taken = np.zeros(len(one), np.bool_)
    for k in range(len(one)):
        if one_free[one[k]] and two_free[two[k]]:
            taken[k] = True
            one_free[one[k]] = two_free[two[k]] = False
    return taken


def _hungarian(pairs: Matches, sizes: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the pairs of the best assignment within each cluster of candidates."""
    count, other_count = sizes
    links = coo_array(
        (np.ones(len(pairs)), (pairs.localization, pairs.emitter + count)),
        shape=(count + other_count, count + other_count),
    )
    cluster = connected_components(links, directed=False)[1][pairs.localization]
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    chosen = [
        members if len(members) == 1 else members[_best(pairs.take(members))]
        for members in np.split(order, starts[1:])
    ]
    return np.concatenate([np.zeros(0, np.int64), *chosen])


def _best(pairs: Matches) -> npt.NDArray[np.int64]:
    """Return the pairs of the assignment with most pairs, then least distance."""
    rows, row = np.unique(pairs.localization, return_inverse=True)
    columns, column = np.unique(pairs.emitter, return_inverse=True)
    never = 2 * pairs.distance_nm.sum() + 1
    cost = np.full((len(rows), len(columns)), never)
    which = np.full(cost.shape, -1)
    cost[row, column], which[row, column] = pairs.distance_nm, np.arange(len(pairs))
    chosen = which[linear_sum_assignment(cost)]
    return np.asarray(chosen[chosen >= 0])
