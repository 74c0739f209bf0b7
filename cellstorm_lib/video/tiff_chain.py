"""The chain of directories in a TIFF file, each of which says where the next one begins."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import tifffile


def refuse_circles(path: Path) -> None:
    """Raise when the directories of a TIFF file lead back to one of themselves.

    tifffile would follow them for ever.

    Raises
    ------
    tifffile.TiffFileError
        When they do.
    """
    seen: set[int] = set()
    with path.open("rb") as stream:
        for offset in _offsets(stream):
            if offset in seen:
                raise tifffile.TiffFileError("its directories lead round in a circle")
            seen.add(offset)


def _offsets(stream: BinaryIO) -> Iterator[int]:
    """Yield where each directory begins, as far as the chain can be followed."""
    start = stream.read(16).ljust(16, b"\0")
    order = "<" if start.startswith(b"II") else ">"
    is_big = struct.unpack_from(order + "H", start, 2) == (43,)
    count_kind, offset_kind, entry_bytes = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    (offset,) = struct.unpack_from(order + offset_kind, start, 8 if is_big else 4)
    while offset:
        yield offset
        count = _number(stream, offset, order + count_kind)
        if count is None:
            return
        end = offset + struct.calcsize(count_kind) + count * entry_bytes
        offset = _number(stream, end, order + offset_kind)


def _number(stream: BinaryIO, at: int, kind: str) -> int | None:
    """Return the number at a place; None where the file ends before it."""
    size = struct.calcsize(kind)
    if at >= 1 << 62:
        return None
    stream.seek(at)
    data = stream.read(size)
    return int(struct.unpack(kind, data)[0]) if len(data) == size else None
