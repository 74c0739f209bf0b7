"""Two halves of the field, each with the drift that it alone has seen.

All choices about a drift, and whether to believe it at all, are made by asking how well the trace
of one half sharpens the *other* half. The halves are the black and the white squares of a
chessboard, so one molecule, however long it stays, counts in one half only. A recording with
everything in one spot is dealt out by stretches of time instead.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.refine.events import Events
from cellstorm_lib.refine.overlap import Overlap
from cellstorm_lib.refine.smoothness import Smoothness

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]

_SQUARES_PER_SIDE = 10
_SMALLEST_SQUARE_NM, _LARGEST_SQUARE_NM = 800.0, 5000.0
_FEWEST_SQUARES = 8
SLACK_NM = 30.0
FEW_PAIRS, MANY_PAIRS = 150_000, 800_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """The two halves with the drift that each one measured.

    Attributes
    ----------
    parts : (Overlap, Overlap)
        Events of each half.
    units : (int64 (N,), int64 (N,))
        Square (or stretch of time) of each event: what counts as one independent witness.
    traces_nm : (float64 (S, 2), float64 (S, 2))
        Drift per segment as each half alone sees it.
    kernel_nm : float
        Kernel to raise the overlap with.
    score_kernel_nm : float
        Kernel that describes the events best, to score with.
    smoothness : Smoothness
        Belief about the trace.
    """

    parts: tuple[Overlap, Overlap]
    units: tuple[_Rows, _Rows]
    traces_nm: tuple[_Floats, _Floats]
    kernel_nm: float
    score_kernel_nm: float
    smoothness: Smoothness

    @property
    def error_nm(self) -> float:
        """Standard deviation per axis of the mean of both traces, from their difference."""
        one, two = self.traces_nm
        return float(np.sqrt(np.mean((one - two) ** 2)) / 2.0)

    def gather(
        self, kernel_nm: float, slack_nm: float = SLACK_NM, most_pairs: int = FEW_PAIRS
    ) -> None:
        """Find the pairs of both halves for kernels up to a width."""
        for part, trace_nm in zip(self.parts, self.traces_nm, strict=True):
            part.gather(trace_nm, kernel_nm=kernel_nm, slack_nm=slack_nm, most_pairs=most_pairs)

    def raised(self, smoothness: Smoothness, kernel_nm: float, rounds: int) -> Self:
        """Return the halves with traces raised further, each by its own events."""
        traces_nm = [
            part.raised(trace_nm, kernel_nm, smoothness, most_rounds=rounds, tolerance_nm=0.3)
            for part, trace_nm in zip(self.parts, self.traces_nm, strict=True)
        ]
        return replace(self, traces_nm=(traces_nm[0], traces_nm[1]))

    def score(self, kernel_nm: float) -> float:
        """Return the log-likelihood of each half under the drift that the *other* one saw."""
        pairs = zip(self.parts, reversed(self.traces_nm), strict=True)
        return float(sum(part.log_density(trace, kernel_nm).sum() for part, trace in pairs))


def deal_halves(events: Events) -> tuple[_Rows, _Rows]:
    """Return the half (0 or 1) and the unit of each event."""
    side_nm = np.sqrt(events.area_nm2) / _SQUARES_PER_SIDE
    side_nm = float(np.clip(side_nm, _SMALLEST_SQUARE_NM, _LARGEST_SQUARE_NM))
    column, row = np.floor(events.xy_nm / side_nm).astype(np.int64).T
    unit = (row - row.min()) * (np.ptp(column) + 1) + column - column.min()
    half = (row + column) % 2
    squares = [len(np.unique(unit[half == side])) for side in (0, 1)]
    if min(squares) * 2 < _FEWEST_SQUARES:
        unit = events.frame // (2 * events.span_frames)
        half = unit % 2
    return half, unit


def gains(halves: Halves) -> _Floats:
    """Return what the other half's drift adds to the log-likelihood of each unit, (U,).

    Positive where a unit is sharper with the drift undone than without.
    """
    parts = []
    still = np.zeros_like(halves.traces_nm[0])
    one, two = halves.traces_nm
    for part, trace_nm, unit in zip(halves.parts, (two, one), halves.units, strict=True):
        change = np.zeros(len(unit))
        for sign, trace in ((1.0, trace_nm), (-1.0, still)):
            part.gather(
                trace, kernel_nm=halves.score_kernel_nm, slack_nm=0.0, most_pairs=MANY_PAIRS
            )
            change += sign * part.log_density(trace, halves.score_kernel_nm)
        _, place = np.unique(unit, return_inverse=True)
        parts.append(np.bincount(place, change))
    return np.concatenate(parts)
