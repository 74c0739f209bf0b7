"""The errors a caller may want to tell apart.

Every message is one sentence or two that names the file or setting, says what was found,
what was expected and what to do. The command line prints it as it stands.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BEGINNING, _END = 700, 290


class CellstormError(Exception):
    """Something about the input makes the whole call meaningless.

    Whatever a message quotes from a file, it stays one line of at most 1,000 characters that
    steers no terminal: control characters are spelled out, and a long middle is left out.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(_one_line(str(message)))


class RecordingError(CellstormError):
    """A recording cannot be opened, decoded or trusted."""


class CalibrationError(CellstormError):
    """A camera calibration is impossible, or does not belong to the data."""


class TableError(CellstormError):
    """A localization table lacks what is needed, or contradicts itself."""


class SettingsError(CellstormError):
    """A setting is out of its range."""


class CheckpointError(CellstormError):
    """A trained network cannot be loaded or does not fit the data."""


class ExportError(CellstormError):
    """A result cannot be written where or as it was asked for."""


@contextmanager
def refusing(kind: type[CellstormError], path: Path, fault: str, remedy: str) -> Iterator[None]:
    """Turn whatever the reading of a bad file raises into one sentence that names the file.

    What a library raises on bytes that nobody foresaw cannot be listed, so everything counts,
    memory that runs out by a size the file claims included.

    Parameters
    ----------
    kind : type
        The error to raise.
    path : Path
        The file.
    fault : str
        What is wrong with it, as "is no table".
    remedy : str
        What to do.
    """
    try:
        yield
    except CellstormError as error:
        if Path(path).name in str(error):
            raise
        raise kind(f"{path} {fault}: {error}") from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise kind(f"{path} {fault}: {reason}; {remedy}") from error


def is_no_plain_file(path: Path) -> bool:
    """Whether something is at a path that is no file: a folder, a device, a pipe without end."""
    return Path(path).exists() and not Path(path).is_file()


def printable(text: str) -> str:
    """Return a text that steers no terminal: what cannot be printed is spelled out."""
    if text.isprintable():
        return text
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text
    )


def _one_line(message: str) -> str:
    """Return a message without line breaks and control characters, shortened, with no full stop."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", message)]
    line = printable(" ".join(line for line in lines if line))
    if len(line) > _BEGINNING + _END:
        line = f"{line[:_BEGINNING]} ... {line[-_END:]}"
    return line.strip().rstrip(".")
