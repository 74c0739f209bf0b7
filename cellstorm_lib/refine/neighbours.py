"""Pairs of events that are near in space and far in time."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

_Floats = npt.NDArray[np.float64]
_MOST_CELLS_PER_SIDE = 2048
_HASH_RANGE = float(1 << 32)
_SAMPLE = 4000


class Grid(NamedTuple):
    """Events sorted into square cells.

    Attributes
    ----------
    order : (N,) int64
        Rows of the events, cell after cell.
    first : (cells + 1,) int64
        Where each cell starts in `order`; cells go row by row.
    shape : (int, int)
        Rows and columns of cells.
    cell : (N, 2) int64
        Row and column of the cell of each event, in `order`.
    """

    order: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    shape: tuple[int, int]
    cell: npt.NDArray[np.int64]


class Pairs(NamedTuple):
    """Pairs of events, each once.

    Attributes
    ----------
    order : (N,) int64
        Rows of the events, neighbours in space close together; all else refers to this order.
    first : (N + 1,) int64
        Where the partners of each event start in `partner`.
    partner : (P,) int32
        The second event of each pair.
    share : float
        Share of all pairs that is listed.
    """

    order: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    partner: npt.NDArray[np.int32]
    share: float


def sort_into_cells(xy_nm: _Floats, side_nm: float) -> Grid:
    """Sort events into cells of at least `side_nm`, larger where the field is huge."""
    corner_nm = xy_nm.min(axis=0)
    extent_nm = float((xy_nm.max(axis=0) - corner_nm).max())
    side_nm = max(side_nm, extent_nm / _MOST_CELLS_PER_SIDE)
    column, row = ((xy_nm - corner_nm) / side_nm).astype(np.int64).T
    shape = (int(row.max()) + 1, int(column.max()) + 1)
    key = row * shape[1] + column
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], np.arange(shape[0] * shape[1] + 1))
    return Grid(order, first, shape, np.column_stack([row, column])[order])


def find_pairs(
    xy_nm: _Floats,
    frame: npt.NDArray[np.int64],
    *,
    radius_nm: float,
    span_frames: int,
    most: int,
) -> Pairs:
    """Return the pairs of events within a radius that cannot be the same blink.

    Parameters
    ----------
    xy_nm : (N, 2) float64
        Positions.
    frame : (N,) int64
        Frames.
    radius_nm : float
        Largest distance of a pair.
    span_frames : int
        Pairs at most so many frames apart are left out.
    most : int
        About how many pairs to list; of more, a fixed pseudo-random share is taken.
    """
    grid = sort_into_cells(xy_nm, radius_nm)
    sorted_events = (np.ascontiguousarray(xy_nm[grid.order]), frame[grid.order].copy())
    cells = (grid.first, grid.cell, grid.shape)
    limits = (radius_nm * radius_nm, span_frames)
    stride = 1 + len(frame) // _SAMPLE
    sampled = _count(sorted_events, cells, limits, stride)
    share = min(1.0, most / (stride * sampled + 1.0))
    room = int(1.1 * share * stride * sampled) + 1000
    first = np.empty(len(frame) + 1, np.int64)
    while True:
        partner = np.empty(room, np.int32)
        listed = _list(sorted_events, cells, limits, share * _HASH_RANGE, first, partner)
        if listed >= 0:
            return Pairs(grid.order, first, partner[:listed], share)
        room *= 2


@njit(cache=True, nogil=True)
def later_neighbours(i: Any, cells: Any) -> Any:
    """Return start and stop of the later events in this cell and half of those around it."""
    first, cell, shape = cells
    row, column = cell[i]
    right = min(column + 1, shape[1] - 1)
    here = (i + 1, first[row * shape[1] + right + 1])
    if row + 1 == shape[0]:
        return here, (0, 0)
    start = (row + 1) * shape[1]
    return here, (first[start + max(column - 1, 0)], first[start + right + 1])


@njit(cache=True, nogil=True)
def _count(sorted_events: Any, cells: Any, limits: Any, stride: Any) -> Any:
    """Return the number of pairs that every `stride`-th event has."""
    xy, frame = sorted_events
    count = 0
    for i in range(0, len(frame), stride):
        for start, stop in later_neighbours(i, cells):
            for j in range(start, stop):
                dx, dy = xy[j, 0] - xy[i, 0], xy[j, 1] - xy[i, 1]
                if dx * dx + dy * dy < limits[0] and abs(frame[j] - frame[i]) > limits[1]:
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _list(
    sorted_events: Any, cells: Any, limits: Any, ceiling: Any, first: Any, partner: Any
) -> Any:
    """List the pairs and return their number; -1 when there is no room for them."""
    xy, frame = sorted_events
    is_thinned = ceiling < _HASH_RANGE
    listed = 0
    for i in range(len(frame)):
        first[i] = listed
        for start, stop in later_neighbours(i, cells):
            for j in range(start, stop):
                dx, dy = xy[j, 0] - xy[i, 0], xy[j, 1] - xy[i, 1]
                if dx * dx + dy * dy < limits[0] and abs(frame[j] - frame[i]) > limits[1]:
                    if is_thinned and _mixed(i, j) >= ceiling:
                        continue
                    if listed == len(partner):
                        return -1
                    partner[listed] = j
                    listed += 1
    first[len(frame)] = listed
    return listed


@njit(cache=True, nogil=True)
def _mixed(i: Any, j: Any) -> Any:
    """Return a number below 2**32 that looks random but depends on the pair alone."""
    mixed = np.uint64(i) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(j)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float64((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32))
