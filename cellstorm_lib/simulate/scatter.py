"""Sites scattered over the field: evenly by chance, in clusters, or on a grid."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges

_CLUSTER_REACH = 5.0
_MAX_SITES = 2e7


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSettings:
    """Sites spread evenly by chance."""

    kind: Literal["random"] = "random"
    sites_per_um2: float = field(
        default=5.0, metadata=about("mean number of dyes per area", above=0, at_most=10_000)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Round clusters spread evenly by chance: a Neyman-Scott process with Gaussian clusters.

    Both the number of clusters and the number of sites in each are Poisson. The density of
    sites at a distance r of another one is ``1 + exp(-r^2 / 4 s^2) / (4 pi s^2 k)`` times the
    mean density, with s the radius and k the number of clusters per area.

    References
    ----------
    Thomas, Biometrika 36, 18 (1949). doi:10.1093/biomet/36.1-2.18
    """

    kind: Literal["clusters"] = "clusters"
    clusters_per_um2: float = field(
        default=1.0, metadata=about("mean number of clusters per area", above=0, at_most=10_000)
    )
    radius_nm: float = field(
        default=40.0,
        metadata=about(
            "standard deviation of the sites about their cluster's middle, per axis",
            at_least=0,
            at_most=10_000,
        ),
    )
    sites_per_cluster: float = field(
        default=20.0, metadata=about("mean number of dyes of a cluster", above=0, at_most=1e6)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSettings:
    """One site at every crossing of a grid, so that all are isolated."""

    kind: Literal["grid"] = "grid"
    spacing_nm: float = field(
        default=2000.0, metadata=about("distance of the crossings", above=0, at_most=1e6)
    )
    jitter_nm: float = field(
        default=50.0,
        metadata=about("largest shift of a site off its crossing, per axis", at_least=0),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def random_sites(
    settings: RandomSettings,
    width_nm: float,
    height_nm: float,
    margin_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return sites spread evenly over the field and its margin, (N, 2) nm."""
    return _evenly(settings.sites_per_um2, width_nm, height_nm, margin_nm, rng)


def cluster_sites(
    settings: ClusterSettings,
    width_nm: float,
    height_nm: float,
    margin_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the sites of all clusters that reach into the field and its margin, (N, 2) nm.

    Raises
    ------
    SettingsError
        When the sites would not fit into memory.
    """
    reach_nm = margin_nm + _CLUSTER_REACH * settings.radius_nm
    area_um2 = (width_nm + 2.0 * reach_nm) * (height_nm + 2.0 * reach_nm) / 1e6
    expected = area_um2 * settings.clusters_per_um2 * settings.sites_per_cluster
    if expected > _MAX_SITES:
        raise SettingsError(
            f"clusters_per_um2 x sites_per_cluster may give {_MAX_SITES:.0e} dyes in the field, "
            f"got {expected:.0e}"
        )
    middles_nm = _evenly(settings.clusters_per_um2, width_nm, height_nm, reach_nm, rng)
    cluster = np.repeat(
        np.arange(len(middles_nm)), rng.poisson(settings.sites_per_cluster, len(middles_nm))
    )
    return np.asarray(middles_nm[cluster] + rng.normal(0.0, settings.radius_nm, (len(cluster), 2)))


def grid_sites(
    settings: GridSettings, width_nm: float, height_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the crossings at least half a spacing inside the field, shifted a little, (N, 2) nm.

    Raises
    ------
    SettingsError
        When the spacing is larger than the field.
    """
    if settings.spacing_nm > min(width_nm, height_nm):
        raise SettingsError(
            f"spacing_nm must be at most the field, {min(width_nm, height_nm):g} nm, so that a "
            f"crossing lies in it, got {settings.spacing_nm:g}"
        )
    first_nm = settings.spacing_nm / 2.0
    axes = [
        np.arange(first_nm, extent_nm - first_nm + 1e-6, settings.spacing_nm)
        for extent_nm in (width_nm, height_nm)
    ]
    crossings = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    return np.asarray(
        crossings + rng.uniform(-settings.jitter_nm, settings.jitter_nm, crossings.shape)
    )


def _evenly(
    per_um2: float, width_nm: float, height_nm: float, margin_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a Poisson number of points spread evenly over the field and its margin."""
    size_nm = np.array([width_nm, height_nm]) + 2.0 * margin_nm
    count = rng.poisson(per_um2 * size_nm.prod() / 1e6)
    return np.asarray(rng.uniform(0.0, 1.0, (count, 2)) * size_nm - margin_nm)
