"""The protocol beside ThunderSTORM's table: what the table was made with, in a file of its own.

ThunderSTORM saves ``NAME-protocol.txt`` beside ``NAME.csv`` when asked, and never reads it. Its
first line names the program; then a line names each part (``Camera settings:``), and JSON follows.
A CSV has no room for more than its rows, so what this program says of a table is a part there,
bound to the table by its digest. A protocol of ThunderSTORM keeps its own parts.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from cellstorm_lib import __version__
from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import is_positive
from cellstorm_lib.files import digest_of_file

_MOST_BYTES = 1 << 22
_LONGEST_NAME_BYTES = 255
_ENDING = "-protocol.txt"
_OURS, _THEIRS = b"cellstorm", b"ThunderSTORM"
_PART = re.compile(rb"^Lineage:[ \t]*\r?$", re.MULTILINE)


def protocol_of(table: Path) -> Path:
    """Return where ThunderSTORM saves the protocol of a table."""
    return table.with_name(f"{table.stem}{_ENDING}")


def protocol_pixel_size_nm(table: Path) -> float | None:
    """Return the pixel size that the protocol beside a table states, if there is one."""
    theirs, _ = _parts(protocol_of(table))
    found = re.search(r'"pixelSize"\s*:\s*([-+.\deE]+)', theirs.decode("utf-8", errors="replace"))
    try:
        size_nm = float(json.loads(found[1])) if found else 0.0
    except ValueError:
        return None
    return size_nm if is_positive(size_nm) else None


def kept_protocol(protocol: Path) -> bytes | None:
    """Return what of a protocol has to stay when this program says more in it.

    None where it can say nothing: the name is too long, or something else has that name.
    """
    if len(os.fsencode(protocol.name)) > _LONGEST_NAME_BYTES:
        return None
    theirs, _ = _parts(protocol)
    if theirs.startswith(_THEIRS):
        return theirs.rstrip() + b"\n"
    if theirs.startswith(_OURS) or not os.path.lexists(protocol):
        return f"cellstorm {__version__}\n\n".encode()
    return None


def protocol_with(kept: bytes, lineage: str, table: Path) -> bytes:
    """Return a protocol that says what a table was made from.

    Parameters
    ----------
    kept : bytes
        What else stands in it, as `kept_protocol` gives it.
    lineage : str
        JSON.
    table : Path
        The whole table, which the part is bound to.
    """
    content = {"sha256 of the table": digest_of_file(table), "lineage": json.loads(lineage)}
    return kept + b"Lineage:\n" + json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def protocol_lineage(table: Path) -> Any:
    """Return what the protocol beside a table says that it was made from; None without any.

    Raises
    ------
    TableError
        When it says so of another table.
    ValueError, LookupError, TypeError, RecursionError
        When that part of it is damaged.
    """
    protocol = protocol_of(table)
    _, ours = _parts(protocol)
    if not ours:
        return None
    content = json.loads(ours)
    if content["sha256 of the table"] != digest_of_file(table):
        raise TableError(
            f"{protocol.name} belongs to another table, or {table.name} was changed since: look "
            "for the file that both were copied from, or make it again"
        )
    return content["lineage"]


def refuse_protocol(path: Path) -> None:
    """Raise when a file is no table but the protocol of one.

    Raises
    ------
    TableError
        With the name of the table.
    """
    with path.open("rb") as stream:
        start = stream.read(len(_THEIRS))
    if start.startswith((_OURS, _THEIRS)):
        table = f"{path.name.removesuffix(_ENDING)}.csv" if path.name.endswith(_ENDING) else ".csv"
        raise TableError(
            f"{path} is a protocol, which says how a table was made; give the table, {table}"
        )


def _parts(protocol: Path) -> tuple[bytes, bytes]:
    """Return a protocol up to our part, and that; both are empty where none can be read."""
    try:
        if not protocol.is_file() or protocol.stat().st_size > _MOST_BYTES:
            return b"", b""
        content = protocol.read_bytes()
    except OSError:  # a name too long for one, say
        return b"", b""
    found = _PART.search(content)
    return (content, b"") if found is None else (content[: found.start()], content[found.end() :])
