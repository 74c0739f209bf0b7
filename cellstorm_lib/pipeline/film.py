"""A scene filmed: the simulated camera's frames through a real video encoder."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.record import SimulatedRecording, Stack, simulate_recording
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video


def encoder_of(codec: CodecSettings, frame_rate_hz: float) -> EncoderSettings:
    """Return the settings of the encoder that a scene's or a camera's codec stands for."""
    return EncoderSettings(**asdict(codec), frame_rate_hz=frame_rate_hz)


def film_scene(
    scene: Scene,
    out: Path,
    *,
    stacks: Collection[Stack] = ("clean", "camera"),
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedRecording:
    """Simulate a scene and encode it as its codec settings say, or write it as a stack.

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
    encoder = None if scene.codec is None else encoder_of(scene.codec, scene.frame_rate_hz)

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
