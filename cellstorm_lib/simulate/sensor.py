"""The sensor: its settings, and what differs from pixel to pixel."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSettings:
    """Photons to raw grey values; what is left at its default of 0, 1 or nothing is switched off.

    The defaults are the HUAWEI P9's monochrome sensor at ISO 3200, as the paper measured it.

    The chain: photons, times quantum efficiency and the pixel's response (vignetting, PRNU), plus
    dark and spurious electrons, give Poisson electrons; the full well clips them; an
    electron-multiplying register turns n of them into a gamma-distributed number of mean
    ``n * em_gain`` (Basden 2003); read noise and the pixel's own offset are added (the read noise
    of sCMOS pixels differs, with a long tail, see Huang 2013); the converter scales, rounds and
    clips. Gain, read noise and fixed pattern are counted where the converter reads, so behind the
    multiplication of an emCCD.

    References
    ----------
    Diederich et al., arXiv 1804.06244, Table 1 and Supplement B: the P9's numbers.
    Basden, Haniff, Mackay, MNRAS 345, 985 (2003), arXiv astro-ph/0307305
    Huang et al., Nat. Methods 10, 653 (2013). doi:10.1038/nmeth.2488
    EMVA Standard 1288: DSNU, PRNU, dark current and full well as counted here.
    """

    quantum_efficiency: float = field(
        default=0.75, metadata=about("photoelectrons per photon", above=0, at_most=1)
    )
    gain_e_per_adu: float = field(
        default=0.34, metadata=about("electrons read per raw grey value", above=0)
    )
    offset_adu: float = field(
        default=4.074, metadata=about("mean raw grey value without light", at_least=0)
    )
    read_noise_e: float = field(
        default=1.23, metadata=about("read noise, electrons RMS; median over pixels", at_least=0)
    )
    read_noise_spread: float = field(
        default=0.0,
        metadata=about(
            "how the pixels' read noise differs: s.d. of its logarithm", at_least=0, at_most=2
        ),
    )
    fixed_pattern_e: float = field(
        default=0.343,
        metadata=about("spread of the pixels' own offsets (DSNU), electrons RMS", at_least=0),
    )
    gain_spread: float = field(
        default=0.0,
        metadata=about(
            "spread of the pixels' response to light (PRNU), s.d. / mean", at_least=0, at_most=0.3
        ),
    )
    dark_current_e: float = field(
        default=0.0, metadata=about("dark electrons per pixel and frame", at_least=0)
    )
    glow_e: float = field(
        default=0.0,
        metadata=about(
            "further dark electrons per pixel and frame in the centre of the frame", at_least=0
        ),
    )
    glow_width: float = field(
        default=0.3,
        metadata=about(
            "s.d. of the bell by which they fall from there, in half diagonals of the frame",
            at_least=0.05,
            at_most=100,
        ),
    )
    hot_pixel_share: float = field(
        default=0.0, metadata=about("hot pixels / all pixels", at_least=0, at_most=1)
    )
    hot_pixel_e: float = field(
        default=0.0,
        metadata=about(
            "mean of the hot pixels' further dark electrons per frame, which are "
            "distributed exponentially over them",
            at_least=0,
        ),
    )
    full_well_e: float | None = field(
        default=None,
        metadata=about("electrons a pixel holds; empty: the converter clips first", above=0),
    )
    em_gain: float | None = field(
        default=None,
        metadata=about("mean electron multiplication of an emCCD; empty: none", above=1),
    )
    clock_induced_e: float = field(
        default=0.0,
        metadata=about("spurious electrons per pixel and frame before multiplication", at_least=0),
    )
    corner_share: float = field(
        default=1.0,
        metadata=about(
            "light in the corners of the frame / light in its centre, by the law of cos^4; the "
            "scene's photons are those of the centre",
            above=0,
            at_most=1,
        ),
    )
    bit_depth: int = field(
        default=12, metadata=about("bits of a raw grey value", at_least=8, at_most=16)
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def top_adu(self) -> int:
        """Raw grey value at which a pixel is clipped."""
        return int(2**self.bit_depth) - 1

    @property
    def adu_per_e(self) -> float:
        """Mean raw grey values per photoelectron."""
        return (self.em_gain or 1.0) / self.gain_e_per_adu

    @property
    def saturation_e(self) -> float:
        """Photoelectrons at which full well or converter clips."""
        converter_e = (self.top_adu - self.offset_adu) / self.adu_per_e
        return min(converter_e, self.full_well_e or converter_e)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SensorPattern:
    """What differs from pixel to pixel and stays from frame to frame; all maps (Y, X) float32.

    Attributes
    ----------
    offset_e : (Y, X) float32
        Offset of the pixel against the mean, electrons where the converter reads.
    response : (Y, X) float32
        Light the pixel turns into electrons / that of a mean pixel in the centre of the frame.
    dark_e : (Y, X) float32
        Electrons per frame that no light made.
    read_noise_ratio : (Y, X) float32
        Read noise of the pixel / the sensor's `read_noise_e`.
    """

    offset_e: NDArray[np.float32]
    response: NDArray[np.float32]
    dark_e: NDArray[np.float32]
    read_noise_ratio: NDArray[np.float32]

    @classmethod
    def even(cls, shape: tuple[int, int]) -> "SensorPattern":
        """Return a pattern of equal pixels without dark electrons."""
        zeros, ones = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        return cls(offset_e=zeros, response=ones, dark_e=zeros, read_noise_ratio=ones)


def draw_pattern(
    sensor: SensorSettings, *, shape: tuple[int, int], rng: np.random.Generator
) -> SensorPattern:
    """Return one sensor of a kind, with its vignetting.

    Each map draws from a stream of its own, so that another spread of one leaves the others.

    Parameters
    ----------
    sensor : SensorSettings
    shape : (int, int)
        Rows and columns.
    rng : numpy.random.Generator
    """
    of_response, of_noise, of_hot = rng.spawn(3)
    offset_e = rng.standard_normal(shape) * sensor.fixed_pattern_e
    response = 1.0 + sensor.gain_spread * of_response.standard_normal(shape)
    is_hot = of_hot.random(shape) < sensor.hot_pixel_share
    hot_e = is_hot * of_hot.exponential(sensor.hot_pixel_e, shape)
    return SensorPattern(
        offset_e=offset_e.astype(np.float32),
        response=(np.maximum(response, 0.01) * vignetting(sensor, shape)).astype(np.float32),
        dark_e=(mean_dark_e(sensor, shape) + hot_e).astype(np.float32),
        read_noise_ratio=np.exp(sensor.read_noise_spread * of_noise.standard_normal(shape)).astype(
            np.float32
        ),
    )


def mean_dark_e(sensor: SensorSettings, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the electrons of each pixel and frame that no light made, hot pixels left out, (Y, X).

    The glow of the sensor's surroundings is a bell about the centre of the frame.
    """
    glow_e = sensor.glow_e * np.exp(-0.5 * squared_radius(shape) / sensor.glow_width**2)
    return np.asarray(sensor.dark_current_e + sensor.clock_induced_e + glow_e)


def vignetting(sensor: SensorSettings, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the light of each pixel relative to the centre of the frame, (Y, X).

    A point under the angle a to the optical axis gets cos^4(a) of the light.
    """
    steepness = sensor.corner_share**-0.5 - 1.0
    return np.asarray((1.0 + steepness * squared_radius(shape)) ** -2.0)


def squared_radius(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the squared distance of each pixel from the frame's centre, its corners being 1."""
    row, column = (np.arange(size) + 0.5 - size / 2 for size in shape)
    return (row[:, None] ** 2 + column**2) / (shape[0] ** 2 / 4 + shape[1] ** 2 / 4)
