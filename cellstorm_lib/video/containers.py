"""What sort of file this is, by its first bytes, and whether it ends where it says."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

#: Kinds of recordings; ``mov`` and ``matroska`` are the demuxers' names for MP4/MOV and MKV,
#: ``camera_raw`` stands for the makers' own raw files, which are told apart only to be refused.
Container = Literal["mov", "matroska", "tiff", "dng", "sif", "dax", "raw", "camera_raw"]

_MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
#: Boxes of boxes on the way to the tables of frames, and where a table's number of frames stands.
_FOLDERS = {"moov", "trak", "mdia", "minf", "stbl", "moof", "traf"}
_COUNTED = {"stsz": 8, "stz2": 8, "trun": 4}
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EBML_START = b"\x1a\x45\xdf\xa3"
_SEGMENT_START = b"\x18\x53\x80\x67"
_SIF_START = b"Andor Technology Multi-Channel File"
_NAMED_ONLY: dict[str, Container] = {".dax": "dax", ".raw": "raw"}
_CAMERA_RAW_STARTS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb")
#: Raw files that are TIFF files with the maker's own tags; only the ending tells.
_CAMERA_RAW_ENDINGS = {
    ".3fr", ".arw", ".cr2", ".dcr", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".nef", ".nrw",
    ".pef", ".rwl", ".sr2", ".srf", ".srw",
}  # fmt: skip
_DNG_VERSION_TAG = 50706


def container_of(path: Path) -> Container | None:
    """Return the kind of a file by its content; by its ending where the content has no mark.

    None when it is no recording that can be read.
    """
    with path.open("rb") as stream:
        start = stream.read(64)
        if start.startswith(_TIFF_STARTS):
            return _kind_of_tiff(stream, start, path.suffix.lower())
    if start.startswith(_CAMERA_RAW_STARTS) or start[4:12] == b"ftypcrx ":
        return "camera_raw"
    if start[4:8] in _MOV_BOXES:
        return "mov"
    if start.startswith(_EBML_START):
        return "matroska"
    if start.startswith(_SIF_START):
        return "sif"
    return _NAMED_ONLY.get(path.suffix.lower())


def _kind_of_tiff(stream: BinaryIO, start: bytes, ending: str) -> Container:
    """Tell raw files that begin like TIFF from plain TIFF files."""
    if _DNG_VERSION_TAG in _first_tags(stream, start):
        return "dng"
    if start[8:10] == b"CR" or ending in _CAMERA_RAW_ENDINGS:
        return "camera_raw"
    return "tiff"


def _first_tags(stream: BinaryIO, start: bytes) -> set[int]:
    """Return the numbers of the tags in the first directory of a TIFF file; of a BigTIFF, none."""
    order = "<" if start.startswith(b"II") else ">"
    if len(start) < 8 or struct.unpack_from(order + "H", start, 2) != (42,):
        return set()
    stream.seek(struct.unpack_from(order + "I", start, 4)[0])
    (count,) = struct.unpack(order + "H", stream.read(2).ljust(2, b"\0"))
    entries = stream.read(12 * count)
    return {
        struct.unpack_from(order + "H", entries, at)[0] for at in range(0, len(entries) - 11, 12)
    }


def box_names(path: Path) -> list[str]:
    """Return the names of the top-level boxes of an MP4 or MOV file, in order."""
    with path.open("rb") as stream:
        return [name for name, _, _ in _boxes(stream, 0, path.stat().st_size)]


def ends_early(path: Path, container: Container) -> bool:
    """Return whether a video file ends inside a part whose size it states."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if container == "mov":
            return any(end > size for _, _, end in _boxes(stream, 0, size))
        stated = _stated_matroska_size(stream) if container == "matroska" else None
    return stated is not None and stated > size


def stated_frames(path: Path) -> int:
    """Return the most frames that one table or fragment of an MP4 or MOV file says it has.

    The demuxer makes room for as many before it looks for the first one.
    """
    with path.open("rb") as stream:
        return max(_stated_counts(stream, 0, path.stat().st_size), default=0)


def _stated_counts(stream: BinaryIO, at: int, size: int) -> Iterator[int]:
    """Yield the numbers of frames in the tables of a range of boxes, and of those inside them."""
    for name, start, end in _boxes(stream, at, size):
        if name in _FOLDERS:
            yield from _stated_counts(stream, start, min(end, size))
        elif name in _COUNTED:
            stream.seek(start + _COUNTED[name])
            count = stream.read(4)
            if len(count) == 4:
                yield int.from_bytes(count, "big")


def _boxes(stream: BinaryIO, at: int, size: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, start of the content, and stated end of each box of a range of a file."""
    while at + 8 <= size:
        stream.seek(at)
        header = stream.read(16)
        content = at + 8
        length, name = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
            content += 8
        elif length == 0:  # to the end of the file
            length = size - at
        if length < 8:
            return
        at += length
        yield name.decode("latin-1"), content, at


def _stated_matroska_size(stream: BinaryIO) -> int | None:
    """Return where the segment of a Matroska file ends by its own header, if it says."""
    stream.seek(len(_EBML_START))
    header = _variable_integer(stream)
    if header is None:
        return None
    stream.seek(header, 1)
    if stream.read(4) != _SEGMENT_START:
        return None
    length = _variable_integer(stream)
    return None if length is None else stream.tell() + length


def _variable_integer(stream: BinaryIO) -> int | None:
    """Read one EBML variable-length integer; None for "unknown" and at the end of the file."""
    first = stream.read(1)
    if not first or first == b"\0":
        return None
    width = 9 - first[0].bit_length()
    rest = stream.read(width - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> width)]) + rest, "big")
    unknown = (1 << (7 * width)) - 1
    return None if len(rest) < width - 1 or value == unknown else value
