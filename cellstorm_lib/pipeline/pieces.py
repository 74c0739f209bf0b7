"""A long stack made piece by piece, so that a killed process loses one piece and not all."""

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

from cellstorm_lib.files import digest_of_file, written_whole
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack

#: Pixels of all frames of a piece: some 15 s of denoising on two cores.
PIECE_PX = 1 << 29
_READ_FRAMES = 16
_PREFIX = ".parts-"


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
    """

    folder: Path
    length: int

    def finished(self) -> list[float | None]:
        """Return a number per frame of the finished pieces, up to one that is missing or damaged.

        They are the numbers that `keep` was given.
        """
        found: list[float | None] = []
        with suppress(OSError, ValueError, LookupError, TypeError):
            for number in count():
                stack, note = self._paths(number)
                content = json.loads(note.read_text(encoding="utf-8"))
                if content["digest"] != digest_of_file(stack):
                    break
                found += content["values"]
        return found

    def keep(
        self, number: int, frames: Iterable[npt.NDArray[Any]], values: Sequence[float | None]
    ) -> None:
        """Write a piece, and the numbers of its frames from those of all frames.

        The numbers need not be known before the frames are taken.
        """
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
        """Yield the frames of the first `pieces` pieces, in order."""
        for number in range(pieces):
            for chunk in open_recording(self._paths(number)[0]).chunks(_READ_FRAMES):
                yield chunk.frames

    def _paths(self, number: int) -> tuple[Path, Path]:
        """Return where a piece and what goes with it are kept."""
        name = f"{number:05d}"
        return self.folder / f"{name}.ome.tif", self.folder / f"{name}.json"


@contextmanager
def kept_pieces(out: Path, key: str, *, length: int) -> Iterator[Pieces | None]:
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

    Yields
    ------
    Pieces or None
        None while another process makes the same stack, or where the system knows no locks.
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
        yield Pieces(folder=folder, length=length)
        shutil.rmtree(folder, ignore_errors=True)


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
