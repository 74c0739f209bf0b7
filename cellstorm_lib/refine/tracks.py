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
        Radius in combined standard deviations of the track's mean and the localization;
        0 to use the fixed radius alone.
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
    return np.asarray(
        _number(
            np.ascontiguousarray(frame, np.int64),
            np.append(starts, len(frame)),
            np.ascontiguousarray(xy_nm, np.float64),
            np.ascontiguousarray(variance_nm2, np.float64),
            (float(reach.uncertainties), float(reach.radius_nm)),
            (int(reach.dark_frames), int(reach.longest_frames)),
        )
    )


@njit(cache=True, nogil=True)
def _number(frame: Any, starts: Any, xy: Any, variance: Any, radius: Any, span: Any) -> Any:
    """Go through the frames; `live` are the tracks that may still go on."""
    row_count = len(frame)
    track = np.full(row_count, -1, np.int64)
    # mean x, mean y and summed weight of each track
    means = np.empty((row_count, 3))
    first, last = np.empty(row_count, np.int64), np.empty(row_count, np.int64)
    live = np.empty(row_count, np.int64)
    live_count = track_count = 0
    for group in range(len(starts) - 1):
        start, stop = starts[group], starts[group + 1]
        now = frame[start]
        kept = 0
        for k in range(live_count):
            number = live[k]
            if now - last[number] <= span[0] + 1 and now - first[number] < span[1]:
                live[kept] = number
                kept += 1
        live_count = kept
        if live_count:
            rows = slice(start, stop)
            track[rows] = _assigned(xy[rows], variance[rows], live[:live_count], means, radius)
        for row in range(start, stop):
            number = track[row]
            weight = 1.0 / variance[row]
            if number < 0:
                number = track_count
                track_count += 1
                track[row] = number
                means[number, 0], means[number, 1], means[number, 2] = xy[row, 0], xy[row, 1], 0.0
                first[number] = now
                live[live_count] = number
                live_count += 1
            means[number, 2] += weight
            for axis in range(2):
                step = (xy[row, axis] - means[number, axis]) * (weight / means[number, 2])
                means[number, axis] += step
            last[number] = now
    return track


@njit(cache=True, nogil=True)
def _assigned(xy: Any, variance: Any, live: Any, means: Any, radius: Any) -> Any:
    """Return the track of each row of one frame, -1 for none; nearest pairs first."""
    by_x = live[np.argsort(means[live, 0], kind="mergesort")]
    left = means[by_x, 0]
    rows, places, distances = [0], [0], [0.0]
    for row in range(len(xy)):
        x, y = xy[row]
        place = np.searchsorted(left, x - radius[1])
        while place < len(by_x) and left[place] <= x + radius[1]:
            number = by_x[place]
            distance = np.hypot(left[place] - x, means[number, 1] - y)
            limit = radius[1]
            if radius[0] > 0.0:
                combined = np.sqrt(variance[row] + 1.0 / means[number, 2])
                limit = min(limit, radius[0] * combined)
            if distance <= limit:
                rows.append(row)
                places.append(place)
                distances.append(distance)
            place += 1
    assigned = np.full(len(xy), -1, np.int64)
    is_free = np.ones(len(by_x), np.bool_)
    for k in np.argsort(np.array(distances[1:]), kind="mergesort") + 1:
        if assigned[rows[k]] < 0 and is_free[places[k]]:
            assigned[rows[k]] = by_x[places[k]]
            is_free[places[k]] = False
    return assigned
