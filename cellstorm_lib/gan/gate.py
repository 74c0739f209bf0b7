"""Where in a frame there is light of molecules at all: only there the network has to look.

A frame is divided into cells of 8 x 8 pixels, the grid on which the network repeats itself. A
box of 4 x 4 pixels that is brighter than its surroundings by some standard deviations of the
camera's noise makes the cells around it active. Windows of some cells are then laid so that they
cover the active ones. What is computed in them differs from the whole frame by 1 % of the light
(RMS), for hardly any of it comes from further away.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.errors import SettingsError

#: Side of a cell; the network gives the same when frames are shifted by so much.
CELL_PX = 8
#: Cells on a side of a window.
WINDOW_CELLS = 2
#: Cells before and after one whose mean is its surroundings: 56 x 56 pixels.
_AROUND_CELLS = 3
_BOX_PX, _BOX_PIXELS = 4, np.float32(16.0)
#: A molecule may light up so much around the middle of a box that is brighter than those beside.
_SPOT_PX = 4

_compiled = njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """When a part of a frame is worth computing."""

    noise_multiple: float = field(
        default=3.5,
        metadata={
            "about": "a box of 4 x 4 pixels must exceed its surroundings by so many standard "
            "deviations of photon and read noise"
        },
    )
    dense_share: float = field(
        default=0.25,
        metadata={"about": "share of active cells above which a frame is computed whole"},
    )

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise_multiple <= 100.0:
            raise SettingsError(f"noise_multiple must be from 0 to 100, got {self.noise_multiple}")
        if not 0.0 <= self.dense_share <= 1.0:
            raise SettingsError(f"dense_share must be from 0 to 1, got {self.dense_share}")


def active_cells(
    frame_e: npt.NDArray[np.float32], settings: GateSettings, *, pixel_noise_e: float
) -> npt.NDArray[np.bool_]:
    """Return the cells of a frame that may hold light of molecules.

    Parameters
    ----------
    frame_e : (Y, X) float32
        Photoelectrons, background included; Y and X multiples of 8.
    settings : GateSettings
        What counts as light.
    pixel_noise_e : float
        Noise of one pixel without light, electrons RMS.

    Returns
    -------
    (Y / 8, X / 8) bool
        True where a box of 4 x 4 pixels exceeds the mean of the 56 x 56 pixels around it, and
        within 4 pixels of the middle of the brightest boxes.
    """
    active: npt.NDArray[np.bool_] = _active_cells(
        frame_e, np.float32(settings.noise_multiple), np.float32(pixel_noise_e**2)
    )
    return active


@_compiled
def _active_cells(frame_e: Any, noise_multiple: Any, noise_variance: Any) -> Any:
    """Return the active cells, see `active_cells`."""
    pairs = _pair_sums(frame_e)
    rows, columns = pairs.shape[0] // 4, pairs.shape[1] // 4
    limits = _surroundings(pairs, rows, columns)
    for row in range(rows):
        for column in range(columns):
            level = limits[row, column]
            deviation = np.sqrt((max(level, np.float32(0.0)) + noise_variance) / _BOX_PIXELS)
            limits[row, column] = (level + noise_multiple * deviation) * _BOX_PIXELS
    boxes = pairs[:-1, :-1] + pairs[:-1, 1:] + pairs[1:, :-1] + pairs[1:, 1:]
    active = np.zeros((rows, columns), np.bool_)
    for y in range(boxes.shape[0]):
        line, least = boxes[y], limits[y // 4]
        for x in range(len(line)):
            if line[x] > least[x // 4]:
                reach_px = _SPOT_PX if _is_summit(boxes, y, x) else _BOX_PX // 2
                _mark(active, 2 * y + 2, 2 * x + 2, reach_px)
    return active


@_compiled
def _is_summit(boxes: Any, y: int, x: int) -> Any:
    """Return whether no box beside this one is brighter."""
    beside = boxes[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    return beside.max() <= boxes[y, x]


@_compiled
def _pair_sums(frame_e: Any) -> Any:
    """Return the sums of 2 x 2 pixels."""
    height, width = frame_e.shape[0] // 2, frame_e.shape[1] // 2
    pairs = np.empty((height, width), np.float32)
    for y in range(height):
        above, below, line = frame_e[2 * y], frame_e[2 * y + 1], pairs[y]
        for x in range(width):
            line[x] = above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1]
    return pairs


@_compiled
def _surroundings(pairs: Any, rows: int, columns: int) -> Any:
    """Return the mean light per pixel around each cell."""
    cells = np.zeros((rows, columns), np.float32)
    for y in range(4 * rows):
        for x in range(4 * columns):
            cells[y // 4, x // 4] += pairs[y, x]
    around = np.empty((rows, columns), np.float32)
    for row in range(rows):
        top, bottom = max(row - _AROUND_CELLS, 0), min(row + _AROUND_CELLS + 1, rows)
        for column in range(columns):
            left, right = max(column - _AROUND_CELLS, 0), min(column + _AROUND_CELLS + 1, columns)
            total = np.float32(0.0)
            for y in range(top, bottom):
                for x in range(left, right):
                    total += cells[y, x]
            around[row, column] = total / ((bottom - top) * (right - left) * CELL_PX**2)
    return around


@_compiled
def _mark(active: Any, y_px: int, x_px: int, reach_px: int) -> None:
    """Make the cells active that lie so near to a pixel."""
    bottom = min((y_px + reach_px - 1) // CELL_PX, active.shape[0] - 1)
    right = min((x_px + reach_px - 1) // CELL_PX, active.shape[1] - 1)
    for row in range(max(y_px - reach_px, 0) // CELL_PX, bottom + 1):
        for column in range(max(x_px - reach_px, 0) // CELL_PX, right + 1):
            active[row, column] = True


def windows_over(active: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return where to lay windows of 2 x 2 cells so that they cover all active cells.

    Row by row, each window begins at the topmost cell that is left over, moved sideways to where
    it covers most.

    Returns
    -------
    (N, 2) int64
        First row and column of each, in cells; they may reach beyond the bottom and the right.
    """
    found: npt.NDArray[np.int64] = _windows_over(active)
    return found


@_compiled
def _windows_over(active: Any) -> Any:
    """Return rows and columns of windows, see `windows_over`."""
    rows, columns = active.shape
    left_over = active.copy()
    found = np.empty((rows * columns, 2), np.int64)
    count = 0
    for row in range(rows):
        for column in range(columns):
            if left_over[row, column]:
                first = _best_column(left_over, row, column)
                left_over[row : row + WINDOW_CELLS, first : first + WINDOW_CELLS] = False
                found[count] = row, first
                count += 1
    return found[:count].copy()


@_compiled
def _best_column(left_over: Any, row: int, column: int) -> Any:
    """Return the first column of the window over a cell that covers most of what is left over."""
    most, best = 0, column
    for first in range(max(column - WINDOW_CELLS + 1, 0), column + 1):
        covered = left_over[row : row + WINDOW_CELLS, first : first + WINDOW_CELLS].sum()
        if covered > most:
            most, best = covered, first
    return best
