"""Drift as what makes the events overlap best.

Undo a drift, and estimate at each event the density of all others that are not near in time:
the sum of the logarithms is the likelihood of the drift (up to structure that is the same in
both). It is raised by expectation-maximisation: each pair of events is a spring whose strength is
the share of the pair in the densities at its ends; springs between segments of time pull the
segments together, the belief about smoothness resists. An event is never compared with itself, nor
with its own blink, so that no segment is aligned with itself.

References
----------
Cnossen et al., Opt. Express 29, 27961 (2021), doi:10.1364/OE.426620 (minimum entropy);
Carreira-Perpinan, IEEE PAMI 29, 767 (2007), doi:10.1109/TPAMI.2007.1057 (mean shift is EM).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.refine.events import Events
from cellstorm_lib.refine.neighbours import find_pairs
from cellstorm_lib.refine.segments import Segments
from cellstorm_lib.refine.smoothness import Smoothness, bent, solve_balance

_Floats = npt.NDArray[np.float64]

#: Squared radius of the kernel (1 - r2/R2)**3 over its variance per axis.
RADIUS2_PER_VARIANCE = 10.0
_OVERSHOOT = 1.5
_UNCERTAIN_QUANTILE = 0.95
_SHARE_ROUNDS = 12
_SHARE_SAMPLE = 2000


class Overlap:
    """Events of one part of the field, ready to be scored under a drift.

    Parameters
    ----------
    events : Events
        At least two.
    segments : Segments
        The division of time that traces refer to.
    """

    def __init__(self, events: Events, segments: Segments) -> None:
        self.events, self.segments = events, segments
        largest = np.quantile(events.variance_nm2, _UNCERTAIN_QUANTILE)
        self._spread_nm2 = RADIUS2_PER_VARIANCE * np.minimum(events.variance_nm2, largest)

    def gather(
        self, trace_nm: _Floats, *, kernel_nm: float, slack_nm: float, most_pairs: int
    ) -> None:
        """Find the pairs within reach of a kernel when the drift is near `trace_nm`.

        Parameters
        ----------
        trace_nm : (S, 2) float64
            Drift per segment.
        kernel_nm : float
            Largest kernel that will be used.
        slack_nm : float
            How far pairs may come nearer by a better drift.
        most_pairs : int
            Pairs to look at; of more, a fixed share is taken.
        """
        reach2 = RADIUS2_PER_VARIANCE * kernel_nm**2 + 2.0 * self._spread_nm2.max()
        xy_nm = self.events.xy_nm - self.segments.at(self.events.frame, trace_nm)
        self._pairs = find_pairs(
            xy_nm,
            self.events.frame,
            radius_nm=float(np.sqrt(reach2)) + slack_nm,
            span_frames=self.events.span_frames,
            most=most_pairs,
        )
        order = self._pairs.order
        frame = self.events.frame[order]
        self._segment = self.segments.number(frame).astype(np.int32)
        self._xy_nm = (self.events.xy_nm - self.events.xy_nm.min(axis=0))[order]
        self._between = self.segments.between(frame)
        # x, y, share of the squared kernel radius, one over the density: one cache line each
        self._points = np.zeros((len(order), 4), np.float32)
        self._points[:, 2] = self._spread_nm2[order]

    def log_density(self, trace_nm: _Floats, kernel_nm: float) -> _Floats:
        """Return ln of the density of the other events at each event, (N,), 1/nm2.

        A uniform share of strays is fitted along, so that the value is bounded below.
        """
        density, per_nm2 = self._densities(trace_nm, kernel_nm)
        strays = _stray_share(density / per_nm2, 1.0 / self.events.area_nm2)
        logarithm = np.empty(len(density))
        logarithm[self._pairs.order] = np.log(
            (1.0 - strays) * density / per_nm2 + strays / self.events.area_nm2
        )
        return logarithm

    def raised(
        self,
        trace_nm: _Floats,
        kernel_nm: float,
        smoothness: Smoothness,
        *,
        most_rounds: int,
        tolerance_nm: float,
    ) -> _Floats:
        """Return the trace nearby that makes the events overlap best, (S, 2), zero mean."""
        for _ in range(most_rounds):
            springs, force = self.springs(trace_nm, kernel_nm)
            band = smoothness.band(trace_nm)
            move_nm = solve_balance(springs, band, force - bent(band, trace_nm))
            trace_nm = trace_nm + _OVERSHOOT * move_nm
            trace_nm = trace_nm - trace_nm.mean(axis=0)
            if np.abs(move_nm).max(initial=0.0) < tolerance_nm:
                break
        return trace_nm

    def springs(self, trace_nm: _Floats, kernel_nm: float) -> tuple[_Floats, _Floats]:
        """Return the springs between segments (S, S), 1/nm2, and the forces (S, 2), 1/nm."""
        density, per_nm2 = self._densities(trace_nm, kernel_nm)
        strays = _stray_share(density / per_nm2, 1.0 / self.events.area_nm2)
        floor = strays / (1.0 - strays) * per_nm2 / self.events.area_nm2
        self._points[:, 3] = 1.0 / (density + floor)
        count = self.segments.count
        springs, force = np.zeros((count, count)), np.zeros((count, 2))
        _pull(self._points, self._segment, self._pairs[1:3], _radius2(kernel_nm), springs, force)
        springs += springs.T
        np.fill_diagonal(springs, 0.0)
        return springs, force

    def _densities(self, trace_nm: _Floats, kernel_nm: float) -> tuple[_Floats, float]:
        """Return the kernel sums in the order of the pairs, and how many events they stand for."""
        _place(self._xy_nm, self._between, np.ascontiguousarray(trace_nm), self._points)
        sums = np.zeros(len(self._points), np.float32)
        _add_kernels(self._points, self._pairs[1:3], _radius2(kernel_nm), sums)
        return sums.astype(np.float64), len(sums) * self._pairs.share


def _radius2(kernel_nm: float) -> np.float32:
    """Return the squared radius of a kernel between two events of no spread of their own."""
    return np.float32(RADIUS2_PER_VARIANCE * kernel_nm**2)


def _stray_share(density: _Floats, uniform: float) -> float:
    """Return the most likely share of events that lie anywhere, by expectation-maximisation."""
    share = 0.3
    density = density[:: 1 + len(density) // _SHARE_SAMPLE]
    for _ in range(_SHARE_ROUNDS):
        stray = share * uniform
        share = float(np.mean(stray / (stray + (1.0 - share) * density)))
        share = min(max(share, 0.02), 0.98)
    return share


@njit(cache=True, nogil=True)
def _place(xy: Any, between: Any, trace: Any, points: Any) -> None:
    """Put the events where they are without the drift."""
    left, fraction = between
    for i in range(len(xy)):
        for axis in range(2):
            before = trace[left[i], axis]
            after = trace[min(left[i] + 1, len(trace) - 1), axis]
            points[i, axis] = xy[i, axis] - before - fraction[i] * (after - before)


@njit(cache=True, nogil=True, fastmath=True)
def _add_kernels(points: Any, pairs: Any, radius2: Any, sums: Any) -> None:
    """Add to each event the normalised kernels of its partners."""
    first, partner = pairs
    one, norm = np.float32(1.0), np.float32(4.0 / np.pi)
    for i in range(len(points)):
        x, y, spread = points[i, 0], points[i, 1], points[i, 2] + radius2
        total = np.float32(0.0)
        for k in range(first[i], first[i + 1]):
            j = partner[k]
            dx, dy = points[j, 0] - x, points[j, 1] - y
            inverse = one / (spread + points[j, 2])
            near = max(np.float32(0.0), one - (dx * dx + dy * dy) * inverse)
            value = norm * inverse * near * near * near
            total += value
            sums[j] += value
        sums[i] += total


@njit(cache=True, nogil=True, fastmath=True)
def _pull(points: Any, segment: Any, pairs: Any, radius2: Any, springs: Any, force: Any) -> None:
    """Add up the springs between segments and the pull on each."""
    first, partner = pairs
    one, norm = np.float32(1.0), np.float32(24.0 / np.pi)
    for i in range(len(points)):
        x, y, spread = points[i, 0], points[i, 1], points[i, 2] + radius2
        row, pull_x, pull_y = springs[segment[i]], np.float32(0.0), np.float32(0.0)
        for k in range(first[i], first[i + 1]):
            j = partner[k]
            dx, dy = points[j, 0] - x, points[j, 1] - y
            inverse = one / (spread + points[j, 2])
            near = max(np.float32(0.0), one - (dx * dx + dy * dy) * inverse) * inverse
            strength = norm * near * near * (points[i, 3] + points[j, 3])
            row[segment[j]] += strength
            pull_x += strength * dx
            pull_y += strength * dy
            force[segment[j], 0] += strength * dx
            force[segment[j], 1] += strength * dy
        force[segment[i], 0] -= pull_x
        force[segment[i], 1] -= pull_y
