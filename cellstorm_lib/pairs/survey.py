"""Every frame of a film read once: its number, its brightness, and whether it is a new one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.pairs.averages import PartMean, chunk_frames
from cellstorm_lib.pairs.barcode import read_barcodes
from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.pairs.pairing import FilmedFrames
from cellstorm_lib.pairs.strips import StripReader
from cellstorm_lib.recording import FrameSource, Roi


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
                "contrast": reading.contrast,
                "difference_adu": _differences(chunk.frames, chunk.previous, roi),
            }
        )
        done += len(chunk.frame)
        if progress is not None:
            progress(done, len(film.frame_range))
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    brightness = _brightness(np.concatenate(totals), joined["number"], plan)
    return FilmedFrames(**joined, brightness=brightness), last_beads


def _differences(
    frames: npt.NDArray[Any], previous: npt.NDArray[Any] | None, roi: Roi
) -> npt.NDArray[np.float64]:
    """Return the mean absolute difference of each frame from the one before."""
    differences = np.full(len(frames), np.inf)
    before = previous
    for index, frame in enumerate(frames):
        if before is not None:
            here, there = (part[region_of(roi)].astype(np.int32) for part in (frame, before))
            differences[index] = np.abs(here - there).mean()
        before = frame
    return differences


def _brightness(
    totals: npt.NDArray[np.float32], number: npt.NDArray[np.int64], plan: DisplayPlan
) -> npt.NDArray[np.float64]:
    """Return the light of each frame's barcodes relative to that during the uniform frames."""
    uniform = [part for part in plan.parts if part.kind == "uniform"]
    first, last = uniform[0].first, uniform[-1].first + uniform[-1].count
    is_uniform = (number >= first) & (number < last)
    usual = np.maximum(totals[is_uniform].mean(axis=0), 1e-6)
    return np.asarray(np.median(totals / usual, axis=1), np.float64)


def region_of(roi: Roi) -> tuple[slice, slice]:
    """Return rows and columns of a region."""
    return (
        slice(roi.y_px, roi.y_px + roi.height_px),
        slice(roi.x_px, roi.x_px + roi.width_px),
    )
