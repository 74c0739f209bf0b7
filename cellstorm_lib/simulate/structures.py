"""Where the labelled sites are: the structures a scene can have, by name."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.filaments import FilamentSettings, filament_sites
from cellstorm_lib.simulate.network import NetworkSettings, network_sites
from cellstorm_lib.simulate.pictures import MaskSettings, TextSettings, picture_sites
from cellstorm_lib.simulate.positions import PositionSettings, table_sites
from cellstorm_lib.simulate.scatter import (
    ClusterSettings,
    GridSettings,
    RandomSettings,
    cluster_sites,
    grid_sites,
    random_sites,
)
from cellstorm_lib.simulate.vesicles import VesicleSettings, vesicle_sites

#: Sites up to this far outside the field are kept, for their light reaches into it.
MARGIN_NM = 1000.0

StructureSettings = (
    FilamentSettings
    | VesicleSettings
    | NetworkSettings
    | ClusterSettings
    | TextSettings
    | MaskSettings
    | PositionSettings
    | RandomSettings
    | GridSettings
)

#: The settings of each kind of structure, by the name a scene file gives it.
STRUCTURES: Mapping[str, type[StructureSettings]] = {
    "filaments": FilamentSettings,
    "vesicles": VesicleSettings,
    "network": NetworkSettings,
    "clusters": ClusterSettings,
    "text": TextSettings,
    "mask": MaskSettings,
    "table": PositionSettings,
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
    field_nm = (width_nm, height_nm)
    sites = np.zeros((0, 2))
    match structure:
        case FilamentSettings():
            sites = filament_sites(structure, *field_nm, rng)
        case VesicleSettings():
            sites = vesicle_sites(structure, *field_nm, rng)
        case NetworkSettings():
            sites = network_sites(structure, *field_nm, MARGIN_NM, rng)
        case ClusterSettings():
            sites = cluster_sites(structure, *field_nm, MARGIN_NM, rng)
        case TextSettings() | MaskSettings():
            sites = picture_sites(structure, *field_nm, rng)
        case PositionSettings():
            sites = table_sites(structure, *field_nm)
        case RandomSettings():
            sites = random_sites(structure, *field_nm, MARGIN_NM, rng)
        case GridSettings():
            sites = grid_sites(structure, *field_nm, rng)
    is_near = ((sites > -MARGIN_NM) & (sites < np.array([width_nm, height_nm]) + MARGIN_NM)).all(
        axis=1
    )
    return sites[is_near]
