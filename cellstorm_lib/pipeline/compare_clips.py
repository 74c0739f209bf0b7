"""Two clips measured and compared: the same frames, the same region."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.evaluate.clip_measures import MOST_FRAMES, ClipMeasures, measure_clip
from cellstorm_lib.evaluate.fidelity import FidelityReport, compare
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.quantiser import frame_quantisers
from cellstorm_lib.video.read import open_recording

#: Larger frames are cropped to this: more pixels do not make the measures better.
MOST_PX = (1920, 1088)
#: Blocks of the codec that a region must not cut.
_BLOCK_PX = 16

Frames = tuple[int | None, int | None]


def compare_clips(real: Path, simulated: Path, *, frames: Frames | None = None) -> FidelityReport:
    """Compare a real clip with a simulated one: levels, noise, traces of the codec.

    Clips of different sizes are compared in their centres, in the size of the smaller one.

    Parameters
    ----------
    real, simulated : Path
        Videos or stacks of a still scene.
    frames : (int or None, int or None) or None
        First frame and the one after the last, of both clips; None: as many as both have, up
        to 64.

    Raises
    ------
    RecordingError
        When a clip cannot be read, is too short or too small, or the bit depths differ.
    """
    facts = [open_recording(path).facts for path in (real, simulated)]
    sizes = [(one.frame_width_px, one.frame_height_px) for one in facts]
    common = tuple(min(lengths) for lengths in zip(*sizes, MOST_PX, strict=True))
    remarks: tuple[str, ...] = ()
    if sizes[0] != sizes[1]:
        sentence = (
            f"The clips have {sizes[0][0]} x {sizes[0][1]} and {sizes[1][0]} x {sizes[1][1]} "
            f"pixels; the central {common[0]} x {common[1]} of both were compared."
        )
        remarks = (sentence,)
    count = min(MOST_FRAMES, *(one.frame_count for one in facts))
    measured = [
        measured_clip(path, roi=central_region(one, *common), frames=frames or (0, count))
        for path, one in zip((real, simulated), facts, strict=True)
    ]
    return compare(measured[0], measured[1], remarks=remarks)


def measured_clip(path: Path, *, roi: Roi, frames: Frames) -> ClipMeasures:
    """Measure a clip, with the quantisers of its frames where the decoder tells them."""
    return measure_clip(
        open_recording(path, roi=roi, frames=frames), qp=quantisers_of(path, roi, frames)
    )


def quantisers_of(path: Path, roi: Roi, frames: Frames) -> npt.NDArray[np.float64] | None:
    """Return the mean QP of each frame; None where the decoder does not tell it."""
    if open_recording(path).facts.kind != "h264":
        return None
    return frame_quantisers(path, roi=roi, frames=frames).mean_qp


def central_region(facts: RecordingFacts, width_px: int, height_px: int) -> Roi:
    """Return the region of a size in the middle of a frame, that cuts no block at its origin."""
    return Roi(
        width_px=width_px,
        height_px=height_px,
        x_px=(facts.frame_width_px - width_px) // 2 // _BLOCK_PX * _BLOCK_PX,
        y_px=(facts.frame_height_px - height_px) // 2 // _BLOCK_PX * _BLOCK_PX,
    )
