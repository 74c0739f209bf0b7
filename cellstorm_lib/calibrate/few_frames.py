"""A few frames of a recording, for measurements that need no more."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.recording import FrameSource


def few_frames(source: FrameSource, *, most_frames: int, most_pixels: int) -> npt.NDArray[Any]:
    """Read single frames spread evenly over a recording, of a video key frames.

    Parameters
    ----------
    source : FrameSource
        The recording.
    most_frames, most_pixels : int
        What is read at most; one frame always.

    Returns
    -------
    (N, Y, X) uint8 or uint16
        Grey values; tainted frames only where there are no others.
    """
    roi, numbers = source.facts.roi, source.frame_range
    keys = source.key_frames()
    keys = keys[(keys >= numbers.start) & (keys < numbers.stop)]
    if not len(keys):
        keys = np.arange(numbers.start, numbers.stop)
    count = min(most_frames, max(most_pixels // (roi.width_px * roi.height_px), 1), len(keys))
    places = ((np.arange(count) + 0.5) * len(keys) / max(count, 1)).astype(np.int64)
    chunks = [
        chunk
        for number in keys[places].tolist()
        for chunk in source.part(number, number + 1).chunks(1)
    ]
    if not chunks:
        return np.zeros((0, roi.height_px, roi.width_px), np.uint8)
    frames = np.concatenate([chunk.frames for chunk in chunks])
    is_tainted = np.concatenate([chunk.is_tainted for chunk in chunks])
    return frames if is_tainted.all() else frames[~is_tainted]
