"""Which parts of a field are worth a closer look."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from cellstorm_lib.report.scale_bar import scale_bar_nm
from cellstorm_lib.tables import FieldOfView, Localizations

#: Cells of the occupancy grid along one side of a region.
_CELLS = 16
_SMALLEST_NM = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A square of the field: its top-left corner and its side."""

    x_nm: float
    y_nm: float
    side_nm: float


def zoom_side_nm(field: FieldOfView) -> float:
    """Return the side of a zoomed region: a round length near a tenth of the field, from 1 µm."""
    shorter_nm = min(field.width_nm, field.height_nm)
    return min(max(scale_bar_nm(shorter_nm / 2), _SMALLEST_NM), shorter_nm)


def densest_regions(
    localizations: Localizations, *, side_nm: float | None = None, region_count: int = 3
) -> tuple[Region, ...]:
    """Return squares full of structure, the fullest first, without overlap.

    Full is a square in which many cells (a sixteenth of its side) hold a localization, so one
    spot that blinks ten thousand times does not draw the eye from the structure.

    Parameters
    ----------
    localizations : Localizations
        The table; may be empty.
    side_nm : float, optional
        Side of the squares; None chooses with `zoom_side_nm`.
    region_count : int
        Squares to find at most.

    Returns
    -------
    tuple of Region
        Fewer than asked for, or none, where there is nothing to see.
    """
    field = localizations.field
    side_nm = zoom_side_nm(field) if side_nm is None else side_nm
    extent_nm = np.array([field.height_nm, field.width_nm])
    rows, columns = np.maximum(_CELLS, (extent_nm / side_nm * _CELLS).astype(int))
    cell_nm = extent_nm / (rows, columns)
    x_nm, y_nm = localizations.xy_nm.T
    counts, _, _ = np.histogram2d(
        y_nm, x_nm, bins=(rows, columns), range=((0, field.height_nm), (0, field.width_nm))
    )
    # With this origin the value at [row, column] is the mean over the square that starts there.
    fullness = uniform_filter(
        (counts > 0).astype(np.float64), _CELLS, mode="constant", origin=-(_CELLS // 2)
    )
    fullness = np.round(fullness[: rows - _CELLS + 1, : columns - _CELLS + 1], 6)
    found: list[Region] = []
    while len(found) < region_count and fullness.max() > 0:
        row, column = _middle_of_first_peak(fullness)
        slack_nm = _CELLS * cell_nm - side_nm
        top_nm, left_nm = np.clip((row, column) * cell_nm + slack_nm / 2, 0, None)
        found.append(Region(x_nm=float(left_nm), y_nm=float(top_nm), side_nm=side_nm))
        fullness[
            max(0, row - _CELLS + 1) : row + _CELLS, max(0, column - _CELLS + 1) : column + _CELLS
        ] = 0
    return tuple(found)


def _middle_of_first_peak(fullness: npt.NDArray[Any]) -> tuple[int, int]:
    """Return where the fullness is highest; of neighbours equally high, the one in their middle."""
    peaks = np.argwhere(fullness == fullness.max())
    near = peaks[np.abs(peaks - peaks[0]).max(axis=1) < _CELLS]
    middle = near[((near - near.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(middle[0]), int(middle[1])
