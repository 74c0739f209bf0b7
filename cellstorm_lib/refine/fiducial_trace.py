"""The drift that fiducials show: those that move together, as one random walk seen with noise.

How fast the walk is and how large the noise are the most likely values; a step far larger than
the walk explains is a jump and is not smoothed. No setting is left to choose.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.optimize import minimize_scalar

from cellstorm_lib.refine.fiducials import Fiducial
from cellstorm_lib.tables import Localizations

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]

_BINS = 50
_TOLERANCE_NM, _TIMES_NOISE = 4.0, 3.0
_ROUNDS = 20
_JUMP_WINDOW, _JUMP_SIGMAS, _MOST_JUMPS = 10, 8.0, 10


class FiducialTrace(NamedTuple):
    """Motion of the fiducials that agree.

    Attributes
    ----------
    xy_nm : (F, 2) float64
        Displacement per frame, mean zero.
    uncertainty_nm : (F,) float64
        Its standard deviation per axis.
    fiducials : tuple of Fiducial
        All that were found, with what the trace leaves of each.
    """

    xy_nm: _Floats
    uncertainty_nm: _Floats
    fiducials: tuple[Fiducial, ...]


def trace_of(localizations: Localizations, rows_of_each: tuple[_Rows, ...]) -> FiducialTrace:
    """Return the motion of the largest group of fiducials that move together.

    Parameters
    ----------
    localizations : Localizations
        Not yet corrected.
    rows_of_each : tuple of (N,) int64
        Rows of each fiducial, at least one.
    """
    frame_count = localizations.field.frame_count
    tracks = np.full((len(rows_of_each), frame_count, 2), np.nan)
    frame, xy_nm = localizations.column("frame"), localizations.xy_nm
    for track, rows in zip(tracks, rows_of_each, strict=True):
        track[frame[rows]] = xy_nm[rows]
    is_used = _agreeing(tracks)
    mean_nm, weight = _combined(tracks[is_used])
    trace_nm, spread_nm = _smoothed(mean_nm, weight)
    shift_nm = trace_nm.mean(axis=0)
    trace_nm = trace_nm - shift_nm
    fiducials = tuple(
        _described(track, trace_nm, bool(used)) for track, used in zip(tracks, is_used, strict=True)
    )
    return FiducialTrace(trace_nm, spread_nm, fiducials)


def _agreeing(tracks: _Floats) -> npt.NDArray[np.bool_]:
    """Return which fiducials belong to the largest group that moves together."""
    slow = np.stack([_slow(track) for track in tracks])
    noise = np.array([_noise_nm(track) for track in tracks])
    noise = noise / np.sqrt(np.maximum(tracks.shape[1] / _BINS, 1.0))
    agrees = np.zeros((len(tracks), len(tracks)), bool)
    for one in range(len(tracks)):
        for two in range(len(tracks)):
            apart = slow[one] - slow[two]
            apart = apart[np.isfinite(apart).all(axis=1)]
            limit = _TOLERANCE_NM + _TIMES_NOISE * np.hypot(noise[one], noise[two])
            agrees[one, two] = len(apart) > 1 and np.std(apart - apart.mean(axis=0)) < limit
    best = int(np.argmax(agrees.sum(axis=1) + 1e-3 * np.isfinite(slow).all(axis=2).mean(axis=1)))
    return np.asarray(agrees[best])


def _slow(track: _Floats) -> _Floats:
    """Return the means of a track over stretches of time, (B, 2); NaN where it is not seen."""
    count = min(_BINS, len(track))
    place = np.arange(len(track)) * count // len(track)
    seen = np.isfinite(track[:, 0])
    number = np.bincount(place[seen], minlength=count)
    total = [np.bincount(place[seen], track[seen, axis], count) for axis in (0, 1)]
    return np.where(number > 0, np.array(total) / np.maximum(number, 1), np.nan).T


def _noise_nm(track: _Floats) -> float:
    """Return the scatter of a track from frame to frame."""
    seen = track[np.isfinite(track[:, 0])]
    scatter_nm = 1.4826 * np.median(np.abs(np.diff(seen, axis=0))) / np.sqrt(2.0)
    return max(float(scatter_nm), 0.1)


def _combined(tracks: _Floats) -> tuple[_Floats, _Floats]:
    """Return the mean motion (F, 2), 0 where nothing is seen, and its weight (F,), 1/nm2.

    Each fiducial has its own place; far outliers of single frames lose their weight.
    """
    seen = np.isfinite(tracks[:, :, 0])
    values = np.where(seen[:, :, None], tracks, 0.0)
    inverse = np.array([1.0 / _noise_nm(track) ** 2 for track in tracks])
    weight = seen * inverse[:, None]
    place = values.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None]
    robust = weight
    for _ in range(_ROUNDS):
        total = robust.sum(axis=0)
        apart = values - place[:, None]
        mean = (robust[:, :, None] * apart).sum(axis=0) / np.maximum(total, 1e-30)[:, None]
        left = apart - mean
        place = (
            place
            + (robust[:, :, None] * left).sum(axis=1)
            / np.maximum(robust.sum(axis=1), 1e-30)[:, None]
        )
        pull2 = (left**2).sum(axis=2) * inverse[:, None]
        robust = weight / (1.0 + pull2 / 25.0)
    return mean, robust.sum(axis=0)


def _smoothed(mean_nm: _Floats, weight: _Floats) -> tuple[_Floats, _Floats]:
    """Return the most likely random walk, (F, 2), and its standard deviation, (F,)."""
    loose = np.ones(len(mean_nm) - 1)
    for _ in range(_MOST_JUMPS):
        found = minimize_scalar(
            lambda power: -_fitted(mean_nm, weight, np.exp(power) * loose)[0],
            bounds=(-14.0, 14.0), method="bounded", options={"xatol": 0.1},
        )  # fmt: skip
        _, trace_nm, spread_nm = _fitted(mean_nm, weight, np.exp(found.x) * loose)
        jump = _largest_jump(mean_nm, weight, loose)
        if jump < 0:
            break
        loose[jump] = 1e-6
    return trace_nm, spread_nm


def _fitted(mean_nm: _Floats, weight: _Floats, stiff: _Floats) -> tuple[float, _Floats, _Floats]:
    """Return the log-likelihood of a stiffness, the trace and its standard deviation."""
    band = np.zeros((2, len(weight)))
    band[1] = weight + 1e-9 * weight.max()
    band[1, :-1] += stiff
    band[1, 1:] += stiff
    band[0, 1:] = -stiff
    factor = cholesky_banded(band)
    pushed = weight[:, None] * mean_nm
    trace_nm = cho_solve_banded((factor, False), pushed)
    count = max(2 * int((weight > 0).sum()) - 2, 1)
    scale = float((pushed * (mean_nm - trace_nm)).sum()) / count
    backward = np.zeros_like(band)
    backward[1], backward[0, 1:] = band[1, ::-1], band[0, :0:-1]
    turned = cholesky_banded(backward)
    likelihood = (
        -0.5 * count * np.log(max(scale, 1e-30))
        - 2.0 * np.log(factor[1]).sum()
        + np.log(stiff).sum()
    )
    curvature = factor[1] ** 2 + turned[1, ::-1] ** 2 - band[1]
    return float(likelihood), trace_nm, np.sqrt(max(scale, 1e-30) / curvature)


def _largest_jump(mean_nm: _Floats, weight: _Floats, loose: _Floats) -> int:
    """Return the step between frames that a smooth walk explains worst; -1 for none."""
    size = _JUMP_WINDOW
    if len(weight) < 4 * size:
        return -1
    seen = weight > 0
    totals = np.cumsum(np.vstack([[0, 0], mean_nm * seen[:, None]]), axis=0)
    counts = np.cumsum(np.r_[0, seen])
    at = np.arange(size, len(weight) - size)
    before, after = counts[at] - counts[at - size], counts[at + size] - counts[at]
    full = (before >= size // 2) & (after >= size // 2)
    step = (totals[at + size] - totals[at]) / np.maximum(after, 1)[:, None]
    step -= (totals[at] - totals[at - size]) / np.maximum(before, 1)[:, None]
    height = np.where(full, np.abs(step).max(axis=1), 0.0)
    known = np.flatnonzero(loose < 1.0) + 1
    for place in known:
        height[np.abs(at - place) < 2 * size] = 0.0
    usual = 1.4826 * np.median(height[full]) if full.any() else np.inf
    best = int(np.argmax(height))
    return int(at[best]) - 1 if height[best] > _JUMP_SIGMAS * max(usual, 0.1) else -1


def _described(track: _Floats, trace_nm: _Floats, is_used: bool) -> Fiducial:
    """Return a fiducial with what the drift leaves of it."""
    still = track - trace_nm
    seen = np.flatnonzero(np.isfinite(still[:, 0]))
    middle = np.median(still[seen], axis=0)
    slow = _slow(still)
    slow = slow[np.isfinite(slow[:, 0])]
    apart = np.hypot(*(still[seen] - middle).T)
    return Fiducial(
        x_nm=float(middle[0]),
        y_nm=float(middle[1]),
        radius_nm=float(np.quantile(apart, 0.99) * 1.3 + 5.0),
        first_frame=int(seen[0]),
        last_frame=int(seen[-1]),
        localizations=len(seen),
        residual_nm=float(np.std(slow - slow.mean(axis=0))),
        is_used=is_used,
    )
