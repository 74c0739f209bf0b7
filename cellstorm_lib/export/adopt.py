"""Adopt another program's table: check it, drop what is not a number, say what was changed.

Readers bring columns to our names, units and conventions; here they become `Localizations`.
A column without any number is left out, and so is a column we have no name for when it holds
NaN or infinity; a row with either in one of our own columns is dropped and counted.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.errors import TableError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.tables import (
    COLUMNS,
    REQUIRED_COLUMNS,
    FieldOfView,
    Localizations,
    inferred_field,
)

#: Pixel size of the field when neither the file nor the caller knows it.
ASSUMED_PIXEL_SIZE_NM = 100.0
#: More pixels along a side than any camera has.
MAX_IMAGE_PX = 1_000_000
_MAX_COUNT = 2**31
#: A metre: positions beyond it are in another unit than nm.
_MAX_POSITION_NM = 1e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForeignTable:
    """What a file says, in our names, units and conventions, but not yet checked.

    Attributes
    ----------
    format_name : str
        The format, as a person calls it.
    columns : mapping of str to (N,) array
        Our names (or the file's own for what we have no name for); NaN marks what is missing.
    pixel_size_nm : float or None
        Camera pixel, when the file or the caller knows it.
    field : FieldOfView or None
        What the positions refer to, when the file says so.
    left_out : tuple of str
        Labels of the file's columns that hold no numbers.
    notes : tuple of str
        Sentences about what was taken to be so.
    provenance : mapping
        Our own provenance, when this program wrote the file.
    """

    format_name: str
    columns: Mapping[str, npt.NDArray[Any]]
    pixel_size_nm: float | None = None
    field: FieldOfView | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def adopt(table: ForeignTable, path: Path) -> Localizations:
    """Return a checked table, with what was changed under ``imported`` in its provenance.

    Parameters
    ----------
    table : ForeignTable
        The columns of the file.
    path : Path
        The file, for messages, its name and its digest.

    Returns
    -------
    Localizations
        Rows without NaN, sorted by frame. ``uncertainty_nm`` and its two axes, and ``sigma_nm``
        from ``sigma_x_nm`` and ``sigma_y_nm``, are completed from one another.

    Raises
    ------
    TableError
        When frame or positions are missing or impossible.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in table.columns]
    if missing:
        raise TableError(
            f"{path} is a {table.format_name} table without {', '.join(missing)}: it has "
            f"{shown_names(table.columns)}; a table needs the frame and the positions x and y"
        )
    columns, left_out = _usable(table.columns)
    for name in REQUIRED_COLUMNS:
        if len(columns[name]) and not np.isfinite(columns[name]).any():
            raise TableError(f"{path} holds no number in {name}; expected one in every row")
    rows = len(columns["frame"])
    complete = np.ones(rows, dtype=bool)
    for name, values in columns.items():
        if name in COLUMNS and values.dtype.kind == "f":
            complete &= np.isfinite(values)
    kept = {name: _typed(name, values[complete], path) for name, values in columns.items()}
    kept.update(_completed(kept))
    data = pd.DataFrame({name: kept[name] for name in sorted(kept, key=_place)})
    field_of_view = _field(table, data)
    imported: dict[str, Any] = {
        "format": table.format_name,
        "file": path.name,
        "sha256": digest_of_file(path),
        "rows": rows,
        "rows_dropped": rows - len(data),
        "columns_left_out": [*table.left_out, *left_out],
        "is_pixel_size_assumed": table.field is None and table.pixel_size_nm is None,
        "notes": list(table.notes),
    }
    if "imported" in table.provenance:
        imported["before"] = table.provenance["imported"]
    return Localizations(
        data=data, field=field_of_view, provenance={**table.provenance, "imported": imported}
    )


def known_pixel_size(localizations: Localizations, path: Path) -> float:
    """Return the pixel size for a format that needs it, or ask for it.

    Raises
    ------
    TableError
        When the pixel size of the table is only assumed.
    """
    imported = localizations.provenance.get("imported", {})
    if imported.get("is_pixel_size_assumed", False):
        raise TableError(
            f"{path} needs the camera's pixel size, which {imported.get('file')} does not say; "
            "give it with --pixel-size-nm"
        )
    return localizations.field.pixel_size_nm


def ask_for_pixel_size(path: Path, reason: str) -> TableError:
    """Return the error for a file that cannot be read without a pixel size."""
    return TableError(f"{path} {reason}; give the camera's pixel size with --pixel-size-nm")


