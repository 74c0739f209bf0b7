"""Beads found in a picture of them: bright, alone, and far enough from the edge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum_filter, median_filter
from scipy.spatial import cKDTree

_SMOOTH_PX = 1.5
#: A bead rises above its surroundings by this many times their noise.
_SIGNAL_TO_NOISE = 8.0
#: Whatever rises by this share of it is a neighbour.
_NEIGHBOUR_SHARE = 0.2
_BACKGROUND_PX = 41
#: A bead this many times brighter than most is a clump of several.
_CLUMP = 2.5
_MOST_BEADS = 300
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeadPlaces:
    """Where beads lie.

    Attributes
    ----------
    row, column : (N,) int32
        The brightest pixel of each.
    left_out : mapping
        How many were left out, by reason.
    """

    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.row)


def find_beads(picture: npt.NDArray[np.floating], *, box_px: int) -> BeadPlaces:
    """Find beads whose box holds no other bead.

    Parameters
    ----------
    picture : (Y, X) float
        Mean of all planes, photoelectrons.
    box_px : int
        Side of the square of pixels that belongs to a bead.

    Returns
    -------
    BeadPlaces
        In reading order; the 300 brightest at most. ``left_out`` counts those at the ``edge``,
        with ``neighbours`` and in ``clumps``.
    """
    smooth = gaussian_filter(np.asarray(picture, np.float64), _SMOOTH_PX)
    coarse = median_filter(smooth[::2, ::2], _BACKGROUND_PX // 2)
    level = coarse.repeat(2, axis=0).repeat(2, axis=1)
    height = smooth - level[: smooth.shape[0], : smooth.shape[1]]
    noise = _MAD_TO_SD * float(np.median(np.abs(height - np.median(height))))
    is_top = height == maximum_filter(height, size=3)
    rows, columns = np.nonzero(is_top & (height > _SIGNAL_TO_NOISE * noise))
    tops = height[rows, columns]
    bright = tops > _NEIGHBOUR_SHARE * np.max(tops, initial=0.0)
    rows, columns, tops = rows[bright], columns[bright], tops[bright]
    half = box_px // 2
    inside = (
        (np.minimum(rows, columns) >= half)
        & (rows < height.shape[0] - half)
        & (columns < height.shape[1] - half)
    )
    alone = _are_alone(np.column_stack([rows, columns]), box_px)
    single = tops <= _CLUMP * np.median(tops[inside & alone]) if (inside & alone).any() else inside
    chosen = np.flatnonzero(inside & alone & single)
    chosen = np.sort(chosen[np.argsort(-tops[chosen], kind="stable")[:_MOST_BEADS]])
    return BeadPlaces(
        row=rows[chosen].astype(np.int32),
        column=columns[chosen].astype(np.int32),
        left_out={
            "edge": int(np.count_nonzero(~inside)),
            "neighbours": int(np.count_nonzero(inside & ~alone)),
            "clumps": int(np.count_nonzero(inside & alone & ~single)),
        },
    )


def _are_alone(places: npt.NDArray[np.int64], box_px: int) -> npt.NDArray[np.bool_]:
    """Return which have no other within a box side along either axis."""
    if len(places) < 2:
        return np.ones(len(places), bool)
    near = np.asarray(cKDTree(places).query(places, k=2, p=np.inf)[0])
    return np.asarray(near[:, 1] > box_px)
