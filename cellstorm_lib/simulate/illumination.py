"""Where the laser shines, and the smooth glow of the background."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.ranges import about, check_ranges

_MODE_COUNT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class IlluminationSettings:
    """The laser's profile: even, or a Gaussian beam on the middle of the field."""

    waist_um: float | None = field(
        default=None,
        metadata=about("1/e^2 radius of the beam; empty: even illumination", above=0),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundSettings:
    """Light that comes from no molecule: smooth, and the same in every frame."""

    photons: float = field(
        default=10.0,
        metadata=about(
            "mean photons reaching a camera pixel per exposure", at_least=0, at_most=1e6
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

    def __post_init__(self) -> None:
        check_ranges(self)


def relative_illumination(
    settings: IlluminationSettings,
    x_nm: NDArray[np.float64],
    y_nm: NDArray[np.float64],
    *,
    width_nm: float,
    height_nm: float,
) -> NDArray[np.float64]:
    """Return the laser's intensity at positions, 1 in the middle of the field.

    Parameters
    ----------
    settings : IlluminationSettings
    x_nm, y_nm : array of float64
        Positions from the field's top-left corner.
    width_nm, height_nm : float
        The field.

    Returns
    -------
    array of float64
        Same shape as `x_nm` and `y_nm` together.
    """
    distance2 = np.square(x_nm - width_nm / 2.0) + np.square(y_nm - height_nm / 2.0)
    if settings.waist_um is None:
        return np.ones_like(distance2)
    return np.asarray(np.exp(-2.0 * distance2 / (settings.waist_um * 1000.0) ** 2))


def background_photons(
    settings: BackgroundSettings,
    *,
    shape: tuple[int, int],
    pixel_size_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the background's photons per pixel under even illumination.

    A sum of plane waves of chance direction and phase, none shorter than `scale_um`, brought
    to the stated mean and largest deviation.

    Returns
    -------
    (Y, X) float64
        Photons reaching the camera per exposure, never below 0.
    """
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
    return np.asarray(settings.photons * (1.0 + settings.structure_share * relative))
