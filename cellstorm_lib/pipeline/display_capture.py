"""Training pairs by display capture: from a scene to the movie to show, from its film to pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.pairs.display_movie import make_display_movie
from cellstorm_lib.pairs.display_plan import (
    PLAN_FILE,
    DisplayPlan,
    DisplaySettings,
    read_plan,
)
from cellstorm_lib.pairs.displayed import DisplayedFilm, DisplayedSettings, read_displayed
from cellstorm_lib.pairs.displayed_clips import ClipSettings, clips_of_film
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.read import open_recording

_CHUNK_FRAMES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayRecipe:
    """How a dataset's scene is shown on a screen, and how its film becomes pairs."""

    movie: DisplaySettings = field(
        default_factory=DisplaySettings, metadata={"about": "what is shown, and how large"}
    )
    film: str = field(
        default="film.mp4",
        metadata={"about": "the film of it, a file in the folder of the dataset's name"},
    )
    camera: str | None = field(
        default=None,
        metadata={
            "about": "camera that filmed it: preset, or camera of the project; empty: estimated"
        },
    )
    reading: DisplayedSettings = field(
        default_factory=DisplayedSettings, metadata={"about": "how the film is read"}
    )
    clips: ClipSettings = field(
        default_factory=ClipSettings, metadata={"about": "how the film is cut into pairs"}
    )

    def __post_init__(self) -> None:
        if not self.film or Path(self.film).name != self.film:
            raise SettingsError(
                f"film must be the name of a file in the dataset's folder, got {self.film!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapturedDisplay:
    """A filmed display movie that became pairs.

    Attributes
    ----------
    read : DisplayedFilm
        The film: registration, pairing table, and the figures of how well it went.
    pairs : PairSet
        Clips of it with the light that was shown.
    calibration : CameraCalibration
        The camera: as given, or estimated from the data on the film.
    notes : tuple of str
        What to know about it.
    """

    read: DisplayedFilm
    pairs: PairSet
    calibration: CameraCalibration
    notes: tuple[str, ...]


def show_scene(
    scene: Scene,
    out: Path,
    settings: DisplaySettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DisplayPlan:
    """Write the display movie of a scene: the light of its molecules, without noise.

    The scene's own background is left out, since the movie has an even one; camera and codec are
    those of the phone that films it.

    Parameters
    ----------
    scene : Scene
        Sample, dyes, optics and number of frames.
    out : Path
        Folder for ``display.mp4``, ``shown.ome.tif`` and ``display.json``.
    settings : DisplaySettings or None
        None for the defaults.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    SettingsError
        When the scene shows no light, or does not fit onto the screen.
    ExportError
        When the folder cannot be written.
    """
    simulation = simulate_scene(scene)

    def frames() -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, scene.frame_count, _CHUNK_FRAMES):
            some = range(start, min(start + _CHUNK_FRAMES, scene.frame_count))
            light = simulation.expected_e(some) - simulation.background_over(some)
            yield np.maximum(light, np.float32(0.0))

    return make_display_movie(frames, out, settings, progress=progress)


def capture_display(
    film: Path,
    folder: Path,
    recipe: DisplayRecipe | None = None,
    *,
    camera: CameraCalibration | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CapturedDisplay:
    """Read the film of a display movie, and cut it into pairs.

    Parameters
    ----------
    film : Path
        The film, whole frames.
    folder : Path
        Folder that `show_scene` wrote.
    recipe : DisplayRecipe or None
        None for the defaults.
    camera : CameraCalibration or None
        The camera that filmed it; its gain and offset are taken as they are. None estimates the
        gain from the data on the film and takes the black screen for the offset.
    progress : callable, optional
        Called with frames done and frames in all, while the film is read for the pairing.

    Raises
    ------
    RecordingError
        When there is no film, or it cannot be used; see `read_displayed`.
    SettingsError
        When the folder does not hold a display movie with its plan.
    CalibrationError
        When the given camera is impossible for the film.
    """
    recipe = recipe or DisplayRecipe()
    plan = read_plan(folder / PLAN_FILE)
    if not film.is_file():
        raise RecordingError(
            f"{film} does not exist; show {folder / plan.movie} on a screen, film it as "
            "docs/how-to/film-a-display.md says, and put the film there"
        )
    facts = open_recording(film).facts
    whole = open_recording(film, roi=f"{facts.frame_width_px}x{facts.frame_height_px}+0+0")
    read = read_displayed(whole, plan, folder, recipe.reading, progress=progress)
    calibration, notes = calibration_for(_data_alone(film, read), camera)
    pairs = clips_of_film(
        read,
        recipe.clips,
        gain_e_per_adu=calibration.gain_e_per_adu,
        offset_adu=None if camera is None else calibration.offset_adu,
    )
    return CapturedDisplay(read=read, pairs=pairs, calibration=calibration, notes=notes)


def _data_alone(film: Path, read: DisplayedFilm) -> FrameSource:
    """Return the part of the film that shows data and nothing else, as an ordinary recording."""
    kept = read.table.loc[read.table["is_kept"], "frame"]
    return open_recording(film, roi=read.roi, frames=(int(kept.min()), int(kept.max()) + 1))
