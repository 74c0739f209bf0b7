"""The height above which a bright spot is believed: one number per recording, from its own noise.

A multiple of each frame's standard deviation fails on compressed video: the codec removes the
noise, and the threshold with it, but keeps its own artefacts. Here the number of false spots is
estimated as a function of the threshold, from a small sample of the recording, and the threshold
is the lowest one at which that number is what the settings allow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.afterimages import afterimage_probability
from cellstorm_lib.localize.crowded import is_crowded
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.extrema import (
    Extrema,
    ascending,
    find_extrema,
    middle_of_ascending,
)
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.noise_floor import (
    REFERENCE_AREA_PX,
    NoiseFloor,
    measure_noise_floor,
)
from cellstorm_lib.recording import FrameSource

#: Share of a recording's frames that may be looked at: of a video, and of a stack, whose frames are
#: taken one by one and tell twice as much.
_VIDEO_SHARE, _STACK_SHARE = 0.05, 0.025
#: Consecutive frames of a video: afterimages are told from molecules by what follows.
_RUN_FRAMES = 4
_LEAST_FRAMES = 12
_MOST_FRAMES = 160
_MOST_PIXELS = 2**25

#: Where there are few molecules, the false spots are kept below this share of them, but not
#: below this share of what the settings allow.
_FALSE_SHARE = 0.1
_LEAST_ALLOWED_SHARE = 0.1
#: Nothing fainter is a spot, however quiet the frames: a spot of 0.25 has seven photoelectrons.
_LEAST_THRESHOLD = 0.25
_GRID = 600
#: How many times more false spots a search may find whose finds are judged one by one afterwards.
_LOOSE = 300.0
#: Pixels that are filtered at once: few enough for the cache.
_GROUP_PX = 1 << 19

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameSample:
    """A few frames that stand for a recording.

    Attributes
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    frame : (N,) int64
        The file's own frame numbers.
    is_key : (N,) bool
        Frames coded without reference to others; all True for stacks.
    """

    frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    frame: npt.NDArray[np.int64]
    is_key: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionThreshold:
    """A threshold with what is expected of it.

    Attributes
    ----------
    photons : float
        Height of the band-passed image above which a local maximum is taken, photoelectrons.
    expected_false_per_frame : float
        False spots expected in a frame of this recording's size: noise and afterimages.
    expected_noise_per_frame : float
        The part of them that is noise.
    expected_afterimages_per_frame : float
        The part of them that is light the codec did not take away.
    spots_per_frame : float
        Spots found above the threshold, false ones included.
    noise_photons : float
        Standard deviation of the band-passed image between the spots, photoelectrons.
    sampled_frames : int
        Frames on which all this rests.
    loose_photons : float
        The threshold for 300 times the false spots, for a search whose finds are judged one by
        one afterwards; never above `photons`.
    is_crowded : bool
        Whether the noise cannot be seen between the spots, so that the camera's own was taken.
    """

    photons: float
    expected_false_per_frame: float
    expected_noise_per_frame: float
    expected_afterimages_per_frame: float
    spots_per_frame: float
    noise_photons: float
    sampled_frames: int
    loose_photons: float
    is_crowded: bool = False


def take_sample(source: FrameSource) -> FrameSample:
    """Read the frames on which the detection is calibrated; always the same ones.

    At most 5 % of the frames of a video, 2.5 % of a stack (but 12 of short ones), at most 160 and
    at most 33 million pixels, spread evenly: single frames of a stack, runs of four consecutive
    frames of a video. Tainted frames are left out while there are others.
    """
    is_stack = len(source.key_frames()) >= len(source.frame_range)
    area_px = source.facts.roi.width_px * source.facts.roi.height_px
    share, length = (_STACK_SHARE, 1) if is_stack else (_VIDEO_SHARE, _RUN_FRAMES)
    wanted = _spread(source.frame_range, share=share, run=length, area_px=area_px)
    shape = (0, source.facts.roi.height_px, source.facts.roi.width_px)
    dtype = np.uint8 if source.facts.bit_depth <= 8 else np.uint16
    frames: list[npt.NDArray[Any]] = [np.zeros(shape, dtype)]
    numbers, keys = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    tainted = [np.zeros(0, np.bool_)]
    for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1):
        if not len(run):
            continue
        for chunk in source.part(int(run[0]), int(run[-1]) + 1).chunks(len(run)):
            frames.append(chunk.frames)
            numbers.append(chunk.frame)
            keys.append(chunk.is_key)
            tainted.append(chunk.is_tainted)
    is_tainted = np.concatenate(tainted)
    is_mixed = is_tainted.any() and not is_tainted.all()
    taken = ~is_tainted if is_mixed else slice(None)
    return FrameSample(
        frames=np.concatenate(frames)[taken],
        frame=np.concatenate(numbers)[taken],
        is_key=np.concatenate(keys)[taken],
    )


def _spread(frames: range, *, share: float, run: int, area_px: int) -> npt.NDArray[np.int64]:
    """Return frame numbers in runs spread evenly over a range."""
    total = len(frames)
    count = min(max(int(share * total), _LEAST_FRAMES), _MOST_FRAMES)
    count = min(count, max(_MOST_PIXELS // area_px, run), total)
    if not count:
        return np.zeros(0, np.int64)
    runs = max(count // run, 1)
    length = min(run, count)
    middle = (np.arange(runs) + 0.5) * total / runs
    start = np.clip((middle - 0.5 * length).astype(np.int64), 0, total - length)
    return frames.start + np.unique(start[:, None] + np.arange(length))


def calibrate_threshold(
    sample: npt.NDArray[np.float32],
    *,
    settings: DetectSettings | None = None,
    frame: npt.NDArray[np.int64] | None = None,
    is_key: npt.NDArray[np.bool_] | None = None,
    camera_photons: float | None = None,
) -> DetectionThreshold:
    """Choose the detection threshold of a recording from a sample of its frames.

    Parameters
    ----------
    sample : (N, Y, X) float32
        Frames in photoelectrons.
    settings : DetectSettings
        ``false_per_frame`` is what is allowed; ``threshold_photons`` replaces the choice, the
        expectations being those of that number.
    frame : (N,) int64, optional
        Numbers of the frames, ascending: which follow each other.
    is_key : (N,) bool, optional
        Frames coded without reference to others. Without `frame` or `is_key` all count as
        such, and no spot is taken for an afterimage.
    camera_photons : float, optional
        The threshold by the camera's noise alone (`crowded.camera_threshold`). It is taken where
        frames that were coded alone are so crowded that no noise is seen in them, and the loose
        threshold is never above it: bright spots that stand still may be molecules.

    Returns
    -------
    DetectionThreshold
        The lowest threshold at which the expected false spots stay within ``false_per_frame``
        and, where molecules are rare, within a tenth of the molecules (but not below a tenth of
        ``false_per_frame``). An empty sample gives the least threshold there is.

    Notes
    -----
    False spots are noise, counted in minima away from bright spots, and afterimages, recognized
    by standing still. Real molecules too faint to be listed in a truth are not false here.
    """
    settings = settings or DetectSettings()
    count, height, width = sample.shape
    least = settings.threshold_photons or _LEAST_THRESHOLD
    if not count or min(height, width) < 3:
        return _without_frames(least, count)
    is_coded_alone = np.ones(count, np.bool_) if frame is None or is_key is None else is_key
    follows = np.zeros(count, np.bool_)
    if frame is not None:
        follows[1:] = (np.diff(frame) == 1) & ~is_coded_alone[1:]
    maxima, minima, noise_photons = _extrema(sample, follows)
    floor = measure_noise_floor(maxima, minima, shape=(count, height, width))
    dark = np.zeros(len(maxima))
    is_coded = ~is_coded_alone[maxima.index]
    dark[is_coded] = afterimage_probability(
        maxima.chosen(is_coded),
        floor,
        frame_count=int(np.count_nonzero(~is_coded_alone)),
        area_px=(height - 2) * (width - 2),
    )
    margin = max(settings.border_px, 1)
    searched_px = max(height - 2 * margin, 0) * max(width - 2 * margin, 0)
    counted = _Counted(maxima, dark, floor, (height - 2) * (width - 2) * count)
    if settings.threshold_photons is not None:
        photons = settings.threshold_photons
    else:
        photons = max(counted.lowest_within(settings.false_per_frame), _LEAST_THRESHOLD)
    loose = counted.lowest_within(_LOOSE * settings.false_per_frame)
    is_dense = False
    if camera_photons is not None and settings.threshold_photons is None:
        area_px = float((height - 2) * (width - 2) * count)
        is_dense = bool(is_coded_alone.all()) and is_crowded(
            maxima, minima, camera_photons, area_px
        )
        loose = min(loose, camera_photons)
    if camera_photons is not None and is_dense:
        photons = min(photons, max(camera_photons, _LEAST_THRESHOLD))
    spots, noise, afterimages = (
        float(rate) * searched_px / REFERENCE_AREA_PX for rate in counted.rates(np.array(photons))
    )
    if is_dense:
        noise = settings.false_per_frame * searched_px / REFERENCE_AREA_PX
    return DetectionThreshold(
        photons=photons,
        expected_false_per_frame=noise + afterimages,
        expected_noise_per_frame=noise,
        expected_afterimages_per_frame=afterimages,
        spots_per_frame=spots,
        noise_photons=noise_photons,
        sampled_frames=count,
        loose_photons=min(max(loose, _LEAST_THRESHOLD), photons),
        is_crowded=is_dense,
    )


class _Counted:
    """Spots, noise and afterimages above any height, per 256 x 256 pixels of a frame."""

    def __init__(
        self, maxima: Extrema, dark: _Floats, floor: NoiseFloor, searched_px: float
    ) -> None:
        order = ascending(maxima.height)
        self._height = maxima.height[order].astype(np.float64)
        self._floor = floor
        unit = REFERENCE_AREA_PX / searched_px
        self._spots: _Floats = unit * np.arange(len(order), -1, -1, dtype=np.float64)
        self._dark = unit * np.append(np.cumsum(dark[order][::-1])[::-1], 0.0)

    def rates(self, height: _Floats) -> tuple[_Floats, _Floats, _Floats]:
        """Return spots, noise among them and afterimages among them above heights."""
        place = np.searchsorted(self._height, height)
        return self._spots[place], self._floor.rate_above(height), self._dark[place]

    def lowest_within(self, allowed: float) -> float:
        """Return the lowest height from which on no more false spots than allowed are left."""
        if not len(self._height):
            return 0.0
        top = max(self._height[-1], self._floor.height_of(_LEAST_ALLOWED_SHARE * allowed))
        height = np.geomspace(self._height[0], 1.01 * top, _GRID)
        spots, noise, dark = self.rates(height)
        expected = noise + dark
        molecules = spots - expected
        limit = np.clip(_FALSE_SHARE * molecules, _LEAST_ALLOWED_SHARE * allowed, allowed)
        too_many = np.flatnonzero(expected > limit)
        return float(height[min(too_many[-1] + 1, _GRID - 1)] if len(too_many) else height[0])


def _extrema(
    sample: npt.NDArray[np.float32], follows: npt.NDArray[np.bool_]
) -> tuple[Extrema, Extrema, float]:
    """Return maxima and minima of the band-passed sample, and the noise between the spots."""
    maxima, minima, starts, between = [], [], [], []
    for start, stop in _groups(follows, most=max(_GROUP_PX // sample[0].size, 1)):
        band = wavelet_band(sample[start:stop])
        maxima.append(find_extrema(band, follows=follows[start:stop]))
        minima.append(find_extrema(band, follows=follows[start:stop], are_minima=True))
        starts.append(start)
        between.append(np.abs(band[:, ::4, ::4]).ravel())
    noise_photons = middle_of_ascending(np.sort(np.concatenate(between))) / 0.6745
    return Extrema.joined(maxima, starts), Extrema.joined(minima, starts), noise_photons


def _groups(follows: npt.NDArray[np.bool_], *, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of about `most` frames that break no run of frames that follow each other."""
    start = 0
    for stop in [*np.flatnonzero(~follows)[1:].tolist(), len(follows)]:
        if stop - start >= most or stop == len(follows):
            yield start, stop
            start = stop


def _without_frames(photons: float, count: int) -> DetectionThreshold:
    """Return the threshold of a sample in which nothing can be found."""
    return DetectionThreshold(
        photons=photons,
        expected_false_per_frame=0.0,
        expected_noise_per_frame=0.0,
        expected_afterimages_per_frame=0.0,
        spots_per_frame=0.0,
        noise_photons=0.0,
        sampled_frames=count,
        loose_photons=photons,
    )
