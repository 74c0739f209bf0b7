"""A movie to be shown on a second screen and filmed: known frames, each with its number."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of, digest_of_file, written_whole
from cellstorm_lib.pairs.barcode import NUMBER_COUNT, cells_of
from cellstorm_lib.pairs.display_plan import (
    BLACK_LEVEL,
    PLAN_FILE,
    PLAN_FORMAT,
    WHITE_LEVEL,
    DisplayPart,
    DisplayPlan,
    DisplaySettings,
    layout_of,
    luma_of,
    parts_of,
    shown_luma,
)
from cellstorm_lib.pairs.layout import Box, DisplayLayout
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

_MOVIE, _SHOWN = "display.mp4", "shown.ome.tif"
_BEAD_REACH_SIGMAS = 5

Frames = Callable[[], Iterable[npt.NDArray[Any]]]


def make_display_movie(
    truth: Frames,
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
    truth : callable
        Returns the frames from the first on, each time it is called, as stacks (N, Y, X) of any
        length: the light of molecules per pixel, without background and noise.
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
    content = _measured(truth)
    full_scale = settings.full_scale_photons or content.brightest
    layout = layout_of(settings, content.width_px, content.height_px)
    parts = parts_of(settings, content.count)
    total = parts[-1].first + parts[-1].count
    if total > NUMBER_COUNT:
        raise SettingsError(
            f"a display movie numbers up to {NUMBER_COUNT} frames, got {content.count} frames of "
            "data; make several movies"
        )
    digest = digest_of([asdict(settings), content.digest, full_scale])
    mark = int(digest[:4], 16)

    def luma() -> Iterator[npt.NDArray[np.uint8]]:
        for photons in truth():
            yield shown_luma(photons / full_scale, settings)

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        painter = _Painter(settings, layout, mark)
        for number, picture in painter.pictures(parts, luma()):
            yield from repeat(picture, settings.repeats)
            if progress is not None:
                progress(number + 1, total)

    shown = out / _SHOWN
    write_stack(
        shown,
        luma(),
        pixel_size_nm=None,
        description="luma of the data of a display movie, before it is magnified",
    )
    write_video(out / _MOVIE, pictures(), _encoder(settings))
    plan = DisplayPlan(
        settings=settings,
        truth_width_px=content.width_px,
        truth_height_px=content.height_px,
        truth_count=content.count,
        full_scale_photons=full_scale,
        mark=mark,
        digest=digest,
        movie=_MOVIE,
        shown=_SHOWN,
        shown_digest=digest_of_file(shown),
    )
    with written_whole(out / PLAN_FILE) as temporary:
        text = json.dumps({"format": PLAN_FORMAT, **asdict(plan)}, indent=1, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")
    return plan


def _encoder(settings: DisplaySettings) -> EncoderSettings:
    """Return how the movie is compressed: hardly, and so that every player shows it."""
    return EncoderSettings(
        bits_per_px=None,
        qp=settings.qp,
        gop_frames=max(1, round(settings.frame_rate_hz)),
        frame_rate_hz=settings.frame_rate_hz,
        full_range=False,
        phone_like=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What the frames to be shown hold: how many of which size, the most light, a digest."""

    count: int
    height_px: int
    width_px: int
    brightest: float
    digest: str


def _measured(truth: Frames) -> _Content:
    """Return what the frames hold, or say what is wrong with them."""
    count, brightest, sizes, content = 0, 0.0, set(), hashlib.sha256()
    for photons in truth():
        if photons.ndim != 3 or not photons.size:
            raise SettingsError(
                f"frames to show must come in stacks (N, Y, X) with frames, got {photons.shape}"
            )
        if not np.isfinite(photons).all() or photons.min() < 0:
            raise SettingsError(
                "frames to show must hold finite photon numbers of at least 0; give the light of "
                "a simulation without noise"
            )
        count += len(photons)
        sizes.add(photons.shape[1:])
        brightest = max(brightest, float(photons.max()))
        content.update(np.ascontiguousarray(photons, np.float32).tobytes())
    if len(sizes) != 1:
        raise SettingsError(f"frames to show must be of one size, got {sorted(sizes)}")
    if brightest == 0.0:
        raise SettingsError("frames to show hold no light at all; check what was simulated")
    height_px, width_px = sizes.pop()
    content.update(f"{width_px} x {height_px}".encode())
    return _Content(
        count=count,
        height_px=height_px,
        width_px=width_px,
        brightest=brightest,
        digest=content.hexdigest(),
    )


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
