"""The films that denoisers are judged by: made anew by the simulator, always the same ones.

D, E, H and L are phone films at four strengths of the codec; further ones are dense, dim, not
compressed, like the paper's Fig. 7, of another phone; and some without a single molecule, by
cameras that no network was trained on. None of their cameras or samples occurs in training pairs.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cellstorm_lib.camera import CameraCalibration, read_calibration
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.pictures import TextSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.sensor import SensorSettings
from cellstorm_lib.simulate.structures import StructureSettings
from cellstorm_lib.tables import Emitters, read_emitters
from cellstorm_lib.video.read import open_recording

#: Dimmer fragments of a blink are there, but neither asked for nor forgiven.
LEAST_PHOTONS = 112.5
_RATE_HZ = 20.0
#: Seeds of films that are filmed again lie so far apart.
_SEEDS_APART = 1000
_BLINKS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkFilm:
    """A film to judge by.

    Attributes
    ----------
    name : str
        What it is called in tables.
    about : str
        What is special about it.
    scene : Scene
        Sample, camera and codec.
    """

    name: str
    about: str
    scene: Scene

    @property
    def is_empty(self) -> bool:
        """Whether there is no molecule in it."""
        return self.scene.structure is None

    def again(self, number: int) -> "BenchmarkFilm":
        """Return a film of another sample by the same camera and codec, one for each number."""
        name, seed = f"{self.name}-{number}", self.scene.seed + _SEEDS_APART * number
        return replace(self, name=name, scene=replace(self.scene, name=name, seed=seed))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MadeFilm:
    """A film that was made: its frames, its camera, and the molecules that are asked for.

    Attributes
    ----------
    film : BenchmarkFilm
        What was made.
    source : FrameSource
        The decoded frames.
    calibration : CameraCalibration
        The true camera.
    truth : Emitters
        The molecules of a frame that are bright enough to be asked for.
    """

    film: BenchmarkFilm
    source: FrameSource
    calibration: CameraCalibration
    truth: Emitters


@contextmanager
def made_films(
    names: Sequence[str] | None = None, *, folder: Path | None = None
) -> Iterator[Callable[[str], MadeFilm]]:
    """Give a function that makes films by name; they exist until the block ends.

    Parameters
    ----------
    names : sequence of str, optional
        The films that will be asked for; all by default.
    folder : Path, optional
        Keep them here, and take those that are here already; else they are temporary.

    Raises
    ------
    SettingsError
        When there is no film of a name.
    """
    known = benchmark_films()
    for name in names if names is not None else known:
        if name not in known:
            raise SettingsError(f"there is no benchmark film {name!r}; there are {sorted(known)}")
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) if folder is None else Path(folder)
        yield lambda name: made_film(known[name], home / name)


def made_film(
    film: BenchmarkFilm,
    folder: Path,
    *,
    least_photons: float = LEAST_PHOTONS,
    progress: Progress | None = None,
) -> MadeFilm:
    """Return a film, made when it is not there yet or when its scene has changed.

    Parameters
    ----------
    film : BenchmarkFilm
        What to make.
    folder : Path
        Where the film, its truth and its camera are kept.
    least_photons : float
        Dimmer molecules of a frame are left out of the truth, photoelectrons.
    progress : callable, optional
        Called with frames done and frames in all while the film is made.
    """
    movie = folder / ("movie.ome.tif" if film.scene.codec is None else "movie.mp4")
    stamp = folder / "made-from.txt"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == repr(film.scene)):
        stamp.unlink(missing_ok=True)
        film_scene(film.scene, folder, stacks=(), progress=progress)
        stamp.write_text(repr(film.scene), encoding="utf-8")
    truth = read_emitters(folder / "truth.parquet")
    is_asked = np.asarray(truth.column("photons") >= least_photons)
    field = film.scene.field
    return MadeFilm(
        film=film,
        source=open_recording(movie, roi=f"{field.width_px}x{field.height_px}+0+0"),
        calibration=read_calibration(folder / "camera.json"),
        truth=replace(truth, data=truth.data[is_asked]),
    )


def benchmark_films() -> Mapping[str, BenchmarkFilm]:
    """Return all films by name, in the order of tables."""
    films = (*_phone_films(), *_other_films(), *_empty_films())
    return {film.name: film for film in films}


#: Films that are enough for a quick look.
QUICK_FILMS = ("D", "L", "E", "empty-bright")


_FILAMENTS = FilamentSettings(count=9, length_um=20.0, persistence_length_um=15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """What is filmed: as D where nothing else is said."""

    seed: int
    photons: float = 900.0
    background: float = 5.0
    structure_share: float = 0.0
    spots: float = 11.0
    on_frames: float = 2.5
    brightness_cv: float = 0.37
    structure: StructureSettings | None = _FILAMENTS
    frame_count: int = 200

    def labelled(self) -> StructureSettings | None:
        """Return the structure with labels for about as many molecules on at a time as asked."""
        molecules = self.spots * self.frame_count / (_BLINKS * self.on_frames)
        if isinstance(self.structure, FilamentSettings):
            # a quarter of each filament lies outside of the field
            length_um = 0.75 * self.structure.count * self.structure.length_um
            return replace(self.structure, labels_per_um=molecules / length_um)
        if isinstance(self.structure, TextSettings):
            return replace(self.structure, sites=round(molecules))
        return self.structure


def _phone_films() -> Iterator[BenchmarkFilm]:
    """Yield the domains D, E, H and L: the paper's camera, x264, GOP 21."""
    for name, about, photons, adu_per_level, crf, background in (
        ("D", "phone-like", 900.0, 4.0, 27, 5.0),
        ("E", "easy: light compression", 900.0, 2.5, 22, 5.0),
        ("H", "hard: strong compression", 900.0, 6.0, 30, 6.0),
        ("L", "low light", 375.0, 3.0, 26, 5.0),
    ):
        sample = _Sample(seed=101, photons=photons, background=background)
        yield _film(name, about, sample, _p9(adu_per_level, black_level_adu=8.0), _x264(crf))


