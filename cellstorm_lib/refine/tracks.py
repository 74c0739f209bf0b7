"""Which localizations of consecutive frames belong to one molecule."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

_Floats = npt.NDArray[np.float64]


class Reach(NamedTuple):
    """How far in space and time a track looks for its next localization.

    Attributes
    ----------
    uncertainties : float
        Radius in combined uncertainties of the track's mean and the localization, that is in root
        mean square distances that both would have by chance; 0 to use the fixed radius alone.
    radius_nm : float
        Largest radius; the radius itself where `uncertainties` is 0.
    dark_frames : int
        Frames that may lie empty between two localizations of a track.
    longest_frames : int
        Frames a track may span; a longer one goes on as a new track.
    """

    uncertainties: float
    radius_nm: float
    dark_frames: int
    longest_frames: int


def number_tracks(
    frame: npt.NDArray[Any], xy_nm: _Floats, variance_nm2: _Floats, reach: Reach
) -> npt.NDArray[np.int64]:
    """Return the track of every localization, numbered by first appearance from 0.

    A localization is compared with the inverse-variance weighted mean of each track. Within a
    frame pairs are taken nearest first, each track and each localization once. What is left
    starts new tracks.

    Parameters
    ----------
    frame : (N,) int
        In ascending order.
    xy_nm : (N, 2) float64
        Positions.
    variance_nm2 : (N,) float64
        Variance of each position per axis; above 0.
    reach : Reach
        Limits in space and time.

    Returns
    -------
    (N,) int64
        Track numbers.
    """
    if not len(frame):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(frame, prepend=frame[0] - 1)).astype(np.int64)
    starts = np.append(starts, len(frame))
    # every track in reach has a localization in one of the last dark_frames + 2 frames
    room = min(int(np.diff(starts).max()) * (reach.dark_frames + 3), len(frame))
    return np.asarray(
        _number(
            np.ascontiguousarray(frame, np.int64),
            starts,
            np.ascontiguousarray(xy_nm, np.float64),
            np.ascontiguousarray(variance_nm2, np.float64),
            (float(reach.uncertainties), float(reach.radius_nm)),
            (int(reach.dark_frames), int(reach.longest_frames), room),
        )
    )


@njit(cache=True, nogil=True)
def _number(frame: Any, starts: Any, xy: Any, variance: Any, radius: Any, limits: Any) -> Any:
    """Go through the frames; only tracks that may still go on are kept in mind."""
    dark, longest, room = limits
    track = np.full(len(frame), -1, np.int64)
    # of each live track: mean x, mean y, summed weight; number, first and last frame
    means, facts = np.empty((room, 3)), np.empty((room, 3), np.int64)
    live_count = track_count = 0
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        now = frame[start]
        kept = 0
        for k in range(live_count):
            if now - facts[k, 2] <= dark + 1 and now - facts[k, 1] < longest:
                for entry in range(3):  # whole rows at once take seconds to compile
                    means[kept, entry], facts[kept, entry] = means[k, entry], facts[k, entry]
                kept += 1
        live_count = kept
        rows = slice(start, stop)
        assigned = _assigned(xy[rows], variance[rows], means[:live_count], radius)
        for row in range(start, stop):
            place = assigned[row - start]
            weight = 1.0 / variance[row]
            if place < 0:
                place = live_count
                live_count += 1
                means[place, 0], means[place, 1], means[place, 2] = xy[row, 0], xy[row, 1], 0.0
                facts[place, 0], facts[place, 1] = track_count, now
                track_count += 1
            track[row] = facts[place, 0]
            facts[place, 2] = now
            means[place, 2] += weight
            for axis in range(2):
                step = (xy[row, axis] - means[place, axis]) * (weight / means[place, 2])
                means[place, axis] += step
    return track


@njit(cache=True, nogil=True)
def _assigned(xy: Any, variance: Any, means: Any, radius: Any) -> Any:
    """Return the live track of each row of one frame, -1 for none; nearest pairs first."""
    across = means[:, 0].copy()
    by_x = np.argsort(across, kind="mergesort")
    left = across[by_x]
    rows, places, distances = [0], [0], [0.0]
    for row in range(len(xy)):
        x, y = xy[row, 0], xy[row, 1]
        k = np.searchsorted(left, x - radius[1])
        while k < len(by_x) and left[k] <= x + radius[1]:
            place = by_x[k]
            distance = np.hypot(left[k] - x, means[place, 1] - y)
            limit = radius[1]
            if radius[0] > 0.0:
                combined = np.sqrt(2.0 * (variance[row] + 1.0 / means[place, 2]))
                limit = min(limit, radius[0] * combined)
            if distance <= limit:
                rows.append(row)
                places.append(place)
                distances.append(distance)
            k += 1
    assigned = np.full(len(xy), -1, np.int64)
    is_free = np.ones(len(means), np.bool_)
    for k in np.argsort(np.array(distances[1:]), kind="mergesort") + 1:
        if assigned[rows[k]] < 0 and is_free[places[k]]:
            assigned[rows[k]] = places[k]
            is_free[places[k]] = False
    return assigned
