"""What a result was made from, written into the result's own file, and read from there.

The file is written whole or not at all, so a result never stands beside the record of another.
"""

import base64
import json
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from cellstorm_lib import __version__
from cellstorm_lib.errors import TableError
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import written_whole
from cellstorm_lib.pipeline.lineage import film_input, model_input
from cellstorm_lib.pipeline.lineage_exchanged import DAMAGES, EXCHANGED, why_no_note
from cellstorm_lib.pipeline.store import LINEAGE_KEY
from cellstorm_lib.video.tiff import read_image_details

#: Endings of files that may hold one.
READ = (".parquet", *EXCHANGED, ".tif", ".tiff", ".html", ".png", ".json")
_META = re.compile(rb'<meta name="cellstorm-lineage" content="([A-Za-z0-9+/=]*)">')
_HEAD = "<head>"
_HEAD_BYTES = 1 << 16
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 33
_MOST_BYTES = 1 << 20
#: First bytes of a page or a picture within which its note stands, unless it is very long.
HEAD_BYTES = _HEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What stands in the file of a result.

    Attributes
    ----------
    result : str
        Name of the result, as in `STEPS`.
    recording : str
        File name of the recording.
    program : str
        Which version of the program made it; for people, it is not compared.
    made_from : mapping of str to str
        Its record.
    missing : str
        Why there is no such result of these inputs; empty where there is one.
    """

    result: str
    recording: str = ""
    program: str = f"cellstorm {__version__}"
    made_from: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as plain content; the same inputs always give the same."""
        content = asdict(self)
        return content if self.missing else {k: v for k, v in content.items() if k != "missing"}


def page_with(page: str, note: Note) -> str:
    """Return an HTML page that holds a note."""
    text = base64.b64encode(_text(note)).decode("ascii")
    meta = f'{_HEAD}\n<meta name="cellstorm-lineage" content="{text}">'
    return page.replace(_HEAD, meta, 1)


def note_picture(path: Path, note: Note) -> None:
    """Write a note into a PNG, as a text that picture viewers can show."""
    content = path.read_bytes()
    body = b"tEXtcellstorm lineage\0" + base64.b64encode(_text(note))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with written_whole(path) as temporary:
        temporary.write_bytes(content[:_PNG_HEADER_BYTES] + chunk + content[_PNG_HEADER_BYTES:])


def note_in(path: Path) -> Note | None:
    """Return the note in the file of a result; None where there is none, or it cannot be read.

    Parameters
    ----------
    path : Path
        A table (``.parquet``, ``.smlm``, ``.csv`` with its ``-protocol.txt``, ``.hdf5``,
        ``.txt``), an image or stack (``.tif``), a picture (``.png``), a page (``.html``), or what
        a command printed with ``--json``.
    """
    readers = {
        **EXCHANGED,
        ".parquet": _in_table,
        ".json": _in_figures,
        ".tif": _in_image,
        ".tiff": _in_image,
        ".html": _in_page,
        ".png": _in_picture,
    }
    reader = readers.get(Path(path).suffix.lower())
    try:
        content = reader(Path(path)) if reader is not None and Path(path).is_file() else None
        return None if content is None else _note_of(content)
    except DAMAGES:
        return None


def note_in_stream(stream: BinaryIO, ending: str) -> Note | None:
    """Return the note in the part of a file that holds it; None where there is none.

    Parameters
    ----------
    stream : binary stream
        The file, or its last bytes from `table_tail_bytes` on (``.parquet``), or its first
        `HEAD_BYTES` (``.html``, ``.png``).
    ending : str
        Which of these it is.
    """
    readers = {".parquet": _of_table, ".html": _of_page, ".png": _of_picture}
    try:
        content = readers[ending](stream)
        return None if content is None else _note_of(content)
    except DAMAGES:
        return None


def table_tail_bytes(last: bytes) -> int:
    """Return how many bytes at the end of a Parquet file hold its note, by its last 8 bytes."""
    return int.from_bytes(last[:4], "little") + len(last)


def needed_note(path: Path) -> Note:
    """Return the note in a file; of a table without one, what else it says of its origin.

    Raises
    ------
    TableError
        When there is none; the message says where to look.
    """
    found = found_note(path)
    if found is None:
        remedy = why_no_note(Path(path)) or (
            f"what cellstorm writes with the endings {', '.join(READ)} does, unless an older "
            "version wrote it; make it again"
        )
        raise TableError(f"{path} does not say what it was made from; {remedy}")
    return found


