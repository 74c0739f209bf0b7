"""A recording denoised into a stack beside it, and what is to be said of that."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.gan.denoise import DenoisedChunk, DenoisedScale, denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.domain import domain_remarks
from cellstorm_lib.gan.engine import Frames
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.steps import Progress
from cellstorm_lib.recording import FrameSource
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
    active_shares: list[float] = []

    def denoised() -> Iterator[DenoisedChunk]:
        for chunk in denoised_chunks(source, calibration, denoiser, progress=progress):
            active_shares.extend([chunk.active_share] * len(chunk.frame))
            yield chunk

    shape = (source.facts.roi.height_px, source.facts.roi.width_px)
    remarks = unlike_training(source, calibration, denoiser)
    write_stack(
        out,
        map(scale.values, _with_lost_frames(denoised(), source.frame_range, shape)),
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
        active_share=float(np.mean(active_shares)),
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
    chunks: Iterable[DenoisedChunk], wanted: range, shape: tuple[int, int]
) -> Iterator[Frames]:
    """Yield the light of every wanted frame, in order; frames that were lost are black."""
    begin = wanted.start
    for chunk in chunks:
        light_e = np.zeros((int(chunk.frame[-1]) + 1 - begin, *shape), np.float32)
        light_e[chunk.frame - begin] = chunk.light_e
        begin += len(light_e)
        yield light_e
    if begin < wanted.stop:
        yield np.zeros((wanted.stop - begin, *shape), np.float32)
