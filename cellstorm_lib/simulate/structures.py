"""Where the labelled sites are: filaments, letters, a mask image, chance, or a grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.filaments import FilamentSettings, filament_sites
from cellstorm_lib.simulate.pictures import MaskSettings, TextSettings, picture_sites
from cellstorm_lib.simulate.ranges import about, check_ranges

#: Sites up to this far outside the field are kept, for their light reaches into it.
MARGIN_NM = 1000.0


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


StructureSettings = FilamentSettings | TextSettings | MaskSettings | RandomSettings | GridSettings

#: The settings of each kind of structure, by the name a scene file gives it.
STRUCTURES: Mapping[str, type[StructureSettings]] = {
    "filaments": FilamentSettings,
    "text": TextSettings,
    "mask": MaskSettings,
    "random": RandomSettings,
    "grid": GridSettings,
}


def draw_sites(
    structure: StructureSettings | None,
    *,
    width_nm: float,
    height_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the positions of all labelled sites in the field and `MARGIN_NM` around it.

    Parameters
    ----------
    structure : StructureSettings or None
        What is labelled; None leaves the field empty.
    width_nm, height_nm : float
        The field; positions count from its top-left corner, x right and y down.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y of each site, in nm.
    """
    sites = np.zeros((0, 2))
    match structure:
        case FilamentSettings():
            sites = filament_sites(structure, width_nm, height_nm, rng)
        case TextSettings() | MaskSettings():
            sites = picture_sites(structure, width_nm, height_nm, rng)
        case RandomSettings():
            sites = _random_sites(structure, width_nm, height_nm, rng)
        case GridSettings():
            sites = _grid_sites(structure, width_nm, height_nm, rng)
    is_near = ((sites > -MARGIN_NM) & (sites < np.array([width_nm, height_nm]) + MARGIN_NM)).all(
        axis=1
    )
    return sites[is_near]


def _random_sites(
    settings: RandomSettings, width_nm: float, height_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return sites spread evenly over the field and its margin."""
    size_nm = np.array([width_nm, height_nm]) + 2.0 * MARGIN_NM
    count = rng.poisson(settings.sites_per_um2 * size_nm.prod() / 1e6)
    return np.asarray(rng.uniform(0.0, 1.0, (count, 2)) * size_nm - MARGIN_NM)


def _grid_sites(
    settings: GridSettings, width_nm: float, height_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the crossings that lie at least half a spacing inside the field, shifted a little."""
    first_nm = settings.spacing_nm / 2.0
    axes = [
        np.arange(first_nm, extent_nm - first_nm + 1e-6, settings.spacing_nm)
        for extent_nm in (width_nm, height_nm)
    ]
    crossings = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    return np.asarray(
        crossings + rng.uniform(-settings.jitter_nm, settings.jitter_nm, crossings.shape)
    )
