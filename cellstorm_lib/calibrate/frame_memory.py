"""Whether the noise of a frame is still there in the next one, as denoising over time leaves it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.recording import FrameChunk

Floats = npt.NDArray[np.float64]
_FEWEST = 8


class FrameMemory:
    """Running sums of frames and of the frames just before them, pixel by pixel.

    A key frame of a video is coded without reference to others, so what its noise shares with
    the frame before it comes from the camera, not from the codec.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sums = np.zeros((4, *shape))  # frame, before, course x frame, course x before
        self._product = np.zeros(shape)
        self._course: list[float] = []

    def add(self, frames: Floats, before: Floats) -> None:
        """Take in frames and those just before them, (n, Y, X); any common offset will do."""
        course = frames.mean(axis=(1, 2))
        self._sums[0] += frames.sum(axis=0)
        self._sums[1] += before.sum(axis=0)
        self._sums[2] += np.tensordot(course, frames, 1)
        self._sums[3] += np.tensordot(course, before, 1)
        self._product += np.einsum("nyx,nyx->yx", frames, before)
        self._course.extend(course.tolist())

    def covariance(self) -> Floats:
        """Return the covariance of each pixel with itself in the frame before, (Y, X).

        What follows the frame's mean, as a lamp that changes, is taken out. 0 when fewer than 8
        frames have one before them.
        """
        if len(self._course) < _FEWEST:
            return np.zeros_like(self._product)
        one, other = ((self._sums[k], self._sums[2 + k]) for k in (0, 1))
        return covariance_beside(np.array(self._course), self._product, one, other)


def covariance_beside(
    course: Floats, product: Floats, one: tuple[Floats, Floats], other: tuple[Floats, Floats]
) -> Floats:
    """Return the covariance of two sets of pixels over time, what follows a course taken out.

    Parameters
    ----------
    course : (N,) float64
        What both may follow, frame by frame.
    product : (Y, X) float64
        Sum of one times the other.
    one, other : pair of (Y, X) float64
        The sum of each, and its sum weighted by the course.
    """
    count, mean = len(course), course.mean()
    energy = float(np.square(course - mean).sum())
    shared = [weighted - mean * total for total, weighted in (one, other)]
    explained = shared[0] * shared[1] / energy if energy > 0 else 0.0
    return np.asarray((product - one[0] * other[0] / count - explained) / (count - 2))


def frames_before(
    chunk: FrameChunk, is_wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the wanted frames that have one just before them, and those, (n, Y, X) each."""
    wanted = np.flatnonzero(is_wanted)
    earlier = chunk.frames[wanted - 1]
    has_one = wanted > 0
    if len(wanted) and wanted[0] == 0 and chunk.previous is not None:
        earlier[0], has_one[0] = chunk.previous, True
    return chunk.frames[wanted[has_one]], earlier[has_one]
