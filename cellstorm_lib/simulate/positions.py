"""Sites at positions of one's own, read from a table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.simulate.ranges import about, check_ranges

_NO_TABLE, _SAVE_AGAIN = "is not a table that can be read", "save it again"
_COLUMNS = ["x_nm", "y_nm"]
_LONGEST_LINE = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSettings:
    """One site per row of a table; a table of localizations or of a simulation's truth will do."""

    kind: Literal["table"] = "table"
    table: str = field(
        default="positions.csv",
        metadata=about(
            "file ending in .csv or .parquet with columns x_nm and y_nm, nm from the field's "
            "top-left corner; relative to the scene's file",
            is_file=True,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def table_sites(
    settings: PositionSettings, width_nm: float, height_nm: float
) -> NDArray[np.float64]:
    """Return the positions of a table, (N, 2) nm.

    Raises
    ------
    SettingsError
        When the table is missing or unreadable, lacks a column, holds something that is no
        number, or no position in the field.
    """
    table = _read(settings.table)
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        raise SettingsError(
            f"{settings.table} has no column {missing[0]}; its columns are "
            f"{', '.join(map(str, table.columns))}, and x_nm and y_nm are needed"
        )
    with refusing(SettingsError, Path(settings.table), _NO_TABLE, _SAVE_AGAIN):
        numbers = table[_COLUMNS].apply(pd.to_numeric, errors="coerce")
        sites_nm = numbers.to_numpy(np.float64)
    is_wrong = ~np.isfinite(sites_nm).all(axis=1)
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        raise SettingsError(
            f"{settings.table} holds {tuple(table[_COLUMNS].iloc[row])} in row {row + 1}, "
            "where two numbers are expected"
        )
    is_inside = ((sites_nm >= 0.0) & (sites_nm < (width_nm, height_nm))).all(axis=1)
    if not is_inside.any():
        raise SettingsError(
            f"{settings.table} has no position in the field of {width_nm:g} x {height_nm:g} nm; "
            "are its columns in nm, from the field's top-left corner?"
        )
    return np.asarray(sites_nm)


def _read(table: str) -> pd.DataFrame:
    """Return the table in a file, or say why it cannot be read."""
    path = Path(table)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SettingsError(f"the table {table} must end in .csv or .parquet")
    if not path.is_file():
        raise SettingsError(f"the table {table} does not exist; give its path")
    with refusing(SettingsError, path, _NO_TABLE, _SAVE_AGAIN):
        if path.suffix.lower() == ".csv":
            _refuse_long_lines(path)
            return pd.read_csv(path, skipinitialspace=True)
        return pd.read_parquet(path)


def _refuse_long_lines(path: Path) -> None:
    """Raise for a line of so many cells that pandas would take without end."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        while line := stream.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a line of it is longer than {_LONGEST_LINE} characters")
