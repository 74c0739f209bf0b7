"""From sites to dyes: antibodies that find their site or not, carry dyes, and keep a distance."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.vesicles import on_sphere_from_above

_MAX_DYES = 4e7


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingSettings:
    """How the structure's sites get their dyes; the defaults put one dye on every site."""

    efficiency: float = field(
        default=1.0,
        metadata=about("share of the sites that bind an antibody", above=0, at_most=1),
    )
    dyes_per_antibody: float = field(
        default=1.0,
        metadata=about(
            "mean number of dyes of an antibody that has any (Poisson without zero)",
            at_least=1,
            at_most=1000,
        ),
    )
    linker_nm: float = field(
        default=0.0,
        metadata=about(
            "distance of each dye from its site, in a direction of its own in space",
            at_least=0,
            at_most=1000,
        ),
    )
    background_per_um2: float = field(
        default=0.0,
        metadata=about(
            "mean number of antibodies per area that bind anywhere", at_least=0, at_most=10_000
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dyes:
    """All dyes of a sample.

    Attributes
    ----------
    position_nm : (N, 2) float64
        x and y of each dye, before any drift.
    site : (N,) int64
        Index of the site each dye belongs to; -1 for those of antibodies bound anywhere.
    """

    position_nm: NDArray[np.float64]
    site: NDArray[np.int64]


def label_sites(
    sites_nm: NDArray[np.float64],
    *,
    settings: LabellingSettings,
    low_nm: tuple[float, float],
    high_nm: tuple[float, float],
    rng: np.random.Generator,
) -> Dyes:
    """Return the dyes on a structure's sites, and those of antibodies bound anywhere.

    Parameters
    ----------
    sites_nm : (N, 2) float64
        x and y of the sites.
    settings : LabellingSettings
    low_nm, high_nm : (float, float)
        Corners of the rectangle in which antibodies bind anywhere.
    rng : numpy.random.Generator

    Raises
    ------
    SettingsError
        When the dyes would not fit into memory.
    """
    size_nm = np.subtract(high_nm, low_nm)
    stray_mean = settings.background_per_um2 * size_nm.prod() / 1e6
    expected = settings.dyes_per_antibody * (settings.efficiency * len(sites_nm) + stray_mean)
    if expected > _MAX_DYES:
        raise SettingsError(
            f"a scene may hold {_MAX_DYES:.0e} dyes; {len(sites_nm)} sites, dyes_per_antibody "
            f"and background_per_um2 give {expected:.0e}"
        )
    bound = np.flatnonzero(rng.uniform(size=len(sites_nm)) < settings.efficiency)
    stray_nm = low_nm + rng.uniform(size=(rng.poisson(stray_mean), 2)) * size_nm
    antibody_nm = np.concatenate([sites_nm[bound], stray_nm])
    site = np.concatenate([bound, np.full(len(stray_nm), -1)])
    dyes = _dyes_each(len(site), settings.dyes_per_antibody, rng)
    position_nm = np.repeat(antibody_nm, dyes, axis=0)
    position_nm += settings.linker_nm * on_sphere_from_above(len(position_nm), rng)
    return Dyes(position_nm=position_nm, site=np.repeat(site, dyes))


def _dyes_each(count: int, mean: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return Poisson numbers that are not zero, of the given mean.

    The first arrival of a Poisson process that has one in its time is an exponential cut off
    there; the arrivals after it are Poisson.
    """
    if mean == 1.0:
        return np.ones(count, np.int64)
    rate = brentq(lambda rate: rate / -np.expm1(-rate) - mean, 1e-12, mean + 1.0)
    first = -np.log1p(rng.uniform(size=count) * np.expm1(-rate))
    return np.asarray(1 + rng.poisson(np.maximum(rate - first, 0.0)), np.int64)
