"""A simulated recording on disk: movie, stacks, truth, camera and scene, made in one pass."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellstorm_lib.camera import write_calibration
from cellstorm_lib.errors import ExportError
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.fan_out import fan_out
from cellstorm_lib.simulate.scene import Scene, write_scene
from cellstorm_lib.simulate.sensor import SensorSettings
from cellstorm_lib.simulate.simulate import SimulatedChunk, Simulation, simulate_scene
from cellstorm_lib.tables import write_emitters

Stack = Literal["clean", "camera"]
WriteVideo = Callable[[Path, Iterable[NDArray[np.uint8]]], None]

_CHUNK_PX = 4 << 20
_MOVIE, _RAW_MOVIE = "movie.mp4", "movie.ome.tif"
_STACKS: dict[Stack, str] = {"clean": "clean.ome.tif", "camera": "camera.ome.tif"}


class WriteStack(Protocol):
    """What `simulate_recording` needs of a writer of stacks."""

    def __call__(
        self,
        path: Path,
        chunks: Iterable[NDArray[Any]],
        *,
        pixel_size_nm: float,
        description: str,
    ) -> None:
        """Write (N, Y, X) chunks as one stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRecording:
    """The files of a simulated recording, and what is in them.

    Attributes
    ----------
    movie : Path
        The compressed video; where the scene has no codec, an uncompressed stack of the frames.
    clean_stack, camera_stack : Path or None
        Expected photoelectrons (uint16, one value being `clean_step_e` of them), and the frames
        before compression, which without a codec are the movie; None where not asked for.
    truth : Path
        The table of emitters, Parquet.
    drift : Path
        Displacement of the sample (frame, x_nm, y_nm), Parquet; the truth includes it.
    camera : Path
        Calibration of the movie's grey values, JSON.
    scene : Path
        The scene with all its settings, YAML.
    frame_count, emission_count, molecule_count : int
        Frames; rows of the truth; different molecules among them.
    bits_per_px : float
        Size of the movie's file per pixel and frame.
    """

    movie: Path
    clean_stack: Path | None
    camera_stack: Path | None
    truth: Path
    drift: Path
    camera: Path
    scene: Path
    frame_count: int
    emission_count: int
    molecule_count: int
    bits_per_px: float


