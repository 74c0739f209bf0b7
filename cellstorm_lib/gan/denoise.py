"""A recording denoised: streamed frame by frame, in bounded memory, into a stack of photons."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.gan.denoiser import Denoiser, Frames
from cellstorm_lib.recording import FrameSource

_CHUNK_PX = 1 << 21
_LEAST_SIDE_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisedScale:
    """How photoelectrons become the whole numbers of a stack: photoelectrons = value * step_e."""

    step_e: float

    @classmethod
    def of(cls, calibration: CameraCalibration) -> "DenoisedScale":
        """Return the scale whose top lies at twice what the camera can show."""
        top_e = (calibration.saturation_adu - calibration.offset_adu) * calibration.gain_e_per_adu
        return cls(step_e=2.0 * top_e / 65535.0)

    def values(self, light_e: Frames) -> npt.NDArray[np.uint16]:
        """Return photoelectrons as values of the stack."""
        return np.asarray(np.clip(np.rint(light_e / self.step_e), 0, 65535), np.uint16)


def denoised_chunks(
    source: FrameSource,
    calibration: CameraCalibration,
    denoiser: Denoiser,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Frames]:
    """Yield the light of molecules in every frame of a recording, in order.

    The first and the last frame stand in for the neighbours they lack. How many frames are held
    at a time never changes the result.

    Parameters
    ----------
    source : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    denoiser : Denoiser
        The network at work.
    progress : callable, optional
        Called with frames done and frames in all.

    Yields
    ------
    (N, Y, X) float32
        Photoelectrons of molecules, without background.

    Raises
    ------
    RecordingError
        When there is no frame, or frames are smaller than the network's field.
    """
    roi = source.facts.roi
    if min(roi.width_px, roi.height_px) < _LEAST_SIDE_PX:
        raise RecordingError(
            f"{source.facts.name} has frames of {roi.width_px} x {roi.height_px} pixels; the "
            f"network needs at least {_LEAST_SIDE_PX} x {_LEAST_SIDE_PX}"
        )
    size = max(1, _CHUNK_PX // (roi.width_px * roi.height_px))
    reach, done, total = denoiser.reach, 0, len(source.frame_range)
    held: Frames | None = None
    for chunk in source.chunks(size):
        new = calibration.photoelectrons(chunk.frames)
        first = np.repeat(new[:1], reach, axis=0)
        held = np.concatenate([first, new] if held is None else [held, new])
        if len(held) > 2 * reach:
            made = denoiser.light(held, x_px=roi.x_px, y_px=roi.y_px)
            yield made
            done += len(made)
            held = held[len(held) - 2 * reach :]
            if progress is not None:
                progress(done, total)
    if held is None:
        raise RecordingError(f"{source.facts.name} holds no frame that can be decoded")
    if reach:
        held = np.concatenate([held, np.repeat(held[-1:], reach, axis=0)])
        yield denoiser.light(held, x_px=roi.x_px, y_px=roi.y_px)
        if progress is not None:
            progress(total, total)
