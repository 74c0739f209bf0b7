"""Files written whole or not at all, and the digests that identify content."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from cellstorm_lib.errors import ExportError, SettingsError

_BLOCK_BYTES = 1 << 20
_LONGEST_PART_BYTES = 255


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only when the block succeeds.

    The temporary name keeps the ending of `path`, so writers that choose a format by the
    ending work on it. On any error the temporary file is removed and `path` is untouched.

    Parameters
    ----------
    path : Path
        The file to be written. Its folder is made when missing.

    Raises
    ------
    ExportError
        When the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    ending = "".join(path.suffixes)
    name = f".{path.name.removesuffix(ending)[:80]}-{secrets.token_hex(4)}{ending}"
    temporary = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise ExportError(f"{path} is a folder; give the name of a file in it")
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (
            path,
            temporary,
            path.parent,
        ):
            raise  # an error of something read inside the block, not of the writing
        reason = error.strerror or str(error)
        raise ExportError(
            f"cannot write {path}: {reason}; choose a folder with space that you may write to"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file that lies in a folder or below it, by a name someone wrote.

    Raises
    ------
    SettingsError
        When the name, or a link on the way, leads out of the folder.
    """
    folder = Path(folder)
    try:
        is_inside = (folder / name).resolve().is_relative_to(folder.resolve()) and all(
            len(part.encode()) <= _LONGEST_PART_BYTES for part in Path(name).parts
        )
    except (ValueError, OSError, RuntimeError):  # a NUL in it, too long, links in a circle
        is_inside = False
    if not name or not is_inside:
        raise SettingsError(
            f"{name[:200]!r} must name a file in {folder}; put the file there, and give its name"
        )
    return folder / name


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def digest_of(content: Any) -> str:
    """Return the SHA-256 of plain content (numbers, text, lists, dicts, settings).

    Two contents that are equal as JSON with sorted keys have the same digest; floats are
    written by their shortest exact form, so the digest is the same on every machine.
    """
    text = json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(content: Any) -> Any:
    """Return dataclasses as dicts and paths as text, all the way down."""
    if is_dataclass(content) and not isinstance(content, type):
        return _plain(asdict(content))
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, os.PathLike):
        return os.fspath(content)
    return content
