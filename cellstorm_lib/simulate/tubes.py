"""Dyes around a line: filaments and the tubules of a network, seen from above."""

import numpy as np
from numpy.typing import NDArray


def tube_sites(
    starts_nm: NDArray[np.float64],
    steps_nm: NDArray[np.float64],
    *,
    labels_per_um: float,
    ring_radius_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return dyes at chance places along a line and around it, seen from above.

    Parameters
    ----------
    starts_nm, steps_nm : (S, 2) float64
        The line as straight pieces: where each starts, and how far it goes.
    labels_per_um : float
        Mean number of dyes per length; their number is Poisson.
    ring_radius_nm : float
        Distance of the dyes from the line, in a direction of chance around it.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y in nm.
    """
    lengths_nm = np.hypot(steps_nm[:, 0], steps_nm[:, 1])
    ends_nm = np.cumsum(lengths_nm)
    total_nm = ends_nm[-1] if len(ends_nm) else 0.0
    count = rng.poisson(labels_per_um * total_nm / 1000.0)
    along_nm = rng.uniform(0.0, total_nm, count)
    piece = np.minimum(np.searchsorted(ends_nm, along_nm, side="right"), len(ends_nm) - 1)
    tangent = steps_nm[piece] / lengths_nm[piece, None]
    normal = np.column_stack([-tangent[:, 1], tangent[:, 0]])
    into_piece_nm = along_nm - ends_nm[piece] + lengths_nm[piece]
    sideways_nm = ring_radius_nm * np.cos(rng.uniform(0.0, 2.0 * np.pi, count))
    on_axis_nm = starts_nm[piece] + into_piece_nm[:, None] * tangent
    return np.asarray(on_axis_nm + sideways_nm[:, None] * normal)
