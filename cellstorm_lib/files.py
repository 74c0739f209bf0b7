"""Files written whole or not at all, and the digests that identify content."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.processes import ProcessMark, is_gone, this_process
from cellstorm_lib.progress import CountedReader, Progress

_BLOCK_BYTES = 1 << 20
_LONGEST_PART_BYTES = 255
_LONGEST_STEM_BYTES, _LONGEST_ENDING_BYTES = 80, 60
#: How the name of an unfinished file says which process writes it; older versions said less.
_TEMPORARY = re.compile(
    r"\..*-(?P<process>[0-9a-f]{8}(?:[0-9a-f]{16})?-[0-9a-f]{1,8}(?:-[0-9a-f]{1,16})?)"
    r"-[0-9a-f]{8}(\..*)?$",
    re.DOTALL,
)
_UNFINISHED_FOLDERS = (".pairs-", ".simulating-", ".parts-")
_FORGOTTEN_S = 3 * 86400
_NEVER_IN_NAMES = frozenset('/\\:*?"<>|')
_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {
    f"{kind}{n}" for kind in ("COM", "LPT") for n in "123456789"
}


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only when the block succeeds.

    The temporary name keeps the ending of `path`, so writers that choose a format by the
    ending work on it. On any error the temporary file is removed and `path` is untouched. What
    is there afterwards would outlive a power cut; what a killed process left beside it is gone.

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
    temporary = path.with_name(_temporary_name(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise ExportError(f"{path} is a folder; give the name of a file in it")
        _remove_leftovers_of(path)
        yield temporary
        _keep(temporary)
        temporary.replace(path)
        _keep(path.parent)
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


def _temporary_name(path: Path) -> str:
    """Return a name with the ending of `path` that no file system finds too long."""
    stem, ending = _stem_and_ending(path)
    return f"{stem}-{this_process().text()}-{secrets.token_hex(4)}{ending}"


def _stem_and_ending(path: Path) -> tuple[str, str]:
    """Return how the temporary names of a file begin and end."""
    ending = "".join(path.suffixes)
    if len(ending.encode()) > _LONGEST_ENDING_BYTES:
        ending = path.suffix if len(path.suffix.encode()) <= _LONGEST_ENDING_BYTES else ""
    stem = os.fsencode(path.name.removesuffix(ending))[:_LONGEST_STEM_BYTES]
    return f".{stem.decode(errors='ignore')}", ending


def _keep(path: Path) -> None:
    """Wait until a file, or a folder's list of files, would outlive a power cut."""
    if path.is_dir() and os.name == "nt":
        return  # has no way to ask for it
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # the file system knows no such thing
            raise
    finally:
        os.close(handle)


def _remove_leftovers_of(path: Path) -> None:
    """Remove what processes that were killed while they wrote a file left beside it."""
    stem, _ = _stem_and_ending(path)
    for entry in path.parent.iterdir():
        if entry.name.startswith(f"{stem}-") and _is_leftover(entry):
            with suppress(OSError):
                entry.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> int:
    """Remove what processes that were killed while they wrote left in a folder and below it.

    Returns
    -------
    int
        How many files and folders there were. What a process that still runs is writing stays,
        and what cannot be removed.
    """
    removed = 0
    for entry in sorted(Path(folder).rglob(".*")):
        with suppress(OSError):
            if entry.is_dir() and entry.name.startswith(_UNFINISHED_FOLDERS) and _is_old(entry):
                shutil.rmtree(entry)
            elif entry.is_file() and (_is_leftover(entry) or _is_old_temporary(entry)):
                entry.unlink()
            else:
                continue
            removed += 1
    return removed


def _is_leftover(path: Path) -> bool:
    """Whether a file was being written by a process that is surely no more."""
    found = _TEMPORARY.match(path.name)
    mark = None if found is None else ProcessMark.parsed(found["process"])
    return mark is not None and is_gone(mark) is True


def _is_old_temporary(path: Path) -> bool:
    """Whether a file was being written, by whomever, and was not touched for days."""
    return _TEMPORARY.match(path.name) is not None and _is_old(path)


def _is_old(path: Path) -> bool:
    """Whether nothing happened to a file for days."""
    return time.time() - path.stat().st_mtime > _FORGOTTEN_S


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file that lies in a folder or below it, by a name someone wrote.

    Raises
    ------
    SettingsError
        When the name, or a link on the way, leads out of the folder.
    """
    folder = Path(folder)
    if not is_inside(folder, name):
        raise SettingsError(
            f"{name[:200]!r} must name a file in {folder}; put the file there, and give its name"
        )
    return folder / name


def is_inside(folder: Path, name: str) -> bool:
    """Whether a name, and every link on its way, stays in a folder or below it."""
    folder = Path(folder)
    try:
        return (
            bool(name)
            and (folder / name).resolve().is_relative_to(folder.resolve())
            and all(len(os.fsencode(part)) <= _LONGEST_PART_BYTES for part in Path(name).parts)
        )
    except (ValueError, OSError, RuntimeError):  # a NUL in it, too long, links in a circle
        return False


def is_plain_name(name: str) -> bool:
    r"""Whether a name is that of a file in one folder on every system, Windows included.

    Not so are names with ``/``, ``\``, ``:`` or control characters, names that are too long or
    end in a dot or a space, and those of Windows's devices, as ``CON`` or ``nul.txt``.
    """
    return (
        bool(name)
        and len(name.encode(errors="replace")) <= _LONGEST_PART_BYTES
        and name.isprintable()
        and not set(name) & _NEVER_IN_NAMES
        and name[-1] not in ". "
        and name.partition(".")[0].rstrip().upper() not in _DEVICES
    )


def digest_of_file(path: Path, *, progress: Progress | None = None) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    `progress`, where it is given, is called with the bytes read and those of the file.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        counted = stream if progress is None else CountedReader(stream, progress)
        while block := counted.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def copy_file(path: Path, copy: Path, *, progress: Progress | None = None) -> None:
    """Copy the bytes of a file.

    `progress`, where it is given, is called with the bytes copied and those of the file.
    """
    with Path(path).open("rb") as stream, Path(copy).open("wb") as out:
        counted = stream if progress is None else CountedReader(stream, progress)
        shutil.copyfileobj(counted, out, _BLOCK_BYTES)


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
