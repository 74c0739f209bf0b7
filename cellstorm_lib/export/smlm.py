"""The .smlm format (version 0.2): a zip with a manifest and binary tables.

Positions are nm unless the manifest names another length; the specification fixes neither the
origin nor the first frame. They are taken as ours (outer corner, frames from 0), except that
tables named by ThunderSTORM's exporter count frames from 1. This program writes its own field
of view and provenance under the manifest's key ``cellstorm``.
"""

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib import __version__
from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import ForeignTable, adopt, field_from
from cellstorm_lib.export.smlm_manifest import (
    MANIFEST,
    checked_manifest,
    row_dtype,
    table_columns,
    table_entries,
    whole_number,
)
from cellstorm_lib.export.smlm_members import read_member, write_member
from cellstorm_lib.files import written_whole
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.tables import COLUMNS, Localizations

_MAX_MANIFEST_BYTES = 8 << 20
#: Tables compress a few times; what claims to unpack to far more is refused.
_MAX_UNPACKING = 200
_ALWAYS_ALLOWED_BYTES = 64 << 20
_FORMAT_NAME = "smlm-table(binary)"
_TABLE_NAME = "table-0.bin"
_DAMAGES = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
#: Our name: header of the specification and unit.
_WRITTEN = {
    "frame": ("frame", "frame"),
    "x_nm": ("x", "nm"),
    "y_nm": ("y", "nm"),
    "z_nm": ("z", "nm"),
    "photons": ("intensity", "photon"),
    "background_photons": ("background", "photon"),
    "uncertainty_x_nm": ("x_precision", "nm"),
    "uncertainty_y_nm": ("y_precision", "nm"),
    "uncertainty_z_nm": ("z_precision", "nm"),
}


