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
        self._count = 0
        self._sums = np.zeros((4, *shape))  # frame, before, course x frame, course x before
        self._product = np.zeros(shape)
        self._course: list[float] = []

    def add(self, frames: Floats, before: Floats) -> None:
        """Take in frames and those just before them, (n, Y, X); any common offset will do."""
        course = frames.mean(axis=(1, 2))
        self._count += len(frames)
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
        if self._count < _FEWEST:
            return np.zeros_like(self._product)
        course = np.array(self._course)
        energy = float(np.square(course - course.mean()).sum())
        shared = self._sums[2:] - course.mean() * self._sums[:2]
        explained = shared[0] * shared[1] / energy if energy > 0 else 0.0
        expected = self._sums[0] * self._sums[1] / self._count + explained
        return np.asarray((self._product - expected) / (self._count - 2))


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
