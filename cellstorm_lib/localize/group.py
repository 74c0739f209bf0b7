"""One group of overlapping spots: fitted together, spots dropped or added, compiled."""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.group_rules import (
    BACKGROUND,
    FAINT,
    GROUP,
    GROUP_SIGMA,
    JOINTLY,
    MERGED,
    PARENT,
    STATE,
)
from cellstorm_lib.localize.joint import (
    AT,
    FIRST,
    MOST_TOGETHER,
    SEEN,
    WEIGHT,
    deviance_of,
    expect,
    fit_together,
    stored,
    weigh,
)
from cellstorm_lib.localize.joint_score import score_of, variances_of
from cellstorm_lib.localize.region import (
    REACH_SIGMA,
    add_light,
    brightest_rest,
    corner_and_size,
    cut_region,
    outline,
)

#: A further spot is tried where it would be this significant if all else were known, and this if
#: the other spots may make up for it.
_LEAST_EXCESS, _LEAST_SCORE = 2.0, 3.0
#: Steps after which a further spot must have gained this share of what it needs.
_FIRST_STEPS, _FIRST_SHARE = 5, 0.5
#: A spot much fainter than this share of a neighbour is the edge of a spot that is no Gaussian.
_LEAST_SHARE = 0.05
#: Stands for the place of a spot that was added and has none yet.
_ADDED = -1


_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def _usual(spots: Any, count: Any, rules: Any) -> Any:
    """Return the deviance by degrees of freedom that is usual for spots as bright as these."""
    photons = 0.0
    for k in range(count):
        photons += spots[k, 2]
    return rules.usual_deviance + rules.deviance_per_photon * photons / count


@_compiled
def _surprising(deviance: Any, used: Any, spots: Any, count: Any, rules: Any) -> Any:
    """Return whether a fit explains its pixels worse than usual."""
    freedom = max(used - 3.0 * count - 1.0, 1.0)
    limit = freedom + rules.surprise * math.sqrt(2.0 * freedom)
    return deviance > _usual(spots, count, rules) * limit


@_compiled
def _prepare(spots: Any, count: Any, scene: Any, place: Any, rules: Any, room: Any) -> Any:
    """Cut out the region of some spots, take the light of all others away; count its pixels."""
    frame, maps, live, live_count, group = scene
    size = place[2], place[3]
    outline(spots, count, rules.half, size, room[1])
    cut_region(frame, maps, np.float32(rules.end_adu), place, room)
    top, left, height, width = place
    for other in range(live_count):
        reach = REACH_SIGMA * live[other, 3]
        x, y = live[other, 0] - left, live[other, 1] - top
        is_near = -reach < x < width + reach and -reach < y < height + reach
        if is_near and live[other, STATE] < MERGED and live[other, GROUP] != group:
            add_light(live[other], place, room)
    used = 0
    for row in range(height):
        used += room[1][SEEN, row]
    return used


@_compiled
def _worst(spots: Any, count: Any, variances: Any, rules: Any) -> Any:
    """Return which spot is not to be believed, or -1, and what becomes of it."""
    for k in range(count):
        for other in range(k):
            away_x, away_y = spots[k, 0] - spots[other, 0], spots[k, 1] - spots[other, 1]
            if away_x * away_x + away_y * away_y < rules.apart_px * rules.apart_px:
                return (k if spots[k, 2] < spots[other, 2] else other), MERGED
    weakest, wald = -1, rules.least_wald
    for k in range(count):
        if spots[k, 2] < rules.min_photons:
            return k, FAINT
        if 1.0 / variances[k, 2] < wald:
            weakest, wald = k, 1.0 / variances[k, 2]
    return weakest, FAINT


@_compiled
def _is_sound(trial: Any, count: Any, variances: Any, rules: Any) -> Any:
    """Return whether the last of some spots, and those it changed, can be believed."""
    brightest = 0.0
    for k in range(count):
        away_x, away_y = trial[k, 0] - trial[count - 1, 0], trial[k, 1] - trial[count - 1, 1]
        if away_x * away_x + away_y * away_y < rules.link_px * rules.link_px:
            brightest = max(brightest, trial[k, 2])
    worst, _ = _worst(trial, count, variances, rules)
    return worst < 0 and trial[count - 1, 2] >= _LEAST_SHARE * brightest


@_compiled
def _fit(spots: Any, count: Any, background: Any, place: Any, rules: Any, room: Any) -> Any:
    """Fit the prepared region; see `fit_together`."""
    size, noise = (place[2], place[3]), rules.least_noise
    return fit_together(spots, count, background, size, noise, rules.max_steps, room)


@_compiled
def _unexplained(spots: Any, count: Any, rules: Any) -> Any:
    """Return the deviance that the light of spots adds to that of the camera's noise."""
    side, total = 2 * rules.half + 1, 0.0
    for k in range(count):
        by_light = rules.deviance_per_photon * spots[k, 2]
        total += max(min(by_light, rules.usual_deviance + by_light - 1.0), 0.0)
    return total * side * side


