"""Vesicles: spherical shells of dyes, seen from above."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges

_MAX_DYES = 2e7


@dataclass(frozen=True, slots=True, kw_only=True)
class VesicleSettings:
    """Vesicles with dyes on their membrane; seen from above they are discs with a bright rim."""

    kind: Literal["vesicles"] = "vesicles"
    count: int = field(
        default=100,
        metadata=about("vesicles whose middle lies in the field", at_least=1, at_most=1_000_000),
    )
    radius_nm: float = field(
        default=150.0, metadata=about("mean radius of a vesicle", above=0, at_most=100_000)
    )
    radius_cv: float = field(
        default=0.25,
        metadata=about(
            "spread of the radii (log-normal): standard deviation / mean", at_least=0, at_most=2
        ),
    )
    labels_per_um2: float = field(
        default=300.0,
        metadata=about("mean number of dyes per area of membrane", above=0, at_most=1e6),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        dyes = self.count * self.mean_dyes
        if dyes > _MAX_DYES:
            raise SettingsError(
                f"count vesicles of radius_nm with labels_per_um2 may hold {_MAX_DYES:.0e} dyes, "
                f"got {dyes:.0e}; is labels_per_um2 per square micrometre?"
            )

    @property
    def mean_dyes(self) -> float:
        """Mean number of dyes of a vesicle: the mean square radius counts."""
        area_um2 = 4.0 * np.pi * (self.radius_nm / 1000.0) ** 2 * (1.0 + self.radius_cv**2)
        return float(area_um2 * self.labels_per_um2)


def vesicle_sites(
    settings: VesicleSettings, width_nm: float, height_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the dyes of all vesicles, evenly spread over each sphere and projected.

    Parameters
    ----------
    settings : VesicleSettings
    width_nm, height_nm : float
        The field; the middles of the vesicles lie in it, evenly by chance.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y in nm, also outside the field.
    """
    middles_nm = rng.uniform((0.0, 0.0), (width_nm, height_nm), (settings.count, 2))
    log_variance = np.log1p(settings.radius_cv**2)
    normal = rng.standard_normal(settings.count)
    radii_nm = settings.radius_nm * np.exp(np.sqrt(log_variance) * normal - log_variance / 2.0)
    area_um2 = 4.0 * np.pi * (radii_nm / 1000.0) ** 2
    vesicle = np.repeat(np.arange(settings.count), rng.poisson(settings.labels_per_um2 * area_um2))
    off_middle = on_sphere_from_above(len(vesicle), rng)
    return np.asarray(middles_nm[vesicle] + radii_nm[vesicle, None] * off_middle)


def on_sphere_from_above(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return points spread evenly over the unit sphere, projected on the plane, (N, 2)."""
    height = rng.uniform(-1.0, 1.0, count)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    off_axis = np.sqrt(1.0 - height**2)
    return np.column_stack([off_axis * np.cos(angle), off_axis * np.sin(angle)])
