"""A first drift, however large: redundant cross-correlation of a few segments of time.

For each two segments the displacements between their events are counted in bins; where the
segments show the same structure, they pile up at the difference of the two drifts. Unlike the
usual redundant cross-correlation, which keeps one peak per pair of segments and so fails on sparse
data, the whole maps are added: each segment goes where it fits best to all *other* segments at
their present places. A segment is never compared with itself.

References
----------
Wang et al., Opt. Express 22, 15982 (2014), doi:10.1364/OE.22.015982 (redundant correlation).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import uniform_filter

from cellstorm_lib.refine.events import Events
from cellstorm_lib.refine.neighbours import later_neighbours, sort_into_cells
from cellstorm_lib.refine.segments import Segments

_Floats = npt.NDArray[np.float64]
_BIN_NM = 40.0
_PEAK_BINS = 3
_SURROUNDINGS_BINS = 17
_MOST_ROUNDS = 10
_JUMP_SHARE = 0.15
_FAR_WEIGHT = 0.4


def correlate_segments(events: Events, segments: Segments, *, reach_nm: float) -> _Floats:
    """Return where each segment fits best to all others, to about a tenth of a pixel.

    Parameters
    ----------
    events : Events
        At most a few ten thousand.
    segments : Segments
        Few, with at least about a hundred events each.
    reach_nm : float
        Largest displacement looked for.

    Returns
    -------
    (S, 2) float64
        Drift of each segment, mean zero.
    """
    bins = 2 * int(np.ceil(reach_nm / _BIN_NM)) + 1
    count = segments.count
    maps = np.zeros((count, count, bins, bins), np.float32)
    reach_nm = bins * _BIN_NM / 2.0
    grid = sort_into_cells(events.xy_nm, reach_nm)
    frame = events.frame[grid.order]
    _count_displacements(
        (np.ascontiguousarray(events.xy_nm[grid.order]), frame, segments.number(frame)),
        (grid.first, grid.cell, grid.shape),
        (reach_nm, _BIN_NM, events.span_frames),
        maps,
    )
    _sharpen(maps)
    place = _improved(maps, _grown(maps))
    return np.asarray((place - place.mean(axis=0))[:, ::-1] * _BIN_NM)


def _sharpen(maps: npt.NDArray[np.float32]) -> None:
    """Turn counts into an excess over their surroundings, in units of its noise, in place."""
    for one in range(len(maps)):
        for two in range(one + 1, len(maps)):
            counts = maps[one, two]
            peak = uniform_filter(counts, _PEAK_BINS, mode="nearest")
            peak = uniform_filter(peak, _PEAK_BINS, mode="nearest")
            around = uniform_filter(peak, _SURROUNDINGS_BINS, mode="nearest")
            maps[one, two] = (peak - around) / np.sqrt(counts.mean() + 1e-9)
            maps[two, one] = maps[one, two, ::-1, ::-1]


def _grown(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return a place in bins (row, column) for each segment, the clearest first."""
    place = np.zeros((len(maps), 2), np.int64)
    is_placed = np.zeros(len(maps), bool)
    newest = int(np.argmax(maps.max(axis=(2, 3)).sum(axis=1)))
    is_placed[newest] = True
    while not is_placed.all():
        highest = -np.inf
        for one in np.flatnonzero(~is_placed):
            best, height = _best_place(maps, int(one), place, is_placed)
            if height > highest:
                newest, newest_place, highest = int(one), best, height
        place[newest], is_placed[newest] = newest_place, True
    return place


def _improved(maps: npt.NDArray[np.float32], place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Move each segment to where it fits best to all others, until none moves."""
    for _ in range(_MOST_ROUNDS):
        before = place.copy()
        for one in range(len(maps)):
            place[one], _ = _best_place(maps, one, place, np.arange(len(maps)) != one)
        if (place == before).all():
            break
    return place


def _best_place(
    maps: npt.NDArray[np.float32],
    segment: int,
    place: npt.NDArray[np.int64],
    is_placed: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], float]:
    """Return where a segment fits best to the placed ones, and how well.

    Its neighbours in time say where to expect it. Far from there the fit must be better: a drift
    may jump, but seldom far.
    """
    others = np.flatnonzero(is_placed)
    expected = [np.interp(segment, others, place[others, axis]) for axis in (0, 1)]
    centre = np.rint(expected).astype(np.int64)
    fit = np.zeros(maps.shape[2:], np.float32)
    for other in others:
        _add_moved(fit, maps[other, segment], place[other] - centre)
    offset = np.arange(len(fit)) - len(fit) // 2
    near = np.exp(-(offset**2) / (2.0 * (_JUMP_SHARE * len(fit)) ** 2))
    trust = _FAR_WEIGHT + (1.0 - _FAR_WEIGHT) * near[:, None] * near
    weighted = np.maximum(fit, 0.0) * trust
    row, column = np.unravel_index(int(np.argmax(weighted)), fit.shape)
    return centre + np.array([offset[row], offset[column]]), float(weighted[row, column])


def _add_moved(
    total: npt.NDArray[np.float32], image: npt.NDArray[np.float32], move: npt.NDArray[np.int64]
) -> None:
    """Add an image moved by whole bins; what is moved out of view is lost."""
    target, origin = [], []
    for step, size in zip(move.tolist(), image.shape, strict=True):
        target.append(slice(max(0, step), max(0, min(size, size + step))))
        origin.append(slice(max(0, -step), max(0, min(size, size - step))))
    total[tuple(target)] += image[tuple(origin)]


@njit(cache=True, nogil=True)
def _count_displacements(sorted_events: Any, cells: Any, limits: Any, maps: Any) -> None:
    """Count the displacements from earlier to later segments, per pair of segments."""
    xy, frame, segment = sorted_events
    reach, side, span = limits
    for i in range(len(frame)):
        for start, stop in later_neighbours(i, cells):
            for j in range(start, stop):
                one, two = segment[i], segment[j]
                if one == two or abs(frame[j] - frame[i]) <= span:
                    continue
                dx, dy = xy[j, 0] - xy[i, 0], xy[j, 1] - xy[i, 1]
                if one > two:
                    one, two, dx, dy = two, one, -dx, -dy
                if -reach < dx < reach and -reach < dy < reach:
                    maps[one, two, int((dy + reach) / side), int((dx + reach) / side)] += 1.0
