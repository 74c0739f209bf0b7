"""Training pairs from a localized recording (the paper's method 3): spots drawn where found."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, TableError
from cellstorm_lib.pairs.localized_clips import Clip, ClipMaker, read_window, tiles_of
from cellstorm_lib.pairs.localized_settings import LocalizedPairsSettings, LocalizedReport
from cellstorm_lib.pairs.pair_set import PairSet, Split
from cellstorm_lib.pairs.trust import REASONS, agreement_of, doubtful_spots, judge_by_table
from cellstorm_lib.recording import FrameSource, Roi
from cellstorm_lib.tables import Localizations

#: As many clips as asked for times this are looked at, to keep the best.
_LOOKED_AT = 1.5

Progress = Callable[[int, int], None]
#: First frame, and number of the part of the field.
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidates:
    """All clips there could be.

    Attributes
    ----------
    tiles : list of Roi
        Parts of the field.
    reasons : list of (N,) int64
        For each part, what the table says of every frame of the recording.
    count : int
        All parts at all times.
    good : list of (int, int)
        Those with enough frames whose spots can be trusted.
    """

    tiles: list[Roi]
    reasons: list[npt.NDArray[np.int64]]
    count: int
    good: list[_Place]


def localized_pairs(
    source: FrameSource,
    calibration: CameraCalibration,
    spots: Localizations,
    settings: LocalizedPairsSettings | None = None,
    *,
    split: Split = "train",
    origin: str | None = None,
    progress: Progress | None = None,
) -> tuple[PairSet, LocalizedReport]:
    """Draw the light of localized spots, and return it with the film they were found in.

    Every spot is drawn as a Gaussian integrated over each pixel, at its position divided by the
    pixel size, with its photons. A frame may be trained on when its spots can be trusted and
    explain its light; whole clips lie on the codec's grid of 16 px.

    Parameters
    ----------
    source : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    spots : Localizations
        Spots as found in exactly these frames, neither merged nor corrected for drift.
    settings : LocalizedPairsSettings, optional
        How many clips, how spots are drawn, and what is trusted.
    split : str
        Where the recording belongs: ``train``, ``validation`` or ``test``.
    origin : str, optional
        What to call the recording; its file's name when None.
    progress : callable, optional
        Called with windows of time done and windows in all.

    Raises
    ------
    TableError
        When the table is of other frames, lacks a column as that of widths, or no clip is good
        enough.
    RecordingError
        When the frames are denoised already, or smaller than a clip.

    References
    ----------
    Diederich et al., arXiv 1804.06244 (2018), Supplement A.
    """
    settings = settings or LocalizedPairsSettings()
    _refuse_foreign(source, spots)
    filmed_sigma_px = _filmed_width(spots)
    sigma_px = settings.sigma_px or filmed_sigma_px
    candidates = _candidates(source, spots, settings)
    looked_at = _evenly(candidates.good, int(np.ceil(_LOOKED_AT * settings.clips)))
    maker = ClipMaker(
        spots=spots,
        calibration=calibration,
        settings=settings,
        sigma_px=sigma_px,
        filmed_sigma_px=filmed_sigma_px,
    )
    clips = _clips(source, candidates, looked_at, maker, progress)
    kept = _best(clips, settings)
    left_out = {
        "too few frames whose spots can be trusted": candidates.count - len(candidates.good),
        "more than asked for": len(candidates.good) - len(looked_at),
        "frames lost": len(looked_at) - len(clips),
        "too few good frames on a closer look": sum(
            clip.usable_count < _least_frames(settings) for clip in clips
        ),
    }
    left_out["better ones found"] = candidates.count - len(kept) - sum(left_out.values())
    if not kept:
        _refuse_all(source.facts.name, left_out)
    spot_count = sum(clip.spots for clip in kept)
    found = Counter(int(code) for clip in clips for code in clip.reason)
    return _pairs(kept, calibration, split, origin or source.facts.name), LocalizedReport(
        clips=len(kept),
        usable_frames=sum(clip.usable_count for clip in kept),
        spots=spot_count,
        photons_per_spot=sum(clip.photons for clip in kept) / max(spot_count, 1),
        spots_per_1000_px=1000.0 * spot_count / sum(clip.filmed.size for clip in kept),
        agreement=agreement_of(np.sum([clip.changes for clip in kept], axis=0)),
        sigma_px=sigma_px,
        is_width_measured=settings.sigma_px is None,
        candidate_clips=candidates.count,
        left_out_clips=left_out,
        left_out_frames={name: found[code] for code, name in enumerate(REASONS, start=1)},
    )


def _candidates(
    source: FrameSource, spots: Localizations, settings: LocalizedPairsSettings
) -> _Candidates:
    """Return all clips there could be, and what the table says of them."""
    tiles = tiles_of(source.facts.roi, settings.side_px, source.facts.name)
    is_doubtful = doubtful_spots(spots, settings)
    reasons = [judge_by_table(spots, is_doubtful, tile, settings) for tile in tiles]
    frames, step = source.frame_range, settings.frames
    starts = range(frames.start, frames.stop - step + 1, step)
    good = [
        (start, tile)
        for start in starts
        for tile, reason in enumerate(reasons)
        if (reason[start : start + step] == 0).sum() >= _least_frames(settings)
    ]
    return _Candidates(tiles=tiles, reasons=reasons, count=len(starts) * len(tiles), good=good)


def _least_frames(settings: LocalizedPairsSettings) -> int:
    """Return how many good frames a clip needs."""
    return max(1, int(np.ceil(settings.least_usable_share * settings.frames)))


def _clips(
    source: FrameSource,
    candidates: _Candidates,
    looked_at: Sequence[_Place],
    maker: ClipMaker,
    progress: Progress | None,
) -> list[Clip]:
    """Return the clips at some places; those with a frame missing are left out."""
    clips: list[Clip] = []
    starts = sorted({start for start, _ in looked_at})
    for done, start in enumerate(starts, start=1):
        window = read_window(source, start, maker.settings.frames)
        if window is not None:
            clips += [
                maker.clip(window, candidates.tiles[tile], candidates.reasons[tile])
                for time, tile in looked_at
                if time == start
            ]
        if progress is not None:
            progress(done, len(starts))
    return clips


def _refuse_foreign(source: FrameSource, spots: Localizations) -> None:
    """Raise when a table was not made from these frames, or cannot be drawn."""
    facts, field = source.facts, spots.field
    if facts.is_denoised:
        raise RecordingError(
            f"{facts.name} is denoised already; make pairs from the film as the camera gave it"
        )
    if field.is_inferred:
        raise TableError(
            f"the table for {facts.name} does not say its field and pixel size, so its spots "
            "cannot be drawn to scale; localize the recording with this program"
        )
    read = (facts.roi.width_px, facts.roi.height_px, facts.roi.x_px, facts.roi.y_px)
    table = (field.width_px, field.height_px, field.roi_x_px, field.roi_y_px)
    if read != table or field.frame_count < source.frame_range.stop:
        raise TableError(
            f"the table covers {_field_text(table)} of {field.frame_count} frames, but "
            f"{facts.name} is read as {_field_text(read)} of {source.frame_range.stop} frames; "
            "localize the recording again"
        )


def _field_text(field: tuple[int, int, int, int]) -> str:
    """Return a field as it is written everywhere."""
    return "{}x{}+{}+{}".format(*field)


def _filmed_width(spots: Localizations) -> float:
    """Return the width of spots in the film, by which it is compared with them: their median."""
    if "sigma_nm" not in spots or not len(spots):
        raise TableError(
            "the table holds no widths of spots, by which they are compared with the film; "
            "localize the recording with this program"
        )
    return float(np.median(spots.column("sigma_nm"))) / spots.field.pixel_size_nm


def _evenly(good: Sequence[_Place], count: int) -> list[_Place]:
    """Return at most `count` of the candidates, spread over the recording."""
    if len(good) <= count:
        return list(good)
    return [good[int(place)] for place in np.linspace(0, len(good) - 1, count).round()]


def _best(clips: Sequence[Clip], settings: LocalizedPairsSettings) -> list[Clip]:
    """Return the clips with most good frames that hold light, in their order in the recording."""
    least = _least_frames(settings)
    good = [place for place, clip in enumerate(clips) if clip.usable_count >= least]
    chosen = sorted(good, key=lambda place: -clips[place].lit_count)[: settings.clips]
    return [clips[place] for place in sorted(chosen)]


def _refuse_all(name: str, left_out: dict[str, int]) -> None:
    """Raise, saying why there is not one clip."""
    counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    raise TableError(
        f"no clip of {name} can be trained on ({counts or 'it is shorter than one clip'}); choose "
        "a better recording, smaller clips, or be less strict"
    )


def _pairs(
    clips: Sequence[Clip], calibration: CameraCalibration, split: Split, origin: str
) -> PairSet:
    """Return the clips as pairs."""
    count = len(clips)
    return PairSet(
        filmed=np.stack([clip.filmed for clip in clips]),
        light_e=np.stack([clip.light_e for clip in clips]).astype(np.float16),
        is_usable=np.stack([clip.reason == 0 for clip in clips]),
        is_key=np.stack([clip.is_key for clip in clips]),
        offset_adu=np.full(count, calibration.offset_adu, np.float32),
        gain_e_per_adu=np.full(count, calibration.gain_e_per_adu, np.float32),
        bits_per_px=np.array([clip.bits_per_px for clip in clips], np.float32),
        split=np.array([split] * count),
        origin=np.array([origin] * count),
        method=np.array(["localized"] * count),
    )
