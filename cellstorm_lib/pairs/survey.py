"""A film of a display movie read twice: the parts that stand still averaged, then every number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pairs.barcode import BarcodeReading, read_barcodes
from cellstorm_lib.pairs.display_plan import DisplayPart, DisplayPlan
from cellstorm_lib.pairs.pairing import FilmedFrames
from cellstorm_lib.pairs.response import highest_adu
from cellstorm_lib.pairs.strips import StripReader
from cellstorm_lib.recording import FrameSource, Roi

_CHUNK_PX = 16 << 20

_FEWEST_FRAMES = {"beads": 8, "last beads": 8, "uniform": 4}
_ENOUGH_DATA_FRAMES = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StillFrames:
    """Mean frames before the data.

    Attributes
    ----------
    beads : (Y, X) float64
        Mean frame with beads.
    uniform : (L, Y, X) float64
        Mean uniform frame of each brightness.
    brightness : (L,) float64
        Mean light of the barcodes meanwhile, which is the same but for flicker.
    saturated_share : float
        Share of pixels of the brightest uniform frames at the highest grey value.
    """

    beads: npt.NDArray[np.float64]
    uniform: npt.NDArray[np.float64]
    brightness: npt.NDArray[np.float64]
    saturated_share: float


class PartMean:
    """Mean of the whole exposures of one part; its first and last number are left out.

    What of a neighbouring part may show in an exposure, shows in those.
    """

    def __init__(self, part: DisplayPart, shape: tuple[int, int]) -> None:
        inner = range(part.first + 1, part.first + part.count - 1)
        self.part = part
        self._numbers = inner if inner else part.numbers
        self._sum = np.zeros(shape, np.float64)
        self._light = 0.0
        self.count = 0

    @property
    def brightness(self) -> float:
        """Mean light of the barcodes of the frames added."""
        return self._light / max(self.count, 1)

    def add(
        self,
        frames: npt.NDArray[Any],
        cells: npt.NDArray[np.float32],
        reading: BarcodeReading,
        max_overlap: float,
    ) -> None:
        """Add those of some frames (N, Y, X), with their barcodes, that show the part."""
        number = reading.number
        is_part = (number >= self._numbers.start) & (number < self._numbers.stop)
        for index in np.flatnonzero(is_part & (reading.overlap <= max_overlap)):
            self._sum += frames[index]
            self._light += float(cells[index].mean())
            self.count += 1

    def mean(self, name: str) -> npt.NDArray[np.float64]:
        """Return the mean frame, or say that the film shows too few."""
        fewest = _FEWEST_FRAMES[self.part.kind]
        if self.count < fewest:
            raise RecordingError(
                f"{name} is too short: it has {self.count} whole frames of the part "
                f"'{self.part.kind}' of the display movie, at least {fewest} are needed; start "
                "filming before the movie begins, stop after its end, and let no screen saver in"
            )
        return self._sum / self.count


def average_still_frames(
    film: FrameSource, plan: DisplayPlan, reader: StripReader, *, max_overlap: float
) -> StillFrames:
    """Average beads and uniform frames; reading stops soon after the data begin.

    Raises
    ------
    RecordingError
        When the film shows too few of them.
    """
    roi = film.facts.roi
    shape = (roi.height_px, roi.width_px)
    beads = PartMean(plan.part("beads"), shape)
    uniform = [PartMean(part, shape) for part in plan.parts if part.kind == "uniform"]
    data_first = plan.part("data").first
    highest = highest_adu(film.facts)
    saturated: list[float] = []
    data_count = 0
    for chunk in film.chunks(chunk_frames(film)):
        cells = reader.cells(chunk.frames)
        reading = read_barcodes(cells, plan.mark)
        for part in (beads, *uniform):
            part.add(chunk.frames, cells, reading, max_overlap)
        bright = uniform[-1].part.numbers
        is_bright = (reading.number >= bright.start) & (reading.number < bright.stop)
        saturated.extend(float((frame >= highest).mean()) for frame in chunk.frames[is_bright])
        data_count += int((reading.number >= data_first).sum())
        if data_count >= _ENOUGH_DATA_FRAMES:
            break
    name = film.facts.name
    return StillFrames(
        beads=beads.mean(name),
        uniform=np.stack([part.mean(name) for part in uniform]),
        brightness=np.array([part.brightness for part in uniform]),
        saturated_share=float(np.mean(saturated)) if saturated else 0.0,
    )


def chunk_frames(film: FrameSource) -> int:
    """Return how many frames to hold at once so that memory stays bounded."""
    roi = film.facts.roi
    return max(1, min(64, _CHUNK_PX // (roi.width_px * roi.height_px)))


def survey_film(
    film: FrameSource,
    plan: DisplayPlan,
    reader: StripReader,
    roi: Roi,
    max_overlap: float,
    progress: Callable[[int, int], None] | None,
) -> tuple[FilmedFrames, PartMean]:
    """Read the numbers of all frames, and add up the beads after the data."""
    field_px = (film.facts.roi.height_px, film.facts.roi.width_px)
    last_beads = PartMean(plan.part("last beads"), field_px)
    columns: list[dict[str, npt.NDArray[Any]]] = []
    totals: list[npt.NDArray[np.float32]] = []
    done = 0
    for chunk in film.chunks(chunk_frames(film)):
        cells = reader.cells(chunk.frames)
        reading = read_barcodes(cells, plan.mark)
        last_beads.add(chunk.frames, cells, reading, max_overlap)
        totals.append(cells.sum(axis=2).reshape(len(cells), -1))
        columns.append(
            {
                "frame": chunk.frame,
                "time_s": chunk.time_s,
                "is_tainted": chunk.is_tainted,
                "number": reading.number,
                "is_torn": reading.is_torn,
                "weakest_cell": reading.weakest_cell,
                "overlap": reading.overlap,
                "difference_adu": _differences(chunk.frames, chunk.previous, roi),
            }
        )
        done += len(chunk.frame)
        if progress is not None:
            progress(done, len(film.frame_range))
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    brightness = _brightness(np.concatenate(totals), joined["number"], plan, film.facts.name)
    return FilmedFrames(**joined, brightness=brightness), last_beads


def _differences(
    frames: npt.NDArray[Any], previous: npt.NDArray[Any] | None, roi: Roi
) -> npt.NDArray[np.float64]:
    """Return the mean absolute difference of each frame from the one before."""
    differences = np.full(len(frames), np.inf)
    before = previous
    for index, frame in enumerate(frames):
        if before is not None:
            here, there = (part[roi.slices].astype(np.int32) for part in (frame, before))
            differences[index] = np.abs(here - there).mean()
        before = frame
    return differences


def _brightness(
    totals: npt.NDArray[np.float32],
    number: npt.NDArray[np.int64],
    plan: DisplayPlan,
    name: str,
) -> npt.NDArray[np.float64]:
    """Return the light of each frame's barcodes relative to that during the uniform frames."""
    uniform = [part for part in plan.parts if part.kind == "uniform"]
    first, last = uniform[0].first, uniform[-1].first + uniform[-1].count
    is_uniform = (number >= first) & (number < last)
    if not is_uniform.any():
        raise RecordingError(
            f"the barcodes in {name} are not where the registration expects them; fit the lens "
            "instead of an affine map, or film with less tilt"
        )
    usual = np.maximum(totals[is_uniform].mean(axis=0), 1e-6)
    return np.asarray(np.median(totals / usual, axis=1), np.float64)
