"""How often something is seen again, and how near or how soon, with chance taken off.

The nearest spot of the next frame, or the next blink at the same place, may be the same molecule
or another one that is there by chance. How often chance alone brings one is measured, not modelled:
the same question is asked where the molecule cannot be the answer (frames, or times, far away).
Structure, crowding and uneven light are then in both, and what exceeds the control is recurrence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

_Floats = npt.NDArray[np.float64]
#: Share of cases not yet seen again at a distance (or after a time), in units of the scale.
Survival = Callable[[_Floats], _Floats]

#: Cases are put into so many blocks, and each is left out once to see how the result scatters.
BLOCKS = 20
#: A recurrence is claimed when its share is so many standard errors above 0, and twice the gain in
#: log-likelihood is so large.
SIGNIFICANCE = 5.0
MIN_GAIN = 20.0
#: Starting values: scales between the first and the last bin's edge, and shares.
_START_SCALES = 24
_START_SHARES = (0.02, 0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Cases by the distance (or time) of the first find, for each of `BLOCKS` blocks.

    Attributes
    ----------
    edges : (B + 1,) float64
        Bins, ascending from the smallest value that can occur.
    found : (K, B) float64
        Cases with their first find in the bin.
    at_risk : (K, B) float64
        Cases without a find before the bin, still looked at in it.
    """

    edges: _Floats
    found: _Floats
    at_risk: _Floats

    @classmethod
    def of(
        cls,
        value: _Floats,
        block: npt.NDArray[np.int64],
        edges: _Floats,
        *,
        limit: _Floats | None = None,
    ) -> Self:
        """Count cases.

        Parameters
        ----------
        value : (N,) float64
            Where each case has its first find; infinite without one.
        block : (N,) int64
            Block of each case, from 0 to `BLOCKS` - 1.
        edges : (B + 1,) float64
            Bins.
        limit : (N,) float64, optional
            Up to where each case was looked at; beyond the last bin when None.
        """
        limit = np.full(len(value), np.inf) if limit is None else limit
        is_found = (value < limit) & (value < edges[-1])
        found = _counts(value[is_found], block[is_found], edges)
        lost = _counts(limit[~is_found], block[~is_found], edges)
        starting = np.bincount(block, minlength=BLOCKS)[:, None]
        gone = np.cumsum(found + lost, axis=1) - found - lost
        return cls(edges=edges, found=found, at_risk=starting - gone - lost / 2)

    @property
    def cases(self) -> float:
        """Number of cases."""
        return float(self.at_risk[:, 0].sum()) if self.at_risk.size else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """What comes back.

    Attributes
    ----------
    share : float
        Share of the cases that are followed by themselves, 0 to 1.
    share_error : float
        Its standard error, by leaving out blocks.
    scale : float
        Scale of the distances or times.
    scale_error : float
        Its standard error.
    gain : float
        Twice the log-likelihood gained over chance alone.
    """

    share: float
    share_error: float
    scale: float
    scale_error: float
    gain: float

    @property
    def is_significant(self) -> bool:
        """Whether anything comes back beyond doubt."""
        return self.gain > MIN_GAIN and self.share > SIGNIFICANCE * self.share_error


def fit_recurrence(
    observed: Tally, control: Tally, survival: Survival, *, chance_ratio: float | _Floats = 1.0
) -> Recurrence:
    """Fit the share that comes back, and its scale, by maximum likelihood.

    Finds come by chance, at the rate that also makes those of the control, or by recurrence: the
    share of cases without any is ``1 - share + share * survival(value / scale)``.

    Parameters
    ----------
    observed, control : Tally
        With the same bins; the control where nothing can come back.
    survival : callable
        From 1 at 0 to 0.
    chance_ratio : float or (B,) float64
        Rate of finds by chance in the observed cases over that in the control.

    Returns
    -------
    Recurrence
        With a scale of at most the last bin's edge.
    """
    total = _summed(observed, control, chance_ratio, np.ones(BLOCKS, bool))
    best = _polished(total, survival, _start(total, survival))
    gain = 2 * (_log_likelihood(total, survival, *best) - _log_likelihood(total, survival, 0, 1))
    estimates = []
    for left_out in range(BLOCKS):
        kept = np.arange(BLOCKS) != left_out
        part = _summed(observed, control, chance_ratio, kept)
        estimates.append(_polished(part, survival, best))
    spread = np.sqrt((BLOCKS - 1) * np.var(estimates, axis=0))
    return Recurrence(
        share=best[0],
        share_error=float(spread[0]),
        scale=best[1],
        scale_error=float(spread[1]),
        gain=float(gain),
    )


