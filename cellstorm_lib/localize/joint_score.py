"""What a joint fit says beside its values: their variances, and where one more spot would help."""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.joint import (
    AT,
    EXCESS,
    FIRST,
    PLANE,
    SHARE_X,
    SHARE_Y,
    SPAN,
    _derive,
    _equations,
    _factored,
    dot,
    profile_of,
    scale_by,
    stored,
    weigh,
)

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def variances_of(spots: Any, count: Any, size: Any, room: Any, out: Any) -> Any:
    """Write the variances of x, y and ln(photons) of each spot; return whether there are any.

    Of the joint Fisher information at the fitted values, which the region must expect.
    """
    pixels, rows, factor, column = room[0], room[1], room[5], room[8]
    used = stored(size, rows)
    free = 3 * count + 1
    weigh(used, pixels)
    _derive(spots, count, size, room)
    _equations(free, used, room)
    if not _factored(free, 0.0, room):
        return False
    for p in range(3 * count):
        total = 0.0
        for q in range(p, free):
            rest = 1.0 if q == p else 0.0
            for k in range(p, q):
                rest -= factor[q, k] * column[k]
            column[q] = rest / factor[q, q]
            total += column[q] * column[q]
        out[p // 3, p % 3] = total
    return True


@_compiled
def score_of(spots: Any, count: Any, extra: Any, size: Any, room: Any) -> Any:
    """Return the significance of one more spot beside fitted ones, and its photons.

    Rao's score: what the fitted parameters could make up for is taken off. The pixels must be
    weighed.

    Parameters
    ----------
    spots, count, size, room
        As in `fit_together`; the pixels expect these spots.
    extra : (float, float, float)
        x, y and sigma of the further spot.
    """
    pixels, rows, profiles, derivatives = room[0], room[1], room[2], room[3]
    used = stored(size, rows)
    free = 3 * count + 1
    spot = profile_of(extra[0], extra[1], extra[2], size, profiles, count)
    _derive(spots, count, size, room)
    _equations(free, used, room)
    if not _factored(free, 0.0, room):
        return 0.0, 0.0
    light = free * PLANE
    for row in range(size[0]):
        share, at = spot + SHARE_X + rows[FIRST, row], light + rows[AT, row]
        factor = profiles[np.uint64(spot + SHARE_Y + row)]
        for i in range(rows[SPAN, row]):
            derivatives[np.uint64(at + i)] = factor * profiles[np.uint64(share + i)]
    scaled = scale_by(light, used, room)
    known = dot(derivatives, scaled, derivatives, light, used)
    factor, shared = room[5], room[8]
    for p in range(free):
        rest = float(dot(derivatives, scaled, derivatives, p * PLANE, used))
        for k in range(p):
            rest -= factor[p, k] * shared[k]
        shared[p] = rest / factor[p, p]
        known -= shared[p] * shared[p]
    excess = dot(pixels, EXCESS, derivatives, light, used)
    if known <= 0.0:
        return 0.0, 0.0
    return excess / math.sqrt(known), excess / known
