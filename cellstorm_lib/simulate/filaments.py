"""Labelled filaments: worm-like chains with dyes on a ring around them."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.tubes import tube_sites

_CHAIN_STEP_NM = 10.0
_MAX_DYES = 2e7


@dataclass(frozen=True, slots=True, kw_only=True)
class FilamentSettings:
    """Labelled filaments that run through the field, each a worm-like chain in the plane.

    Filaments lie independently of each other, so they cross.

    The defaults are microtubules in cells stained with two antibodies. Their apparent
    persistence length of 30 um is far below the thermal one of millimetres, because the
    cytoskeleton bends them while they grow.

    References
    ----------
    Brangwynne, MacKintosh, Weitz, PNAS 104, 16128 (2007). doi:10.1073/pnas.0703094104
    """

    kind: Literal["filaments"] = "filaments"
    count: int = field(
        default=12,
        metadata=about("filaments whose middle lies in the field", at_least=1, at_most=100_000),
    )
    length_um: float = field(
        default=40.0, metadata=about("contour length of a filament", above=0, at_most=10_000)
    )
    persistence_length_um: float = field(
        default=30.0,
        metadata=about("length over which a filament keeps its direction", above=0, at_most=1e6),
    )
    labels_per_um: float = field(
        default=40.0, metadata=about("mean number of dyes per length", above=0, at_most=100_000)
    )
    ring_radius_nm: float = field(
        default=20.0,
        metadata=about("distance of the dyes from the filament's axis", at_least=0, at_most=1000),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        dyes = self.count * self.length_um * self.labels_per_um
        if dyes > _MAX_DYES:
            raise SettingsError(
                f"count x length_um x labels_per_um must be at most {_MAX_DYES:.0e} dyes, "
                f"got {dyes:.0e}; is labels_per_um per micrometre?"
            )


def filament_sites(
    settings: FilamentSettings, width_nm: float, height_nm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the dyes of all filaments, each on a ring around its filament, seen from above.

    Parameters
    ----------
    settings : FilamentSettings
    width_nm, height_nm : float
        The field; the middles of the filaments lie in it, evenly by chance.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y in nm, also outside the field.
    """
    parts = []
    for _ in range(settings.count):
        chain = worm_like_chain(
            length_um=settings.length_um,
            persistence_length_um=settings.persistence_length_um,
            rng=rng,
        )
        chain += rng.uniform((0.0, 0.0), (width_nm, height_nm))
        parts.append(
            tube_sites(
                chain[:-1],
                np.diff(chain, axis=0),
                labels_per_um=settings.labels_per_um,
                ring_radius_nm=settings.ring_radius_nm,
                rng=rng,
            )
        )
    return np.concatenate(parts)


def worm_like_chain(
    *, length_um: float, persistence_length_um: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the nodes of a worm-like chain in the plane, every 10 nm, its middle at (0, 0).

    The direction turns by a normal angle of variance step / persistence length per step, so
    the mean cosine between tangents a length s apart is exp(-s / (2 persistence lengths)),
    which is the chain of that persistence length confined to a plane.

    Returns
    -------
    (N, 2) float64
        Positions in nm.
    """
    step_count = max(2, round(length_um * 1000.0 / _CHAIN_STEP_NM))
    spread_rad = np.sqrt(_CHAIN_STEP_NM / (persistence_length_um * 1000.0))
    turns = rng.normal(0.0, spread_rad, step_count)
    turns[0] = rng.uniform(0.0, 2.0 * np.pi)
    direction = np.cumsum(turns)
    steps = _CHAIN_STEP_NM * np.column_stack([np.cos(direction), np.sin(direction)])
    nodes = np.vstack([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return np.asarray(nodes - nodes[len(nodes) // 2])