def share_limit(
    observed: Tally,
    control: Tally,
    survival: Survival,
    *,
    longest: float,
    chance_ratio: float | _Floats = 1.0,
) -> float:
    """Return the largest share that could have gone unnoticed, with 95 % confidence.

    Parameters
    ----------
    observed, control, survival, chance_ratio
        As for `fit_recurrence`.
    longest : float
        Largest scale that is considered.
    """
    bins = _summed(observed, control, chance_ratio, np.ones(BLOCKS, bool))
    scales = np.geomspace(bins.edges[1], longest, _START_SCALES)
    shares = np.linspace(0, 1, 201)[:-1]
    likelihood = np.array(
        [[_log_likelihood(bins, survival, share, scale) for share in shares] for scale in scales]
    )
    return float(shares[(likelihood > likelihood.max() - 1.92).any(axis=0)].max())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bins:
    """Finds and exposure (cases at risk) in each bin, observed and in the control."""

    edges: _Floats
    found: _Floats
    exposure: _Floats
    control_found: _Floats
    control_exposure: _Floats
    ratio: _Floats


def _counts(value: _Floats, block: npt.NDArray[np.int64], edges: _Floats) -> _Floats:
    """Return how many values fall into each bin, by block."""
    index = np.searchsorted(edges, value, side="right") - 1
    inside = (index >= 0) & (index < len(edges) - 1)
    flat = block[inside] * (len(edges) - 1) + index[inside]
    counts = np.bincount(flat, minlength=BLOCKS * (len(edges) - 1))
    return counts.reshape(BLOCKS, -1).astype(np.float64)


def _summed(
    observed: Tally, control: Tally, chance_ratio: float | _Floats, kept: npt.NDArray[np.bool_]
) -> _Bins:
    """Return the bins of some of the blocks together."""
    found, control_found = (each.found[kept].sum(axis=0) for each in (observed, control))
    at_risk, control_at_risk = (each.at_risk[kept].sum(axis=0) for each in (observed, control))
    return _Bins(
        edges=observed.edges,
        found=found,
        exposure=np.maximum(at_risk - found / 2, 1e-9),
        control_found=control_found,
        control_exposure=np.maximum(control_at_risk - control_found / 2, 1e-9),
        ratio=np.maximum(np.broadcast_to(chance_ratio, found.shape), 1e-9),
    )


def _log_likelihood(bins: _Bins, survival: Survival, share: float, scale: float) -> float:
    """Return the log-likelihood of the finds, the rate of chance in each bin being the likeliest.

    Finds are Poisson with the rate chance x ratio + recurrence, those of the control with chance
    alone; the likeliest chance solves a quadratic equation.
    """
    left = np.maximum(1 - share + share * survival(bins.edges / scale), 1e-300)
    again = np.log(left[:-1] / left[1:])
    ratio, exposure = bins.ratio, bins.exposure * bins.ratio + bins.control_exposure
    half = (bins.found + bins.control_found) * ratio - exposure * again
    root = np.sqrt(half**2 + 4 * exposure * ratio * bins.control_found * again)
    chance = np.maximum((half + root) / (2 * exposure * ratio), 1e-12)
    rate = chance * ratio + again
    likely = bins.found @ np.log(rate) - bins.exposure @ rate
    return float(likely + bins.control_found @ np.log(chance) - bins.control_exposure @ chance)


def _start(bins: _Bins, survival: Survival) -> tuple[float, float]:
    """Return the best of a grid of shares and scales."""
    width = bins.edges[1] - bins.edges[0]
    scales = np.geomspace(width, bins.edges[-1], _START_SCALES)
    tried = [(share, float(scale)) for share in _START_SHARES for scale in scales]
    return max(tried, key=lambda pair: _log_likelihood(bins, survival, *pair))


def _polished(bins: _Bins, survival: Survival, start: tuple[float, float]) -> tuple[float, float]:
    """Return share and scale at the nearest maximum of the likelihood."""
    share, log_scale = start[0], float(np.log(start[1]))
    aside = share + 0.05 if share < 0.5 else share - 0.05
    options: Any = {
        "xatol": 1e-4,
        "fatol": 1e-3,
        "maxiter": 200,
        "initial_simplex": np.array(
            [[share, log_scale], [aside, log_scale], [share, log_scale + 0.05]]
        ),
    }
    shortest, longest = float(np.log(bins.edges[1] / 20)), float(np.log(bins.edges[-1]))

    def misfit(at: Any) -> float:
        return -_log_likelihood(bins, survival, float(at[0]), float(np.exp(at[1])))

    found = minimize(
        misfit,
        [share, log_scale],
        method="Nelder-Mead",
        bounds=[(0.0, 1 - 1e-6), (shortest, longest)],
        options=options,
    )
    return float(found.x[0]), float(np.exp(found.x[1]))
