"""Read tables in comma-, semicolon- or tab-separated text: ThunderSTORM's and its relatives."""

import io
from pathlib import Path

from cellstorm_lib.export.adopt import ForeignTable, adopt
from cellstorm_lib.export.delimited import read_columns, read_header
from cellstorm_lib.export.dialects import (
    CSV_DIALECTS,
    ELYRA,
    THUNDERSTORM,
    choose_dialect,
    translate,
)
from cellstorm_lib.export.thunderstorm_protocol import protocol_pixel_size_nm, refuse_protocol
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import Localizations

_TEXT_TABLES = 'in a rapidSTORM file, or Elyra\'s "First Frame", "Position X [nm]"'
_COUNTED_FROM_0 = (
    "frames start at 0 where ThunderSTORM starts at 1, so they were taken as counted from 0; "
    "programs that write so (Picasso) may also leave out half a pixel"
)


def read_csv(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Localizations:
    """Read a CSV table of ThunderSTORM, Nanoimager, the SMLM challenge, Locan or our own names.

    The header tells which. Frames of ThunderSTORM and the challenge count from 1, the others
    from 0; positions are nm from the outer corner of the first pixel, as ours.

    Parameters
    ----------
    path : Path
        The file. ThunderSTORM's ``-protocol.txt`` beside it gives the pixel size if there.
    pixel_size_nm : float or None
        Camera pixel, for the field of view and for lengths given in px.
    progress : callable, optional
        Called with what is done and the whole, up to the columns of the file.

    Raises
    ------
    TableError
        When the header names no frame or position, or a row is damaged.
    """
    with path.open("rb") as stream:
        labels, delimiter = read_header(stream, path)
        dialect = choose_dialect(
            labels, CSV_DIALECTS, expected='ThunderSTORM\'s "frame", "x [nm]", "y [nm]"', path=path
        )
        values = read_columns(stream, labels, delimiter=delimiter, path=path, progress=progress)
    if pixel_size_nm is None and dialect is THUNDERSTORM:
        pixel_size_nm = protocol_pixel_size_nm(path)
    columns, left_out = translate(labels, values, dialect, pixel_size_nm=pixel_size_nm, path=path)
    notes = []
    if dialect is THUNDERSTORM and len(columns["frame"]) and columns["frame"].min() == -1:
        columns["frame"] = columns["frame"] + 1
        notes.append(_COUNTED_FROM_0)
    table = ForeignTable(
        format_name=f"{dialect.program} CSV",
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
    return adopt(table, path)


def read_elyra(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Localizations:
    """Read a Zeiss Elyra text table: tab-separated, frames from 1, settings after a NUL byte.

    Raises
    ------
    TableError
        When the header names no frame or position, a row is damaged, or it is a protocol.
    """
    refuse_protocol(path)
    stream = io.BytesIO(path.read_bytes().partition(b"\0")[0])
    labels, delimiter = read_header(stream, path)
    choose_dialect(labels, [ELYRA], expected=_TEXT_TABLES, path=path)
    values = read_columns(stream, labels, delimiter=delimiter, path=path, progress=progress)
    columns, left_out = translate(labels, values, ELYRA, pixel_size_nm=pixel_size_nm, path=path)
    table = ForeignTable(
        format_name="Elyra text",
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        left_out=tuple(left_out),
    )
    return adopt(table, path)
