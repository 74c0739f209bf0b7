"""Results of the steps as files, and back: dataclasses with arrays in one Parquet file."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cellstorm_lib import __version__
from cellstorm_lib.errors import TableError, refusing
from cellstorm_lib.files import written_whole

Record = TypeVar("Record")

#: Higher when older programs can no longer read what is written.
FORMAT_VERSION = 1
_METADATA_KEY = b"cellstorm"
#: Apart from the records, which may hold whole images.
LINEAGE_KEY = b"cellstorm.lineage"


def write_records(
    records: Sequence[Any], path: Path, *, lineage: Mapping[str, Any] | None = None
) -> None:
    """Write dataclasses of one type: their arrays as columns, all else in the file's metadata.

    Parameters
    ----------
    records : sequence of dataclass
        Each with any number of 1-D arrays; the first array's length is the number of rows, other
        arrays of that length become columns too. A record without arrays has no rows. Images
        inside a record, such as a camera's pixel maps, are kept compressed in the metadata.
    path : Path
        A Parquet file. The column ``record`` counts the records.
    lineage : mapping, optional
        What they were made from, as plain content; kept apart in the file's metadata.
    """
    tables = []
    entries = []
    for number, record in enumerate(records):
        columns, entry = _taken_apart(record)
        entries.append(entry)
        rows = len(next(iter(columns.values()), []))
        tables.append(pa.table({"record": np.full(rows, number, np.int32), **columns}))
    content = {
        "program": f"cellstorm {__version__}", "format_version": FORMAT_VERSION, "records": entries,
    }  # fmt: skip
    table = pa.concat_tables(tables) if tables else pa.table({"record": pa.array([], pa.int32())})
    metadata = {_METADATA_KEY: json.dumps(content, sort_keys=True).encode()}
    if lineage is not None:
        metadata[LINEAGE_KEY] = json.dumps(dict(lineage), sort_keys=True).encode()
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


def read_records(kind: type[Record], path: Path) -> list[Record]:
    """Read what `write_records` wrote.

    Raises
    ------
    TableError
        When the file is missing, holds something else, or comes from a newer program.
    """
    if not path.is_file():
        raise TableError(f"{path} does not exist; materialize it first")
    remedy = "materialize it again"
    with refusing(TableError, path, f"does not hold {kind.__name__}", remedy):
        table = pq.read_table(path)
        content = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        _require_known(int(content.get("format_version", 0)), path)
        entries = content["records"]
        number = table["record"].to_numpy()
        records = []
        for index, entry in enumerate(entries):
            rows = np.flatnonzero(number == index)
            columns = {
                name: table[name].to_numpy()[rows].copy()
                for name in table.column_names
                if name != "record"
            }
            records.append(record_from(kind, {**entry, **columns}))
    return records


def _require_known(version: int, path: Path) -> None:
    """Raise when a file comes from a newer program; 0 is that of files from before it was kept."""
    if version > FORMAT_VERSION:
        raise TableError(
            f"{path} has format version {version}; this program reads up to {FORMAT_VERSION}: "
            "upgrade cellstorm"
        )


def record_from(kind: type[Record], content: Mapping[str, Any]) -> Record:
    """Return a dataclass from plain content, as `dataclasses.asdict` and JSON left it."""
    restored: Record = _restored(kind, content)
    return restored


def _taken_apart(record: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays that become columns, and everything else as plain content."""
    values = {entry.name: getattr(record, entry.name) for entry in fields(record)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    rows = len(next(iter(arrays.values()), []))
    columns = {name: value for name, value in arrays.items() if value.shape == (rows,)}
    return columns, {name: _plain(value) for name, value in values.items() if name not in columns}


def _plain(value: Any) -> Any:
    """Return a value as JSON content."""
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, np.ndarray) and value.ndim > 1:
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes())).decode()
        return {"packed": packed, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _restored(hint: Any, value: Any) -> Any:
    """Return plain content as the type a field asks for."""
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return hint(**{name: _restored(hints[name], item) for name, item in value.items()})
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        options = [option for option in inner if option is not type(None)]
        return None if value is None or not options else _restored(options[0], value)
    if origin is np.ndarray:
        return _unpacked(value) if isinstance(value, dict) else np.asarray(value)
    if origin is tuple:
        item = inner[0] if inner else Any
        same = len(inner) == 2 and inner[1] is Ellipsis
        kinds = [item] * len(value) if same else list(inner)
        return tuple(_restored(kind, part) for kind, part in zip(kinds, value, strict=True))
    if origin is not None and isinstance(value, dict) and len(inner) == 2:
        return {key: _restored(inner[1], item) for key, item in value.items()}
    return value


def _unpacked(content: Mapping[str, Any]) -> Any:
    """Return an array of more than one dimension from what stands for it in JSON."""
    plain = zlib.decompress(base64.b64decode(content["packed"]))
    return np.frombuffer(plain, content["dtype"]).reshape(content["shape"]).copy()
