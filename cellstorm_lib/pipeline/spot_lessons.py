"""Spots of simulated films, raw or denoised, beside the truth: from which to learn appraisal."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.gan.appraiser_training import Lesson
from cellstorm_lib.gan.denoise import denoised_in_memory
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.localize.around import Surroundings
from cellstorm_lib.localize.course import MEASURED, courses
from cellstorm_lib.localize.denoised_traits import DENOISED_TRAITS
from cellstorm_lib.localize.localize import field_of
from cellstorm_lib.localize.prepare import LocalizeSettings, prepare
from cellstorm_lib.localize.traits import Kind
from cellstorm_lib.pairs.random_scenes import SceneRanges, random_scene
from cellstorm_lib.pipeline.film import encoder_of
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.sensor import vignetting
from cellstorm_lib.simulate.simulate import Simulation, simulate_scene
from cellstorm_lib.tables import Emitters, Localizations
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import write_video

#: As the training pairs, and milder codecs and molecules that stay on, too.
RANGES = SceneRanges(
    photons=(120.0, 3000.0), on_frames=(0.7, 10.0), bits_per_px=(0.005, 3.0), crf=(12, 40)
)
#: What sends less light in a frame is a fragment of a blink and not asked for, photoelectrons.
LEAST_PHOTONS: Mapping[Kind, float] = {"film": 75.0, "denoised": 112.5}
TOLERANCE_PX = 2.5
#: Share of spots whose neighbouring frames, before and after, are made unknown.
_FORGOTTEN = 0.1
#: How well a calibrated camera is known: gain, as a share, and offset, grey values.
_GAIN_ERROR, _OFFSET_ERROR_ADU = 0.03, 0.2
#: Of denoised frames whose spots are too wide to be judged.
_NOTHING = Lesson(
    traits=np.empty((0, len(DENOISED_TRAITS)), np.float32),
    is_molecule=np.empty(0, np.bool_),
    error=np.empty((0, 2), np.float32),
    log_photons=np.empty(0, np.float32),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSettings:
    """How many films, and how large."""

    scenes: int = 1600
    side_px: int = 160
    frames: int = 90
    seed: int = 5


def spot_lessons(
    settings: LessonSettings | None = None, denoiser: Denoiser | None = None
) -> Iterator[Lesson]:
    """Film scenes by chance, localize them, and compare with the truth.

    Parameters
    ----------
    settings : LessonSettings, optional
        How many films.
    denoiser : Denoiser, optional
        Denoises them before they are localized.
    """
    settings = settings or LessonSettings()
    for number in range(settings.scenes):
        scene = random_scene(
            number,
            seed=settings.seed,
            side_px=settings.side_px,
            frame_count=settings.frames,
            ranges=RANGES,
        )
        yield lesson_of(scene, denoiser)


def lesson_of(scene: Scene, denoiser: Denoiser | None = None) -> Lesson:
    """Return what one film, with a codec, teaches as it is or denoised."""
    simulation = simulate_scene(scene)
    frames = range(scene.frame_count)
    camera = _roughly(calibration_of(scene.camera), np.random.default_rng(scene.seed))
    assert scene.codec is not None
    with tempfile.TemporaryDirectory() as folder:
        movie = Path(folder) / "movie.mp4"
        encoder = encoder_of(scene.codec, scene.frame_rate_hz)
        write_video(movie, iter(simulation.chunk(frames).levels), encoder)
        size = f"{scene.field.width_px}x{scene.field.height_px}+0+0"
        source: FrameSource = open_recording(movie, roi=size)
        if denoiser is not None:
            source = denoised_in_memory(source, camera, denoiser)
        return _lesson(source, camera, _as_detected(simulation), scene.field.pixel_size_nm)


def _as_detected(simulation: Simulation) -> Emitters:
    """Return the truth with the photons that reach the sensor, dimmed towards the corners."""
    scene, truth = simulation.scene, simulation.emitters
    shape = (scene.field.height_px, scene.field.width_px)
    seen = vignetting(scene.camera.sensor, shape)
    row, column = (
        np.clip(truth.column(name) / scene.field.pixel_size_nm, 0, most - 1).astype(np.int64)
        for name, most in zip(("y_nm", "x_nm"), shape, strict=True)
    )
    photons = truth.column("photons") * seen[row, column]
    return replace(truth, data=truth.data.assign(photons=photons))


def _forget_some_neighbours(measured: npt.NDArray[np.float32]) -> None:
    """Make the frames before, after or around some spots unknown, as in very short recordings."""
    rng = np.random.default_rng(len(measured))
    for side in ("before", "after"):
        columns = [place for place, name in enumerate(MEASURED) if side in name]
        forgotten = rng.uniform(size=len(measured)) < _FORGOTTEN
        measured[np.ix_(np.flatnonzero(forgotten), np.array(columns))] = np.nan


def _roughly(camera: CameraCalibration, rng: np.random.Generator) -> CameraCalibration:
    """Return a camera as well as it is usually known."""
    return replace(
        camera,
        gain_e_per_adu=camera.gain_e_per_adu * float(np.exp(rng.normal(0.0, _GAIN_ERROR))),
        offset_adu=camera.offset_adu + float(rng.normal(0.0, _OFFSET_ERROR_ADU)),
    )


def _lesson(
    source: FrameSource, camera: CameraCalibration, truth: Emitters, pixel_size_nm: float
) -> Lesson:
    """Localize a recording and compare each spot with the truth; none where none is judged."""
    ready = prepare(source, camera, LocalizeSettings(), pixel_size_nm=pixel_size_nm)
    level = ready.detector.level
    if level is None:
        return _NOTHING
    (chunk,) = source.chunks(len(source.frame_range))
    candidates, fits = ready.candidates_and_fits(chunk.frames)
    index = candidates.index[fits.rows]
    measured = courses(Surroundings.alone(chunk.frames), index, fits.x_px, fits.y_px)
    _forget_some_neighbours(measured)
    spots = Localizations(
        data=pd.DataFrame(
            {
                "frame": chunk.frame[index].astype(np.int32),
                "x_nm": fits.x_px * pixel_size_nm,
                "y_nm": fits.y_px * pixel_size_nm,
            }
        ),
        field=field_of(source, pixel_size_nm),
    )
    pairs = match_localizations(
        spots,
        truth,
        TOLERANCE_PX * pixel_size_nm,
        method="hungarian",
        min_photons=LEAST_PHOTONS[level.kind],
    )
    rows, other = pairs.localization, pairs.emitter
    is_molecule = np.zeros(len(spots), np.bool_)
    is_molecule[rows] = True
    error = np.full((len(spots), 2), np.nan, np.float32)
    for axis, (name, bound_px) in enumerate((("x_nm", fits.crlb_x_px), ("y_nm", fits.crlb_y_px))):
        apart_px = (spots.column(name)[rows] - truth.column(name)[other]) / pixel_size_nm
        error[rows, axis] = apart_px / np.maximum(bound_px[rows], 1e-4)
    log_photons = np.full(len(spots), np.nan, np.float32)
    log_photons[rows] = np.log(truth.column("photons")[other] / np.maximum(fits.photons[rows], 1.0))
    return Lesson(
        traits=level.traits_of(fits, measured),
        is_molecule=is_molecule,
        error=error,
        log_photons=log_photons,
    )
