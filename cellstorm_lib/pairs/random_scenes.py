"""Scenes by chance: another sample, camera and codec each time; none is learned by heart."""

from dataclasses import dataclass, field

import numpy as np

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.scatter import RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.sensor import SensorSettings
from cellstorm_lib.simulate.structures import StructureSettings

_RATE_HZ = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRanges:
    """Between what limits chance chooses; each number once per scene, most by its logarithm."""

    photons: tuple[float, float] = field(
        default=(120.0, 2500.0), metadata={"about": "mean photons per molecule and exposure"}
    )
    background: tuple[float, float] = field(
        default=(1.0, 80.0), metadata={"about": "mean photons per pixel and exposure"}
    )
    spots_per_1000_px: tuple[float, float] = field(
        default=(0.03, 1.2), metadata={"about": "molecules that are on, per 1000 pixels"}
    )
    on_frames: tuple[float, float] = field(
        default=(0.8, 6.0), metadata={"about": "mean length of a blink, frames"}
    )
    sigma_px: tuple[float, float] = field(default=(1.0, 1.7), metadata={"about": "width of a spot"})
    e_per_level: tuple[float, float] = field(
        default=(0.25, 2.8), metadata={"about": "photoelectrons per 8-bit grey value"}
    )
    offset_adu: tuple[float, float] = field(
        default=(2.0, 64.0), metadata={"about": "raw grey value without light"}
    )
    read_noise_e: tuple[float, float] = field(
        default=(0.8, 3.0), metadata={"about": "read noise, electrons RMS"}
    )
    bits_per_px: tuple[float, float] = field(
        default=(0.005, 0.8), metadata={"about": "constant bit rates"}
    )
    crf: tuple[int, int] = field(default=(20, 40), metadata={"about": "constant qualities"})
    crf_share: float = field(
        default=0.5, metadata={"about": "share of scenes coded at constant quality"}
    )
    empty_share: float = field(
        default=0.12, metadata={"about": "share of scenes without any molecule"}
    )

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, tuple) and not 0 < value[0] <= value[1]:
                raise SettingsError(f"{name} must be from a low number above 0 up, got {value}")


def random_scene(
    number: int,
    *,
    seed: int,
    side_px: int,
    frame_count: int,
    ranges: SceneRanges | None = None,
    phone: PhoneSettings | None = None,
) -> Scene:
    """Return one of infinitely many scenes; the same number and seed always give the same one.

    Parameters
    ----------
    number : int
        Which scene.
    seed : int
        Which series of scenes.
    side_px, frame_count : int
        Size and length of the recording.
    ranges : SceneRanges, optional
        Between what limits chance chooses.
    phone : PhoneSettings, optional
        Camera and codec of all scenes; by default they are chosen by chance as well.
    """
    ranges = ranges or SceneRanges()
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    blinking, structure = _sample(ranges, rng, side_px, frame_count)
    return Scene(
        name=f"random-{seed}-{number}",
        seed=int(rng.integers(2**31)),
        frame_count=frame_count,
        frame_rate_hz=_RATE_HZ,
        field=FieldSettings(width_px=side_px, height_px=side_px, pixel_size_nm=100.0),
        structure=structure,
        blinking=blinking,
        spot=GaussianSpotSettings(sigma_px=rng.uniform(*ranges.sigma_px)),
        background=BackgroundSettings(
            photons=_log_uniform(rng, ranges.background),
            structure_share=rng.uniform(0.0, 0.6),
            scale_um=rng.uniform(3.0, 12.0),
        ),
        camera=_camera(ranges, rng) if phone is None else phone.camera,
        codec=_codec(ranges, rng) if phone is None else phone.codec,
    )


