"""The plan of a display movie: what is shown where, in which order, and how bright."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.pairs.layout import DisplayLayout, lay_out
from cellstorm_lib.settings import plain_json, settings_from
from cellstorm_lib.simulate.ranges import about, check_ranges

PartKind = Literal["start", "beads", "uniform", "data", "last beads", "end"]

PLAN_FILE, PLAN_FORMAT = "display.json", "cellstorm display movie 1"
#: Every player turns these luma values into the darkest and brightest the screen can show.
BLACK_LEVEL, WHITE_LEVEL = 16, 235


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplaySettings:
    """What is shown, how large and for how long. The defaults suit a 1080p screen and 20 Hz."""

    screen_width_px: int = field(
        default=1920, metadata=about("pixels of the screen across", at_least=64, at_most=8192)
    )
    screen_height_px: int = field(
        default=1080, metadata=about("pixels of the screen down", at_least=64, at_most=8192)
    )
    magnification: int = field(
        default=1,
        metadata=about("screen pixels per pixel of the frames shown", at_least=1, at_most=64),
    )
    cell_px: int = field(
        default=16,
        metadata=about(
            "least size of a cell of the barcode, in screen pixels; at least 12 pixels of the "
            "camera are needed",
            at_least=4,
            at_most=256,
        ),
    )
    bead_pitch_px: int = field(
        default=32,
        metadata=about("distance of the beads, in screen pixels", at_least=16, at_most=512),
    )
    bead_sigma_px: float = field(
        default=2.0,
        metadata=about("standard deviation of a bead, in screen pixels", at_least=1, at_most=8),
    )
    uniform_levels: tuple[float, ...] = field(
        default=(0.0, 0.25, 0.5, 1.0),
        metadata=about("brightness of the uniform frames, as shares of the brightest"),
    )
    full_scale_photons: float | None = field(
        default=None,
        metadata=about(
            "photons per pixel shown as the brightest; empty: the most in the frames", above=0
        ),
    )
    background_share: float = field(
        default=0.03,
        metadata=about(
            "even light behind the data, as a share of the brightest; no part of the truth",
            at_least=0,
            at_most=0.5,
        ),
    )
    gamma: float = field(
        default=2.2,
        metadata=about("light of the screen = value to this power", at_least=1, at_most=4),
    )
    frame_rate_hz: float = field(
        default=30.0, metadata=about("movie frames per second", at_least=1, at_most=240)
    )
    repeats: int = field(
        default=6,
        metadata=about(
            "movie frames for which each frame stays; 6 at 30 Hz are 4 frames of a 20 Hz camera",
            at_least=1,
            at_most=1000,
        ),
    )
    start_frames: int = field(
        default=6, metadata=about("frames with barcodes only, at start and end", at_least=2)
    )
    bead_frames: int = field(
        default=24, metadata=about("frames with beads, before and after the data", at_least=1)
    )
    uniform_frames: int = field(
        default=12, metadata=about("uniform frames of each brightness", at_least=1)
    )
    qp: int = field(
        default=2,
        metadata=about(
            "quantiser of the movie; 0 is lossless, but few players show it",
            at_least=0,
            at_most=20,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        levels = self.uniform_levels
        if len(levels) < 2 or sorted(set(levels)) != list(levels):
            raise SettingsError(
                f"uniform_levels must be at least two rising numbers, got {list(levels)}"
            )
        if levels[0] != 0.0 or levels[-1] != 1.0:
            raise SettingsError(f"uniform_levels must begin with 0 and end with 1, got {levels}")
        if self.screen_width_px % 2 or self.screen_height_px % 2:
            raise SettingsError(
                "screen_width_px and screen_height_px must be even, got "
                f"{self.screen_width_px} x {self.screen_height_px}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayPart:
    """Frames of one kind that follow each other; `level` is that of uniform frames."""

    kind: PartKind
    first: int
    count: int
    level: float = 0.0

    @property
    def numbers(self) -> range:
        """Numbers in the barcode."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayPlan:
    """Everything needed to read a film of a display movie.

    Attributes
    ----------
    settings : DisplaySettings
        What was shown.
    truth_width_px, truth_height_px, truth_count : int
        Size and number of the frames shown.
    full_scale_photons : float
        Photons per pixel of those frames that were shown as the brightest.
    mark : int
        The movie's own mark in every barcode, 0 to 65535; made from content and settings.
    digest : str
        SHA-256 of settings and frames.
    movie, shown : str
        File names beside the plan: the movie, and the shown luma of the data (Y, X) as a stack.
    shown_digest : str
        SHA-256 of that stack.
    """

    settings: DisplaySettings
    truth_width_px: int
    truth_height_px: int
    truth_count: int
    full_scale_photons: float
    mark: int
    digest: str
    movie: str
    shown: str
    shown_digest: str

    @property
    def layout(self) -> DisplayLayout:
        """Where everything is on the screen."""
        return layout_of(self.settings, self.truth_width_px, self.truth_height_px)

    @property
    def parts(self) -> tuple[DisplayPart, ...]:
        """What is shown, in order."""
        return parts_of(self.settings, self.truth_count)

    @property
    def frame_count(self) -> int:
        """Numbers used."""
        last = self.parts[-1]
        return last.first + last.count

    def part(self, kind: PartKind) -> DisplayPart:
        """Return the part of a kind; of uniform frames the first."""
        return next(part for part in self.parts if part.kind == kind)


