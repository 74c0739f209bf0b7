"""The diffraction pattern of an objective: Airy in focus, and its rings out of focus."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.spot_kernel import FineImage, fine_cells

_REACH = 3.0  # wavelengths / numerical aperture
_CELL = 0.02  # wavelengths / numerical aperture; a tenth of the spot's standard deviation
_RADII = 2000
_PUPIL_NODES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class AirySpotSettings:
    """The point spread function of a circular pupil, by scalar diffraction.

    In focus this is the Airy pattern, ``(2 J1(v) / v)^2`` with ``v = 2 pi NA r / wavelength``;
    a Gaussian fitted to its core has a standard deviation of 0.21 wavelengths / NA. It is drawn
    to a radius of 3 wavelengths / NA (more, out of focus); the 3 % of the light beyond that in
    focus count as lying within.

    References
    ----------
    Born, Wolf, Principles of Optics, 7th ed., sections 8.5.2 and 8.8.
    Zhang, Zerubia, Olivo-Marin, Appl. Opt. 46, 1819 (2007). doi:10.1364/AO.46.001819
    """

    kind: Literal["airy"] = "airy"
    numerical_aperture: float = field(
        default=1.4, metadata=about("numerical aperture of the objective", above=0, at_most=2)
    )
    wavelength_nm: float = field(
        default=670.0,
        metadata=about("wavelength of the light in vacuum", at_least=100, at_most=3000),
    )
    defocus_nm: float = field(
        default=0.0,
        metadata=about(
            "distance of the sample from focus, along the optical axis",
            at_least=-20_000,
            at_most=20_000,
        ),
    )
    refractive_index: float = field(
        default=1.515,
        metadata=about("refractive index in front of the objective", at_least=1, at_most=4),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.numerical_aperture >= self.refractive_index:
            raise SettingsError(
                "numerical_aperture must be below refractive_index, got "
                f"{self.numerical_aperture:g} and {self.refractive_index:g}"
            )


def airy_image(settings: AirySpotSettings, *, pixel_size_nm: float) -> FineImage:
    """Return the image of a molecule on cells of about 0.02 wavelengths / NA.

    Raises
    ------
    SettingsError
        When the spot is too large for the pixels.
    """
    unit_nm = settings.wavelength_nm / settings.numerical_aperture
    slope = settings.numerical_aperture / settings.refractive_index
    blur_nm = abs(settings.defocus_nm) * slope / np.sqrt(1.0 - slope**2)
    cells_per_px, across = fine_cells(
        radius_nm=_REACH * unit_nm + blur_nm, cell_nm=_CELL * unit_nm, pixel_size_nm=pixel_size_nm
    )
    axis_nm = (np.arange(across) + 0.5 - across / 2) * pixel_size_nm / cells_per_px
    radius_nm = np.hypot(axis_nm[:, None], axis_nm)
    known_nm = np.linspace(0.0, radius_nm.max(), _RADII)
    light = np.interp(radius_nm, known_nm, intensity(settings, known_nm))
    return FineImage(light=light / light.sum(), cells_per_px=cells_per_px)


def intensity(settings: AirySpotSettings, radius_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light per area at distances from the axis, 1 at the centre in focus.

    Parameters
    ----------
    settings : AirySpotSettings
    radius_nm : (N,) float64

    Returns
    -------
    (N,) float64
        ``|2 * integral of exp(i phase(p)) J0(v p) p dp|^2`` over the pupil, p from 0 to 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_PUPIL_NODES)
    pupil, weights = (nodes + 1.0) / 2.0, weights / 2.0
    slope = settings.numerical_aperture / settings.refractive_index * pupil
    turns = settings.defocus_nm * settings.refractive_index / settings.wavelength_nm
    phase = 2.0 * np.pi * turns * np.sqrt(1.0 - slope**2)
    field = 2.0 * weights * pupil * np.array([np.cos(phase), np.sin(phase)])
    v = 2.0 * np.pi * settings.numerical_aperture / settings.wavelength_nm * radius_nm
    return np.asarray(np.square(special.j0(v[:, None] * pupil) @ field.T).sum(axis=1))
