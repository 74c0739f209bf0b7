"""A simulated phone in the numbers its video shows, and a first guess of them from a clip."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.evaluate.clip_measures import ClipMeasures
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.develop import black_shading, neighbour_weight
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.sensor import SensorSettings, squared_radius

#: A 12-bit sensor whose raw grey values are fine enough not to show in 8 bit.
_ADU_PER_LEVEL, _OFFSET_ADU = 8.0, 512.0
#: The black level must stay within the raw grey values.
_FARTHEST_LEVEL = _OFFSET_ADU / _ADU_PER_LEVEL
_BLOCK_PX = 16
_GLOW_WIDTHS = np.linspace(0.1, 0.6, 26)
#: A glow fainter than this cannot be told from shading.
_LEAST_GLOW_LEVELS = 0.3
_DARK_LEVEL, _DARK_SPREAD = 24.0, 16.0
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecModel:
    """What the file says of its compression.

    Attributes
    ----------
    codec : str
    gop_frames : int
    bits_per_px : float
    qp, key_qp, start_qp : float or None
        Mean QP of the frames that are no key frames, of the key frames after the first, and of
        the first frame; None where the decoder does not tell.
    is_full_range : bool
    """

    codec: str
    gop_frames: int
    bits_per_px: float
    qp: float | None
    key_qp: float | None
    start_qp: float | None
    is_full_range: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneModel:
    """What is fitted; levels are 8-bit grey values, variances those before the codec.

    Attributes
    ----------
    level : float
        Black level in the centre of the frame, without glow.
    shading_levels : float
        By how much it is lower in the corners.
    glow_levels, glow_width : float
        Further level of the centre that brings shot noise, and the width of its bell in half
        diagonals.
    read_variance : float
        Variance without light or glow.
    shot_variance : float
        Variance per level of light or glow.
    correlation_x, correlation_y, correlation_time : float
        Of neighbours' noise before the codec.
    pattern_levels : float
        Spread of the pixels' own black levels, before denoising.
    deadzone_inter, deadzone_intra : float
        How readily the encoder drops small coefficients, 0 to 32; x264 only.
    """

    level: float
    shading_levels: float
    glow_levels: float
    glow_width: float
    read_variance: float
    shot_variance: float
    correlation_x: float
    correlation_y: float
    correlation_time: float
    pattern_levels: float
    deadzone_inter: float = 21.0
    deadzone_intra: float = 18.0

    @property
    def kept_variance(self) -> float:
        """Share of the sensor's noise variance that denoising leaves."""
        share = (1.0 - self.correlation_time) / (1.0 + self.correlation_time)
        for correlation in (self.correlation_x, self.correlation_y):
            weight = neighbour_weight(correlation)
            share *= (1.0 - 2.0 * weight) ** 2 + 2.0 * weight**2
        return share

    @property
    def levels_per_e(self) -> float:
        """Grey values per electron of the sensor."""
        return self.shot_variance / self.kept_variance

    def light_e(self, light_levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the photoelectrons that make a picture of so many levels above the black."""
        return (light_levels / self.levels_per_e).astype(np.float32)


def phone_of(model: PhoneModel, codec: CodecModel, *, name: str) -> PhoneSettings:
    """Return the settings of a simulated phone that shows these numbers before the codec."""
    per_e = model.levels_per_e
    sensor = SensorSettings(
        gain_e_per_adu=1.0 / (per_e * _ADU_PER_LEVEL),
        offset_adu=_OFFSET_ADU,
        read_noise_e=math.sqrt(model.read_variance / model.kept_variance) / per_e,
        fixed_pattern_e=model.pattern_levels / per_e,
        glow_e=model.glow_levels / per_e,
        glow_width=model.glow_width,
        bit_depth=12,
    )
    processing = ProcessingSettings(
        black_level_adu=_OFFSET_ADU - model.level * _ADU_PER_LEVEL,
        adu_per_level=_ADU_PER_LEVEL,
        black_shading_levels=model.shading_levels,
        noise_correlation_x=model.correlation_x,
        noise_correlation_y=model.correlation_y,
        temporal_share=model.correlation_time,
    )
    camera = CameraSettings(name=name, sensor=sensor, processing=processing)
    return PhoneSettings(camera=camera, codec=_codec_of(model, codec))


def _codec_of(model: PhoneModel, codec: CodecModel) -> CodecSettings:
    """Return the encoder's settings: at the file's quantisers, or else at its bit rate."""
    plain = {
        "codec": codec.codec,
        "gop_frames": codec.gop_frames,
        "full_range": codec.is_full_range,
    }
    if codec.qp is None or codec.key_qp is None or codec.start_qp is None:
        return CodecSettings(bits_per_px=codec.bits_per_px, **plain)  # type: ignore[arg-type]
    qp, key_qp, start_qp = (round(value) for value in (codec.qp, codec.key_qp, codec.start_qp))
    zone = min(max(start_qp - key_qp + qp, 0), 51)  # x264 adds the step from P to I frames itself
    return CodecSettings(
        bits_per_px=None,
        qp=qp,
        ip_ratio=2.0 ** ((qp - key_qp) / 6.0),
        extra_params=f"deadzone-inter={round(model.deadzone_inter)}:"
        f"deadzone-intra={round(model.deadzone_intra)}:zones=0,0,q={zone}",
        **plain,  # type: ignore[arg-type]
    )


def first_guess(real: ClipMeasures, *, is_dark: bool) -> PhoneModel:
    """Return the numbers of a clip as its measures show them, the codec not yet considered.

    Parameters
    ----------
    real : ClipMeasures
    is_dark : bool
        Whether the picture is the phone's own: black level, shading and glow. Otherwise its
        lowest level is taken for the black level, and all above for light.
    """
    level, shading, glow, width = _dark_levels(real.mean_adu) if is_dark else _lit_levels(real)
    dark_variance, bright_variance = real.variance_adu2[:4].mean(), real.variance_adu2[-2:].mean()
    above = glow if is_dark else float(real.level_adu[-2:].mean()) - level
    growth = max(float(bright_variance - dark_variance), 0.0)
    return PhoneModel(
        level=level,
        shading_levels=shading,
        glow_levels=glow,
        glow_width=width,
        read_variance=max(1.5 * float(dark_variance), 0.02),
        shot_variance=max(growth / above if above > 0 else 0.0, 0.02),
        correlation_x=_within(0.9 * real.correlation_x.value, 0.6),
        correlation_y=_within(0.9 * real.correlation_y.value, 0.6),
        correlation_time=_within(real.correlation_time.value, 0.7),
        pattern_levels=max(1.5 * real.pattern_adu.value, 0.01),
    )


def is_dark_clip(real: ClipMeasures) -> bool:
    """Return whether a clip shows no more than the phone's own black level and its shading."""
    low, middle, high = np.percentile(real.mean_adu, (1, 50, 99))
    return bool(middle < _DARK_LEVEL and high - low < _DARK_SPREAD)


def with_levels_moved(model: PhoneModel, real: ClipMeasures, simulated: ClipMeasures) -> PhoneModel:
    """Return a model whose picture is moved by what rounding, clipping and codec did to its level.

    Only black level and shading are moved, by the difference of the two mean pictures.
    """
    difference = _blocks(real.mean_adu) - _blocks(simulated.mean_adu)
    fall = _blocks(_fall(real.mean_adu.shape)).ravel()
    columns = np.stack([np.ones_like(fall), -fall], axis=1)
    shift, deeper = np.linalg.lstsq(columns, difference.ravel(), rcond=None)[0]
    return replace(
        model,
        level=float(np.clip(model.level + shift, -_FARTHEST_LEVEL, _FARTHEST_LEVEL)),
        shading_levels=float(np.clip(model.shading_levels + deeper, -255.0, 255.0)),
    )


def _within(value: float, top: float) -> float:
    """Return a correlation within what the denoiser can make."""
    return float(np.clip(value, 0.0, top))


def _lit_levels(real: ClipMeasures) -> tuple[float, float, float, float]:
    """Return the black level of a lit clip, at most its darkest pixels, and no shading or glow."""
    darkest = float(np.percentile(real.mean_adu, 0.1))
    return min(darkest, _DARK_LEVEL), 0.0, 0.0, 0.3


def _dark_levels(mean_adu: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return level, shading, glow and its width that describe a dark picture best."""
    picture = _blocks(mean_adu).ravel()
    radius2 = _blocks(squared_radius((mean_adu.shape[0], mean_adu.shape[1]))).ravel()
    fall = _blocks(_fall(mean_adu.shape)).ravel()
    best = (np.inf, (float(picture.mean()), 0.0, 0.0, 0.3))
    for width in _GLOW_WIDTHS.tolist():
        columns = np.stack([np.ones_like(fall), -fall, np.exp(-0.5 * radius2 / width**2)], axis=1)
        found = np.linalg.lstsq(columns, picture, rcond=None)[0]
        left = float(np.square(columns @ found - picture).sum())
        if found[2] > _LEAST_GLOW_LEVELS and left < best[0]:
            best = (left, (float(found[0]), float(found[1]), float(found[2]), width))
    if np.isfinite(best[0]):
        return best[1]
    columns = np.stack([np.ones_like(fall), -fall], axis=1)
    level, shading = np.linalg.lstsq(columns, picture, rcond=None)[0].tolist()
    return level, shading, 0.0, 0.3


def _fall(shape: tuple[int, ...]) -> _Floats:
    """Return the course of the black level's shading: 0 in the centre, 1 in the corners."""
    return -black_shading(ProcessingSettings(black_shading_levels=1.0), (shape[0], shape[1]))


def _blocks(picture: npt.NDArray[np.floating]) -> _Floats:
    """Return the means of square blocks; rows and columns left over are not used."""
    rows, columns = (size // _BLOCK_PX for size in picture.shape)
    used = picture[: rows * _BLOCK_PX, : columns * _BLOCK_PX].astype(np.float64)
    return np.asarray(used.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).mean(axis=(1, 3)))
