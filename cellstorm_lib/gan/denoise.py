"""A recording denoised: streamed frame by frame, in bounded memory, into a stack of photons."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.engine import Frames
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.threads import in_order
from cellstorm_lib.video.array import ArraySource

#: Pixels of the frames that a thread is given at a time. Windows with light are sorted by where
#: they lie, and many frames fill the calls of each kind; frames that are computed whole only have
#: to fill one call, and small chunks leave no thread idle at the end.
_GATED_CHUNK_PX, _WHOLE_CHUNK_PX = 1 << 22, 1 << 20
#: Read ahead, so that no thread ever waits for the file.
_RUNS_PER_WORKER = 2
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
        values = np.empty(light_e.shape, np.uint16)
        _write_values(
            np.ascontiguousarray(light_e).ravel(), np.float32(self.step_e), values.ravel()
        )
        return values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenoisedChunk:
    """Consecutive frames of a recording as the network sees them.

    Attributes
    ----------
    frame : (N,) int64
        The recording's own frame numbers; a lost frame leaves a gap.
    light_e : (N, Y, X) float32
        Photoelectrons of molecules, without background. With a flat field the network is shown
        evenly lit frames; what it makes of them is weighted by the field again.
    active_shares : (N,) float64
        Share of each frame's cells that were computed, see `Denoised`.
    """

    frame: npt.NDArray[np.int64]
    light_e: Frames
    active_shares: npt.NDArray[np.float64]

    @property
    def active_share(self) -> float:
        """Share of all cells that were computed."""
        return float(self.active_shares.mean())


def denoised_chunks(
    source: FrameSource,
    calibration: CameraCalibration,
    denoiser: Denoiser,
    *,
    begin: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[DenoisedChunk, None, None]:
    """Yield the light of molecules in every frame of a recording, in order.

    The first and the last frame stand in for the neighbours they lack. Neither the number of
    frames held at a time nor the number of threads ever changes the result.

    Parameters
    ----------
    source : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    denoiser : Denoiser
        The network at work, on as many threads as its `workers`.
    begin : int, optional
        The first frame that is wanted; those before it are read and not denoised.
    progress : callable, optional
        Called with frames done and frames in all.

    Yields
    ------
    DenoisedChunk

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
    size = _chunk_frames(denoiser, roi.width_px * roi.height_px)
    first = source.frame_range.start if begin is None else begin
    done, total = first - source.frame_range.start, len(source.frame_range)
    flat = _flat_field(calibration)

    def work(run: _Run) -> DenoisedChunk:
        frames_e = calibration.photoelectrons(run.frames)
        made = denoiser.denoised(
            frames_e if flat is None else frames_e / flat,
            x_px=roi.x_px,
            y_px=roi.y_px,
            pixel_noise_e=calibration.pixel_noise_e,
        )
        return DenoisedChunk(
            frame=run.middle,
            light_e=made.light_e if flat is None else made.light_e * flat,
            active_shares=made.active_shares,
        )

    runs = in_order(
        work,
        (run for run in _runs(source, denoiser.reach, size) if run.middle[-1] >= first),
        threads=denoiser.workers,
        most_ahead=_RUNS_PER_WORKER * denoiser.workers,
        prepare=denoiser.enter_thread,
    )
    for made in runs:
        is_wanted = made.frame >= first
        yield DenoisedChunk(
            frame=made.frame[is_wanted],
            light_e=made.light_e[is_wanted],
            active_shares=made.active_shares[is_wanted],
        )
        done += int(np.count_nonzero(is_wanted))
        if progress is not None:
            progress(done, total)
    if not done:
        raise RecordingError(f"{source.facts.name} holds no frame that can be decoded")


def _chunk_frames(denoiser: Denoiser, frame_px: int) -> int:
    """Return how many frames of so many pixels are denoised at a time."""
    most = max(1, _GATED_CHUNK_PX // frame_px)
    if denoiser.gate is not None:
        return most
    return min(most, max(_WHOLE_CHUNK_PX // frame_px, denoiser.frames_at_once))


def denoised_in_memory(
    source: FrameSource, calibration: CameraCalibration, denoiser: Denoiser
) -> ArraySource:
    """Return a short recording denoised, as the stack that would be written.

    Parameters
    ----------
    source, calibration, denoiser
        As of `denoised_chunks`.
    """
    scale = DenoisedScale.of(calibration)
    parts = denoised_chunks(source, calibration, denoiser)
    return ArraySource(
        np.concatenate([scale.values(part.light_e) for part in parts]),
        name=f"{source.facts.name} denoised",
        denoised_photons_per_adu=scale.step_e,
    )


class _Run(NamedTuple):
    """Consecutive frames with the neighbours on both sides, and the numbers of those between."""

    middle: npt.NDArray[np.int64]
    frames: npt.NDArray[Any]


def _runs(source: FrameSource, reach: int, size: int) -> Iterator[_Run]:
    """Yield consecutive frames with the neighbours that are needed on both sides."""
    held: npt.NDArray[Any] | None = None
    numbers = np.zeros(0, np.int64)
    for chunk in source.chunks(size):
        first = np.repeat(chunk.frames[:1], reach, axis=0) if held is None else held
        held = np.concatenate([first, chunk.frames])
        numbers = np.concatenate([numbers, chunk.frame])
        count = len(held) - 2 * reach
        if count > 0:
            yield _Run(numbers[:count], held)
            held, numbers = held[count:], numbers[count:]
    if held is not None and reach:
        yield _Run(numbers, np.concatenate([held, np.repeat(held[-1:], reach, axis=0)]))


def _flat_field(calibration: CameraCalibration) -> Frames | None:
    """Return the relative light at each pixel; None where it was not mapped."""
    return None if calibration.maps is None else calibration.maps.relative_sensitivity


@njit(cache=True, nogil=True, error_model="numpy")
def _write_values(light_e: Any, step_e: Any, values: Any) -> None:
    """Write light in whole steps."""
    for i in range(len(light_e)):
        value = np.rint(light_e[i] / step_e)
        values[i] = np.uint16(min(max(value, np.float32(0.0)), np.float32(65535.0)))
