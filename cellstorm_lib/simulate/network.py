"""A network of tubules between three-way junctions, as the endoplasmic reticulum has."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.tubes import tube_sites

_MAX_MESHES = 1e6
_MARGIN_MESHES = 4
_PIECES = 16
_RELAXATIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Tubules that meet three at a time and enclose meshes.

    They are borders of Voronoi cells whose junctions have yielded to the tubules' tension, so
    that three tubules meet at about 120 degrees, as in a network of least length. The defaults
    are the reticulum at the edge of a flat cell.

    References
    ----------
    Lin, Ashwin, Steinberg, Biophys. J. 107, 763 (2014). doi:10.1016/j.bpj.2014.06.032
    """

    kind: Literal["network"] = "network"
    mesh_um2: float = field(
        default=2.0, metadata=about("mean area enclosed by tubules", above=0, at_most=1e6)
    )
    irregularity: float = field(
        default=0.3,
        metadata=about(
            "how far the meshes' middles lie off a hexagonal grid: standard deviation / spacing, "
            "per axis",
            at_least=0,
            at_most=1,
        ),
    )
    missing_share: float = field(
        default=0.08,
        metadata=about("share of the tubules that is missing", at_least=0, at_most=0.9),
    )
    bend: float = field(
        default=0.05,
        metadata=about(
            "how far a tubule bows out: standard deviation / length", at_least=0, at_most=0.3
        ),
    )
    labels_per_um: float = field(
        default=100.0,
        metadata=about("mean number of dyes per length of tubule", above=0, at_most=100_000),
    )
    ring_radius_nm: float = field(
        default=45.0,
        metadata=about("distance of the dyes from the tubule's axis", at_least=0, at_most=1000),
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def spacing_nm(self) -> float:
        """Distance of the hexagonal grid's points, each of which owns `mesh_um2`."""
        return float(1000.0 * np.sqrt(self.mesh_um2 * 2.0 / np.sqrt(3.0)))


def network_sites(
    settings: NetworkSettings,
    width_nm: float,
    height_nm: float,
    margin_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the dyes of a network that covers the field and a margin around it.

    Parameters
    ----------
    settings : NetworkSettings
    width_nm, height_nm, margin_nm : float
        The field, and how far around it the network goes on.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y in nm, also outside field and margin.

    Raises
    ------
    SettingsError
        When the meshes are too small for the field.
    """
    starts_nm, ends_nm = tubules(settings, width_nm, height_nm, margin_nm, rng)
    along = np.linspace(0.0, 1.0, _PIECES + 1)[:, None, None]
    chord = ends_nm - starts_nm
    sideways = np.column_stack([-chord[:, 1], chord[:, 0]])
    bows = settings.bend * rng.standard_normal((2, len(chord), 1))
    bow = bows[0] * np.sin(np.pi * along) + 0.5 * bows[1] * np.sin(2.0 * np.pi * along)
    nodes = starts_nm + along * chord + bow * sideways  # (pieces + 1, tubules, 2)
    return tube_sites(
        nodes[:-1].reshape(-1, 2),
        np.diff(nodes, axis=0).reshape(-1, 2),
        labels_per_um=settings.labels_per_um,
        ring_radius_nm=settings.ring_radius_nm,
        rng=rng,
    )


def tubules(
    settings: NetworkSettings,
    width_nm: float,
    height_nm: float,
    margin_nm: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the tubules that reach into field and margin start and end, each (T, 2) nm."""
    size_nm = np.array([width_nm, height_nm]) + 2.0 * margin_nm
    meshes = size_nm.prod() / 1e6 / settings.mesh_um2
    if meshes > _MAX_MESHES:
        raise SettingsError(
            f"mesh_um2 must be large enough for at most {_MAX_MESHES:.0e} meshes in the field, "
            f"got {meshes:.0e} with {settings.mesh_um2:g}"
        )
    shift_nm = rng.uniform(0.0, settings.spacing_nm, 2) - margin_nm
    middles_nm = _hexagonal_grid(size_nm, settings.spacing_nm) + shift_nm
    middles_nm += rng.normal(0.0, settings.irregularity * settings.spacing_nm, middles_nm.shape)
    voronoi = Voronoi(middles_nm)
    ridges = np.array(voronoi.ridge_vertices)
    is_there = (ridges >= 0).all(axis=1) & (rng.uniform(size=len(ridges)) >= settings.missing_share)
    ridges = ridges[is_there]
    vertices_nm = _relaxed(voronoi.vertices, ridges)
    starts_nm, ends_nm = vertices_nm[ridges[:, 0]], vertices_nm[ridges[:, 1]]
    reaches_in = (
        (np.minimum(starts_nm, ends_nm) < size_nm - margin_nm)
        & (np.maximum(starts_nm, ends_nm) > -margin_nm)
    ).all(axis=1)
    return starts_nm[reaches_in], ends_nm[reaches_in]


def _relaxed(vertices_nm: NDArray[np.float64], ridges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the junctions pulled by their tubules, all with the same tension; ends stay.

    Each step takes a junction to the mean of its neighbours, weighted by 1 / distance: the
    step of Weiszfeld towards the point of least distance to them.
    """
    pulled = np.concatenate([ridges[:, 0], ridges[:, 1]])
    by = np.concatenate([ridges[:, 1], ridges[:, 0]])
    is_free = np.bincount(pulled, minlength=len(vertices_nm)) > 1
    for _ in range(_RELAXATIONS):
        distance_nm = np.linalg.norm(vertices_nm[pulled] - vertices_nm[by], axis=1)
        weight = 1.0 / np.maximum(distance_nm, 1.0)
        total, sum_x, sum_y = (
            np.bincount(pulled, weight * pull, minlength=len(vertices_nm))
            for pull in (1.0, vertices_nm[by, 0], vertices_nm[by, 1])
        )
        mean_nm = np.column_stack([sum_x, sum_y])[is_free] / total[is_free, None]
        vertices_nm = vertices_nm.copy()
        vertices_nm[is_free] = mean_nm
    return vertices_nm


def _hexagonal_grid(size_nm: NDArray[np.float64], spacing_nm: float) -> NDArray[np.float64]:
    """Return grid points over a rectangle from (0, 0) and some meshes around it, (N, 2)."""
    row_nm = spacing_nm * np.sqrt(3.0) / 2.0
    columns = np.arange(-_MARGIN_MESHES, size_nm[0] / spacing_nm + _MARGIN_MESHES)
    rows = np.arange(-_MARGIN_MESHES, size_nm[1] / row_nm + _MARGIN_MESHES)
    column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
    return np.column_stack([(column + 0.5 * (row % 2)) * spacing_nm, row * row_nm])
