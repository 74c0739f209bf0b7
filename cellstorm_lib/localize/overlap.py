"""Overlapping spots: those that are fitted together, in the place of their fits alone.

Each spot is fitted alone first. Spots whose boxes touch are then fitted together, and a spot whose
own fit leaves something unexplained is taken for several if that is much more likely.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.crowd import join_frames
from cellstorm_lib.localize.cut import end_of_range_adu
from cellstorm_lib.localize.fit import Fits, JudgedFits, fit_and_judge
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.group_rules import ALONE, FAINT, JOINED, MERGED, Rules
from cellstorm_lib.localize.joint import make_room
from cellstorm_lib.localize.pixels import LEAST_VARIANCE, PixelResponse
from cellstorm_lib.localize.region import make_planes
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.localize.typical import TypicalSpot
from cellstorm_lib.tables import Localizations

#: The column that says how many spots were fitted together; 1 for those fitted alone.
SPOTS_TOGETHER = "spots_together"
#: Further reasons why a candidate is not in the table.
MERGED_REASON, FAINT_REASON = "merged_with_neighbour", "faint_beside_neighbour"
#: A fit leaves something unexplained when it is worse than usual by so many standard deviations,
#: or the spot wider than usual by so many.
_SURPRISE, _WIDER = 1.0, 2.5
#: A spot that differs from the usual width by so many standard deviations, but is well explained,
#: keeps its width beside others: it is out of focus.
_ODD = 4.0
#: Variance of a fitted width / that of a position: of a Gaussian in background.
_WIDTH_VARIANCE = 1.35
#: Up to so many widths away from it a spot lights the box of another one.
_LIT_SIGMA = 3.0
#: (photons / their uncertainty)^2 of a spot that is believed beside others.
_LEAST_WALD = 9.0
_APART_SIGMA = 0.9
#: Photoelectrons that a spot begins with which could not be fitted alone.
_FIRST_PHOTONS = (20.0, 1000.0)
#: Stands for the reason of a spot that is not among those fitted alone, nor rejected by itself.
_ELSEWHERE = 1000


def fit_overlapping(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    typical: TypicalSpot,
) -> Fits:
    """Fit every candidate, together with those whose light overlaps with its own.

    As `fit_candidates`, with three differences. Spots that light each other's boxes are fitted
    together, all of the usual width (unless one is out of focus for sure) and on one background;
    their uncertainties are those of the joint fit. Where pixels are brighter than that
    explains, a further spot is tried, and believed when the likelihood ratio is above its
    ``split_p_value``. Candidates that turn out to be nothing of their own beside others are
    rejected as ``merged_with_neighbour`` or ``faint_beside_neighbour``.

    Parameters
    ----------
    frames, candidates, calibration, settings, pixels
        As in `fit_candidates`.
    typical : TypicalSpot
        What lone spots of the recording look like.

    References
    ----------
    Babcock et al., Opt. Nanoscopy 1, 6 (2012). doi:10.1186/2192-2853-1-6
    Huang et al., Biomed. Opt. Express 2, 1377 (2011). doi:10.1364/BOE.2.001377
    """
    pixels = PixelResponse.of(calibration) if pixels is None else pixels
    alone = fit_and_judge(frames, candidates, calibration, settings, pixels)
    count = len(alone.rows)
    rules = _rules(calibration, settings, pixels, typical)
    start = _starts(alone, candidates, typical)
    bounds = np.searchsorted(alone.where[0], np.arange(len(frames) + 1)).astype(np.int64)
    told = np.empty((count * settings.max_emitters, 1 + len(JOINED)))
    states = np.zeros(count)
    number = join_frames(
        np.ascontiguousarray(frames).view(np.uint8),
        _maps(frames.shape[1:], calibration, pixels),
        start,
        bounds,
        (alone.reason == 0) & _leaves_something(alone, typical),
        (rules, make_room(), make_planes()),
        told,
        states,
    )
    return _merged(alone, told[:number], states, pixels)


def together_count(table: Localizations) -> int:
    """Return how many spots of a table were fitted together with others."""
    if SPOTS_TOGETHER not in table:
        return 0
    return int(np.count_nonzero(table.column(SPOTS_TOGETHER) > 1))


def _rules(
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None,
    typical: TypicalSpot,
) -> Rules:
    """Return what is believed of spots in groups."""
    noise = max(calibration.pixel_noise_e**2, LEAST_VARIANCE)
    return Rules(
        half=settings.box_px // 2,
        link_px=settings.box_px // 2 + _LIT_SIGMA * typical.sigma_px,
        sigma_px=typical.sigma_px,
        split_gain=float(chi2.isf(settings.split_p_value, 3)) * typical.scatter,
        least_wald=_LEAST_WALD,
        min_photons=max(settings.min_photons, 1.0),
        apart_px=_APART_SIGMA * typical.sigma_px,
        most_together=settings.max_emitters,
        usual_deviance=typical.deviance,
        deviance_per_photon=typical.deviance_per_photon,
        surprise=_SURPRISE * typical.scatter,
        end_adu=float(end_of_range_adu(calibration)),
        least_noise=noise if pixels is None else pixels.least_noise,
        max_steps=settings.max_steps,
    )


def _maps(
    shape: tuple[int, ...], calibration: CameraCalibration, pixels: PixelResponse | None
) -> tuple[npt.NDArray[np.float32], ...]:
    """Return offset, gain, variance and sensitivity of every pixel."""
    if pixels is not None:
        return pixels.offset_adu, pixels.gain_e_per_adu, pixels.variance_e2, pixels.sensitivity
    noise = max(calibration.pixel_noise_e**2, LEAST_VARIANCE)
    return _even_maps(shape, calibration.offset_adu, calibration.gain_e_per_adu, noise)


@lru_cache(maxsize=4)
def _even_maps(shape: tuple[int, ...], *values: float) -> tuple[npt.NDArray[np.float32], ...]:
    """Return the maps of pixels that are all alike; they are only read."""
    return tuple(np.full(shape, value, np.float32) for value in (*values, 1.0))


def _odds(alone: JudgedFits, typical: TypicalSpot) -> npt.NDArray[np.float32]:
    """Return by how many standard deviations each spot is wider than usual."""
    error = np.sqrt(np.float32(_WIDTH_VARIANCE) * alone.spots["variance_x"])
    return np.asarray((alone.spots["sigma_px"] - np.float32(typical.sigma_px)) / error)


def _leaves_something(alone: JudgedFits, typical: TypicalSpot) -> npt.NDArray[np.bool_]:
    """Return where the fit of a spot alone does not explain its pixels."""
    return np.asarray(_is_worse(alone, typical) | (_odds(alone, typical) > _WIDER))


def _is_worse(alone: JudgedFits, typical: TypicalSpot) -> npt.NDArray[np.bool_]:
    """Return where a fit explains its pixels worse than usual."""
    pixel_count = (2 * alone.half_px + 1) ** 2
    usual = typical.usual_ratio(alone.spots["photons"], pixel_count, _SURPRISE)
    return np.asarray(alone.spots["log_likelihood_ratio"] > usual)


def _starts(
    alone: JudgedFits, candidates: Candidates, typical: TypicalSpot
) -> npt.NDArray[np.float64]:
    """Return where the fits of groups begin: the first columns of `group_rules.LIVE`."""
    spots, believed = alone.spots, alone.reason == 0
    middle = np.stack([candidates.column[alone.rows], candidates.row[alone.rows]]) + 0.5
    middle = middle + candidates.offset_px[alone.rows].T
    photons, background = (
        np.nan_to_num(spots[name], posinf=0.0, neginf=0.0) for name in ("photons", "background")
    )
    is_odd = believed & (np.abs(_odds(alone, typical)) > _ODD) & ~_is_worse(alone, typical)
    start = np.empty((len(believed), 7))
    start[:, :2] = np.where(believed, alone.xy_px, middle).T
    start[:, 2] = np.where(believed, photons, np.clip(photons, *_FIRST_PHOTONS))
    start[:, 3] = np.where(believed, spots["sigma_px"], typical.sigma_px)
    start[:, 4] = background
    start[:, 5] = np.arange(len(believed))
    start[:, 6] = np.where(is_odd, spots["sigma_px"], typical.sigma_px)
    return start


def _merged(
    alone: JudgedFits,
    told: npt.NDArray[np.float64],
    states: npt.NDArray[np.float64],
    pixels: PixelResponse | None,
) -> Fits:
    """Return the spots fitted alone and those fitted together, in the order of the candidates."""
    left = replace(alone, reason=np.where(states == ALONE, alone.reason, _ELSEWHERE)).believed()
    parents = told[:, 0].astype(np.int64)
    joined = dict(zip(JOINED, told[:, 1:].T, strict=True))
    order = np.argsort(np.concatenate([left.rows, alone.rows[parents]]), kind="stable")

    def both(name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        first = getattr(left, name)
        return np.concatenate([first, values.astype(first.dtype)])[order]

    sensitivity = _sensitivity(alone, parents, joined, pixels)
    together = np.concatenate([np.ones(len(left)), joined["spots_together"]])[order]
    rejected = {
        **left.rejected,
        MERGED_REASON: int(np.count_nonzero(states == MERGED)),
        FAINT_REASON: int(np.count_nonzero(states == FAINT)),
    }
    found = len(states) + rejected["border"]
    return Fits(
        rows=np.concatenate([left.rows, alone.rows[parents]])[order],
        x_px=both("x_px", joined["x_px"]),
        y_px=both("y_px", joined["y_px"]),
        photons=both("photons", joined["photons"] * sensitivity),
        background=both("background", joined["background"] * sensitivity),
        sigma_px=both("sigma_px", joined["sigma_px"]),
        crlb_x_px=both("crlb_x_px", np.sqrt(joined["variance_x"])),
        crlb_y_px=both("crlb_y_px", np.sqrt(joined["variance_y"])),
        log_likelihood_ratio=both("log_likelihood_ratio", joined["log_likelihood_ratio"]),
        out_of_range_px=both("out_of_range_px", joined["out_of_range_px"]),
        relative_sensitivity=both("relative_sensitivity", sensitivity),
        rejected=rejected,
        further={SPOTS_TOGETHER: together.astype(np.int32)},
        added=len(order) + sum(rejected.values()) - found,
    )


def _sensitivity(
    alone: JudgedFits,
    parents: npt.NDArray[np.int64],
    joined: Mapping[str, npt.NDArray[np.float64]],
    pixels: PixelResponse | None,
) -> npt.NDArray[np.float64]:
    """Return the sensitivity of the pixels at each spot of a group."""
    if pixels is None:
        return np.ones(len(parents))
    half = alone.half_px
    height, width = pixels.sensitivity.shape
    row = np.clip(np.floor(joined["y_px"]), half, height - 1 - half).astype(np.int32)
    column = np.clip(np.floor(joined["x_px"]), half, width - 1 - half).astype(np.int32)
    where = np.stack([alone.where[0, parents], row, column])
    places = (joined["x_px"] - (column - half), joined["y_px"] - (row - half), joined["sigma_px"])
    x_px, y_px, sigma_px = (values.astype(np.float32) for values in places)
    return pixels.sensitivity_at(where, x_px, y_px, sigma_px, 2 * half + 1).astype(np.float64)