@_compiled
def _gains(trial: Any, count: Any, null: Any, used: Any, place: Any, rules: Any, room: Any) -> Any:
    """Fit one spot more; return whether it lowers the deviance enough, that, and the background.

    What must be gained is larger where even the better fit explains its pixels worse than usual,
    and by what the light of lone spots usually leaves unexplained: a further spot would explain
    that too.
    """
    before, background = null
    size, noise = (place[2], place[3]), rules.least_noise
    usual = _usual(trial, count, rules)
    needed = rules.split_gain * usual + _unexplained(trial, count, rules)
    after, background, _ = fit_together(trial, count, background, size, noise, _FIRST_STEPS, room)
    if before - after < _FIRST_SHARE * needed:
        return False, after, background
    after, background, is_at_rest = _fit(trial, count, background, place, rules, room)
    unexplained = after / (usual * max(used - 3.0 * count - 1.0, 1.0))
    return is_at_rest and before - after > needed * max(unexplained, 1.0), after, background


@_compiled
def _grow(
    crew: Any, count: Any, fitted: Any, is_lone: Any, scene: Any, place: Any, desk: Any
) -> Any:
    """Add spots while the pixels ask for them.

    Return their number, the background, and whether any was tried.

    The region must expect the fitted values. A lone spot is as wide as it was found alone, unless
    it turns out to be several.
    """
    spots, names = crew
    rules, room, planes = desk
    deviance, background, used = fitted
    size = place[2], place[3]
    trial = np.empty_like(spots)
    variances = np.empty((MOST_TOGETHER, 3))
    has_tried = False
    while count < rules.most_together and (
        is_lone or _surprising(deviance, used, spots, count, rules)
    ):
        weigh(stored(size, room[1]), room[0])
        x, y, _, score = brightest_rest(size, rules.sigma_px, room, planes)
        if score < _LEAST_EXCESS:
            break
        score, photons = score_of(spots, count, (x, y, rules.sigma_px), size, room)
        if score < _LEAST_SCORE:
            break
        has_tried = True
        trial[:count] = spots[:count]
        trial[count, 0], trial[count, 1] = x, y
        trial[count, 2], trial[count, 3] = max(photons, 2.0 * rules.min_photons), rules.sigma_px
        used = _prepare(trial, count + 1, scene, place, rules, room)
        before, background, _ = _fit(spots, count, background, place, rules, room)
        if is_lone:
            trial[0, 3] = rules.sigma_px
        null = before, background
        is_better, after, level = _gains(trial, count + 1, null, used, place, rules, room)
        if not (is_better and variances_of(trial, count + 1, size, room, variances)):
            break
        if not _is_sound(trial, count + 1, variances, rules):
            break
        spots[: count + 1] = trial[: count + 1]
        names[count] = _ADDED
        deviance, background = after, level
        count += 1
        is_lone = False
    return count, background, has_tried


@_compiled
def _members(scene: Any, crew: Any) -> Any:
    """Write the spots of a group; return their number and lowest background."""
    spots, names = crew
    _, _, live, live_count, group = scene
    count, background = 0, 1e30
    for k in range(live_count):
        if live[k, GROUP] == group and live[k, STATE] < MERGED and count < MOST_TOGETHER:
            spots[count, :3] = live[k, :3]
            spots[count, 3] = live[k, GROUP_SIGMA]
            names[count] = k
            background = min(background, live[k, BACKGROUND])
            count += 1
    return count, background


@_compiled
def _believed(
    crew: Any, count: Any, start: Any, scene: Any, place: Any, desk: Any, variances: Any
) -> Any:
    """Fit a group, and again without its worst spot until all can be believed.

    The start is the background, and whether spots may be left out at all. Return their number, and
    deviance, background and pixels of the fit.
    """
    spots, names = crew
    rules, room, _ = desk
    live, size = scene[2], (place[2], place[3])
    background, can_drop = start
    while True:
        used = _prepare(spots, count, scene, place, rules, room)
        deviance, background, is_at_rest = _fit(spots, count, background, place, rules, room)
        is_known = is_at_rest and variances_of(spots, count, size, room, variances)
        if count == 1 or not can_drop:
            return (count if is_known else 0), (deviance, background, used)
        worst, state = (count - 1, MERGED)
        if is_known:
            worst, state = _worst(spots, count, variances, rules)
        if worst < 0:
            return count, (deviance, background, used)
        if names[worst] != _ADDED:
            live[names[worst], STATE] = state
        for k in range(worst, count - 1):
            spots[k] = spots[k + 1]
            names[k] = names[k + 1]
        count -= 1


