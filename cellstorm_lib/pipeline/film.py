"""A scene filmed: the simulated phone's frames through a real video encoder."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.simulate.record import SimulatedRecording, Stack, simulate_recording
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video


def film_scene(
    scene: Scene,
    out: Path,
    *,
    stacks: Collection[Stack] = ("clean", "camera"),
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedRecording:
    """Simulate a scene and encode it as its codec settings say.

    Parameters
    ----------
    scene : Scene
        Sample, microscope, phone and recording.
    out : Path
        Folder for the movie, the truth and the stacks.
    stacks : collection of {"clean", "camera"}
        Which of the large uncompressed stacks to write.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    codec = scene.codec
    encoder = EncoderSettings(
        codec=codec.codec,
        bits_per_px=codec.bits_per_px,
        crf=codec.crf,
        gop_frames=codec.gop_frames,
        tune=codec.tune,
        frame_rate_hz=scene.frame_rate_hz,
    )

    def encode(path: Path, frames: Iterable[npt.NDArray[np.uint8]]) -> None:
        write_video(path, frames, encoder)

    def stack(
        path: Path,
        chunks: Iterable[npt.NDArray[Any]],
        *,
        pixel_size_nm: float,
        description: str,
    ) -> None:
        write_stack(
            path,
            chunks,
            pixel_size_nm=pixel_size_nm,
            frame_rate_hz=scene.frame_rate_hz,
            description=description,
        )

    return simulate_recording(
        scene, out, write_video=encode, write_stack=stack, stacks=stacks, progress=progress
    )
