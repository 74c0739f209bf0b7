"""A movie to be shown on a second screen and filmed: known frames, each with its number."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of, digest_of_file, written_whole
from cellstorm_lib.pairs.barcode import NUMBER_COUNT, cells_of
from cellstorm_lib.pairs.display_plan import (
    BLACK_LEVEL,
    PLAN_FORMAT,
    WHITE_LEVEL,
    DisplayPart,
    DisplayPlan,
    DisplaySettings,
    layout_of,
    luma_of,
    parts_of,
)
from cellstorm_lib.pairs.layout import Box, DisplayLayout
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

_MOVIE, _SHOWN, _PLAN = "display.mp4", "shown.ome.tif", "display.json"
_CHUNK_FRAMES = 32
_BEAD_REACH_SIGMAS = 5


def make_display_movie(
    truth: FrameSource | npt.NDArray[Any],
    out: Path,
    settings: DisplaySettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DisplayPlan:
    """Write the movie to show on a second screen, its data and its plan.

    The movie shows start frames (barcode only), beads for the registration, uniform frames for
    the flat field, the data, beads again (to see whether something moved) and end frames. Every
    frame has corner marks and, above and below, its number.

    Parameters
    ----------
    truth : FrameSource or (N, Y, X) array
        Clean frames: photons per pixel, or a stack that states its photons per grey value.
    out : Path
        Folder for ``display.mp4``, ``shown.ome.tif`` and ``display.json``.
    settings : DisplaySettings or None
        None for the defaults.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    SettingsError
        When the frames are empty, not finite or negative, or do not fit onto the screen.
    ExportError
        When the folder cannot be written.
    """
    settings = settings or DisplaySettings()
    out = Path(out)
    frames = _Truth(truth)
    brightest, content = frames.measured()
    full_scale = settings.full_scale_photons or brightest
    layout = layout_of(settings, frames.width_px, frames.height_px)
    parts = parts_of(settings, frames.count)
    if parts[-1].first + parts[-1].count > NUMBER_COUNT:
        raise SettingsError(
            f"a display movie numbers up to {NUMBER_COUNT} frames, got {frames.count} frames of "
            "data; make several movies"
        )
    digest = digest_of([asdict(settings), content, full_scale])
    mark = int(digest[:4], 16)
    shown = out / _SHOWN

    def luma_chunks() -> Iterator[npt.NDArray[np.uint8]]:
        for photons in frames.chunks():
            yield luma_of(np.minimum(photons / full_scale, 1.0), settings.gamma)

    write_stack(
        shown,
        luma_chunks(),
        pixel_size_nm=frames.pixel_size_nm,
        description="luma of the data of a display movie, before it is magnified",
    )

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        painter = _Painter(settings, layout, mark)
        last = parts[-1]
        for part, picture in painter.pictures(parts, luma_chunks()):
            for _ in range(settings.repeats):
                yield picture
            if progress is not None:
                progress(part + 1, last.first + last.count)

    encoder = EncoderSettings(
        bits_per_px=None,
        qp=settings.qp,
        gop_frames=max(1, round(settings.frame_rate_hz)),
        frame_rate_hz=settings.frame_rate_hz,
        full_range=False,
        phone_like=False,
    )
    write_video(out / _MOVIE, pictures(), encoder)
    plan = DisplayPlan(
        settings=settings,
        truth_width_px=frames.width_px,
        truth_height_px=frames.height_px,
        truth_count=frames.count,
        full_scale_photons=full_scale,
        mark=mark,
        digest=digest,
        movie=_MOVIE,
        shown=_SHOWN,
        shown_digest=digest_of_file(shown),
    )
    with written_whole(out / _PLAN) as temporary:
        content_text = json.dumps({"format": PLAN_FORMAT, **asdict(plan)}, indent=1, sort_keys=True)
        temporary.write_text(content_text + "\n", encoding="utf-8")
    return plan


class _Truth:
    """Frames to be shown, as photons, from a source or from memory."""

    def __init__(self, truth: FrameSource | npt.NDArray[Any]) -> None:
        self._array: npt.NDArray[Any] | None = None
        self._source: FrameSource | None = None
        self.pixel_size_nm: float | None = None
        if isinstance(truth, np.ndarray):
            if truth.ndim != 3 or not truth.size:
                raise SettingsError(
                    f"frames to show must be a stack (N, Y, X) with frames, got {truth.shape}"
                )
            self._array = truth
            self.count, self.height_px, self.width_px = truth.shape
        else:
            facts = truth.facts
            self._source = truth
            self.pixel_size_nm = facts.pixel_size_nm
            self.count = len(truth.frame_range)
            self.height_px, self.width_px = facts.roi.height_px, facts.roi.width_px

    def chunks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all frames as photons per pixel."""
        if self._array is not None:
            for start in range(0, self.count, _CHUNK_FRAMES):
                yield self._array[start : start + _CHUNK_FRAMES].astype(np.float32)
        elif self._source is not None:
            step = np.float32(self._source.facts.photons_per_adu or 1.0)
            for chunk in self._source.chunks(_CHUNK_FRAMES):
                yield chunk.frames.astype(np.float32) * step

    def measured(self) -> tuple[float, str]:
        """Return the most photons of a pixel, and a digest of all values."""
        most, content = 0.0, hashlib.sha256(f"{self.width_px} x {self.height_px}".encode())
        for photons in self.chunks():
            if not np.isfinite(photons).all() or photons.min() < 0:
                raise SettingsError(
                    "frames to show must hold finite photon numbers of at least 0; give the clean "
                    "stack of a simulation"
                )
            most = max(most, float(photons.max()))
            content.update(photons.tobytes())
        if most == 0.0:
            raise SettingsError("frames to show hold no light at all; check what was simulated")
        return most, content.hexdigest()