def field_from(entries: Any) -> FieldOfView | None:
    """Return the field this program wrote into a file's metadata, or None when it is not one."""
    if not isinstance(entries, dict):
        return None
    try:
        field = FieldOfView(**entries)
    except (TypeError, ValueError, TableError):
        return None
    sides = (field.width_px, field.height_px, field.frame_count, field.roi_x_px, field.roi_y_px)
    is_possible = all(isinstance(side, int) and side < _MAX_COUNT for side in sides)
    return field if is_possible and max(sides[:2]) <= MAX_IMAGE_PX else None


def shown_names(names: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """Return names for a message, neither too many nor too long nor unprintable."""
    shown = [ascii(str(name)[:40]) for name in list(names)[:12]]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _usable(
    columns: Mapping[str, npt.NDArray[Any]],
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return the columns that hold numbers, floats in their final precision."""
    usable: dict[str, npt.NDArray[Any]] = {}
    left_out: list[str] = []
    for name, given in columns.items():
        values = _in_declared_precision(name, given)
        finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(1, dtype=bool)
        has_none = len(values) > 0 and not finite.any()
        if name in REQUIRED_COLUMNS or (finite.all() if name not in COLUMNS else not has_none):
            usable[name] = values
        else:
            left_out.append(name)
    return usable, left_out


def _in_declared_precision(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return floats as float32 or float64; what does not fit becomes infinite."""
    declared = COLUMNS.get(name, ("", "", ""))[0]
    with np.errstate(over="ignore"):
        if declared.startswith("float"):
            return values.astype(declared)
        if values.dtype.kind == "f" and values.dtype.itemsize < 4:
            return values.astype(np.float32)
    return values


def _typed(name: str, values: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Return a column of finite numbers in its declared type, or say why it cannot be."""
    declared = COLUMNS.get(name, ("", "", ""))[0]
    if name in ("x_nm", "y_nm") and len(values) and np.abs(values).max() > _MAX_POSITION_NM:
        raise TableError(
            f"{path} has a position of {np.abs(values).max():.3g} nm in {name}, more than a "
            "metre; are the units right?"
        )
    if not declared.startswith("int"):
        return values.astype(bool) if declared == "bool" else values
    limits = np.iinfo(declared)
    broken = (values != np.floor(values)) | (values < limits.min) | (values >= limits.max)
    if name == "frame":
        broken |= values < 0
    if broken.any():
        shown = f"{name} {values[broken][0]:g}" + (
            " when counted from 0" if name == "frame" else ""
        )
        raise TableError(
            f"{path} holds {shown}; expected whole numbers from "
            f"{0 if name == 'frame' else limits.min} to {limits.max - 1}"
        )
    return values.astype(declared)


def _completed(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the widths and uncertainties that follow from those present."""
    added: dict[str, npt.NDArray[Any]] = {}
    axes = ("uncertainty_x_nm", "uncertainty_y_nm")
    if "uncertainty_nm" in columns:
        added |= {name: columns["uncertainty_nm"] for name in axes if name not in columns}
    elif all(name in columns for name in axes):
        added["uncertainty_nm"] = np.sqrt(
            np.mean([columns[name].astype(np.float64) ** 2 for name in axes], axis=0)
        ).astype(np.float32)
    sides = ("sigma_x_nm", "sigma_y_nm")
    if "sigma_nm" not in columns and all(name in columns for name in sides):
        width, height = (columns[name].astype(np.float64) for name in sides)
        added["sigma_nm"] = np.sqrt(np.abs(width * height)).astype(np.float32)
    return added


def _place(name: str) -> int:
    """Return where a column stands: ours in their order, then the others as they come."""
    return list(COLUMNS).index(name) if name in COLUMNS else len(COLUMNS)


def _field(table: ForeignTable, data: pd.DataFrame) -> FieldOfView:
    """Return the file's field, made to cover its frames, or one inferred from the rows."""
    if table.field is None:
        return inferred_field(data, pixel_size_nm=table.pixel_size_nm or ASSUMED_PIXEL_SIZE_NM)
    last = int(data["frame"].max()) + 1 if len(data) else 0
    return replace(table.field, frame_count=max(table.field.frame_count, last))


def is_positive(number: float) -> bool:
    """Return whether a number is finite and above 0."""
    return math.isfinite(number) and number > 0
