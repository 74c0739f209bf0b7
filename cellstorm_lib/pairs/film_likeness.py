"""How like the film in training pairs is to the recording they are meant for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, TableError
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.recording import FrameSource

#: Frames from the middle of a recording that are measured, and fewest of a clip.
_FRAMES, _FEWEST_FRAMES = 32, 2
#: Percent of the clips below and above which a recording lies outside of what was trained on.
_LOW_PERCENT, _HIGH_PERCENT = 5.0, 95.0
#: Larger differences between frames are rather spots than noise, and the standard deviation of
#: normal noise of 1 that is left without them.
_INNER_PERCENT, _INNER_SPREAD = 99.0, 0.9616

Film = npt.NDArray[Any]

#: Name and unit of each measure.
MEASURES: Mapping[str, str] = {
    "mean level": "grey values",
    "temporal variance": "grey values²",
    "background": "photoelectrons/px",
    "noise": "photoelectrons",
    "codec strength": "bits/px",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LikenessRow:
    """One measure of a recording, and the range of it in the pairs.

    Attributes
    ----------
    measure, unit : str
        What is measured.
    recording : float
        Of the recording.
    low, median, high : float
        5th, 50th and 95th percentile over the training clips.
    """

    measure: str
    unit: str
    recording: float
    low: float
    median: float
    high: float

    @property
    def is_covered(self) -> bool:
        """Whether the recording lies in the range that is trained on."""
        return self.low <= self.recording <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmLikeness:
    """The filmed frames of training pairs against a recording.

    Attributes
    ----------
    recording : str
        Its name.
    rows : tuple of LikenessRow
        One per measure.
    histogram_distance_adu : float
        Distance of the grey-level histograms of the recording and of all training clips
        together: how far grey values must be moved, on average, to turn one into the other.
    nearest_distance_adu : float
        The same to the training clip that is most alike.
    nearest_origin : str
        The scene or recording of that clip.
    """

    recording: str
    rows: tuple[LikenessRow, ...]
    histogram_distance_adu: float
    nearest_distance_adu: float
    nearest_origin: str

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Measures in which the recording lies outside of what is trained on."""
        return tuple(row.measure for row in self.rows if not row.is_covered)


def film_measures(
    film: Film, *, offset_adu: float, gain_e_per_adu: float, bits_per_px: float
) -> dict[str, float]:
    """Return the `MEASURES` of consecutive frames (T, Y, X), T at least 2.

    The background is the median over time, then over the pixels; the noise is that of the
    differences from frame to frame without the largest hundredth of them, so that neither
    structure nor rare spots enter it.
    """
    grey = film.astype(np.float32)
    differences = np.abs(np.diff(grey, axis=0))
    inner = differences[differences <= np.percentile(differences, _INNER_PERCENT)]
    noise_adu = float(np.sqrt(np.mean(inner**2) / 2.0)) / _INNER_SPREAD
    background_adu = float(np.median(np.median(grey, axis=0)))
    return {
        "mean level": float(grey.mean()),
        "temporal variance": float(grey.var(axis=0, ddof=1).mean()),
        "background": (background_adu - offset_adu) * gain_e_per_adu,
        "noise": noise_adu * gain_e_per_adu,
        "codec strength": bits_per_px,
    }


def histogram_distance(one: Film, other: Film) -> float:
    """Return how far grey values must be moved, on average, to turn one film into another.

    The first Wasserstein distance of the two grey-level histograms, grey values.
    """
    counts = [np.bincount(film.ravel()) for film in (one, other)]
    length = max(map(len, counts))
    shares = [np.pad(count / count.sum(), (0, length - len(count))) for count in counts]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).sum())


def film_likeness(
    pairs: PairSet, source: FrameSource, calibration: CameraCalibration
) -> FilmLikeness:
    """Compare the film of training pairs with a recording.

    Parameters
    ----------
    pairs : PairSet
        Its ``train`` clips are compared; clips of that very recording are compared as well.
    source : FrameSource
        The recording; some frames of its middle are read.
    calibration : CameraCalibration
        Its camera.

    Raises
    ------
    TableError
        When no training clip has two frames.
    RecordingError
        When the recording has not two frames.
    """
    train = pairs.of_split("train")
    if not len(train) or train.filmed.shape[1] < _FEWEST_FRAMES:
        raise TableError("film can be compared only with training clips of 2 frames or more")
    film, bits_per_px = _middle_of(source)
    found = film_measures(
        film,
        offset_adu=calibration.offset_adu,
        gain_e_per_adu=calibration.gain_e_per_adu,
        bits_per_px=bits_per_px,
    )
    distances = [histogram_distance(clip, film) for clip in train.filmed]
    nearest = int(np.argmin(distances))
    return FilmLikeness(
        recording=source.facts.name,
        rows=tuple(_rows(found, train)),
        histogram_distance_adu=histogram_distance(train.filmed, film),
        nearest_distance_adu=distances[nearest],
        nearest_origin=str(train.origin[nearest]),
    )


def _rows(found: Mapping[str, float], train: PairSet) -> Iterator[LikenessRow]:
    """Yield each measure of a recording beside its range in the clips."""
    clips = [
        film_measures(
            train.filmed[clip],
            offset_adu=float(train.offset_adu[clip]),
            gain_e_per_adu=float(train.gain_e_per_adu[clip]),
            bits_per_px=float(train.bits_per_px[clip]),
        )
        for clip in range(len(train))
    ]
    for measure, unit in MEASURES.items():
        low, median, high = np.percentile(
            [clip[measure] for clip in clips], (_LOW_PERCENT, 50.0, _HIGH_PERCENT)
        )
        yield LikenessRow(
            measure=measure,
            unit=unit,
            recording=found[measure],
            low=float(low),
            median=float(median),
            high=float(high),
        )


def _middle_of(source: FrameSource) -> tuple[Film, float]:
    """Return some frames from the middle of a recording, and how strongly they are coded."""
    frames = source.frame_range
    start = max(frames.start, (frames.start + frames.stop - _FRAMES) // 2)
    part = source.part(start, min(frames.stop, start + _FRAMES))
    film = [chunk.frames for chunk in part.chunks(_FRAMES)]
    if sum(map(len, film)) < _FEWEST_FRAMES:
        raise RecordingError(
            f"{source.facts.name} has fewer than {_FEWEST_FRAMES} frames, so its noise cannot be "
            "measured; choose another recording"
        )
    return np.concatenate(film), source.facts.bits_per_px or 0.0
