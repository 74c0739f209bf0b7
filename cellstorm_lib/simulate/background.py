"""Light that comes from no single molecule: a glow, in space and in time."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.structures import MARGIN_NM

_MODE_COUNT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundSettings:
    """Light that comes from no molecule in focus: smooth, and by default the same in every frame.

    In space it is a smooth glow and, as far as `autofluorescence_share` says, light of the
    labelled structure out of focus. In time it may fade and flicker, all of it together.
    """

    photons: float = field(
        default=10.0,
        metadata=about(
            "mean photons reaching a camera pixel per exposure, in the first frame where they fade",
            at_least=0,
            at_most=1e6,
        ),
    )
    structure_share: float = field(
        default=0.3,
        metadata=about(
            "largest deviation of the background from its mean / mean", at_least=0, at_most=1
        ),
    )
    scale_um: float = field(
        default=8.0, metadata=about("shortest wavelength of the background's structure", above=0)
    )
    autofluorescence_share: float = field(
        default=0.0,
        metadata=about(
            "share of the mean background that follows the labelled structure, blurred",
            at_least=0,
            at_most=1,
        ),
    )
    autofluorescence_blur_um: float = field(
        default=0.5,
        metadata=about("standard deviation of that blur, in the sample", above=0, at_most=100),
    )
    fading_s: float | None = field(
        default=None,
        metadata=about("time in which the fading light falls to 1/e; empty: none fades", above=0),
    )
    fading_share: float = field(
        default=1.0,
        metadata=about("share of the background that fades", at_least=0, at_most=1),
    )
    flicker: float = field(
        default=0.0,
        metadata=about(
            "slow fluctuation in time: standard deviation / mean", at_least=0, at_most=1
        ),
    )
    flicker_s: float = field(
        default=5.0, metadata=about("time over which the fluctuation is correlated", above=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def background_photons(
    settings: BackgroundSettings,
    *,
    shape: tuple[int, int],
    pixel_size_nm: float,
    sites_nm: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the background's photons per pixel under even illumination.

    Parameters
    ----------
    settings : BackgroundSettings
    shape : (int, int)
        Rows and columns.
    pixel_size_nm : float
    sites_nm : (N, 2) float64
        x and y of the labelled sites, which autofluorescence follows.
    rng : numpy.random.Generator

    Returns
    -------
    (Y, X) float64
        Photons reaching the camera per exposure, never below 0; their mean is as stated.

    Raises
    ------
    SettingsError
        When light is to follow a structure of which there is nothing.
    """
    relative = _waves(settings, shape, pixel_size_nm, rng)
    if settings.autofluorescence_share > 0.0:
        haze = _haze(settings, shape, pixel_size_nm, sites_nm)
        relative = relative + settings.autofluorescence_share * (haze - relative)
    return np.asarray(settings.photons * relative)


def background_over_time(
    settings: BackgroundSettings,
    *,
    frame_count: int,
    frame_s: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the factor of the background in each frame, (N,) float64: 1, faded and flickering.

    The flicker is the exponential of an Ornstein-Uhlenbeck process, so it has mean 1 and never
    falls below 0.
    """
    time_s = np.arange(frame_count) * frame_s
    factor = np.ones(frame_count)
    if settings.fading_s is not None:
        factor += settings.fading_share * np.expm1(-time_s / settings.fading_s)
    if settings.flicker > 0.0:
        log_variance = np.log1p(settings.flicker**2)
        trace = _correlated(frame_count, np.exp(-frame_s / settings.flicker_s), rng)
        factor *= np.exp(np.sqrt(log_variance) * trace - log_variance / 2.0)
    return factor


def _waves(
    settings: BackgroundSettings,
    shape: tuple[int, int],
    pixel_size_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return a sum of plane waves, none shorter than `scale_um`, of mean 1 and stated deviation."""
    if settings.structure_share == 0.0:
        return np.ones(shape)
    rows, columns = np.indices(shape)
    wave = np.zeros(shape)
    for _ in range(_MODE_COUNT):
        frequency_per_nm = np.sqrt(rng.uniform()) / (settings.scale_um * 1000.0)
        angle, phase = rng.uniform(0.0, 2.0 * np.pi, 2)
        along_nm = (columns * np.cos(angle) + rows * np.sin(angle)) * pixel_size_nm
        wave += np.cos(2.0 * np.pi * frequency_per_nm * along_nm + phase)
    wave -= wave.mean()
    largest = np.abs(wave).max()
    relative = wave / largest if largest > 0 else wave
    return np.asarray(1.0 + settings.structure_share * relative)


def _haze(
    settings: BackgroundSettings,
    shape: tuple[int, int],
    pixel_size_nm: float,
    sites_nm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the blurred density of the sites in the field, of mean 1."""
    sigma_px = settings.autofluorescence_blur_um * 1000.0 / pixel_size_nm
    border = int(np.ceil(MARGIN_NM / pixel_size_nm))
    edges = [np.arange(-border, extent + border + 1) for extent in shape]
    row, column = sites_nm[:, ::-1].T / pixel_size_nm
    counts = np.histogram2d(row, column, edges)[0]
    blurred = ndimage.gaussian_filter(counts, sigma_px, mode="nearest")
    haze = blurred[border : border + shape[0], border : border + shape[1]]
    if not haze.any():
        raise SettingsError(
            "autofluorescence_share must be 0 where no labelled structure lies in the field, "
            f"got {settings.autofluorescence_share:g}"
        )
    return np.asarray(haze / haze.mean())


def _correlated(count: int, decay: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return normal numbers of variance 1 whose neighbours correlate by `decay`."""
    steps = rng.standard_normal(count)
    steps[1:] *= np.sqrt(1.0 - decay**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -decay], steps))