def simulate_recording(
    scene: Scene,
    out_dir: Path,
    *,
    write_video: WriteVideo,
    write_stack: WriteStack,
    stacks: Collection[Stack] = ("clean", "camera"),
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedRecording:
    """Simulate a scene and write all its files into a folder.

    Frames are made once and handed to all writers as they come. The files appear in `out_dir`
    when the last of them is written; on an error none does.

    Parameters
    ----------
    scene : Scene
    out_dir : Path
        Made when missing. Files of an earlier simulation in it are replaced.
    write_video : callable
        Takes a path and (Y, X) uint8 frames, and encodes them as `scene.codec` says. Not called
        when that is None.
    write_stack : callable
        Takes a path, (N, Y, X) chunks, ``pixel_size_nm`` and ``description``.
    stacks : collection of {"clean", "camera"}
        Which of the large uncompressed stacks to write.
    progress : callable, optional
        Called with the frames encoded so far and the frames in all.

    Raises
    ------
    ExportError
        When the folder cannot be made or written.
    """
    simulation = simulate_scene(scene)
    with _filled_whole(Path(out_dir)) as folder:

        def write_movie(chunks: Iterator[SimulatedChunk]) -> None:
            told = _told(chunks, scene.frame_count, progress)
            if scene.codec is not None:
                write_video(folder / _MOVIE, (frame for chunk in told for frame in chunk.levels))
            else:
                write_levels(folder / _RAW_MOVIE, told)

        def write_levels(path: Path, chunks: Iterator[SimulatedChunk]) -> None:
            write_stack(
                path,
                (chunk.levels for chunk in chunks),
                pixel_size_nm=scene.field.pixel_size_nm,
                description="grey values of the simulated camera, not compressed",
            )

        def write_clean(chunks: Iterator[SimulatedChunk]) -> None:
            write_stack(
                folder / _STACKS["clean"],
                (clean_values(chunk.expected_e, scene.camera.sensor) for chunk in chunks),
                pixel_size_nm=scene.field.pixel_size_nm,
                description="expected photoelectrons per pixel, each value being "
                f"{clean_step_e(scene.camera.sensor):.9g} photoelectrons",
            )

        def write_camera(chunks: Iterator[SimulatedChunk]) -> None:
            write_levels(folder / _STACKS["camera"], chunks)

        writers = {"clean": write_clean, "camera": write_camera}
        if scene.codec is None:
            del writers["camera"]
        chunks = simulation.chunks(_chunk_frames(scene))
        asked = (writer for stack, writer in writers.items() if stack in stacks)
        fan_out(chunks, [write_movie, *asked])
        _write_facts(simulation, folder)
    recording = _recording_in(Path(out_dir), simulation, stacks)
    for name in {_MOVIE, _RAW_MOVIE} - {recording.movie.name}:
        (Path(out_dir) / name).unlink(missing_ok=True)
    return recording


def clean_step_e(sensor: SensorSettings) -> float:
    """Return the photoelectrons of one value of a clean stack: its top is the sensor's own."""
    return sensor.saturation_e / 65535.0


def clean_values(expected_e: NDArray[np.float32], sensor: SensorSettings) -> NDArray[np.uint16]:
    """Return expected photoelectrons as the uint16 values of a clean stack, same shape."""
    values = np.rint(expected_e * np.float32(1.0 / clean_step_e(sensor)))
    return np.asarray(np.minimum(values, np.float32(65535.0)), np.uint16)


def _told(
    chunks: Iterator[SimulatedChunk],
    frame_count: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[SimulatedChunk]:
    """Yield the chunks and report how far the taker of them has come."""
    for chunk in chunks:
        yield chunk
        if progress is not None:
            progress(chunk.first_frame + len(chunk.levels), frame_count)


def _chunk_frames(scene: Scene) -> int:
    """Return how many frames to hold at once so that memory stays bounded."""
    return max(1, _CHUNK_PX // (scene.field.width_px * scene.field.height_px))


def _write_facts(simulation: Simulation, folder: Path) -> None:
    """Write truth, drift, calibration and scene."""
    drift_nm = simulation.drift_nm
    drift = pd.DataFrame(
        {"frame": np.arange(len(drift_nm)), "x_nm": drift_nm[:, 0], "y_nm": drift_nm[:, 1]}
    )
    write_emitters(simulation.emitters, folder / "truth.parquet")
    drift.to_parquet(folder / "drift.parquet", index=False)
    calibration = calibration_of(simulation.scene.camera, simulation.pattern)
    write_calibration(calibration, folder / "camera.json")
    write_scene(simulation.scene, folder / "scene.yaml")


def _recording_in(
    out_dir: Path, simulation: Simulation, stacks: Collection[Stack]
) -> SimulatedRecording:
    """Return the files and counts of a finished recording."""
    scene = simulation.scene
    movie = out_dir / (_RAW_MOVIE if scene.codec is None else _MOVIE)
    camera_stack = movie if scene.codec is None else out_dir / _STACKS["camera"]
    pixels = scene.frame_count * scene.field.width_px * scene.field.height_px
    return SimulatedRecording(
        movie=movie,
        clean_stack=out_dir / _STACKS["clean"] if "clean" in stacks else None,
        camera_stack=camera_stack if "camera" in stacks else None,
        truth=out_dir / "truth.parquet",
        drift=out_dir / "drift.parquet",
        camera=out_dir / "camera.json",
        scene=out_dir / "scene.yaml",
        frame_count=scene.frame_count,
        emission_count=len(simulation.emitters),
        molecule_count=int(np.unique(simulation.emitters.column("emitter")).size),
        bits_per_px=8.0 * movie.stat().st_size / pixels,
    )


@contextmanager
def _filled_whole(out_dir: Path) -> Iterator[Path]:
    """Yield a temporary folder in `out_dir`; move its files up only when the block succeeds."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".simulating-", dir=out_dir)
    except OSError as error:
        raise ExportError(
            f"cannot write into {out_dir}: {error.strerror}; choose a folder you may write to"
        ) from error
    with temporary as name:
        yield Path(name)
        for path in sorted(Path(name).iterdir()):
            path.replace(out_dir / path.name)