def _sample(
    ranges: SceneRanges, rng: np.random.Generator, side_px: int, frame_count: int
) -> tuple[BlinkingSettings, StructureSettings | None]:
    """Return dyes and structure with about as many molecules on at a time as chance asks for."""
    on_frames = _log_uniform(rng, ranges.on_frames)
    wanted = _log_uniform(rng, ranges.spots_per_1000_px) * side_px**2 / 1000.0
    blinks = 2.0
    molecules = wanted * frame_count / (on_frames * blinks)
    blinking = BlinkingSettings(
        on_ms=1000.0 * on_frames / _RATE_HZ,
        dark_s=rng.uniform(0.2, 1.0) * frame_count / _RATE_HZ,
        blinks=blinks,
        photons_per_frame=_log_uniform(rng, ranges.photons),
        brightness_cv=rng.uniform(0.1, 0.7),
    )
    if rng.uniform() < ranges.empty_share:
        return blinking, None
    side_um = side_px * 0.1
    if rng.uniform() < 0.5:
        return blinking, RandomSettings(sites_per_um2=molecules / side_um**2)
    count = int(rng.integers(2, 12))
    length_um = rng.uniform(0.6, 1.5) * side_um
    return blinking, FilamentSettings(
        count=count,
        length_um=length_um,
        persistence_length_um=rng.uniform(3.0, 30.0),
        labels_per_um=max(2.0 * molecules / (count * length_um), 1e-3),
    )


def _camera(ranges: SceneRanges, rng: np.random.Generator) -> CameraSettings:
    """Return a phone's camera."""
    gain_e_per_adu = _log_uniform(rng, (0.15, 0.6))
    offset_adu = _log_uniform(rng, ranges.offset_adu)
    is_unusual = rng.uniform(size=6) < 0.2
    sensor = SensorSettings(
        gain_e_per_adu=gain_e_per_adu,
        offset_adu=offset_adu,
        read_noise_e=_log_uniform(rng, ranges.read_noise_e),
        read_noise_spread=rng.uniform(0.0, 0.3),
        fixed_pattern_e=rng.uniform(0.0, 0.8),
        gain_spread=rng.uniform(0.0, 0.02),
        hot_pixel_share=_log_uniform(rng, (1e-5, 3e-4)) if is_unusual[3] else 0.0,
        hot_pixel_e=_log_uniform(rng, (3.0, 60.0)) if is_unusual[3] else 0.0,
        corner_share=rng.uniform(0.3, 1.0),
    )
    processing = ProcessingSettings(
        black_level_adu=rng.uniform(0.0, 1.2) * offset_adu if rng.uniform() < 0.6 else 0.0,
        adu_per_level=_log_uniform(rng, ranges.e_per_level) / gain_e_per_adu,
        noise_correlation_x=rng.uniform(0.0, 0.6),
        noise_correlation_y=rng.uniform(0.0, 0.6),
        temporal_share=rng.uniform(0.1, 0.5) if is_unusual[0] else 0.0,
        toe_levels=rng.uniform(1.0, 8.0) if is_unusual[1] else 0.0,
        toe_slope=rng.uniform(0.3, 1.0) if is_unusual[1] else 1.0,
        sharpening_amount=rng.uniform(0.1, 0.8) if is_unusual[2] else 0.0,
        black_shading_levels=rng.uniform(-4.0, 4.0) if is_unusual[4] else 0.0,
        black_drift_levels=rng.uniform(-5.0, 5.0) if is_unusual[4] else 0.0,
        black_drift_s=rng.uniform(0.5, 5.0),
        black_wobble_levels=rng.uniform(0.0, 1.0) if is_unusual[5] else 0.0,
        edge_levels=rng.uniform(2.0, 10.0) if is_unusual[5] else None,
        denoises="image" if is_unusual[5] else "noise",
    )
    return CameraSettings(name="random", sensor=sensor, processing=processing)


def _codec(ranges: SceneRanges, rng: np.random.Generator) -> CodecSettings:
    """Return a codec: mostly at a constant bit rate, as phones do."""
    gop_frames = int(rng.integers(10, 61))
    if rng.uniform() < ranges.crf_share:
        is_phone = bool(rng.uniform() < 0.4)
        return CodecSettings(
            bits_per_px=None,
            crf=int(rng.integers(ranges.crf[0], ranges.crf[1] + 1)),
            tune="grain" if rng.uniform() < 0.4 else None,
            gop_frames=gop_frames,
            phone_like=is_phone,
            preset="veryfast" if is_phone or rng.uniform() < 0.5 else "medium",
        )
    return CodecSettings(
        bits_per_px=_log_uniform(rng, ranges.bits_per_px),
        gop_frames=gop_frames,
        ip_ratio=rng.uniform(1.1, 1.8),
    )


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """Return a number whose logarithm is evenly spread between two limits."""
    return float(np.exp(rng.uniform(*np.log(limits))))
