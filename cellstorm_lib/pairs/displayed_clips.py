"""The film of a display movie as training pairs: short clips, and the light that was shown."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pairs.display_plan import molecule_light
from cellstorm_lib.pairs.displayed import DisplayedFilm
from cellstorm_lib.pairs.pair_set import GRID_PX, PairSet, Split, refuse_off_grid
from cellstorm_lib.pairs.resample import Resampler
from cellstorm_lib.pairs.survey import chunk_frames
from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """How the film is cut; the defaults fit the clips of simulated pairs."""

    side_px: int = field(
        default=192, metadata=about("side of a clip, a multiple of 16", at_least=16)
    )
    frames: int = field(default=8, metadata=about("camera frames of a clip", at_least=3))
    clips: int = field(
        default=160, metadata=about("most clips; chosen by chance where there are more", at_least=1)
    )
    seed: int = field(default=0, metadata=about("number that decides all chance", at_least=0))

    def __post_init__(self) -> None:
        check_ranges(self)
        refuse_off_grid(self.side_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cuts:
    """Where the clips lie: first camera frame (row of the pairing table), top and left, each (C,).

    `is_usable` is that of every frame of every clip, (C, T).
    """

    start: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    is_usable: npt.NDArray[np.bool_]


def clips_of_film(
    read: DisplayedFilm,
    settings: ClipSettings | None = None,
    *,
    gain_e_per_adu: float,
    offset_adu: float | None = None,
    split: Split = "train",
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Cut the film of a display movie into clips with the light that molecules sent into them.

    Clips hold consecutive camera frames and overlap by two, so that each kept frame comes once
    with both its neighbours; only kept frames are usable. The light is that of the shown frame
    through the lens as measured: moved, blurred, under the flat field and at the frame's own
    brightness. Frames whose number is not known have none.

    Parameters
    ----------
    read : DisplayedFilm
        The film.
    settings : ClipSettings or None
        None for the defaults.
    gain_e_per_adu : float
        Photoelectrons per grey value of the camera.
    offset_adu : float or None
        Grey value without light; None: that of the black screen.
    split : {"train", "validation", "test"}
        Where the film belongs; its clips are never parted.
    progress : callable, optional
        Called with camera frames done and camera frames in all.

    Raises
    ------
    RecordingError
        When the data on the film are smaller or shorter than a clip.
    """
    settings = settings or ClipSettings()
    cuts = _cuts(read, settings)
    shape = (len(cuts.start), settings.frames, settings.side_px, settings.side_px)
    depth = np.uint8 if read.film.facts.bit_depth == 8 else np.uint16
    filmed, light_e = np.zeros(shape, depth), np.zeros(shape, np.float16)
    is_key = np.zeros(shape[:2], bool)
    light = _ShownLight(read)
    row, total = 0, len(read.table)
    for chunk in read.film.chunks(chunk_frames(read.film)):
        for frame, key in zip(chunk.frames, chunk.is_key, strict=True):
            place = row - cuts.start
            clips = np.flatnonzero((place >= 0) & (place < settings.frames))
            if len(clips):
                seen, shown_e = frame[read.roi.slices], light.adu(row) * gain_e_per_adu
                for clip in clips:
                    where = np.s_[
                        cuts.top[clip] : cuts.top[clip] + settings.side_px,
                        cuts.left[clip] : cuts.left[clip] + settings.side_px,
                    ]
                    filmed[clip, place[clip]] = seen[where]
                    light_e[clip, place[clip]] = shown_e[where]
                    is_key[clip, place[clip]] = key
            row += 1
        if progress is not None:
            progress(row, total)
    facts, count = read.film.facts, len(cuts.start)
    offset = read.report.black_adu if offset_adu is None else offset_adu
    return PairSet(
        filmed=filmed,
        light_e=light_e,
        is_usable=cuts.is_usable,
        is_key=is_key,
        offset_adu=np.full(count, offset, np.float32),
        gain_e_per_adu=np.full(count, gain_e_per_adu, np.float32),
        bits_per_px=np.full(count, facts.bits_per_px or 0.0, np.float32),
        split=np.full(count, split),
        origin=np.full(count, f"{facts.name} {facts.digest[:12]}"),
        method=np.full(count, "displayed"),
    )


