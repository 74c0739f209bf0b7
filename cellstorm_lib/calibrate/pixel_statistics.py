"""One reading of a series of frames: what each pixel did over time, kept in sums.

The frames are dealt into two interleaved halves. Whoever sorts pixels by their mean of one half and
averages mean and variance of the other half is free of the errors of either: noise that puts
a pixel into a class does not enter what is then measured of that class.

Every pixel is regressed on the mean of its frame, so that a lamp whose light changes, or a black
level that moves, does not count as noise. That is exact for any linear camera: each pixel follows
the frame's mean by a factor of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.frame_memory import FrameMemory, covariance_beside, frames_before
from cellstorm_lib.calibrate.planes import Plane
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource, RecordingFacts

Floats = npt.NDArray[np.float64]

#: Consecutive parts of a series whose means tell whether something moved.
PART_COUNT = 8
#: Fewest frames that still give each half a variance and a regression.
LEAST_FRAMES = 8
#: Pixels (Y, X) and the next ones in their row; the same in their column.
NEIGHBOURS = (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :])
_CHUNK_VALUES = 2_000_000
_LEVEL_COUNT = 2**16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelStatistics:
    """Means and variances over time of the pixels of one plane of one series.

    Attributes
    ----------
    name : str
        The series.
    mean_adu, variance_adu2 : (2, Y, X) float64
        Of each half of the frames; variances are unbiased, the common course taken out.
    frame_counts : (int, int)
        Frames of each half.
    part_means_adu : (P, Y, X) float64
        Means over consecutive parts of the series, the common course taken out.
    part_counts : (P,) int64
        Frames of each part.
    frame_means_adu : (N,) float64
        Mean of each frame.
    covariance_adu2 : (3, Y, X) float64
        Covariance over time of each pixel with the next in its row, with the next in its column,
        and with itself in the frame before; the common course taken out; 0 where there is none.
    levels : (65536,) int64
        How often each grey value occurs.
    """

    name: str
    mean_adu: Floats
    variance_adu2: Floats
    frame_counts: tuple[int, int]
    part_means_adu: Floats
    part_counts: npt.NDArray[np.int64]
    frame_means_adu: Floats
    covariance_adu2: Floats
    levels: npt.NDArray[np.int64]

    @property
    def frame_count(self) -> int:
        """Frames of the series."""
        return sum(self.frame_counts)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `pooled_variance_adu2`."""
        return float(self.frame_count - 4)

    @property
    def pooled_mean_adu(self) -> Floats:
        """Mean over all frames, (Y, X)."""
        return np.tensordot(np.array(self.frame_counts) / self.frame_count, self.mean_adu, 1)

    @property
    def pooled_variance_adu2(self) -> Floats:
        """Variance over time from both halves, (Y, X)."""
        weights = np.array(self.frame_counts) - 2.0
        return np.tensordot(weights / weights.sum(), self.variance_adu2, 1)

    @property
    def level_range(self) -> tuple[int, int]:
        """Lowest and highest grey value that occurs."""
        present = np.flatnonzero(self.levels)
        return int(present[0]), int(present[-1])

    def share_at(self, level: int) -> float:
        """Share of all grey values that equal `level`."""
        return float(self.levels[level] / self.levels.sum())


class _Sums:
    """Running sums of one plane."""

    def __init__(self, first: npt.NDArray[Any]) -> None:
        self.first = first.astype(np.float64)
        shape = self.first.size
        self.sums = np.zeros((2 + 2 + PART_COUNT, shape))
        self.squares = np.zeros((2, shape))
        self.products = np.zeros((2, *first.shape))
        self.memory = FrameMemory((first.shape[0], first.shape[1]))
        self.levels = np.zeros(_LEVEL_COUNT, np.int64)
        self.frame_means: list[float] = []
        self.parts: list[int] = []

    def add(self, frames: npt.NDArray[Any], part: npt.NDArray[np.int64]) -> None:
        """Take in the next frames, (n, Y, X), and the part of the series each belongs to."""
        change = (frames - self.first).reshape(len(frames), -1)
        course = change.mean(axis=1)
        index = len(self.frame_means) + np.arange(len(frames))
        is_half = index % 2 == np.arange(2)[:, None]
        is_part = part == np.arange(PART_COUNT)[:, None]
        weights = np.concatenate([is_half, is_half * course, is_part]).astype(np.float64)
        self.sums += weights @ change
        self.squares += is_half.astype(np.float64) @ np.square(change)
        self._add_products(change.reshape(frames.shape))
        self.levels += np.bincount(frames.reshape(-1), minlength=_LEVEL_COUNT)
        self.frame_means.extend(course.tolist())
        self.parts.extend(part.tolist())

    def _add_products(self, change: Floats) -> None:
        """Take in how pixels change together with their neighbours."""
        self.products[0, :, :-1] += np.einsum("nyx,nyx->yx", change[:, :, :-1], change[:, :, 1:])
        self.products[1, :-1] += np.einsum("nyx,nyx->yx", change[:, :-1], change[:, 1:])

    def _covariance(self, course: Floats) -> Floats:
        """Return the covariance of each pixel with the next in its row and in its column."""
        total = (self.sums[0] + self.sums[1]).reshape(self.first.shape)
        weighted = (self.sums[2] + self.sums[3]).reshape(self.first.shape)
        found = np.zeros_like(self.products)
        for axis, (here, beside) in enumerate(NEIGHBOURS):
            found[axis][here] = covariance_beside(
                course,
                self.products[axis][here],
                (total[here], weighted[here]),
                (total[beside], weighted[beside]),
            )
        return found

    def statistics(self, name: str) -> PixelStatistics:
        """Return means and variances."""
        course = np.array(self.frame_means)
        means, variances, together = [], [], np.zeros(self.first.size)
        for half in (0, 1):
            own = course[half::2]
            mean = self.sums[half] / len(own)
            energy = float(np.square(own - own.mean()).sum())
            shared = self.sums[2 + half] - own.mean() * self.sums[half]
            explained = np.square(shared) / energy if energy > 0 else 0.0
            square = self.squares[half] - len(own) * mean**2 - explained
            means.append(mean)
            variances.append(np.maximum(square, 0.0) / (len(own) - 2))
            together += shared
        shape = self.first.shape
        return PixelStatistics(
            name=name,
            mean_adu=(np.array(means) + self.first.reshape(-1)).reshape(2, *shape),
            variance_adu2=np.array(variances).reshape(2, *shape),
            frame_counts=(len(course[::2]), len(course[1::2])),
            part_means_adu=self._part_means(course, together).reshape(-1, *shape),
            part_counts=np.unique(self.parts, return_counts=True)[1],
            frame_means_adu=course + float(self.first.mean()),
            covariance_adu2=np.concatenate(
                [self._covariance(course), self.memory.covariance()[None]]
            ),
            levels=self.levels,
        )

    def _part_means(self, course: Floats, together: Floats) -> Floats:
        """Return the means of the parts there are, less what the frames' means explain."""
        present, part, counts = np.unique(self.parts, return_inverse=True, return_counts=True)
        energy = sum(np.square(course[half::2] - course[half::2].mean()).sum() for half in (0, 1))
        slope = together / energy if energy > 0 else np.zeros_like(together)
        away = np.bincount(part, course) / counts - course.mean()
        means = self.sums[4 + present] / counts[:, None] - away[:, None] * slope
        return np.asarray(means + self.first.reshape(-1))


