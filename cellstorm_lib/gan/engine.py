"""The one way to have a network computed, whatever computes it."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]


class Cut(NamedTuple):
    """On which sides a window was cut out of a larger frame; the others are the frame's edges.

    Beyond the frame the network sees black, as it learned. Where a window was cut, that would
    mislead it, so each layer sees its outermost values again, and the first layer two more pixels
    of the frame: on each such side a window has two pixels more than what is made of it.
    """

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


#: Whole frames.
UNCUT = Cut()
#: Further pixels on each cut side.
CUT_PX = 2


class Engine(Protocol):
    """A network ready to compute; `run` may be called from several threads at a time."""

    @property
    def label(self) -> str:
        """What computes, its version, where, and how precisely."""
        ...

    @property
    def workers(self) -> int:
        """Threads that it pays to call it from."""
        ...

    @property
    def windows_at_once(self) -> int:
        """Windows of whole frames that it is fastest with in one call."""
        ...

    def enter_thread(self) -> None:
        """Prepare a thread that will do nothing but call `run`."""
        ...

    def run(self, windows: Frames, cut: Cut = UNCUT) -> Frames:
        """Return (B, Y, X) of (B, C, Y, X), both in the network's own units."""
        ...