class _ShownLight:
    """Light of molecules in camera frames, in grey values."""

    def __init__(self, read: DisplayedFilm) -> None:
        plan, registration = read.plan, read.registration
        self._read = read
        self._slope = read.response.slope_adu[read.roi.slices]
        self._resampler = Resampler(
            registration.lens,
            plan.layout,
            (plan.truth_width_px, plan.truth_height_px),
            read.roi,
            blur_px=registration.blur_px,
        )
        self._truth_frame = read.table["truth_frame"].to_numpy()
        self._brightness = read.table["brightness"].to_numpy(np.float32)
        self._held: tuple[int, npt.NDArray[np.float32]] = (-1, np.zeros_like(self._slope))

    def adu(self, row: int) -> npt.NDArray[np.float32]:
        """Return the light in one camera frame, (Y, X); 0 where it is not known what it shows."""
        number = int(self._truth_frame[row])
        if number != self._held[0]:
            self._held = (number, self._shown(number))
        return np.asarray(self._held[1] * self._brightness[row], np.float32)

    def _shown(self, number: int) -> npt.NDArray[np.float32]:
        """Return the light of one shown frame at the screen's usual brightness."""
        if number < 0:
            return np.zeros_like(self._slope)
        chunk = next(iter(self._read.shown.part(number, number + 1).chunks(1)))
        luma: npt.NDArray[Any] = chunk.frames[0]
        light = self._resampler.frame(molecule_light(luma, self._read.plan.settings))
        return np.asarray(np.maximum(light, 0.0) * self._slope, np.float32)


def _cuts(read: DisplayedFilm, settings: ClipSettings) -> _Cuts:
    """Return where the clips lie: stretches of the film by tiles of the region."""
    roi, frames, side_px = read.roi, settings.frames, settings.side_px
    if min(roi.width_px, roi.height_px) < side_px or len(read.table) < frames:
        raise RecordingError(
            f"the data in {read.film.facts.name} fill {roi.width_px} x {roi.height_px} pixels of "
            f"{len(read.table)} frames, but a clip needs {side_px} x {side_px} of {frames}; choose "
            "smaller clips, or film closer"
        )
    kept = np.flatnonzero(read.table["is_kept"])
    is_kept = read.table["is_kept"].to_numpy() & _has_neighbours(read.table["frame"].to_numpy())
    tops, lefts = (_corners(size, side_px) for size in (roi.height_px, roi.width_px))
    last_start = len(is_kept) - frames
    starts = np.arange(max(kept[0] - 1, 0), kept[-1], frames - 2).clip(0, last_start)
    rows = starts[:, None] + np.arange(frames)
    # Each row counts in one stretch alone; the ends of a stretch lack a neighbour.
    fresh = np.maximum(starts + 1, np.append(0, starts[:-1] + frames - 1))
    is_inside = (rows >= fresh[:, None]) & (rows < starts[:, None] + frames - 1)
    is_usable = is_kept[rows] & is_inside
    stretch, top, left = (
        part.ravel() for part in np.meshgrid(np.arange(len(starts)), tops, lefts, indexing="ij")
    )
    holds_any = is_usable.any(axis=1)[stretch]
    chosen = np.flatnonzero(holds_any)
    if len(chosen) > settings.clips:
        rng = np.random.default_rng(settings.seed)
        chosen = np.sort(rng.choice(chosen, settings.clips, replace=False))
    stretch = stretch[chosen]
    return _Cuts(
        start=starts[stretch], top=top[chosen], left=left[chosen], is_usable=is_usable[stretch]
    )


def _corners(size_px: int, side_px: int) -> npt.NDArray[np.int64]:
    """Return where tiles begin along one axis: on the codec's grid, spread over the region."""
    count = size_px // side_px
    places = np.linspace(0, size_px - side_px, count) if count > 1 else np.zeros(1)
    return np.asarray(places // GRID_PX * GRID_PX, np.int64)


def _has_neighbours(frame: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which camera frames have the one before and the one after; damage leaves gaps."""
    follows = np.diff(frame) == 1
    return np.asarray(np.append(False, follows) & np.append(follows, False))
