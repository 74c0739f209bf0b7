"""Which bright spots of a video are afterimages: light that the codec did not take away.

A video codec at low rate does not send small changes. A molecule that went dark leaves a spot
until the next key frame, and the minima of the noise know nothing of it. But afterimages betray
themselves in time: they stand still from one frame to the next, while molecules appear and
vanish. Each spot has a signature, its height relative to the same place a frame before and a
frame after. At every height the spots are a mixture of molecules, whose signatures are learned
from the recording, of afterimages, whose signatures are known, and of noise, whose share is
known; the share of molecules rises with height as a logistic curve. Its place is what the
recording tells.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.extrema import Extrema
from cellstorm_lib.localize.noise_floor import NoiseFloor

#: Classes of the height a frame before (or after) over the height now:
#: nothing there, lower, the same, higher, much higher.
_CLASS_EDGES = (0.5, 0.85, 1.15, 2.0)
_SAME = 2
_UNKNOWN = 5

#: Signatures (rows: the frame before, columns: after) of the false spots and of the molecules of
#: simulated filaments and letters, 10 to 30 spots a frame, compressed by x264 at CRF 33 to 39
#: and 0.05 bit/px: means over eight recordings.
_STANDING = np.array(
    [
        [0.047, 0.010, 0.041, 0.001, 0.002],
        [0.007, 0.003, 0.011, 0.001, 0.001],
        [0.139, 0.048, 0.551, 0.004, 0.006],
        [0.020, 0.010, 0.044, 0.002, 0.001],
        [0.015, 0.006, 0.028, 0.001, 0.002],
    ]
)
_MOLECULES = np.array(
    [
        [0.125, 0.021, 0.195, 0.044, 0.120],
        [0.009, 0.004, 0.009, 0.004, 0.003],
        [0.071, 0.017, 0.163, 0.011, 0.009],
        [0.024, 0.005, 0.022, 0.003, 0.004],
        [0.071, 0.009, 0.049, 0.003, 0.005],
    ]
)
#: The same for frames predicted from both sides (B frames): light leaks backwards, too.
_LEAKING = np.array(
    [
        [0.056, 0.030, 0.033, 0.098, 0.065],
        [0.029, 0.022, 0.012, 0.131, 0.004],
        [0.025, 0.022, 0.146, 0.018, 0.005],
        [0.100, 0.119, 0.017, 0.002, 0.001],
        [0.056, 0.005, 0.003, 0.001, 0.001],
    ]
)
#: Log-likelihood by which leaking must explain the sample better than standing. Videos of phones
#: have no B frames; without this, chance finds leaks.
_LEAK_EVIDENCE = 12.0
#: Steepness of the logistic curve in the logarithm of the height; 5 to 8 in simulations.
_STEEPNESS = 6.0
#: Weight of the signatures above in those learned from the recording, in spots.
_PRIOR_SPOTS = 20.0
#: Spots enter above the height that this many noise maxima exceed per 256 x 256 pixels.
_NOISE_RATE = 8.0
#: Range of the share of afterimages that are the same a frame before and after.
_STANDING_STILL, _LEAKING_STILL = (0.4, 0.9), (0.05, 0.3)
_BIN_COUNT = 64
_PLACE_COUNT = 28
_STEP_COUNT = 10
_LEAST_SPOTS = 20

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Mixture:
    """Counted signatures, and how much of each height is noise.

    Attributes
    ----------
    height : (B,) float64
        Middle of each bin.
    counts : (B, 6, 6) float64
        Spots by height and signature; the last class is "not known".
    noise_share : (B,) float64
        Share of noise in each bin.
    noise : (5, 5) float64
        Signatures of the noise.
    """

    height: _Floats
    counts: _Floats
    noise_share: _Floats
    noise: _Floats


def afterimage_probability(
    maxima: Extrema, floor: NoiseFloor, *, frame_count: int, area_px: float
) -> _Floats:
    """Return for each maximum of a sample how probably it is an afterimage.

    Parameters
    ----------
    maxima : Extrema
        Of frames coded with reference to others; frames without known neighbours tell nothing.
    floor : NoiseFloor
        Noise of the sample.
    frame_count : int
        Frames the maxima come from.
    area_px : float
        Pixels of a frame.

    Returns
    -------
    (M,) float64
        0 where nothing speaks for afterimages: few spots, or signatures unlike theirs.

    Notes
    -----
    The probability is the mean over all places of the logistic curve, weighted by how well
    each explains the signatures.
    """
    probability = np.zeros(len(maxima))
    lowest = floor.height_of(_NOISE_RATE)
    is_above = maxima.height > lowest
    is_timed = np.isfinite(maxima.before) | np.isfinite(maxima.after)
    if np.count_nonzero(is_above & is_timed) < _LEAST_SPOTS:
        return probability
    above = maxima.chosen(is_above)
    mixture = _counted(above, floor, frame_count=frame_count, area_px=area_px)
    top = float(np.quantile(above.height, 0.98))
    places = np.geomspace(0.5 * float(above.height.min()), top, _PLACE_COUNT)
    evidence = np.array(
        [
            [
                _log_likelihood(mixture, place, _STANDING, _STANDING_STILL),
                _log_likelihood(mixture, place, _LEAKING, _LEAKING_STILL) - _LEAK_EVIDENCE,
            ]
            for place in places
        ]
    )
    weight = np.exp(evidence - evidence.max()).sum(axis=1)
    weight /= weight.sum()
    height = above.height.astype(np.float64)
    share = np.interp(np.log(height), np.log(mixture.height), mixture.noise_share)
    is_dark = (1.0 - _molecule_share(height[:, None], places)) @ weight
    probability[is_above] = (1.0 - share) * is_dark
    return probability


def _molecule_share(height: _Floats, place: _Floats | float) -> _Floats:
    """Return the share of molecules in what is not noise."""
    share: _Floats = 1.0 / (1.0 + (height / place) ** -_STEEPNESS)
    return share


def _counted(spots: Extrema, floor: NoiseFloor, *, frame_count: int, area_px: float) -> _Mixture:
    """Count the signatures of spots in bins of the logarithm of their height."""
    height = spots.height.astype(np.float64)
    edges = np.geomspace(height.min(), height.max() * (1 + 1e-9) + 1e-12, _BIN_COUNT + 1)
    bins = np.clip(np.searchsorted(edges, height, side="right") - 1, 0, _BIN_COUNT - 1)
    counts = np.zeros((_BIN_COUNT, 6, 6))
    np.add.at(counts, (bins, _class_of(spots.before, height), _class_of(spots.after, height)), 1)
    middle = np.sqrt(edges[:-1] * edges[1:])
    expected = floor.rate_above(middle / 1.12) - floor.rate_above(middle * 1.12)
    ordered = np.sort(height)
    found = np.searchsorted(ordered, middle * 1.12) - np.searchsorted(ordered, middle / 1.12)
    expected *= frame_count * area_px / 65536.0
    share = np.clip(expected / np.maximum(found, 1), 0.0, 1.0)
    even = np.full((5, 5), 0.04)
    noise = _learned(5 * even, np.tensordot(share, counts, axes=1), even)
    return _Mixture(height=middle, counts=counts, noise_share=share, noise=noise)


def _class_of(other: npt.NDArray[np.float32], height: _Floats) -> npt.NDArray[np.int64]:
    """Return the class of a neighbouring frame's height."""
    is_known = np.isfinite(other)
    ratio = np.where(is_known, other, 0.0) / height
    return np.where(is_known, np.digitize(ratio, _CLASS_EDGES), _UNKNOWN)


