"""Peak memory and rate of an 18,000-frame 512 x 512 recording, from film to report.

The recording (15 min at 20 fps, 0.1 bit/px) is made once in the temporary folder. Other numbers of
frames show whether time and memory grow with them: `python -m benchmarks.bench_memory 2000 4000`.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

FRAMES, RATE_HZ = 18_000, 20.0


def folder_of(frames: int) -> Path:
    name = "cellstorm-bench-memory" + ("" if frames == FRAMES else f"-{frames}")
    return Path(tempfile.gettempdir()) / name


def make(frames: int) -> None:
    from cellstorm_lib.pipeline.film import film_scene
    from cellstorm_lib.simulate.scene import read_preset

    folder = folder_of(frames)
    if not (folder / "movie.mp4").exists():
        demo = read_preset("demo")
        scene = replace(
            demo,
            frame_count=frames,
            field=replace(demo.field, width_px=512, height_px=512),
            codec=replace(demo.codec, bits_per_px=0.1),
        )
        film_scene(scene, folder, stacks=())


def process(frames: int) -> None:
    from cellstorm_lib.camera import read_calibration
    from cellstorm_lib.pipeline.process import process_recording
    from cellstorm_lib.report.page import recording_page
    from cellstorm_lib.video.read import open_recording

    folder = folder_of(frames)
    start, cpu = time.perf_counter(), time.process_time()
    result = process_recording(
        open_recording(folder / "movie.mp4"),
        folder / "result",
        camera=read_calibration(folder / "camera.json"),
        pixel_size_nm=100.0,
    )
    page = recording_page(result)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    print(f"{frames} frames of 512 x 512, {len(result.branches['raw'].spots)} spots, "
          f"{len(page) / 1e6:.1f} MB page: {wall_s:.0f} s wall, {cpu_s:.0f} s CPU "
          f"({1e3 * cpu_s / frames:.2f} ms a frame), {frames / RATE_HZ / wall_s:.1f} times faster "
          f"than filmed, peak {peak_gb:.2f} GB", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["process"]:
        process(int(sys.argv[2]))
    else:
        for wanted in [int(text) for text in sys.argv[1:]] or [FRAMES]:
            make(wanted)
            subprocess.run(
                [sys.executable, "-m", "benchmarks.bench_memory", "process", str(wanted)],
                check=True,
            )