@_compiled
def join(scene: Any, is_lone: Any, may: Any, desk: Any, results: Any) -> Any:
    """Fit one group; return how many live spots there are then.

    Parameters
    ----------
    scene : tuple
        Frame, maps of its pixels, its live spots, their number, and the number of the group.
    is_lone : bool
        Whether the group is a single spot whose own fit stays if it is not several.
    may : (bool, bool)
        Whether spots may be left out, and whether some may be added.
    desk : tuple
        The `Rules`, and to work in `joint.make_room` and `region.make_planes`.
    results : (K, 10) float64
        Out: as `JOINED`, in the place of the live spot.
    """
    _, maps, live, live_count, _ = scene
    rules, room, _ = desk
    can_drop, can_grow = may
    crew = np.zeros((MOST_TOGETHER + 1, 4)), np.empty(MOST_TOGETHER + 1, np.int64)
    spots, names = crew
    variances = np.empty((MOST_TOGETHER, 3))
    count, background = _members(scene, crew)
    if count == 0:
        return live_count
    place = corner_and_size(spots, count, rules.half, maps[0].shape)
    for k in range(count):
        spots[k, 0], spots[k, 1] = spots[k, 0] - place[1], spots[k, 1] - place[0]
    if is_lone:
        spots[0, 3] = live[names[0], 3]
        used = _prepare(spots, 1, scene, place, rules, room)
        expect(spots, 1, background, (place[2], place[3]), room)
        fitted = (0.0, background, used)
    else:
        start = (background, can_drop)
        count, fitted = _believed(crew, count, start, scene, place, desk, variances)
    if can_grow and count > 0:
        found = count
        count, background, has_tried = _grow(crew, count, fitted, is_lone, scene, place, desk)
        if is_lone and count == found:
            return live_count
        if has_tried:
            start = (background, True)
            count, fitted = _believed(crew, count, start, scene, place, desk, variances)
    return _note(crew, count, fitted[1], scene, place, desk, variances, results)


@_compiled
def _note(
    crew: Any, count: Any, background: Any, scene: Any, place: Any, desk: Any, variances: Any,
    results: Any,
) -> Any:  # fmt: skip
    """Write what has become of the spots of a group; return how many live spots there are then."""
    spots, names = crew
    _, _, live, live_count, group = scene
    for k in range(count):
        name = names[k]
        if name == _ADDED:
            name = live_count
            live_count += 1
            live[name, PARENT] = _nearest_parent(spots, names, count, k, live, group)
            live[name, GROUP] = group
        live[name, 0], live[name, 1] = spots[k, 0] + place[1], spots[k, 1] + place[0]
        live[name, 2], live[name, 3] = spots[k, 2], spots[k, 3]
        live[name, GROUP_SIGMA], live[name, BACKGROUND] = spots[k, 3], background
        live[name, STATE] = JOINTLY
        _tell(spots, k, place, variances, desk, results[name])
        results[name, 3], results[name, 9] = background, count
    return live_count


@_compiled
def _first_of(live: Any, group: Any) -> Any:
    """Return the first spot that was found in a group."""
    first = 0
    while live[first, GROUP] != group:
        first += 1
    return first


@_compiled
def _nearest_parent(spots: Any, names: Any, count: Any, k: Any, live: Any, group: Any) -> Any:
    """Return the candidate of the spot that an added one stands nearest to."""
    nearest, parent = 1e30, live[_first_of(live, group), PARENT]
    for other in range(count):
        away_x, away_y = spots[k, 0] - spots[other, 0], spots[k, 1] - spots[other, 1]
        distance = away_x * away_x + away_y * away_y
        if names[other] != _ADDED and distance < nearest:
            nearest = distance
            parent = live[names[other], PARENT]
    return parent


@_compiled
def _tell(spots: Any, k: Any, place: Any, variances: Any, desk: Any, out: Any) -> None:
    """Write what is known of one spot; deviance and pixels out of range are those of its box."""
    top, left, height, _ = place
    half, pixels, rows = desk[0].half, desk[1][0], desk[1][1]
    x, y = math.floor(spots[k, 0]), math.floor(spots[k, 1])
    deviance, above = 0.0, 0
    for row in range(max(y - half, 0), min(y + half + 1, height)):
        first, seen, at = rows[FIRST, row], rows[SEEN, row], rows[AT, row]
        start = max(x - half, first)
        stop = min(x + half + 1, first + seen)
        if stop > start:
            deviance += deviance_of(at + start - first, at + stop - first, pixels)
            for i in range(at + start - first, at + stop - first):
                above += pixels[WEIGHT + i] < 0.0
    out[0], out[1], out[2] = spots[k, 0] + left, spots[k, 1] + top, spots[k, 2]
    out[4], out[5], out[6] = spots[k, 3], variances[k, 0], variances[k, 1]
    out[7], out[8] = deviance, above