def _log_likelihood(
    mixture: _Mixture, place: float, signature: _Floats, still_range: tuple[float, float]
) -> float:
    """Return how well a place of the logistic curve explains the signatures.

    The molecules' own signatures are learned on the way (expectation maximization).
    """
    light = 1.0 - mixture.noise_share
    share = _molecule_share(mixture.height, place)
    noise = mixture.noise_share[:, None, None] * _extended(mixture.noise)
    prior = _MOLECULES / _MOLECULES.sum()
    molecules, afterimages = prior, signature / signature.sum()
    for _ in range(_STEP_COUNT):
        bright = (light * share)[:, None, None] * _extended(molecules)
        dark = (light * (1.0 - share))[:, None, None] * _extended(afterimages)
        total = np.maximum(bright + dark + noise, 1e-300)
        weighted = mixture.counts / total
        found = (weighted * bright).sum(axis=0)
        molecules = _learned(_PRIOR_SPOTS * prior, found, molecules)
        afterimages = _stilled(afterimages, (weighted * dark).sum(axis=0), still_range)
    fit = np.sum(mixture.counts * np.log(total))
    return float(fit + _PRIOR_SPOTS * np.sum(prior * np.log(molecules)))


def _stilled(signature: _Floats, counts: _Floats, still_range: tuple[float, float]) -> _Floats:
    """Return signatures of afterimages with as many that stand still as were counted."""
    still = _learned(_PRIOR_SPOTS * signature, counts, signature)[_SAME, _SAME]
    still = float(np.clip(still, *still_range))
    rest = signature.copy()
    rest[_SAME, _SAME] = 0.0
    rest *= (1.0 - still) / rest.sum()
    rest[_SAME, _SAME] = still
    return rest


def _extended(signature: _Floats) -> _Floats:
    """Return signatures with the sums for frames that are not known."""
    wide = np.ones((6, 6))
    wide[:5, :5] = signature
    wide[5, :5] = signature.sum(axis=0)
    wide[:5, 5] = signature.sum(axis=1)
    return wide


def _learned(prior: _Floats, counts: _Floats, current: _Floats) -> _Floats:
    """Return signatures from counts; what is half known is shared out as `current` has it."""
    total = prior + counts[:5, :5]
    total = total + counts[:5, 5][:, None] * current / current.sum(axis=1, keepdims=True)
    total = total + counts[5, :5][None] * current / current.sum(axis=0, keepdims=True)
    signature: _Floats = total / total.sum()
    return signature