class _Painter:
    """Draws the pictures of a display movie."""

    def __init__(self, settings: DisplaySettings, layout: DisplayLayout, mark: int) -> None:
        self._settings, self._layout, self._mark = settings, layout, mark
        light = np.zeros((layout.screen_height_px, layout.screen_width_px), np.float32)
        for x_px, y_px in layout.marks:
            _add_disk(light, x_px, y_px, layout.mark_radius_px)
        self._empty = luma_of(light, settings.gamma)
        self._beads = luma_of(_bead_light(settings, layout), settings.gamma)

    def pictures(
        self, parts: tuple[DisplayPart, ...], data: Iterator[npt.NDArray[np.uint8]]
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield number and picture (Y, X) of all frames in order."""
        inner = self._layout.inner
        for part in parts:
            if part.kind == "data":
                frames = (frame for chunk in data for frame in chunk)
                for number, frame in zip(part.numbers, frames, strict=True):
                    yield number, self._numbered(number, self._layout.data, self._enlarged(frame))
                continue
            content = np.full((inner.height_px, inner.width_px), BLACK_LEVEL, np.uint8)
            if part.kind in ("beads", "last beads"):
                content = self._beads
            elif part.kind == "uniform":
                content[:] = luma_of(np.array([part.level]), self._settings.gamma)
            for number in part.numbers:
                yield number, self._numbered(number, inner, content)

    def _enlarged(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return a frame with each pixel as a square of screen pixels."""
        size = self._settings.magnification
        return frame.repeat(size, axis=0).repeat(size, axis=1)

    def _numbered(
        self, number: int, box: Box, content: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """Return a picture with content, corner marks and barcodes."""
        picture = self._empty.copy()
        picture[box.slices] = content
        width_px, height_px = (round(size) for size in self._layout.cell_size_px)
        cells = cells_of(number, self._mark).repeat(height_px, axis=0).repeat(width_px, axis=1)
        for strip in self._layout.strips:
            picture[strip.slices] = np.where(cells, WHITE_LEVEL, BLACK_LEVEL)
        return picture


def _bead_light(settings: DisplaySettings, layout: DisplayLayout) -> npt.NDArray[np.float32]:
    """Return the beads as light on the inner box."""
    inner = layout.inner
    light = np.zeros((inner.height_px, inner.width_px), np.float32)
    reach = int(np.ceil(_BEAD_REACH_SIGMAS * settings.bead_sigma_px))
    for x_px, y_px in layout.beads - (inner.x_px, inner.y_px):
        left, top = (max(0, int(place) - reach) for place in (x_px, y_px))
        window = light[top : int(y_px) + reach + 1, left : int(x_px) + reach + 1]
        rows, columns = np.indices(window.shape)
        distance2 = (columns + left + 0.5 - x_px) ** 2 + (rows + top + 0.5 - y_px) ** 2
        window += np.exp(-0.5 * distance2 / settings.bead_sigma_px**2)
    return light.clip(0.0, 1.0)


def _add_disk(light: npt.NDArray[np.float32], x_px: float, y_px: float, radius_px: float) -> None:
    """Add a disk of full light with a soft edge of one pixel, in place."""
    rows, columns = np.indices(light.shape)
    away_px = np.hypot(columns + 0.5 - x_px, rows + 0.5 - y_px)
    light += (radius_px + 0.5 - away_px).clip(0.0, 1.0).astype(np.float32)