def found_note(path: Path) -> Note | None:
    """Return the note in a file, or what else a table of an older version says of its origin."""
    return note_in(path) or _origin_of(path)


def _origin_of(path: Path) -> Note | None:
    """Return what a table of an older version says of its origin."""
    if not Path(path).is_file():  # a pipe, say, would be waited for
        return None
    try:
        metadata = pq.ParquetFile(path).metadata.metadata or {}
        told = json.loads(metadata.get(b"cellstorm", b"{}"))
        origin, program = told.get("provenance", {}), str(told.get("program", "cellstorm"))
        film = film_input(origin["source"], origin["source_digest"])
        camera = f"{origin['calibration']['name']} #{origin['calibration_digest']}"
        made_from = {"film": film, "calibration": camera}
        made_from["settings.localize"] = f"#{origin['settings_digest']}"
        if "model_digest" in origin:
            made_from["film"] = film_input(origin["recording"], origin["recording_digest"])
            made_from["model"] = model_input(origin["model"], origin["model_digest"])
    except DAMAGES:
        return None
    branch = "denoised" if "model" in made_from else "raw"
    recording = str(origin["recording"] if "model" in made_from else origin["source"])
    return Note(result=f"{branch}/spots", recording=recording, program=program, made_from=made_from)


def _note_of(content: Any) -> Note:
    """Return plain content as a note; what is no note is refused."""
    made_from = dict(content["made_from"])
    texts = [content[name] for name in ("result", "recording", "program")]
    texts.append(content.get("missing", ""))
    if not all(isinstance(text, str) for text in (*texts, *made_from, *made_from.values())):
        raise TypeError("a note holds texts")
    result, recording, program, missing = texts
    return Note(
        result=result,
        recording=recording,
        program=program,
        made_from={intern(name): intern(value) for name, value in made_from.items()},
        missing=intern(missing),
    )


def _in_table(path: Path) -> Any:
    """Return what the metadata of a Parquet file say."""
    with path.open("rb") as stream:
        return _of_table(stream)


def _of_table(stream: BinaryIO) -> Any:
    """Return what the metadata at the end of a Parquet file say."""
    metadata = pq.ParquetFile(stream).metadata.metadata or {}
    if LINEAGE_KEY in metadata:
        return json.loads(metadata[LINEAGE_KEY])
    return json.loads(metadata.get(b"cellstorm", b"{}")).get("provenance", {}).get(LINEAGE)


def _in_figures(path: Path) -> Any:
    """Return what the last line that a command printed says."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _MOST_BYTES))
        lines = stream.read().splitlines() or [b""]
    return json.loads(lines[-1]).get(LINEAGE)


def _in_image(path: Path) -> Any:
    """Return what the description of a TIFF says; a denoised stack names its own sources."""
    details = read_image_details(path)
    if LINEAGE in details:
        return details[LINEAGE]
    if "model_digest" not in details:
        return None
    note = Note(
        result="denoised_stack",
        recording=str(details["source"]),
        program=str(details.get("program", "cellstorm")),
        made_from={
            "film": film_input(str(details["source"]), str(details["source_digest"])),
            "model": model_input(str(details["model"]), str(details["model_digest"])),
        },
    )
    return note.plain()


def _in_page(path: Path) -> Any:
    """Return what the head of a page says."""
    with path.open("rb") as stream:
        return _of_page(stream)


def _of_page(stream: BinaryIO) -> Any:
    """Return what the head of a page says."""
    found = _META.search(stream.read(_HEAD_BYTES))
    return None if found is None else json.loads(base64.b64decode(found[1]))


def _in_picture(path: Path) -> Any:
    """Return what the first text of a PNG says."""
    with path.open("rb") as stream:
        return _of_picture(stream)


def _of_picture(stream: BinaryIO) -> Any:
    """Return what the first text of a PNG says."""
    head = stream.read(_PNG_HEADER_BYTES + _MOST_BYTES)
    begin = _PNG_HEADER_BYTES
    (length,) = struct.unpack(">I", head[begin : begin + 4])
    chunk, checksum = head[begin + 4 : begin + 8 + length], head[begin + 8 + length :][:4]
    kind, _, text = chunk.partition(b"\0")
    is_whole = checksum == struct.pack(">I", zlib.crc32(chunk))
    if not (head.startswith(_SIGNATURE) and is_whole and kind == b"tEXtcellstorm lineage"):
        return None
    return json.loads(base64.b64decode(text))


def _text(note: Note) -> bytes:
    """Return a note as JSON."""
    return json.dumps(note.plain(), sort_keys=True).encode()