def read_smlm(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Localizations:
    """Read the binary tables of an ``.smlm`` file, one below the other.

    Parameters
    ----------
    path : Path
        The file. With several tables, the column ``channel`` numbers them from 0.
    pixel_size_nm : float or None
        Camera pixel, for the field of view and for positions given in pixels.
    progress : callable, optional
        Called with what is done and the whole, up to the columns of the file.

    Raises
    ------
    TableError
        When the file is no zip, or its manifest is missing or contradicts its content.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest_of(archive, path)
            entries = table_entries(manifest, path)
            tables = [
                _read_one(archive, entry, manifest, pixel_size_nm, path, told)
                for entry, told in zip(
                    entries, in_parts(progress, *[1.0] * len(entries)), strict=True
                )
            ]
    except _DAMAGES as error:
        raise TableError(
            f"{path} cannot be read as an .smlm zip file ({' '.join(str(error).split())[:120]}); "
            "save or copy it again"
        ) from error
    columns = {
        name: np.concatenate([table[name] for table in tables])
        for name in tables[0]
        if all(name in table for table in tables)
    }
    if len(tables) > 1:
        rows = [max((len(values) for values in table.values()), default=0) for table in tables]
        columns["channel"] = np.repeat(np.arange(len(tables)), rows)
    ours = _ours(manifest)
    provenance = ours.get("provenance")
    table = ForeignTable(
        format_name=".smlm",
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        field=field_from(ours.get("field")),
        provenance=provenance if isinstance(provenance, dict) else {},
    )
    return adopt(table, path)


def smlm_provenance(path: Path) -> Mapping[str, Any]:
    """Return the provenance that this program wrote into an ``.smlm`` file; empty without any.

    Raises
    ------
    TableError
        When the file is no zip, or its manifest is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            provenance = _ours(_manifest_of(archive, path)).get("provenance")
    except _DAMAGES as error:
        raise TableError(f"{path} cannot be read as an .smlm zip file; copy it again") from error
    return provenance if isinstance(provenance, dict) else {}


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Mapping[str, Any]:
    """Return the manifest of an archive, checked."""
    text = read_member(archive, MANIFEST, _MAX_MANIFEST_BYTES, path)
    return checked_manifest(_parsed(text, path), path)


def _ours(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what this program wrote into a manifest; nothing where another did."""
    written = manifest.get("cellstorm")
    return written if isinstance(written, dict) else {}


def write_smlm(
    localizations: Localizations, path: Path, *, progress: Progress | None = None
) -> None:
    """Write a table as ``.smlm``: positions float64, other numbers float32 or uint32.

    Parameters
    ----------
    localizations : Localizations
        Columns the specification has no header for are written under our names.
    path : Path
        Written whole or not at all; the same table gives the same bytes.
    progress : callable, optional
        Called with the bytes written and all bytes.
    """
    data = localizations.data
    columns: dict[str, npt.NDArray[Any]] = {}
    units = []
    for name in map(str, data.columns):
        values = data[name].to_numpy()
        if values.dtype.kind in "biuf":
            header, unit = _WRITTEN.get(name, (name, COLUMNS.get(name, ("", "", ""))[1]))
            columns[header] = _stored(values)
            units.append(unit)
    rows = np.empty(len(data), dtype=[(name, values.dtype) for name, values in columns.items()])
    for header, values in columns.items():
        rows[header] = values
    manifest = json.dumps(_manifest(localizations, columns, units, path), indent=1)
    with written_whole(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        write_member(archive, MANIFEST, np.frombuffer(manifest.encode(), np.uint8))
        write_member(archive, _TABLE_NAME, rows.view(np.uint8), progress=progress)


def _read_one(
    archive: zipfile.ZipFile,
    entry: Mapping[str, Any],
    manifest: Mapping[str, Any],
    pixel_size_nm: float | None,
    path: Path,
    progress: Progress,
) -> dict[str, npt.NDArray[Any]]:
    """Return one table under our names."""
    columns = table_columns(entry, manifest, path)
    rows = whole_number(entry.get("rows"))
    row_bytes = sum(column.row_bytes for column in columns)
    name = str(entry.get("name"))
    most = max(_ALWAYS_ALLOWED_BYTES, _MAX_UNPACKING * path.stat().st_size)
    if rows is None or max(rows, 1) * row_bytes > most:
        raise TableError(
            f"{path} claims {str(entry.get('rows'))[:20]!a} rows of {row_bytes} bytes in its "
            f"{MANIFEST}, which its size cannot hold; it is damaged"
        )
    content = read_member(archive, name, most, path, progress=progress)
    if len(content) != rows * row_bytes:
        raise TableError(
            f"{path} holds {len(content)} bytes in {name[:60]!a} where its {MANIFEST} claims "
            f"{rows} rows of {row_bytes}; it is damaged"
        )
    table = np.frombuffer(content, row_dtype(columns))
    first_frame = 1 if name.lower().startswith("thunderstorm") else 0
    found: dict[str, npt.NDArray[Any]] = {}
    for i, column in enumerate(columns):
        ours, factor = column.meaning(pixel_size_nm, path)
        if ours and ours not in found and column.values_per_row == 1:
            values = table[f"c{i}"][:, 0]
            offset = column.offset - (first_frame if ours == "frame" else 0)
            if factor != 1 or offset != 0:
                values = (values.astype(np.float64) + offset) * factor
            found[ours] = values
    return found


def _parsed(text: bytearray, path: Path) -> Any:
    """Return what a manifest says."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"{path} has a {MANIFEST} that is not JSON ({str(error)[:80]}); save it again"
        ) from error


def _stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column in one of the types of the specification."""
    if values.dtype == bool:
        return values.astype("<u1")
    if values.dtype.kind in "iu":
        fits = not len(values) or (values.min() >= 0 and values.max() < 2**32)
        return values.astype("<u4" if fits else "<f8")
    return values.astype("<f8" if values.dtype.itemsize == 8 else "<f4")


def _manifest(
    localizations: Localizations,
    columns: Mapping[str, npt.NDArray[Any]],
    units: list[str],
    path: Path,
) -> dict[str, Any]:
    """Return the manifest of a file with one table."""
    has_rows = len(localizations) > 0
    return {
        "format_version": "0.2",
        "formats": {
            _FORMAT_NAME: {
                "name": _FORMAT_NAME,
                "type": "table",
                "mode": "binary",
                "extension": ".bin",
                "columns": len(columns),
                "headers": list(columns),
                "dtype": [values.dtype.name for values in columns.values()],
                "shape": [1] * len(columns),
                "units": units,
                "description": "localizations, frames from 0, nm from the outer corner",
            }
        },
        "files": [
            {
                "name": _TABLE_NAME,
                "type": "table",
                "format": _FORMAT_NAME,
                "channel": "default",
                "rows": len(localizations),
                "offset": {},
                "min": {name: v.min().item() for name, v in columns.items() if has_rows},
                "max": {name: v.max().item() for name, v in columns.items() if has_rows},
            }
        ],
        "name": path.stem,
        "description": f"written by cellstorm {__version__}",
        "tags": ["SMLM"],
        **dict.fromkeys(("thumbnail", "sample", "labeling", "date"), ""),
        "cellstorm": {
            "field": asdict(localizations.field),
            "provenance": dict(localizations.provenance),
        },
    }
