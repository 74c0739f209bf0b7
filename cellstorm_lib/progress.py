"""How far a work is, told through callbacks; whoever calls decides whether and how to show it."""

import io
from collections.abc import Callable
from typing import BinaryIO, Protocol

Progress = Callable[[int, int], None]
#: What a work that has no countable items counts to.
WHOLE = 1000


class Announce(Protocol):
    """Called with the name of a step that begins; returns where its progress goes."""

    def __call__(self, step: str, unit: str = "frames", /) -> Progress:
        """Announce a step, counted in some unit; in parts of the whole where that is empty."""


def silently(step: str, unit: str = "frames", /) -> Progress:  # noqa: ARG001
    """Announce nothing."""
    return lambda done, total: None  # noqa: ARG005


def in_parts(progress: Progress | None, *weights: float) -> tuple[Progress, ...]:
    """Return where each part of a work tells its own progress, of which the whole is made.

    Parameters
    ----------
    progress : callable or None
        Told the share of the whole that is done, in thousandths; nobody is told when None.
    weights : float
        About how long each part takes beside the others, in any unit; 0 or more.

    Returns
    -------
    tuple of callable
        One for each part, called with what is done and what there is to do. A part that cannot
        tell is called once, with the same number twice, when it is over.
    """
    if progress is None:
        return tuple(silently("") for _ in weights)
    total = sum(weights) or 1.0
    before = [sum(weights[:number]) / total for number in range(len(weights))]
    return tuple(
        _part(progress, start, weight / total)
        for start, weight in zip(before, weights, strict=True)
    )


def _part(progress: Progress, start: float, share: float) -> Progress:
    """Return what tells the progress of one part as that of the whole."""

    def told(done: int, total: int) -> None:
        progress(round(WHOLE * (start + share * done / max(total, 1))), WHOLE)

    return told


class CountedReader(io.BufferedIOBase):
    """A file that tells, whenever some of it is read, how many of its bytes are behind.

    Parameters
    ----------
    stream : binary stream
        What is read, from where it stands.
    progress : callable
        Called with the farthest place that was read and the end; never with less than before, so
        that whoever goes back tells nothing.
    """

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        at_byte = stream.tell()
        self._end_byte = stream.seek(0, io.SEEK_END)
        stream.seek(at_byte)
        self._stream, self._progress, self._told_byte = stream, progress, -1

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, nothing at the end."""
        block = self._stream.read(-1 if size is None else size)
        at_byte = self._stream.tell()
        if at_byte > self._told_byte:
            self._told_byte = at_byte
            self._progress(at_byte, self._end_byte)
        return block
