"""Numbers in delimited text: a header line of labels, then one row of numbers per line."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from cellstorm_lib.errors import TableError
from cellstorm_lib.progress import CountedReader, Progress, in_parts

_MAX_HEADER_BYTES = 1 << 20
_MAX_TEXT_COLUMNS = 30
_DELIMITERS = (",", ";", "\t")
_ROWS_AT_ONCE = 1 << 16
#: How long the text takes to be read beside its numbers to be put into columns.
_TEXT_TIME, _COLUMNS_TIME = 5.0, 2.0
#: What programs write where there is no number ("\ufffd" is Java's NaN in old locales).
_MISSING = ["", "NaN", "nan", "-nan", "NA", "N/A", "null", "NULL", "None", "\ufffd", "\u221e"]


def read_header(stream: BinaryIO, path: Path) -> tuple[list[str], str]:
    """Return the labels of the first line and the delimiter between them.

    A header that some program saved as one quoted cell is taken apart.

    Raises
    ------
    TableError
        When the first line is no header.
    """
    line = stream.readline(_MAX_HEADER_BYTES)
    text = _decoded(line).strip("\r\n")
    try:
        rows = {mark: next(csv.reader([text], delimiter=mark), []) for mark in _DELIMITERS}
        delimiter = max(_DELIMITERS, key=lambda mark: len(rows[mark]))
        labels = rows[delimiter]
        if len(labels) == 1 and "," in labels[0]:
            delimiter, labels = ",", next(csv.reader(labels, delimiter=","))
    except csv.Error as error:
        raise TableError(
            f"{path} is not a text table: its first line is no header ({error})"
        ) from error
    if "\0" in text or len(line) == _MAX_HEADER_BYTES:
        raise TableError(f"{path} is not a text table: its first line is no header but binary data")
    return [label.strip() for label in labels], delimiter


def read_columns(
    stream: BinaryIO,
    labels: list[str],
    *,
    delimiter: str,
    path: Path,
    progress: Progress | None = None,
) -> list[npt.NDArray[np.float64] | None]:
    """Return the rest of a stream as columns of numbers.

    Parameters
    ----------
    stream : binary stream
        Positioned after the header.
    labels : list of str
        Labels of the columns; every row must have as many cells.
    delimiter : str
        One character between cells. With ``;`` a comma may be the decimal mark.
    path : Path
        For messages.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    list of (N,) float64 or None
        NaN where a cell is empty; None for a column that holds text.

    Raises
    ------
    TableError
        When a row has another number of cells than the header.
    """
    start = stream.tell()
    decimal_mark = "," if delimiter == ";" and b"," in stream.readline() else "."
    of_text, of_columns = in_parts(progress, _TEXT_TIME, _COLUMNS_TIME)
    counted = CountedReader(stream, of_text)
    names = [f"c{number}" for number in range(len(labels))]
    types: dict[str, Any] = dict.fromkeys(names, pa.float64())
    for _ in range(_MAX_TEXT_COLUMNS + 1):  # once more for each column that turns out to be text
        stream.seek(start)
        try:
            table = pa_csv.read_csv(
                counted,
                read_options=pa_csv.ReadOptions(column_names=names),
                parse_options=pa_csv.ParseOptions(delimiter=delimiter),
                convert_options=pa_csv.ConvertOptions(
                    column_types=types, null_values=_MISSING, decimal_point=decimal_mark
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return [np.empty(0) for _ in names]
            column = _text_column(str(error), names, types)
            if column is None:
                raise TableError(
                    f"{path} is damaged or cut short: expected {len(labels)} numbers in every "
                    f"row, but {printable(str(error))}; save or copy it again"
                ) from error
            types[column] = pa.binary()
        else:
            columns: list[npt.NDArray[np.float64] | None] = []
            for name in names:
                is_text = types[name] != pa.float64()
                columns.append(None if is_text else table.column(name).to_numpy())
                of_columns(len(columns), len(names))
            return columns
    raise TableError(
        f"{path} holds text in more than {_MAX_TEXT_COLUMNS} columns; expected numbers"
    )


def write_columns(
    columns: Mapping[str, npt.NDArray[Any]],
    sink: Path | BinaryIO,
    *,
    delimiter: str = ",",
    has_header: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write columns of numbers as text, one row per line.

    Parameters
    ----------
    columns : mapping of str to (N,) array
        By the label that the header gives them.
    sink : Path or binary stream
        Where the text goes.
    delimiter : str
        One character between cells.
    has_header : bool
        Whether a line of labels comes first.
    progress : callable, optional
        Called with the rows written and all rows.
    """
    table = pa.table(columns)
    options = pa_csv.WriteOptions(include_header=has_header, delimiter=delimiter)
    with pa_csv.CSVWriter(sink, table.schema, write_options=options) as writer:
        for start in range(0, table.num_rows, _ROWS_AT_ONCE):
            writer.write_table(table.slice(start, _ROWS_AT_ONCE))
            if progress is not None:
                progress(min(start + _ROWS_AT_ONCE, table.num_rows), table.num_rows)


def printable(text: str) -> str:
    """Return the first words of a message, in one line of printable ASCII."""
    words = " ".join(text.split())
    return re.sub(r"[^\x20-\x7e]", "?", words[:120])


def _text_column(message: str, names: list[str], types: dict[str, Any]) -> str | None:
    """Return the column a conversion error is about, unless it was known to be text."""
    found = re.search(r"In CSV column #(\d+): CSV conversion error", message)
    if found is None or int(found[1]) >= len(names):
        return None
    name = names[int(found[1])]
    return name if types[name] == pa.float64() else None


def _decoded(line: bytes) -> str:
    """Return a line of UTF-8 (with or without mark), or of Latin-1 where it is not UTF-8."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("latin-1")