def read_plan(path: Path) -> DisplayPlan:
    """Read the plan of a display movie, ``display.json``.

    Raises
    ------
    SettingsError
        When the file is missing, or is no plan that this version understands.
    """
    path = Path(path)
    remedy = "give the display.json that was made with the display movie"
    if not path.exists():
        raise SettingsError(f"{path} does not exist; {remedy}")
    with refusing(SettingsError, path, "cannot be read as a plan of a display movie", remedy):
        content = plain_json(path)
    if not isinstance(content, dict) or content.pop("format", None) != PLAN_FORMAT:
        raise SettingsError(f"{path} is no plan of a display movie; expected is a display.json")
    with refusing(SettingsError, path, "is no whole plan of a display movie", remedy):
        return settings_from(DisplayPlan, content)


def luma_of(light: npt.NDArray[np.floating], gamma: float) -> npt.NDArray[np.uint8]:
    """Return the luma that shows light (0 to 1), same shape."""
    span = WHITE_LEVEL - BLACK_LEVEL
    level = BLACK_LEVEL + span * np.asarray(light, np.float32) ** (1 / gamma)
    return np.asarray(np.rint(level), np.uint8)


def light_of(luma: npt.NDArray[np.uint8], gamma: float) -> npt.NDArray[np.float32]:
    """Return the light, as a share of the brightest, that luma shows; same shape."""
    levels = (np.arange(256, dtype=np.float64) - BLACK_LEVEL) / (WHITE_LEVEL - BLACK_LEVEL)
    table = (levels.clip(0.0, 1.0) ** gamma).astype(np.float32)
    return np.asarray(table[luma])


def shown_luma(light: npt.NDArray[np.floating], settings: DisplaySettings) -> npt.NDArray[np.uint8]:
    """Return the luma that shows light of molecules (0 to 1) on the background, same shape."""
    share = settings.background_share
    return luma_of(share + (1.0 - share) * np.clip(light, 0.0, 1.0), settings.gamma)


def molecule_light(
    luma: npt.NDArray[np.uint8], settings: DisplaySettings
) -> npt.NDArray[np.float32]:
    """Return what shown luma adds to the background, as a share of the brightest; same shape."""
    background = light_of(shown_luma(np.zeros(1), settings), settings.gamma)
    return np.asarray(np.maximum(light_of(luma, settings.gamma) - background, 0.0))


def layout_of(settings: DisplaySettings, width_px: int, height_px: int) -> DisplayLayout:
    """Return the places for frames of a size."""
    return lay_out(
        (settings.screen_width_px, settings.screen_height_px),
        (width_px, height_px),
        magnification=settings.magnification,
        cell_px=settings.cell_px,
        bead_pitch_px=settings.bead_pitch_px,
    )


def parts_of(settings: DisplaySettings, truth_count: int) -> tuple[DisplayPart, ...]:
    """Return what is shown, in order."""
    wanted: list[tuple[PartKind, int, float]] = [
        ("start", settings.start_frames, 0.0),
        ("beads", settings.bead_frames, 0.0),
        *(("uniform", settings.uniform_frames, level) for level in settings.uniform_levels),
        ("data", truth_count, 0.0),
        ("last beads", settings.bead_frames, 0.0),
        ("end", settings.start_frames, 0.0),
    ]
    parts, first = [], 0
    for kind, count, level in wanted:
        parts.append(DisplayPart(kind=kind, first=first, count=count, level=level))
        first += count
    return tuple(parts)
