"""Files made bad: flipped, cut, spliced, and with lies where a format keeps its sizes."""

import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

_Way = Callable[[bytearray, list[bytes], random.Random], None]
_PIECES = (
    b"\0",
    b"\xff" * 4,
    b"nan,",
    b"1e999",
    b'"',
    b"[" * 40,
    b"\n",
    b"-1 ",
    b"\x80\x00",
    b"\r",
)
_NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 1000, 65535, 65536, 1 << 24, 1 << 30)
_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"dinf", b"mvex"}
_TIFF_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}


class Field(NamedTuple):
    """A whole number in a file: where, how many bytes, in which order."""

    at: int
    size: int
    order: str


def damaged(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return content that was changed in one or a few ways."""
    return _changed(content, others, rng, _WAYS)


def damaged_in_place(content: bytes, rng: random.Random) -> bytes:
    """Return content of the same length, for formats that are refused at once with another."""
    return _changed(content, [], rng, (_flip, _wipe, _lie, _lie, _lie))


def _changed(
    content: bytes, others: list[bytes], rng: random.Random, ways: tuple[_Way, ...]
) -> bytes:
    """Return content changed in one or a few of some ways."""
    broken = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        rng.choice(ways)(broken, others, rng)
    return bytes(broken)


def _flip(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """Flip single bits, half of the time near the beginning."""
    reach = len(content) if rng.random() < 0.5 else min(len(content), 600)
    for _ in range(rng.choice([1, 2, 5, 20]) if reach else 0):
        content[rng.randrange(reach)] ^= 1 << rng.randrange(8)


def _cut(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """End the file early."""
    del content[rng.randrange(len(content) + 1) :]


def _lose(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """Leave out a piece."""
    start = rng.randrange(len(content) + 1)
    del content[start : start + rng.choice([1, 2, 8, 30, 500])]


def _add(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """Put in a piece, or write it over what is there."""
    start = rng.randrange(len(content) + 1)
    piece = rng.choice(_PIECES) * rng.choice([1, 1, 1, 10])
    content[start : start + (len(piece) if rng.random() < 0.5 else 0)] = piece


def _splice(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """Put a piece of this or another file in."""
    source = rng.choice([bytes(content), *others])
    start, at = rng.randrange(len(source) + 1), rng.randrange(len(content) + 1)
    piece = source[start : start + rng.choice([4, 16, 100, 2000])]
    content[at : at + rng.choice([0, len(piece)])] = piece


def _wipe(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """Make a piece all zeros or all ones."""
    start = rng.randrange(len(content) + 1)
    stop = min(len(content), start + rng.choice([4, 64, 1000]))
    content[start:stop] = rng.choice([b"\0", b"\xff"]) * (stop - start)


def _lie(content: bytearray, _others: list[bytes], rng: random.Random) -> None:
    """Change a size, an offset or a count of the format; any place where none is known."""
    fields = fields_of(bytes(content))
    if not fields and len(content) > 8:
        size = rng.choice([1, 2, 4, 8])
        fields = [
            Field(rng.randrange(len(content) - size + 1), size, rng.choice(["little", "big"]))
        ]
    for field in rng.sample(fields, min(len(fields), rng.choice([1, 1, 2, 4]))):
        most = (1 << 8 * field.size) - 1
        old = int.from_bytes(content[field.at : field.at + field.size], field.order)  # type: ignore[arg-type]
        new = rng.choice(
            [rng.choice(_NUMBERS), most, most >> 1, (most >> 1) + 1, len(content), old + 1, old - 1,
             old * 2, old >> 1, field.at, rng.randrange(most + 1)]
        )  # fmt: skip
        content[field.at : field.at + field.size] = (new & most).to_bytes(field.size, field.order)  # type: ignore[arg-type]


_WAYS = (_flip, _cut, _lose, _add, _splice, _wipe, _lie, _lie, _lie)


def fields_of(content: bytes) -> list[Field]:
    """Return the numbers on which the reading of a file rests, as far as its format is known."""
    try:
        if content[4:8] in (b"ftyp", b"moov", b"mdat", b"free"):
            return list(_box_fields(content, 0, len(content)))
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0"):
            return list(_tiff_fields(content))
        if content[:4] == b"PK\x03\x04":
            return list(_zip_fields(content))
        if content[:4] == b"PAR1":
            return [Field(len(content) - 8, 4, "little")]
        if content[:4] == b"\x89HDF":
            return list(_hdf5_fields(min(len(content), 4096)))
    except (struct.error, IndexError):
        pass  # broken already
    return [Field(0, 8, "little")] if content[8:9] == b"{" else []


@cache
def _hdf5_fields(stop: int) -> tuple[Field, ...]:
    """Return the places near the beginning of an HDF5 file at which a number may stand."""
    return tuple(
        Field(at, size, "little")
        for size, step in ((2, 2), (4, 4), (8, 8))
        for at in range(8, stop - size + 1, step)
    )


def _box_fields(content: bytes, start: int, stop: int) -> Iterator[Field]:
    """Yield sizes of MP4 boxes, and the first numbers in those that hold tables."""
    at = start
    while at + 8 <= stop:
        size, name = struct.unpack_from(">I4s", content, at)
        yield Field(at, 4, "big")
        end = at + size if 8 <= size <= stop - at else stop
        if name in _BOXES:
            yield from _box_fields(content, at + 8, end)
        elif name != b"mdat":
            yield from (
                Field(place, 4, "big") for place in range(at + 8, min(end, at + 120) - 3, 4)
            )
        at = end


def _tiff_fields(content: bytes) -> Iterator[Field]:
    """Yield what the directories of a TIFF hold: tags, types, counts, values and offsets."""
    order, is_big = ("little", "<") if content[:2] == b"II" else ("big", ">"), content[2] == 43
    name, mark = order
    at_field = Field(8, 8, name) if is_big else Field(4, 4, name)
    seen: set[int] = set()
    while True:
        yield at_field
        at = int.from_bytes(content[at_field.at : at_field.at + at_field.size], name)  # type: ignore[arg-type]
        if at in seen or not 0 < at < len(content) - 8:
            return
        seen.add(at)
        (count,) = struct.unpack_from(mark + ("Q" if is_big else "H"), content, at)
        yield Field(at, 8 if is_big else 2, name)
        start, width = at + (8 if is_big else 2), 20 if is_big else 12
        for entry in range(start, start + width * min(count, 60), width):
            (kind,) = struct.unpack_from(mark + "H", content, entry + 2)
            long = 8 if is_big else 4
            yield from (Field(entry, 2, name), Field(entry + 2, 2, name))
            yield Field(entry + 4, long, name)
            yield Field(entry + 4 + long, min(long, _TIFF_BYTES.get(kind, long)), name)
        at_field = Field(start + width * min(count, 60), 8 if is_big else 4, name)


def _zip_fields(content: bytes) -> Iterator[Field]:
    """Yield methods, sizes, name lengths and offsets of a zip's headers."""
    layouts = {
        b"PK\x03\x04": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
        b"PK\x01\x02": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)),
        b"PK\x05\x06": ((4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    }
    for mark, layout in layouts.items():
        at = content.find(mark)
        while at >= 0:
            yield from (Field(at + offset, size, "little") for offset, size in layout)
            at = content.find(mark, at + 4)


def zip_of(members: dict[str, bytes]) -> bytes:
    """Return a zip with valid checksums, whatever its members say."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