def read_statistics(
    source: FrameSource,
    *,
    planes: Mapping[str, Plane],
    least_frames: int = LEAST_FRAMES,
    progress: Progress | None = None,
) -> dict[str, PixelStatistics]:
    """Read a series once and return what its pixels did, plane by plane.

    Parameters
    ----------
    source : FrameSource
        Of a video only key frames are used; tainted frames are left out.
    planes : mapping of str to Plane
        What to read, by name.
    least_frames : int
        Fewest frames to be content with, 8 or more.
    progress : callable, optional
        Called with the frames read and all frames.

    Raises
    ------
    CalibrationError
        When too few frames are left.

    Notes
    -----
    Memory: 22 numbers of 8 bytes per pixel.
    """
    roi, numbers = source.facts.roi, source.frame_range
    size = max(_CHUNK_VALUES // (roi.width_px * roi.height_px), 1)
    sums: dict[str, _Sums] = {}
    read_count = 0
    for chunk in source.chunks(size):
        usable = chunk.is_key & ~chunk.is_tainted
        later, earlier = frames_before(chunk, usable)
        part = (chunk.frame[usable] - numbers.start) * PART_COUNT // len(numbers)
        for name, place in planes.items() if usable.any() else ():
            frames = place.cut(chunk.frames[usable])
            if name not in sums:
                sums[name] = _Sums(frames[0])
            sums[name].add(frames, part)
            first = sums[name].first
            sums[name].memory.add(place.cut(later) - first, place.cut(earlier) - first)
        read_count += len(chunk.frame)
        if progress is not None:
            progress(read_count, len(numbers))
    count = min((len(plane.frame_means) for plane in sums.values()), default=0)
    check_count(source.facts, count, least_frames)
    return {name: plane.statistics(source.facts.name) for name, plane in sums.items()}


def merged(series: Sequence[PixelStatistics]) -> PixelStatistics:
    """Return several series of one setting as if they were one."""
    if len(series) == 1:
        return series[0]
    counts = np.array([part.frame_counts for part in series], np.float64)
    weights = counts / counts.sum(axis=0)
    freedoms = (counts - 2.0) / (counts - 2.0).sum(axis=0)
    return PixelStatistics(
        name=" + ".join(part.name for part in series),
        mean_adu=np.einsum("sh,shyx->hyx", weights, [part.mean_adu for part in series]),
        variance_adu2=np.einsum("sh,shyx->hyx", freedoms, [part.variance_adu2 for part in series]),
        frame_counts=(int(counts[:, 0].sum()), int(counts[:, 1].sum())),
        part_means_adu=np.concatenate([part.part_means_adu for part in series]),
        part_counts=np.concatenate([part.part_counts for part in series]),
        frame_means_adu=np.concatenate([part.frame_means_adu for part in series]),
        covariance_adu2=np.mean([part.covariance_adu2 for part in series], axis=0),
        levels=np.sum([part.levels for part in series], axis=0),
    )


def usable_count(source: FrameSource) -> int:
    """Return how many frames of a series can be used: all, of a video its key frames."""
    numbers = source.frame_range
    if not source.facts.is_video:
        return len(numbers)
    keys = source.key_frames()
    return int(np.count_nonzero((keys >= numbers.start) & (keys < numbers.stop)))


def check_count(facts: RecordingFacts, count: int, least_frames: int) -> None:
    """Check that a series has enough frames.

    Raises
    ------
    CalibrationError
        When it has too few.
    """
    if count < least_frames:
        kind = "key frames (others cannot be used)" if facts.is_video else "frames"
        raise CalibrationError(
            f"{facts.name} has {count} {kind}, but at least {least_frames} are needed; record a "
            "longer series, best 100 frames or more"
        )
