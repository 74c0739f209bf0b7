"""Localizations packed into few bytes, for a page that draws them one by one.

Positions are 16-bit steps of the field, values 16-bit steps between their extremes (steps of
their logarithm for photons and uncertainties), frames the number of rows in each frame.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.tables import Localizations

#: Bytes of one localization as text: 16 bits each for x, y, photons and uncertainty, in base64.
ROW_BYTES = 8 * 4 / 3
_STEPS = 65_535
#: What a localization is coloured by: column, meaning, unit, steps of the logarithm or not.
_VALUES = {
    "photons": ("photons", "photoelectrons", True),
    "uncertainty_nm": ("uncertainty", "nm", True),
    "z_nm": ("height", "nm", False),
}
_SHOWN_PERCENT = (2, 98)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedColumn:
    """One column of numbers.

    Attributes
    ----------
    name, unit : str
        As written in the page.
    steps : str
        Base64 of little-endian uint16.
    low, high : float
        Values of step 0 and step 65535.
    is_logarithmic : bool
        Whether the steps are even in the logarithm.
    shown : (float, float)
        The 2nd and 98th percentile: the ends of the colours.
    """

    name: str
    unit: str
    steps: str
    low: float
    high: float
    is_logarithmic: bool
    shown: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedTable:
    """A table as the page holds it.

    Attributes
    ----------
    total : int
        Localizations in the table.
    count : int
        Those packed: all within the field, or a random sample of them.
    x, y : str
        Base64 of little-endian uint16; 65535 is the field's right or lower edge.
    rows_per_frame : str
        Base64 of little-endian uint32, one for each frame.
    values : mapping of str to PackedColumn
        ``photons``, ``uncertainty_nm`` and ``z_nm``, as far as the table has them.
    step_nm : float
        The coarser of the steps of x and y.
    """

    total: int
    count: int
    x: str
    y: str
    rows_per_frame: str
    values: Mapping[str, PackedColumn]
    step_nm: float


def packed(localizations: Localizations, *, row_limit: int) -> PackedTable:
    """Return a table packed; of more than `row_limit` rows a random sample, always the same.

    Parameters
    ----------
    localizations : Localizations
        May be empty. Rows outside the field are left out.
    row_limit : int
        Rows to keep at most; from 0.
    """
    if row_limit < 0:
        raise SettingsError(f"row_limit must be from 0, got {row_limit}")
    field = localizations.field
    x_nm, y_nm = localizations.column("x_nm"), localizations.column("y_nm")
    inside = (x_nm >= 0) & (x_nm <= field.width_nm) & (y_nm >= 0) & (y_nm <= field.height_nm)
    rows = np.flatnonzero(inside)
    if len(rows) > row_limit:
        rng = np.random.default_rng(0)
        rows = np.sort(rng.choice(rows, row_limit, replace=False, shuffle=False))
    frames = localizations.column("frame")[rows]
    frame_count = max(field.frame_count, int(frames.max(initial=-1)) + 1)
    return PackedTable(
        total=len(localizations),
        count=len(rows),
        x=_text(_in_steps(x_nm[rows], 0.0, field.width_nm), "<u2"),
        y=_text(_in_steps(y_nm[rows], 0.0, field.height_nm), "<u2"),
        rows_per_frame=_text(np.bincount(frames, minlength=frame_count), "<u4"),
        values={
            name: _column(name, localizations.column(name)[rows])
            for name in _VALUES
            if name in localizations and len(rows)
        },
        step_nm=max(field.width_nm, field.height_nm) / _STEPS,
    )


def _column(name: str, values: npt.NDArray[Any]) -> PackedColumn:
    """Return one column in steps."""
    meaning, unit, is_logarithmic = _VALUES[name]
    numbers = values.astype(np.float64)
    positive = numbers[numbers > 0]
    is_logarithmic = is_logarithmic and len(positive) > 0
    if is_logarithmic:
        numbers = np.maximum(numbers, positive.min())
    low, high = float(numbers.min()), float(numbers.max())
    shown = tuple(float(end) for end in np.percentile(numbers, _SHOWN_PERCENT))
    if is_logarithmic:
        steps = _in_steps(np.log(numbers), np.log(low), np.log(high))
    else:
        steps = _in_steps(numbers, low, high)
    return PackedColumn(
        name=meaning,
        unit=unit,
        steps=_text(steps, "<u2"),
        low=low,
        high=high,
        is_logarithmic=is_logarithmic,
        shown=(shown[0], shown[1]),
    )


def _in_steps(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float64]:
    """Return values between two ends as steps from 0 to 65535."""
    span = high - low if high > low else 1.0
    return np.rint((values.astype(np.float64) - low) / span * _STEPS)


def _text(values: npt.NDArray[Any], kind: str) -> str:
    """Return numbers as base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")
