"""Spots whose light overlaps, found in each frame and fitted together, compiled.

As in 3D-DAOSTORM, spots whose boxes touch are fitted together, and where the pixels are brighter
than all of them explain, one more spot is tried; as in MFA, it is kept when the likelihood ratio
says so. A frame is worked off alone and in order, so that nothing depends on how frames are read.

References
----------
Babcock et al., Opt. Nanoscopy 1, 6 (2012). doi:10.1186/2192-2853-1-6
Huang et al., Biomed. Opt. Express 2, 1377 (2011). doi:10.1364/BOE.2.001377
"""

from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.group import join
from cellstorm_lib.localize.group_rules import GROUP, JOINED, JOINTLY, LIVE, PARENT, STATE
from cellstorm_lib.localize.region import widest_spread

#: Rows by which fits may be out of order.
_DISORDER_PX = 6.0
#: A group that touches others is fitted this often, as its neighbours change; the first time no
#: spot is left out, and only the second time some are added.
_SWEEPS = 3
#: Columns of `LIVE` that are known from the start.
_GIVEN = GROUP

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def _groups(live: Any, count: Any, rules: Any) -> Any:
    """Give linked spots, as many as may be fitted together, the same number; return how many.

    Spots come in the order of the rows they were found in, which their fits hardly leave.
    """
    spread, link = widest_spread(rules.half), rules.link_px
    groups = 0
    for seed in range(count):
        if live[seed, GROUP] >= 0.0:
            continue
        live[seed, GROUP] = groups
        members = 1
        left = right = live[seed, 0]
        top = bottom = live[seed, 1]
        has_grown = True
        while has_grown and members < rules.most_together:
            has_grown = False
            for k in range(seed + 1, count):
                x, y = live[k, 0], live[k, 1]
                if y > bottom + link + _DISORDER_PX or members >= rules.most_together:
                    break
                if live[k, GROUP] >= 0.0 or x < left - link or x > right + link:
                    continue
                if max(right, x) - min(left, x) > spread or max(bottom, y) - min(top, y) > spread:
                    continue
                if _is_linked(live, seed, k, count, link):
                    live[k, GROUP] = groups
                    members += 1
                    left, right = min(left, x), max(right, x)
                    top, bottom = min(top, y), max(bottom, y)
                    has_grown = True
        groups += 1
    return groups


@_compiled
def _is_linked(live: Any, seed: Any, spot: Any, count: Any, link: Any) -> Any:
    """Return whether a spot is near one of the group that a seed began."""
    x, y = live[spot, 0], live[spot, 1]
    for k in range(seed, count):
        if live[k, 1] > y + link + _DISORDER_PX:
            break
        if live[k, GROUP] == live[seed, GROUP] and (
            abs(live[k, 0] - x) <= link and abs(live[k, 1] - y) <= link
        ):
            return True
    return False


@_compiled
def _touching(live: Any, count: Any, groups: Any, rules: Any) -> Any:
    """Return the size and the first spot of each group, and whether it is near another one."""
    sizes, first = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    touches = np.zeros(groups, np.bool_)
    for k in range(count - 1, -1, -1):
        group = int(live[k, GROUP])
        sizes[group] += 1
        first[group] = k
        for other in range(k + 1, count):
            if live[other, 1] > live[k, 1] + rules.link_px + _DISORDER_PX:
                break
            if live[other, GROUP] != live[k, GROUP] and (
                abs(live[other, 0] - live[k, 0]) <= rules.link_px
                and abs(live[other, 1] - live[k, 1]) <= rules.link_px
            ):
                touches[group] = touches[int(live[other, GROUP])] = True
    return sizes, first, touches


@_compiled
def join_frame(
    frame: Any, maps: Any, live: Any, count: Any, asks: Any, desk: Any, results: Any
) -> Any:
    """Fit all groups of a frame; return how many live spots there are then.

    Parameters
    ----------
    frame : (Y, X) or (Y, 2 X) uint8
        Grey values, as in `cut_region`.
    maps : tuple of (Y, X)
        Offset, gain, variance and sensitivity of the pixels.
    live : (K, 9) float64
        As `LIVE`; rows beyond `count` are room for spots that are added.
    count : int
        Spots found in the frame.
    asks : (count,) bool
        Whether a spot's own fit is believed, but leaves something unexplained.
    desk : tuple
        As in `join`.
    results : (K, 10) float64
        Out: as `JOINED`, of the spots whose state says that they were fitted in a group.
    """
    groups = _groups(live, count, desk[0])
    sizes, first, touches = _touching(live, count, groups, desk[0])
    live_count = count
    for sweep in range(_SWEEPS):
        for group in range(groups):
            is_lone = sizes[group] == 1 and not touches[group]
            if is_lone and not asks[first[group]]:
                continue
            if touches[group] or sweep == 0:
                scene = (frame, maps, live, live_count, float(group))
                may = sweep > 0 or not touches[group], sweep == 1 or not touches[group]
                live_count = join(scene, is_lone, may, desk, results)
    return live_count


@_compiled
def join_frames(
    frames: Any, maps: Any, spots: Any, starts: Any, asks: Any, desk: Any, told: Any, states: Any
) -> Any:
    """Fit the groups of all frames; return how many spots were fitted in groups.

    Parameters
    ----------
    frames : (N, Y, X) or (N, Y, 2 X) uint8
        Grey values, as in `cut_region`.
    maps, desk
        As in `join_frame`.
    spots : (M, 7) float64
        The first columns of `LIVE` of all spots, frame by frame; within a frame ordered by the
        rows they were found in.
    starts : (N + 1,) int64
        Where the spots of each frame begin.
    asks : (M,) bool
        As in `join_frame`.
    told : (K, 1 + len(JOINED)) float64
        Out: the spot each one that was fitted in a group comes from, and its quantities.
    states : (M,) float64
        Out: what became of each spot.
    """
    number = 0
    for index in range(len(frames)):
        first, last = starts[index], starts[index + 1]
        count = last - first
        if count == 0:
            continue
        live = np.zeros((count * desk[0].most_together, len(LIVE)))
        results = np.zeros((len(live), len(JOINED)))
        live[:count, :_GIVEN] = spots[first:last]
        live[:, GROUP] = -1.0
        live_count = join_frame(frames[index], maps, live, count, asks[first:last], desk, results)
        states[first:last] = live[:count, STATE]
        for k in range(live_count):
            if live[k, STATE] == JOINTLY:
                told[number, 0] = live[k, PARENT]
                told[number, 1:] = results[k]
                number += 1
    return number
