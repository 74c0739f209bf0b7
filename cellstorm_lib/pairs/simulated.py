"""Training pairs by simulation (the paper's method 1): random scenes, filmed and decoded again."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.pair_set import (
    LIGHT_SIGMA_PX,
    PairSet,
    Split,
    joined,
    refuse_off_grid,
)
from cellstorm_lib.pairs.random_scenes import SceneRanges, random_scene
from cellstorm_lib.recording import FrameChunk
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.sensor import vignetting
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.simulate.spot import prepared_spot
from cellstorm_lib.threads import in_order, processor_count
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPairsSettings:
    """How many scenes, and how much of each."""

    scenes: int = field(default=2000, metadata={"about": "random scenes, each its own camera"})
    side_px: int = field(default=192, metadata={"about": "side of a clip, a multiple of 16"})
    frames: int = field(default=8, metadata={"about": "frames of a clip"})
    lead_frames: int = field(
        default=12, metadata={"about": "frames filmed before, so that the codec has settled"}
    )
    light_sigma_px: float | None = field(
        default=LIGHT_SIGMA_PX,
        metadata=about(
            "width of molecules in the light that is learned, camera pixels; empty: as filmed",
            at_least=0.2,
            at_most=50,
        ),
    )
    validation_share: float = field(default=0.08, metadata={"about": "scenes for validation"})
    test_share: float = field(default=0.04, metadata={"about": "scenes for the test"})
    seed: int = field(default=0, metadata=about("number that decides all chance", at_least=0))

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.scenes < 3 or self.frames < 1 or self.lead_frames < 0:
            raise SettingsError(
                "simulated pairs need at least 3 scenes, 1 frame and 0 frames before, got "
                f"{self.scenes}, {self.frames} and {self.lead_frames}"
            )
        refuse_off_grid(self.side_px)
        if not 0 < self.validation_share + self.test_share < 1:
            raise SettingsError("validation_share and test_share must add up to less than 1")


def simulated_pairs(
    settings: SimulatedPairsSettings | None = None,
    *,
    ranges: SceneRanges | None = None,
    phone: PhoneSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Simulate, film and decode random scenes, and return them with their true light.

    Parameters
    ----------
    settings : SimulatedPairsSettings, optional
        How many scenes, and how much of each.
    ranges : SceneRanges, optional
        Between what limits chance chooses the scenes.
    phone : PhoneSettings, optional
        Camera and codec of all scenes, to fine-tune a network for one phone.
    progress : callable, optional
        Called with scenes done and scenes in all.
    """
    settings = settings or SimulatedPairsSettings()

    def clip(number: int) -> PairSet:
        scene = random_scene(
            number,
            seed=settings.seed,
            side_px=settings.side_px,
            frame_count=settings.lead_frames + settings.frames,
            ranges=ranges,
            phone=phone,
        )
        return pairs_of_scene(
            scene,
            split=_split(number, settings),
            first=settings.lead_frames,
            light_sigma_px=settings.light_sigma_px,
        )

    clips = []
    threads = processor_count()
    for one in in_order(clip, range(settings.scenes), threads=threads, most_ahead=2 * threads):
        clips.append(one)
        if progress is not None:
            progress(len(clips), settings.scenes)
    return joined(clips)


def pairs_of_scene(
    scene: Scene, *, split: Split, first: int = 0, light_sigma_px: float | None = None
) -> PairSet:
    """Return one scene, filmed and decoded again, as one clip from frame `first` on.

    With a `light_sigma_px` its molecules are Gaussians of that width in the light, instead of as
    wide as they are filmed.
    """
    simulation = simulate_scene(scene)
    frames = range(scene.frame_count)
    levels = simulation.chunk(frames).levels
    if light_sigma_px is not None:
        narrow = GaussianSpotSettings(sigma_px=light_sigma_px)
        spot = prepared_spot(narrow, pixel_size_nm=scene.field.pixel_size_nm)
        simulation = replace(simulation, spot=spot)
    background_e = simulation.background_over(frames)
    seen = vignetting(scene.camera.sensor, background_e.shape[1:]).astype(np.float32)
    light_e = seen * np.maximum(simulation.expected_e(frames) - background_e, 0.0)
    filmed, is_key, bits_per_px = _through_the_codec(levels, scene)
    calibration = calibration_of(scene.camera)
    return PairSet(
        filmed=filmed[None, first:],
        light_e=light_e[None, first:].astype(np.float16),
        is_usable=np.ones((1, len(frames) - first), bool),
        is_key=is_key[None, first:],
        offset_adu=np.array([calibration.offset_adu], np.float32),
        gain_e_per_adu=np.array([calibration.gain_e_per_adu], np.float32),
        bits_per_px=np.array([bits_per_px], np.float32),
        split=np.array([split]),
        origin=np.array([scene.name]),
        method=np.array(["simulated"]),
    )


def _through_the_codec(
    levels: npt.NDArray[np.uint8], scene: Scene
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], float]:
    """Return frames as a video player sees them, which are key frames, and the strength."""
    if scene.codec is None:
        return levels, np.ones(len(levels), bool), 0.0
    with tempfile.TemporaryDirectory() as folder:
        movie = Path(folder) / "movie.mp4"
        encoder = EncoderSettings(**asdict(scene.codec), frame_rate_hz=scene.frame_rate_hz)
        write_video(movie, iter(levels), encoder)
        source = open_recording(movie, roi=f"{levels.shape[2]}x{levels.shape[1]}+0+0")
        chunks: list[FrameChunk] = list(source.chunks(len(levels)))
    filmed = np.concatenate([chunk.frames for chunk in chunks])
    bits_per_px = 8.0 * sum(int(chunk.packet_bytes.sum()) for chunk in chunks) / levels.size
    return filmed.astype(np.uint8), np.concatenate([chunk.is_key for chunk in chunks]), bits_per_px


def _split(number: int, settings: SimulatedPairsSettings) -> Split:
    """Return where a scene belongs: the last ones to the test, those before to validation."""
    test = max(1, round(settings.test_share * settings.scenes))
    validation = max(1, round(settings.validation_share * settings.scenes))
    if number >= settings.scenes - test:
        return "test"
    return "validation" if number >= settings.scenes - test - validation else "train"
