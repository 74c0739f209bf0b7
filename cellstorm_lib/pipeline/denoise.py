"""A recording denoised into a stack beside it, and what is to be said of that."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.gan.denoise import ActiveShare, DenoisedScale, denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.domain import domain_remarks
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.steps import Progress
from cellstorm_lib.recording import FrameChunk, FrameSource, LossSummary, RecordingFacts
from cellstorm_lib.video.tiff import write_stack

_SAMPLED_FRAMES, _SAMPLED_PIXELS = 32, 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A denoiser at work, and what people call it.

    Attributes
    ----------
    denoiser : Denoiser
    label : str
        Its name and version.
    """

    denoiser: Denoiser
    label: str


def denoise_recording(
    source: FrameSource,
    calibration: CameraCalibration,
    network: Network,
    out: Path,
    *,
    pixel_size_nm: float | None,
    progress: Progress | None = None,
) -> DenoiseReport:
    """Denoise every frame of a recording and write the stack, whole or not at all.

    Parameters
    ----------
    source : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    network : Network
        What denoises.
    out : Path
        An OME-TIFF; photoelectrons of molecules = value * photons_per_adu, no background. It
        keeps pixel size, scale, calibration, and the network's name and digest. Frames keep
        the recording's own numbers: `first_frame` among its details is that of the first.
    pixel_size_nm : float or None
        Object-side pixel size; None leaves it out.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    RecordingError
        When there is no frame, or frames are too small.
    ExportError
        When the file cannot be written.
    """
    began = time.perf_counter()
    denoiser = network.denoiser
    scale = DenoisedScale.of(calibration)
    active = ActiveShare()
    remarks = unlike_training(source, calibration, denoiser)
    write_stack(
        out,
        _with_lost_frames(source, calibration, denoiser, scale, progress, active),
        pixel_size_nm=pixel_size_nm,
        frame_rate_hz=source.facts.frame_rate_hz,
        photons_per_adu=scale.step_e,
        is_denoised=True,
        description="photoelectrons of molecules, denoised; photoelectrons = value * "
        "photons_per_adu",
        details={
            "source": source.facts.name,
            "source_digest": source.facts.digest,
            "calibration": calibration.plain(),
            "calibration_digest": calibration.digest,
            "model": network.label,
            "model_digest": denoiser.checkpoint.digest,
            "engine": denoiser.engine,
            "first_frame": source.frame_range.start,
            "region_px": asdict(source.facts.roi),
        },
    )
    return DenoiseReport(
        frames=len(source.frame_range),
        model=network.label,
        model_digest=denoiser.checkpoint.digest,
        engine=denoiser.engine,
        remarks=remarks,
        frames_per_second=len(source.frame_range) / max(time.perf_counter() - began, 1e-9),
        active_share=active.share,
    )


def unlike_training(
    source: FrameSource, calibration: CameraCalibration, denoiser: Denoiser
) -> tuple[str, ...]:
    """Return in what a recording differs from the film a network was trained on.

    The background is the median of some frames spread over the recording.
    """
    frames = few_frames(source, most_frames=_SAMPLED_FRAMES, most_pixels=_SAMPLED_PIXELS)
    if not frames.size:
        return ()
    background_adu = float(np.median(frames))
    return domain_remarks(
        denoiser.checkpoint.domain,
        gain_e_per_adu=calibration.gain_e_per_adu,
        background_e=(background_adu - calibration.offset_adu) * calibration.gain_e_per_adu,
        bits_per_px=source.facts.bits_per_px if source.facts.is_video else 0.0,
    )


def _with_lost_frames(
    source: FrameSource,
    calibration: CameraCalibration,
    denoiser: Denoiser,
    scale: DenoisedScale,
    progress: Progress | None,
    active: ActiveShare,
) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield every frame of the recording's range; those that were lost are black."""
    film = _Remembering(source)
    wanted = source.frame_range.start
    shape = (source.facts.roi.height_px, source.facts.roi.width_px)
    parts = denoised_chunks(film, calibration, denoiser, progress=progress, active=active)
    for light_e in parts:
        numbers, film.given = film.given[: len(light_e)], film.given[len(light_e) :]
        values = np.zeros((int(numbers[-1]) + 1 - wanted, *shape), np.uint16)
        values[numbers - wanted] = scale.values(light_e)
        wanted += len(values)
        yield values
    if wanted < source.frame_range.stop:
        yield np.zeros((source.frame_range.stop - wanted, *shape), np.uint16)


class _Remembering:
    """A source that remembers the numbers of the frames it gave."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self.given = np.zeros(0, np.int64)

    @property
    def facts(self) -> RecordingFacts:
        """Facts of the file."""
        return self._source.facts

    @property
    def frame_range(self) -> range:
        """Frame numbers of the source."""
        return self._source.frame_range

    def chunks(self, size: int) -> Iterator[FrameChunk]:
        """Yield the frames of the source."""
        for chunk in self._source.chunks(size):
            self.given = np.concatenate([self.given, chunk.frame])
            yield chunk

    def part(self, start: int, stop: int) -> FrameSource:
        """Return a part of the source."""
        return self._source.part(start, stop)

    def key_frames(self) -> npt.NDArray[np.int64]:
        """Return the key frames of the source."""
        return self._source.key_frames()

    def loss(self) -> LossSummary:
        """Return what the source lacks."""
        return self._source.loss()
