"""A long stack made piece by piece, so that a killed process loses one piece and not all.

A full disk is no reason to keep pieces: they are removed, so that others can work on.
"""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cellstorm_lib.errors import ExportError
from cellstorm_lib.files import digest_of_file, written_whole
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack

#: Pixels of all frames of a piece: some 15 s of denoising on two cores.
PIECE_PX = 1 << 29
_READ_FRAMES = 16
_PREFIX = ".parts-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Of the space that is needed by the pieces so far; the frames to come may be packed smaller.
_SURE = 0.5
_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Finished pieces of a stack, in a folder beside it.

    Attributes
    ----------
    folder : Path
        One stack per piece, and beside it a small file with its digest and a number
        per frame.
    length : int
        Frames of a piece; the last one may have fewer.
    frame_count : int
        Frames of the stack.
    """

    folder: Path
    length: int
    frame_count: int

    def finished(self) -> list[float | None]:
        """Return a number per frame of the finished pieces, up to one that is missing or damaged.

        They are the numbers that `keep` was given.
        """
        found: list[float | None] = []
        for number in count():
            values = self.kept(number)
            if values is None:
                break
            found += values
        return found

    def kept(self, number: int) -> list[float | None] | None:
        """Return a number per frame of one piece; None when it is missing or damaged."""
        with suppress(OSError, ValueError, LookupError, TypeError):
            stack, note = self._paths(number)
            content = json.loads(note.read_text(encoding="utf-8"))
            if content["digest"] == digest_of_file(stack):
                return list(content["values"])
        return None

    def keep(
        self, number: int, frames: Iterable[npt.NDArray[Any]], values: Sequence[float | None]
    ) -> None:
        """Write a piece, and the numbers of its frames from those of all frames.

        The numbers need not be known before the frames are taken.

        Raises
        ------
        OSError
            When there is surely too little space for those that follow and for the stack.
        """
        self._refuse_without_room()
        stack, note = self._paths(number)
        write_stack(stack, frames, pixel_size_nm=None)
        begin = number * self.length
        content = {
            "digest": digest_of_file(stack),
            "values": list(values[begin : begin + self.length]),
        }
        with written_whole(note) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def frames(self, pieces: int) -> Iterator[npt.NDArray[Any]]:
        """Yield the frames of the first `pieces` pieces, in order.

        Where there is no space for all of them twice, each goes once it was taken.
        """
        for number in range(pieces):
            stack = self._paths(number)[0]
            is_tight = self._free_bytes() < sum(self._sizes())
            for chunk in open_recording(stack).chunks(_READ_FRAMES):
                yield chunk.frames
            if is_tight:
                stack.unlink(missing_ok=True)

    def needed_bytes(self) -> int | None:
        """Return what the pieces and one more take, by those that are there; None without any."""
        sizes = self._sizes()
        if not sizes:
            return None
        piece_bytes = sum(sizes) / len(sizes)
        return round(piece_bytes * (self.frame_count / self.length + 1))

    def _refuse_without_room(self) -> None:
        """Raise when there is surely too little space, so that the disk is not filled in vain."""
        needed = self.needed_bytes()
        if needed is not None and self._free_bytes() < _SURE * (needed - sum(self._sizes())):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def _free_bytes(self) -> int:
        """Return what is free on the disk."""
        return shutil.disk_usage(self.folder).free

    def _sizes(self) -> list[int]:
        """Return the sizes of the finished pieces, in bytes."""
        stacks = (path for path in self.folder.glob("*.ome.tif") if not path.name.startswith("."))
        return [path.stat().st_size for path in stacks]

    def _paths(self, number: int) -> tuple[Path, Path]:
        """Return where a piece and what goes with it are kept."""
        name = f"{number:05d}"
        return self.folder / f"{name}.ome.tif", self.folder / f"{name}.json"


@contextmanager
def kept_pieces(out: Path, key: str, *, length: int, frame_count: int) -> Iterator[Pieces | None]:
    """Yield the pieces of a stack that is to be written; they go once it is.

    Parameters
    ----------
    out : Path
        The stack.
    key : str
        Digest of everything that decides what is in it. Pieces of the same stack from other
        inputs are removed.
    length : int
        Frames of a piece.
    frame_count : int
        Frames of the stack.

    Yields
    ------
    Pieces or None
        None while another process makes the same stack, or where the system knows no locks.

    Raises
    ------
    ExportError
        When the disk is full; the pieces are gone then.
    """
    folder = out.with_name(f"{_PREFIX}{out.name.partition('.')[0]}-{key[:16]}")
    with _held(folder) as is_ours:
        if not is_ours:
            yield None
            return
        for other in out.parent.glob(f"{_PREFIX}{out.name.partition('.')[0]}-{'?' * 16}"):
            if other != folder:
                with _held(other) as is_forsaken:
                    if is_forsaken:
                        shutil.rmtree(other, ignore_errors=True)
        pieces = Pieces(folder=folder, length=length, frame_count=frame_count)
        try:
            yield pieces
        except (ExportError, OSError) as error:
            if not _is_full(error):
                raise
            needed = pieces.needed_bytes()
            shutil.rmtree(folder, ignore_errors=True)
            raise _told_full(out, needed) from _as_full(error)
        shutil.rmtree(folder, ignore_errors=True)


def _is_full(error: BaseException) -> bool:
    """Return whether a disk was full; of an error from another process only the words are left."""
    return any(os.strerror(number) in str(error) for number in _FULL)


def _as_full(error: BaseException) -> OSError:
    """Return the error of a full disk, which passes, for one that may not show it any more."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    full.__cause__ = error
    return full


def _told_full(out: Path, needed: int | None) -> ExportError:
    """Return what to say of a full disk once the pieces are gone."""
    free = shutil.disk_usage(out.parent).free
    least = "more" if needed is None else f"about {needed / _MB:,.0f} MB"
    return ExportError(
        f"the disk of {out.parent} is full: {out.name} needs {least} while it is made, and "
        f"{free / _MB:,.0f} MB are free now that what was begun is removed; make room there, with "
        "`cellstorm tidy` for instance"
    )


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold a folder against other processes; it is free again when this one ends in any way."""
    if sys.platform == "win32":
        yield False
        return
    import fcntl  # noqa: PLC0415 - not on every system

    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / "lock").open("a+", encoding="ascii")
    except OSError:
        yield False
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(stream.fileno()), (folder / "lock").stat())
        except OSError:  # held, or removed by who held it until now
            is_there = False
        yield is_there
