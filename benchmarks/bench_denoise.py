"""Frames per second of the denoiser, network alone and from file to file; memory of a long film.

The film is D of the benchmark films, longer: 256 x 256, 11 molecules a frame. Each engine runs in
turn, on as many threads as there are processors; the best of some repeats counts. CPU time is what
all threads used together: two quiet cores give 2,000 / (CPU ms a frame) frames per second.
`--memory` denoises 18,000 frames of 512 x 512 instead, in a process of its own.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cellstorm_lib.camera import CameraCalibration, read_calibration
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import Checkpoint, make_generator, read_checkpoint, weights_of
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.gate import GateSettings
from cellstorm_lib.gan.recipe import recipe_named
from cellstorm_lib.pipeline.benchmark_films import benchmark_films
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

FOLDER = Path(tempfile.gettempdir()) / "cellstorm-bench-denoise"
LONGER, REPEATS = 10, 3
LONG_FRAMES, LONG_SIDE_PX = 18_000, 512


def film() -> tuple[FrameSource, CameraCalibration]:
    """Return film D with more molecules that are dark for longer: as many at a time."""
    movie = FOLDER / "movie.mp4"
    if not movie.exists():
        scene = benchmark_films()["D"].scene
        structure, blinking = scene.structure, scene.blinking
        film_scene(
            replace(
                scene,
                frame_count=LONGER * scene.frame_count,
                structure=replace(structure, labels_per_um=LONGER * structure.labels_per_um),
                blinking=replace(blinking, dark_s=LONGER * blinking.dark_s),
            ),
            FOLDER,
            stacks=(),
        )
    return open_recording(movie), read_calibration(FOLDER / "camera.json")


def long_film(source: FrameSource) -> FrameSource:
    """Return 18,000 frames of 512 x 512: the film four times side by side, over and over."""
    movie = FOLDER / "long.mp4"
    if not movie.exists():
        chunk = next(iter(source.chunks(200)))
        frames = np.tile(chunk.frames, (1, 2, 2))
        again = (frames[number % len(frames)] for number in range(LONG_FRAMES))
        write_video(movie, again, EncoderSettings(bits_per_px=0.1))
    return open_recording(movie)


def paper() -> Checkpoint:
    """Return the paper's network; untrained, for speed does not depend on weights."""
    recipe = recipe_named("paper")
    weights = weights_of(make_generator(recipe))
    return replace(read_checkpoint(SHIPPED), recipe=recipe, weights=weights)


def best(work: Callable[[], object], frames: int) -> str:
    """Return frames per second and CPU time a frame, both of the best repeat."""
    wall_s, cpu_s = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        wall_s.append(time.perf_counter() - wall)
        cpu_s.append(time.process_time() - cpu)
    return f"{frames / min(wall_s):7.0f} frames/s, {1e3 * min(cpu_s) / frames:6.3f} CPU ms a frame"


def speed(source: FrameSource, camera: CameraCalibration) -> None:
    """Print the speed of every engine."""
    champion, gate = read_checkpoint(SHIPPED), GateSettings()
    cases = [
        ("torch, single precision", champion, "torch", None),
        ("torch", champion, "torch", None),
        ("openvino", champion, "openvino", None),
        ("torch, gated", champion, "torch", gate),
        ("openvino, gated", champion, "openvino", gate),
        ("openvino-int8", champion, "openvino-int8", None),
        ("openvino-int8, gated", champion, "openvino-int8", gate),
        ("paper's network, openvino", paper(), "openvino", None),
    ]
    for name, checkpoint, engine, chosen in cases:
        is_paper = checkpoint.recipe.name == "paper"
        part = source.part(0, 100) if is_paper else source
        middle = len(part.frame_range) // 2
        frames = next(iter(part.part(middle, middle + 128).chunks(128))).frames
        frames_e = camera.photoelectrons(frames)
        make = partial(
            Denoiser,
            checkpoint,
            device="cpu",
            engine=engine,
            gate=chosen,
            half_precision=not name.endswith("single precision"),
        )
        one = make(workers=1)
        one.enter_thread()
        noise_e = camera.pixel_noise_e
        one.light(frames_e, pixel_noise_e=noise_e)
        count = len(frames_e) - 2 * one.reach
        alone = best(lambda d=one, e=frames_e, n=noise_e: d.light(e, pixel_noise_e=n), count)
        network = Network(denoiser=make(), label=name)
        whole = best(lambda p=part, n=network: denoised(p, camera, n), len(part.frame_range))
        print(f"{name:28} network alone, one thread: {alone}")
        print(f"{'':28} from file to file:         {whole} ({network.denoiser.engine})", flush=True)


def denoised(source: FrameSource, camera: CameraCalibration, network: Network) -> object:
    """Denoise from file to file."""
    return denoise_recording(source, camera, network, FOLDER / "out.ome.tif", pixel_size_nm=100.0)


def memory(source: FrameSource, camera: CameraCalibration) -> None:
    """Print the peak memory of a long film."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    checkpoint = read_checkpoint(SHIPPED)
    for engine in ("torch", "openvino"):
        network = Network(denoiser=Denoiser(checkpoint, device="cpu", engine=engine,
                                            gate=GateSettings()), label=engine)  # fmt: skip
        cpu = time.process_time()
        report = denoised(source, camera, network)
        cpu_ms = 1e3 * (time.process_time() - cpu) / report.frames
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = (FOLDER / "out.ome.tif").stat().st_size / 1e6
        print(f"{engine}: {report.frames} frames of {LONG_SIDE_PX} x {LONG_SIDE_PX} px, "
              f"{report.frames_per_second:.0f} frames/s, {cpu_ms:.2f} CPU ms a frame, "
              f"{report.active_share:.1%} active, {size:.0f} MB written, peak {peak:.0f} MiB "
              f"({before:.0f} MiB before)", flush=True)  # fmt: skip


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory", action="store_true", help="a long film; the peak memory")
    chosen = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    source, camera = film()
    if chosen.memory:
        memory(long_film(source), camera)
    else:
        speed(source, camera)


if __name__ == "__main__":
    main()
