"""Frames computed in parts: tiles of large frames without seams, and only where there is light."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.gan.engine import CUT_PX, Cut, Engine, Frames
from cellstorm_lib.gan.gate import CELL_PX, WINDOW_CELLS

#: Pixels around a window that the network sees besides: fewer than could matter, for hardly any
#: light comes from further away.
HALO_PX = 8
PATCH_PX = WINDOW_CELLS * CELL_PX + 2 * HALO_PX
#: Patches in one call; those at the edges of a frame are of eight kinds, so fewer of each.
PATCHES_AT_ONCE, EDGE_PATCHES_AT_ONCE = 16, 8
#: Further away than this nothing changes what the lean network makes of a pixel.
FIELD_PX = 64
#: Frames larger than this are computed in tiles.
TILE_PX = 1024

_compiled = njit(cache=True, nogil=True, error_model="numpy")


def compute_whole(
    engine: Engine,
    film: Frames,
    seen: int,
    numbers: npt.NDArray[np.int64],
    out: Frames,
    *,
    tile_px: int | None = TILE_PX,
) -> None:
    """Compute every pixel of some frames.

    Parameters
    ----------
    engine : Engine
        What computes.
    film : (N + seen - 1, Y, X) float32
        Frames with their neighbours, in the network's units.
    seen : int
        Consecutive frames of a window.
    numbers : (M,) int64
        Frames to be computed, 0 being the first that has all its neighbours.
    out : (N, Y, X) float32
        Where the result is written.
    tile_px : int or None
        Larger frames are computed in tiles of this side, a multiple of 8, which overlap so far
        that no seam can be seen; None for networks whose view does not end at `FIELD_PX`.
    """
    height, width = film.shape[1:]
    for top, from_y, to_y in _tiles(height, tile_px or height):
        for left, from_x, to_x in _tiles(width, tile_px or width):
            part = film[:, top : top + (tile_px or height), left : left + (tile_px or width)]
            inner = np.s_[:, from_y - top : to_y - top, from_x - left : to_x - left]
            for chosen, made in _computed(engine, part, seen, numbers):
                out[chosen, from_y:to_y, from_x:to_x] = made[inner]


def _computed(
    engine: Engine, film: Frames, seen: int, numbers: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], Frames]]:
    """Yield the numbers of some frames at a time, and what the network makes of them."""
    at_once = engine.windows_at_once
    for first in range(0, len(numbers), at_once):
        chosen = numbers[first : first + at_once]
        # always as many, or the size of the last call would depend on how a film is read
        filled = np.resize(chosen, at_once)
        windows = np.stack([film[number : number + seen] for number in filled])
        yield chosen, engine.run(windows)[: len(chosen)]


def _tiles(size: int, tile_px: int) -> Iterator[tuple[int, int, int]]:
    """Yield where each tile of one axis begins, and from where to where it is used."""
    begin, done = 0, 0
    while done < size:
        begin = max(min(done - FIELD_PX, size - tile_px), 0) if done else 0
        is_last = begin + tile_px >= size
        stop = size if is_last else begin + tile_px - FIELD_PX
        yield begin, done, stop
        done = stop


def compute_patches(
    engine: Engine, film: Frames, seen: int, places: npt.NDArray[np.int64], active: Any, out: Frames
) -> None:
    """Compute windows of some frames, and write their active cells.

    Parameters
    ----------
    engine, film, seen, out
        See `compute_whole`; `out` is zero before.
    places : (P, 3) int64
        Frame, first row and first column (cells) of each window.
    active : (N, Y / 8, X / 8) bool
        Cells to be written.
    """
    height, width = film.shape[1:]
    top = np.clip(places[:, 1] * CELL_PX - HALO_PX, 0, height - PATCH_PX)
    left = np.clip(places[:, 2] * CELL_PX - HALO_PX, 0, width - PATCH_PX)
    where = np.column_stack([places, top, left])
    sides = np.column_stack([top > 0, top < height - PATCH_PX, left > 0, left < width - PATCH_PX])
    kinds, kind = np.unique(sides, axis=0, return_inverse=True)
    for number, cut in enumerate(Cut(*map(bool, row)) for row in kinds):
        at_once = PATCHES_AT_ONCE if all(cut) else EDGE_PATCHES_AT_ONCE
        chosen = where[kind == number]
        for first in range(0, len(chosen), at_once):
            part = chosen[first : first + at_once]
            windows = np.zeros((at_once, seen, *_shape_of(cut)), np.float32)
            _gather(film, part, CUT_PX * cut.top, CUT_PX * cut.left, windows)
            _scatter(engine.run(windows, cut), part, active, WINDOW_CELLS, CELL_PX, out)


def _shape_of(cut: Cut) -> tuple[int, int]:
    """Return rows and columns of a window with its further pixels on cut sides."""
    return PATCH_PX + CUT_PX * (cut.top + cut.bottom), PATCH_PX + CUT_PX * (cut.left + cut.right)


@_compiled
def _gather(film: Any, where: Any, more_top: int, more_left: int, windows: Any) -> None:
    """Copy the patches of windows out of the film."""
    for index in range(len(where)):
        frame, top, left = where[index, 0], where[index, 3] - more_top, where[index, 4] - more_left
        for channel in range(windows.shape[1]):
            for y in range(windows.shape[2]):
                line = film[frame + channel, top + y, left : left + windows.shape[3]]
                copied = windows[index, channel, y]
                for x in range(len(copied)):
                    copied[x] = line[x]


@_compiled
def _scatter(made: Any, where: Any, active: Any, cells: int, cell_px: int, out: Any) -> None:
    """Copy the active cells of windows into the frames."""
    # numbers of other modules are arguments: compiled code in the cache would not notice a change
    for index in range(len(where)):
        frame, row, column, top, left = where[index]
        for cell_y in range(row, min(row + cells, active.shape[1])):
            for cell_x in range(column, min(column + cells, active.shape[2])):
                if active[frame, cell_y, cell_x]:
                    for y in range(cell_y * cell_px, (cell_y + 1) * cell_px):
                        for x in range(cell_x * cell_px, (cell_x + 1) * cell_px):
                            out[frame, y, x] = made[index, y - top, x - left]
