"""What a video codec leaves behind in the frames."""

import numpy as np
import numpy.typing as npt

_BLOCK_PX = 8
#: Of 8 neighbouring comparisons, one byte each, the inner six.
_INNER = np.frombuffer(bytes([0, 1, 1, 1, 1, 1, 1, 0]), dtype=np.uint64)[0]


def copied_blocks(
    frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    previous: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None,
) -> npt.NDArray[np.bool_]:
    """Return which blocks repeat the frame before them: the codec copied instead of coding.

    A block of 8 x 8 pixels counts as copied when its inner 6 x 6 pixels are equal to those of the
    frame before (the rim changes when a neighbouring block is smoothed). Localizations in copied
    blocks are no new measurements.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Consecutive frames, their corner on the codec's block grid.
    previous : (Y, X) or None
        The frame before the first one; None when there is none, which then copies nothing.

    Returns
    -------
    (N, ceil(Y / 8), ceil(X / 8)) bool
        Blocks cut by the border are judged by the part that is there.
    """
    count, height_px, width_px = frames.shape
    down, across = -(-height_px // _BLOCK_PX), -(-width_px // _BLOCK_PX)
    copied = np.zeros((count, down, across), dtype=bool)
    is_equal = np.empty((down * _BLOCK_PX, across * _BLOCK_PX), dtype=bool)
    for index, frame in enumerate(frames):
        if previous is not None:
            np.equal(frame, previous, out=is_equal[:height_px, :width_px])
            is_equal[height_px:] = is_equal[height_px - 1]
            is_equal[:, width_px:] = is_equal[:, width_px - 1 : width_px]
            words = is_equal.view(np.uint64).reshape(down, _BLOCK_PX, across)[:, 1:-1]
            copied[index] = (np.bitwise_and.reduce(words, axis=1) & _INNER) == _INNER
        previous = frame
    return copied
