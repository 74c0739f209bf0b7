"""The manifest of an .smlm file: which binary tables it has and what their columns mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import ask_for_pixel_size
from cellstorm_lib.export.dialects import LOCAN, THUNDERSTORM, plain_name, split_label
from cellstorm_lib.tables import COLUMNS

MANIFEST = "manifest.json"
_VERSIONS = ("0.1", "0.2", "0.2.0")
_MAX_COLUMNS = 4096
_MAX_VALUES_PER_ROW = 1 << 20
_BYTES = {
    **{f"{sign}int{8 * size}": size for sign in ("", "u") for size in (1, 2, 4, 8)},
    "float32": 4,
    "float64": 8,
}
#: A header of the specification, or of other writers: our name, empty to leave it out.
_HEADERS = {
    **THUNDERSTORM.columns,
    **LOCAN.columns,
    "x_position": "x_nm",
    "y_position": "y_nm",
    "z_position": "z_nm",
    "background": "background_photons",
    "x_precision": "uncertainty_x_nm",
    "y_precision": "uncertainty_y_nm",
    "z_precision": "uncertainty_z_nm",
    "original_index": "",
}
_PIXELS = ("px", "pixel", "pixels")
_LENGTHS_NM = {"": 1.0, "nm": 1.0, "um": 1e3, "mm": 1e6, "m": 1e9, "angstrom": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One column of a binary table.

    Attributes
    ----------
    header, unit : str
        As the manifest says them.
    dtype : str
        Type of one value, little-endian.
    values_per_row : int
        Above 1 for a small image in each row.
    offset : float
        Added to every value.
    """

    header: str
    unit: str
    dtype: str
    values_per_row: int
    offset: float

    @property
    def row_bytes(self) -> int:
        """Return the bytes this column takes in each row."""
        return _BYTES[self.dtype] * self.values_per_row

    def meaning(self, pixel_size_nm: float | None, path: Path) -> tuple[str, float]:
        """Return our name of the column (empty to leave it out) and its factor to our unit.

        Raises
        ------
        TableError
            When a length has a unit we do not know.
        """
        name, unit_in_label = split_label(self.header)
        unit = (self.unit or unit_in_label).strip()
        ours = _HEADERS.get(name)
        if ours is None:
            return (name if name in COLUMNS else plain_name(self.header)), 1.0
        if ours.endswith("photons"):
            return (ours if unit.startswith("photon") else plain_name(name)), 1.0
        if not ours.endswith("_nm"):
            return ours, 1.0
        if unit in _PIXELS and pixel_size_nm is None:
            raise ask_for_pixel_size(path, f"gives {name[:40]!a} in pixels")
        factor = pixel_size_nm if unit in _PIXELS else _LENGTHS_NM.get(unit)
        if factor is None:
            raise TableError(
                f"{path} gives {name[:40]!a} in {unit[:20]!a}; expected a length in one "
                f"of {', '.join(filter(None, _LENGTHS_NM))}"
            )
        return ours, factor


def checked_manifest(manifest: Any, path: Path) -> Mapping[str, Any]:
    """Return a manifest of a version this program reads.

    Raises
    ------
    TableError
        When it is another version or no manifest at all.
    """
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or str(version) not in _VERSIONS:
        raise TableError(
            f"{path} has format version {str(version)[:20]!a} in its {MANIFEST}; expected one "
            f"of {', '.join(_VERSIONS)}"
        )
    return manifest


def table_entries(manifest: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """Return the manifest's entries of tables.

    Raises
    ------
    TableError
        When there is none.
    """
    files = manifest.get("files")
    listed = files if isinstance(files, list) else []
    entries: list[Mapping[str, Any]] = [
        entry for entry in listed if isinstance(entry, dict) and entry.get("type") == "table"
    ]
    if not entries:
        raise TableError(f"{path} names no table in its {MANIFEST}; expected localizations")
    return entries


def table_columns(
    entry: Mapping[str, Any], manifest: Mapping[str, Any], path: Path
) -> list[TableColumn]:
    """Return the columns of one table, from the format its entry names.

    Raises
    ------
    TableError
        When the format is not binary, or its lists contradict each other.
    """
    formats = manifest.get("formats")
    format_name = str(entry.get("format"))
    described = formats.get(format_name) if isinstance(formats, dict) else None
    if not isinstance(described, dict) or described.get("mode") != "binary":
        raise TableError(
            f"{path} has a table in the format {format_name[:40]!a}; expected a binary table "
            "that the manifest describes"
        )
    headers, dtypes, shapes, units = (
        _list_of(described, key) for key in ("headers", "dtype", "shape", "units")
    )
    sizes = [_values_per_row(shape) for shape in shapes]
    known = all(str(dtype) in _BYTES for dtype in dtypes) and None not in sizes
    if not (known and 0 < len(headers) == len(dtypes) == len(sizes) <= _MAX_COLUMNS):
        raise TableError(
            f"{path} describes its columns by {len(headers)} headers, {len(dtypes)} types and "
            f"{len(sizes)} shapes that do not make a table"
        )
    offsets = entry.get("offset")
    offsets = offsets if isinstance(offsets, dict) else {}
    units = units if len(units) == len(headers) else [""] * len(headers)
    return [
        TableColumn(
            header=str(header),
            unit=str(unit),
            dtype=str(dtype),
            values_per_row=size or 1,
            offset=_finite(offsets.get(str(header))),
        )
        for header, unit, dtype, size in zip(headers, units, dtypes, sizes, strict=True)
    ]


def row_dtype(columns: list[TableColumn]) -> np.dtype[np.void]:
    """Return the type of one packed row, its fields named by their position."""
    return np.dtype(
        [
            (f"c{i}", np.dtype(column.dtype).newbyteorder("<"), (column.values_per_row,))
            for i, column in enumerate(columns)
        ]
    )


def whole_number(number: Any) -> int | None:
    """Return a count, which some writers quote, or None when it is none."""
    try:
        return int(number) if int(number) >= 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _values_per_row(shape: Any) -> int | None:
    """Return the values a column has in each row, or None when the shape is no shape."""
    sides = [whole_number(side) for side in (shape if isinstance(shape, list) else [shape])]
    known = [min(side, _MAX_VALUES_PER_ROW) for side in sides[:8] if side]
    size = math.prod(known)
    return size if len(known) == len(sides) and size < _MAX_VALUES_PER_ROW else None


def _list_of(described: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list of the manifest, empty when it is none."""
    part = described.get(key)
    return part if isinstance(part, list) else []


def _finite(number: Any) -> float:
    """Return a number, or 0 when there is none."""
    try:
        return float(number) if math.isfinite(float(number)) else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0
