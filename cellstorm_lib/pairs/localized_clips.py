"""Clips of a localized recording: a part of the field for some frames, with the light drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pairs.localized_settings import LocalizedPairsSettings
from cellstorm_lib.pairs.pair_set import GRID_PX
from cellstorm_lib.pairs.trust import changes_together, judge_by_film
from cellstorm_lib.recording import FrameSource, Roi
from cellstorm_lib.simulate.gaussian import add_gaussians
from cellstorm_lib.tables import Localizations

#: Molecules nearer to the field's edge cannot be fitted, so clips keep away from it.
_EDGE_PX = 4
_REACH_SIGMAS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Consecutive frames of the whole field, from frame `start` on."""

    start: int
    frames: npt.NDArray[Any]
    is_key: npt.NDArray[np.bool_]
    is_tainted: npt.NDArray[np.bool_]
    bits_per_px: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One clip with its drawn light, and for each frame 0 or why it may not be trained on.

    `changes` is what `changes_together` tells of film and light.
    """

    filmed: npt.NDArray[Any]
    light_e: npt.NDArray[np.float32]
    reason: npt.NDArray[np.int64]
    is_key: npt.NDArray[np.bool_]
    bits_per_px: float
    spots: int
    photons: float
    changes: npt.NDArray[np.float64]

    @property
    def usable_count(self) -> int:
        """Frames that may be trained on."""
        return int((self.reason == 0).sum())

    @property
    def lit_count(self) -> int:
        """Frames of those that hold light; a clip is none the better for being empty."""
        return int(((self.reason == 0) & self.light_e.any(axis=(1, 2))).sum())


def tiles_of(roi: Roi, side_px: int, name: str) -> list[Roi]:
    """Return the squares of a field that lie on the codec's grid and do not overlap.

    Raises
    ------
    RecordingError
        When not even one fits.
    """
    columns = _places(roi.width_px, roi.x_px, side_px)
    rows = _places(roi.height_px, roi.y_px, side_px)
    if not (columns and rows):
        raise RecordingError(
            f"{name} has a field of {roi.width_px} x {roi.height_px} pixels, too small for clips "
            f"of {side_px} pixels on the codec's grid of {GRID_PX}; choose a smaller side_px"
        )
    return [
        Roi(width_px=side_px, height_px=side_px, x_px=column, y_px=row)
        for row in rows
        for column in columns
    ]


def _places(length_px: int, origin_px: int, side_px: int) -> list[int]:
    """Return where squares begin along one axis, off the field's edge where that is possible."""
    for edge_px in (_EDGE_PX, 0):
        first = edge_px + (-origin_px - edge_px) % GRID_PX
        count = (length_px - edge_px - first) // side_px
        if count > 0:
            return [first + number * side_px for number in range(count)]
    return []


def read_window(source: FrameSource, start: int, frames: int) -> Window | None:
    """Return consecutive frames; None when one of them is missing."""
    chunks = list(source.part(start, start + frames).chunks(frames))
    number = np.concatenate([np.zeros(0, np.int64), *(chunk.frame for chunk in chunks)])
    if not np.array_equal(number, np.arange(start, start + frames)):
        return None
    facts = source.facts
    packet_bytes = sum(int(chunk.packet_bytes.sum()) for chunk in chunks)
    frame_px = facts.frame_width_px * facts.frame_height_px
    return Window(
        start=start,
        frames=np.concatenate([chunk.frames for chunk in chunks]),
        is_key=np.concatenate([chunk.is_key for chunk in chunks]),
        is_tainted=np.concatenate([chunk.is_tainted for chunk in chunks]),
        bits_per_px=8.0 * packet_bytes / (frames * frame_px) if facts.is_video else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipMaker:
    """Cuts clips out of the film, draws their light, and judges their frames.

    Attributes
    ----------
    spots : Localizations
        All spots of the recording.
    calibration : CameraCalibration
        Its camera.
    settings : LocalizedPairsSettings
        What is trusted.
    sigma_px : float
        Width of the drawn spots.
    filmed_sigma_px : float
        Width of the spots in the film, by which its light is compared with them.
    """

    spots: Localizations
    calibration: CameraCalibration
    settings: LocalizedPairsSettings
    sigma_px: float
    filmed_sigma_px: float

    def clip(self, window: Window, tile: Roi, reason: npt.NDArray[np.int64]) -> Clip:
        """Return one part of the field; `reason` is what the table says of all frames."""
        filmed = window.frames[:, *tile.slices]
        frames = range(window.start, window.start + len(filmed))
        light_e, count, photons = drawn_light(self.spots, tile, frames, sigma_px=self.sigma_px)
        expected_e = light_e
        if self.filmed_sigma_px != self.sigma_px:
            expected_e, _, _ = drawn_light(self.spots, tile, frames, sigma_px=self.filmed_sigma_px)
        above_adu = filmed - np.float32(self.calibration.offset_adu)
        film_e = above_adu * np.float32(self.calibration.gain_e_per_adu)
        judged = judge_by_film(
            reason[frames.start : frames.stop],
            window.is_tainted,
            film_e,
            expected_e,
            sigma_px=self.filmed_sigma_px,
            settings=self.settings,
        )
        return Clip(
            filmed=filmed,
            light_e=light_e,
            reason=judged,
            is_key=window.is_key,
            bits_per_px=window.bits_per_px,
            spots=count,
            photons=photons,
            changes=changes_together(film_e, expected_e, sigma_px=self.filmed_sigma_px),
        )


def drawn_light(
    spots: Localizations, region: Roi, frames: range, *, sigma_px: float
) -> tuple[npt.NDArray[np.float32], int, float]:
    """Return the light of all spots on a region of the field.

    Parameters
    ----------
    spots : Localizations
        With photons.
    region : Roi
        Part of the field that the table covers; spots outside it shine into it.
    frames : range
        Consecutive frames.
    sigma_px : float
        Standard deviation of every spot.

    Returns
    -------
    light_e : (T, Y, X) float32
        Photoelectrons.
    count : int
        Spots whose centre lies in the region.
    photons : float
        Photoelectrons of those, all together.
    """
    frame = spots.column("frame")
    rows = slice(*np.searchsorted(frame, (frames.start, frames.stop)))
    x_px, y_px = (spots.xy_nm[rows] / spots.field.pixel_size_nm).T
    x_px, y_px = x_px - region.x_px, y_px - region.y_px
    photons = spots.column("photons")[rows].astype(np.float64)
    reach_px = _REACH_SIGMAS * sigma_px + 1.0
    is_near = (x_px > -reach_px) & (x_px < region.width_px + reach_px)
    is_near &= (y_px > -reach_px) & (y_px < region.height_px + reach_px)
    light_e = np.zeros((len(frames), region.height_px, region.width_px), np.float32)
    add_gaussians(
        light_e,
        frame=frame[rows][is_near].astype(np.int64) - frames.start,
        x_px=x_px[is_near],
        y_px=y_px[is_near],
        photons=photons[is_near],
        sigma_px=sigma_px,
    )
    is_inside = (x_px >= 0) & (x_px < region.width_px) & (y_px >= 0) & (y_px < region.height_px)
    return light_e, int(is_inside.sum()), float(photons[is_inside].sum())
