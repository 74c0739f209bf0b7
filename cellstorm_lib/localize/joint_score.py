"""What a joint fit says beside its values: their variances, and where one more spot would help."""

import math
from typing import Any

from numba import njit

from cellstorm_lib.localize.joint import (
    EXCESS,
    INFORMATION,
    _derive,
    _dot,
    _equations,
    _factored,
    profile_of,
    weigh,
)

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def variances_of(spots: Any, count: Any, size: Any, room: Any, out: Any) -> Any:
    """Write the variances of x, y and ln(photons) of each spot; return whether there are any.

    Of the joint Fisher information at the fitted values, which the region must expect.
    """
    pixels, rows, _, _, matrices, vectors = room
    used = rows[2, size[0] - 1] + rows[1, size[0] - 1]
    free = 3 * count + 1
    weigh(used, pixels)
    _derive(spots, count, size, room)
    _equations(free, used, room)
    if not _factored(free, 0.0, room):
        return False
    factor, column = matrices[1], vectors[2]
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
    pixels, rows, profiles, derivatives, matrices, vectors = room
    used = rows[2, size[0] - 1] + rows[1, size[0] - 1]
    free = 3 * count + 1
    share = profiles[count]
    profile_of(extra[0], extra[2], size[1], share[0], share[1])
    profile_of(extra[1], extra[2], size[0], share[2], share[3])
    _derive(spots, count, size, room)
    _equations(free, used, room)
    if not _factored(free, 0.0, room):
        return 0.0, 0.0
    light, scratch = derivatives[free], derivatives[len(derivatives) - 1]
    for row in range(size[0]):
        first, span, at = rows[0, row], rows[1, row], rows[2, row]
        across, out, factor = share[0, first : first + span], light[at : at + span], share[2, row]
        for i in range(span):
            out[i] = factor * across[i]
    for i in range(used):
        scratch[i] = pixels[INFORMATION, i] * light[i]
    known = _dot(scratch, light, used)
    factor, shared = matrices[1], vectors[2]
    for p in range(free):
        rest = float(_dot(scratch, derivatives[p], used))
        for k in range(p):
            rest -= factor[p, k] * shared[k]
        shared[p] = rest / factor[p, p]
        known -= shared[p] * shared[p]
    excess = _dot(pixels[EXCESS], light, used)
    if known <= 0.0:
        return 0.0, 0.0
    return excess / math.sqrt(known), excess / known