def _other_films() -> Iterator[BenchmarkFilm]:
    """Yield films of other samples, codecs and cameras."""
    phone, pixel = read_camera("huawei-p9-video").camera, read_camera("pixel-like").camera
    letters = _Sample(
        seed=102, photons=1000.0, spots=7.0, on_frames=1.5, brightness_cv=0.7, frame_count=400,
        structure=TextSettings(text="CELL\nSTORM"),
    )  # fmt: skip
    grainy = replace(_x264(38), tune="grain")
    yield _film("fig7", "the paper's Fig. 7: letters, CRF 38, grain", letters, _p9(1.0), grainy)
    dense = _Sample(seed=103, spots=60.0, background=10.0, frame_count=100)
    yield _film("dense", "60 molecules in a frame", dense, phone, _at_rate(0.1))
    dim = _Sample(seed=104, photons=250.0, background=8.0)
    yield _film("dim", "250 photons at a low bit rate", dim, phone, _at_rate(0.1))
    usual = _Sample(seed=105, background=10.0)
    yield _film("pixel", "another phone at its bit rate", usual, pixel, _at_rate(0.37))
    yield _film("uncompressed", "no codec", replace(usual, seed=106), phone, None)
    for seed, rate in ((108, 0.01), (109, 0.05), (110, 0.8)):
        sample = replace(usual, seed=seed, frame_count=100)
        yield _film(f"rate-{rate:g}", f"{rate:g} bit per pixel", sample, phone, _at_rate(rate))


def _empty_films() -> Iterator[BenchmarkFilm]:
    """Yield films without molecules, by cameras that are in no training pairs."""
    pixel = read_camera("pixel-like")
    mottled = replace(
        _p9(3.0),
        sensor=SensorSettings(
            hot_pixel_share=1e-4, hot_pixel_e=30.0, fixed_pattern_e=1.0, corner_share=0.5
        ),
    )
    drifting = ProcessingSettings(
        adu_per_level=3.0, black_drift_levels=6.0, black_drift_s=2.0, black_wobble_levels=0.7,
        black_shading_levels=4.0, gamma=0.7, sharpening_amount=0.8, edge_levels=3.0,
        noise_correlation_x=0.5, noise_correlation_y=0.5, denoises="image",
    )  # fmt: skip
    wandering = CameraSettings(name="drifting", processing=drifting)
    for name, about, background, camera, codec in (
        ("empty", "D without molecules", 5.0, _p9(4.0, black_level_adu=8.0), _x264(27)),
        ("empty-bright", "much background", 40.0, _p9(4.0, black_level_adu=30.0), _x264(27)),
        ("empty-pixel", "another phone in the dark", 1.0, pixel.camera, pixel.codec),
        ("empty-pixel-lit", "another phone", 12.0, pixel.camera, _at_rate(0.37)),
        ("empty-mottled", "hot pixels, vignetting", 10.0, mottled, _at_rate(0.2)),
        ("empty-drifting", "tone curve, black level wanders", 10.0, wandering, _at_rate(0.05)),
    ):
        sample = _Sample(
            seed=107, background=background, structure_share=0.5, structure=None, frame_count=100
        )
        yield _film(name, about, sample, camera, codec)


def _film(
    name: str, about: str, sample: _Sample, camera: CameraSettings, codec: CodecSettings | None
) -> BenchmarkFilm:
    """Return a film of 256 x 256 pixels."""
    scene = Scene(
        name=name,
        seed=sample.seed,
        frame_count=sample.frame_count,
        frame_rate_hz=_RATE_HZ,
        structure=sample.labelled(),
        blinking=BlinkingSettings(
            on_ms=1000.0 * sample.on_frames / _RATE_HZ,
            dark_s=0.4 * sample.frame_count / _RATE_HZ,
            blinks=_BLINKS,
            photons_per_frame=sample.photons,
            brightness_cv=sample.brightness_cv,
        ),
        background=BackgroundSettings(
            photons=sample.background, structure_share=sample.structure_share
        ),
        camera=camera,
        codec=codec,
    )
    return BenchmarkFilm(name=name, about=about, scene=scene)


def _p9(adu_per_level: float, black_level_adu: float = 0.0) -> CameraSettings:
    """Return the paper's camera, its raw values scaled to 8 bit."""
    processing = ProcessingSettings(adu_per_level=adu_per_level, black_level_adu=black_level_adu)
    return CameraSettings(name="huawei-p9", processing=processing)


def _x264(crf: int) -> CodecSettings:
    """Return x264 as of a desktop program, at constant quality."""
    return CodecSettings(
        bits_per_px=None, crf=crf, gop_frames=21, phone_like=False, preset="medium"
    )


def _at_rate(bits_per_px: float) -> CodecSettings:
    """Return the encoder of a phone."""
    return CodecSettings(bits_per_px=bits_per_px, gop_frames=30)
