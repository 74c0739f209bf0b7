"""From frames to a table of molecules: detection and fit of a whole recording."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.chunks import FAN_OUT_PX, MapChunks, Piece, chunks_around, pieces_of
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.appraisal import Appraiser, shipped_appraiser
from cellstorm_lib.localize.appraised import IMPROBABLE, choose, kept, with_appraisal
from cellstorm_lib.localize.around import Surroundings, with_surroundings
from cellstorm_lib.localize.columns import Columns, columns_of_spots, table_of
from cellstorm_lib.localize.copies import with_copy_ages
from cellstorm_lib.localize.course import REACH
from cellstorm_lib.localize.judge import REJECTIONS
from cellstorm_lib.localize.overlap import together_count
from cellstorm_lib.localize.prepare import LocalizeSettings, Preparation, prepare
from cellstorm_lib.recording import FrameChunk, FrameSource
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.threads import in_order, processor_count

__all__ = ["LocalizeReport", "LocalizeSettings", "field_of", "localize"]

_CHUNK_PX = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizeReport:
    """What was found in a recording, and what was left out and why.

    Attributes
    ----------
    frames : int
        Frames looked at.
    localizations : int
        Rows of the table.
    candidates : int
        Maxima above the threshold, and spots found in what those had not explained.
    rejected : mapping
        Candidates that are not in the table, by reason.
    threshold_photons, threshold_adu : float
        Threshold of the band-passed image, photoelectrons and grey values; the median when it
        differs from frame to frame.
    expected_false_per_frame : float
        False detections to be expected in a frame of this size.
    least_probability : float
        Spots less probably molecules were left out; 0 where spots are not judged one by one.
    least_probability_if_bright : float
        The same of spots above the threshold by brightness, where they need less; 0 elsewhere.
    false_share : float
        Share of the rows that is expected to be false, where they are.
    noise_photons : float
        Standard deviation of the band-passed image between the spots, photoelectrons.
    threshold_mode : str
        ``automatic``, ``given``, or the expression.
    sampled_frames : int
        Frames on which the threshold was found.
    tainted_frames : int
        Frames that may be wrong because of damage in the file; they are localized too.
    spots_out_of_range : int
        Rows with pixels in which the camera was saturated or not linear, see
        ``out_of_range_px``.
    pixels_out_of_range : int
        Those pixels, all rows together.
    spots_together : int
        Rows of spots that were fitted together with others because their light overlaps.
    spots_added : int
        Spots found in what the candidates had not explained, as ``candidates`` counts them.
    frames_per_second : float
        Speed, by the clock.
    """

    frames: int
    localizations: int
    candidates: int
    rejected: Mapping[str, int]
    threshold_photons: float = 0.0
    threshold_adu: float = 0.0
    expected_false_per_frame: float = 0.0
    least_probability: float = 0.0
    least_probability_if_bright: float = 0.0
    false_share: float = 0.0
    noise_photons: float = 0.0
    threshold_mode: str = "automatic"
    sampled_frames: int = 0
    tainted_frames: int = 0
    spots_out_of_range: int = 0
    pixels_out_of_range: int = 0
    spots_together: int = 0
    spots_added: int = 0
    frames_per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """What was found in one chunk."""

    columns: Columns
    frames: int
    tainted_frames: int
    candidates: int
    added: int
    rejected: Mapping[str, int]


def localize(
    source: FrameSource,
    calibration: CameraCalibration,
    *,
    pixel_size_nm: float,
    settings: LocalizeSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
    map_chunks: MapChunks | None = None,
    fan_out_px: int = FAN_OUT_PX,
) -> tuple[Localizations, LocalizeReport]:
    """Find and fit the molecules in every frame of a recording.

    The calling thread reads; other threads work. Neither their number nor the way the frames
    are read changes the result. A spot that cannot be fitted is counted, not an error.

    Parameters
    ----------
    source : FrameSource
        The frames.
    calibration : CameraCalibration
        The camera. Its pixel maps, if any, are of the full frame or of the region that is read.
        Stacks that hold photons already (written by ``cellstorm denoise``) bring their own.
    pixel_size_nm : float
        Object-side size of a camera pixel.
    settings : LocalizeSettings, optional
        How molecules are found and fitted.
    progress : callable, optional
        Called with the frames done and all frames.
    threads : int, optional
        Threads that work; by default as many as there are processors for this process.
    map_chunks : MapChunks, optional
        Works on pieces of the recording in other processes, which read them themselves; None
        for threads of this one, which also work on a recording of one piece. Never changes the
        result.
    fan_out_px : int, optional
        Pixels of all frames of a piece, at least.

    Returns
    -------
    Localizations
        One row per spot, in frame order and in reading order within a frame. Photons are as
        detected; with a flat field, the column ``relative_sensitivity`` is what to divide them
        by to compare spots across the field.
    LocalizeReport
        What was found and what was left out.

    Raises
    ------
    SettingsError
        When `pixel_size_nm`, `threads` or the threshold's expression is impossible.
    RecordingError
        When the frames are smaller than the box that is fitted.
    CalibrationError
        When the grey values are beyond what the calibrated camera can give, or its pixel maps
        are those of other frames; or when z cannot be told from these frames.
    """
    settings = settings or LocalizeSettings()
    thread_count = processor_count() if threads is None else threads
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise SettingsError(f"pixel_size_nm must be above 0, got {pixel_size_nm}")
    if thread_count < 1:
        raise SettingsError(f"threads must be 1 or more, got {thread_count}")
    began = time.perf_counter()
    ready = prepare(source, calibration, settings, pixel_size_nm=pixel_size_nm)
    level = ready.detector.level
    appraiser = None if level is None else shipped_appraiser(level.kind)
    parts = []
    done, total = 0, len(source.frame_range)
    work = partial(
        _localize_chunk,
        source=source,
        ready=ready,
        appraiser=appraiser,
        least_probability=settings.detect.least_probability,
        pixel_size_nm=pixel_size_nm,
    )
    pieces = [] if map_chunks is None else pieces_of(source, fan_out_px)
    if map_chunks is None or len(pieces) <= 1:
        found = _worked_off(source, work, thread_count)
    else:
        found = _fanned_out(source, work, map_chunks, pieces)
    for part in found:
        parts.append(part)
        done += part.frames
        if progress is not None:
            progress(done, total)
    detector, detect = ready.detector, settings.detect
    data = table_of(
        [part.columns for part in parts],
        has_flat_field=detector.pixels is not None and detector.pixels.has_flat_field,
    )
    rejected: Counter[str] = Counter(dict.fromkeys(REJECTIONS, 0))
    for part in parts:
        rejected.update(part.rejected)
    false_per_frame, line, line_if_bright = detector.expected_false_per_frame, 0.0, 0.0
    if ready.is_selected and level is not None and parts:
        probability = data["molecule_probability"].to_numpy(np.float64)
        searched_px = done * source.facts.roi.width_px * source.facts.roi.height_px
        choice = choose(probability, detect, level.kind, searched_px=searched_px)
        data = data[choice.is_kept].reset_index(drop=True)
        rejected[IMPROBABLE] += int(np.count_nonzero(~choice.is_kept))
        false_per_frame = choice.expected_false / done
        line = max(choice.least_probability, detect.least_probability)
        if level.enough_if_bright < 1:
            enough = level.enough_if_bright * detect.least_probability
            line_if_bright = max(choice.least_probability, enough)
    table = Localizations(data=data, field=field_of(source, pixel_size_nm))
    out_of_range_px = table.column("out_of_range_px")
    return table, LocalizeReport(
        frames=done,
        localizations=len(table),
        candidates=sum(part.candidates for part in parts),
        rejected=dict(rejected),
        threshold_photons=detector.threshold_photons,
        threshold_adu=detector.threshold_adu,
        expected_false_per_frame=false_per_frame,
        least_probability=line,
        least_probability_if_bright=line_if_bright,
        false_share=false_per_frame * done / max(len(table), 1) if line > 0 else 0.0,
        noise_photons=detector.noise_photons,
        threshold_mode=detect.threshold if detect.threshold_photons is None else "given",
        sampled_frames=ready.sampled_frames,
        tainted_frames=sum(part.tainted_frames for part in parts),
        spots_out_of_range=int(np.count_nonzero(out_of_range_px)),
        pixels_out_of_range=int(out_of_range_px.sum()),
        spots_together=together_count(table),
        spots_added=sum(part.added for part in parts),
        frames_per_second=done / max(time.perf_counter() - began, 1e-9),
    )


def field_of(source: FrameSource, pixel_size_nm: float) -> FieldOfView:
    """Return the field and the frames that a table of a recording covers."""
    roi = source.facts.roi
    return FieldOfView(
        width_px=roi.width_px,
        height_px=roi.height_px,
        pixel_size_nm=pixel_size_nm,
        frame_count=source.frame_range.stop,
        roi_x_px=roi.x_px,
        roi_y_px=roi.y_px,
    )


def _worked_off(
    source: FrameSource, work: Callable[..., _Part], thread_count: int
) -> Iterator[_Part]:
    """Return what was found in each chunk, in order; only a few chunks are held at a time."""
    return in_order(
        lambda item: work(*item),
        with_surroundings(
            with_copy_ages(source.chunks(_chunk_frames(source)), source.facts), reach=REACH
        ),
        threads=thread_count,
        most_ahead=thread_count + 1,
    )


def _fanned_out(
    source: FrameSource,
    work: Callable[..., _Part],
    map_chunks: MapChunks,
    pieces: Sequence[Piece],
) -> Iterator[_Part]:
    """Return the same, of pieces that others read and work on."""
    for parts in map_chunks(partial(_localize_piece, source=source, work=work), pieces):
        yield from parts


def _localize_piece(
    piece: Piece, *, source: FrameSource, work: Callable[..., _Part]
) -> list[_Part]:
    """Find and fit the molecules of a piece of a recording."""
    chunks = chunks_around(source, piece, _chunk_frames(source), reach=REACH)
    return [
        work(*item)
        for item in with_surroundings(with_copy_ages(chunks, source.facts), reach=REACH)
        if piece.begin <= item[0].frame[0] < piece.stop
    ]


def _chunk_frames(source: FrameSource) -> int:
    """Return how many frames are searched at a time."""
    roi = source.facts.roi
    return int(np.clip(_CHUNK_PX // (roi.width_px * roi.height_px), 1, 512))


def _localize_chunk(
    chunk: FrameChunk,
    copy_ages: npt.NDArray[np.int32] | None,
    around: Surroundings,
    *,
    source: FrameSource,
    ready: Preparation,
    appraiser: Appraiser | None,
    least_probability: float,
    pixel_size_nm: float,
) -> _Part:
    """Find and fit the molecules of some frames."""
    candidates, fits = ready.candidates_and_fits(chunk.frames)
    columns = columns_of_spots(
        chunk,
        candidates,
        fits,
        pixel_size_nm=pixel_size_nm,
        copy_ages=copy_ages,
        roi=source.facts.roi,
    )
    rejected = Counter(fits.rejected)
    level = ready.detector.level
    if appraiser is not None and level is not None:
        columns = with_appraisal(columns, candidates, fits, around, level, appraiser)
        if ready.is_selected:
            needed = level.least_probability(fits, least_probability)
            is_kept = columns["molecule_probability"] >= needed
            columns = kept(columns, is_kept)
            rejected[IMPROBABLE] += int(np.count_nonzero(~is_kept))
    return _Part(
        columns=columns,
        frames=len(chunk.frames),
        tainted_frames=int(chunk.is_tainted.sum()),
        candidates=len(candidates) + fits.added,
        added=fits.added,
        rejected=rejected,
    )
