"""Peak memory and rate of an 18,000-frame 512 x 512 recording, from film to report.

The recording (15 min at 20 fps, 0.1 bit/px) is made once in the temporary folder.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

FOLDER = Path(tempfile.gettempdir()) / "cellstorm-bench-memory"
FRAMES = 18_000


def make() -> Path:
    from cellstorm_lib.pipeline.film import film_scene
    from cellstorm_lib.simulate.scene import read_preset

    movie = FOLDER / "movie.mp4"
    if not movie.exists():
        demo = read_preset("demo")
        scene = replace(
            demo,
            frame_count=FRAMES,
            field=replace(demo.field, width_px=512, height_px=512),
            codec=replace(demo.codec, bits_per_px=0.1),
        )
        film_scene(scene, FOLDER, stacks=())
    return movie


def process(movie: Path) -> None:
    from cellstorm_lib.camera import read_calibration
    from cellstorm_lib.pipeline.process import process_recording
    from cellstorm_lib.report.page import recording_page
    from cellstorm_lib.video.read import open_recording

    start, cpu = time.perf_counter(), time.process_time()
    result = process_recording(
        open_recording(movie),
        FOLDER / "result",
        camera=read_calibration(FOLDER / "camera.json"),
        pixel_size_nm=100.0,
    )
    page = recording_page(result)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{FRAMES} frames of 512 x 512, {len(result.branches['raw'].spots)} spots, "
          f"{len(page) / 1e6:.1f} MB page: {time.perf_counter() - start:.0f} s wall, "
          f"{time.process_time() - cpu:.0f} s CPU, peak {peak_gb:.2f} GB")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["process"]:
        process(FOLDER / "movie.mp4")
    else:
        make()
        subprocess.run([sys.executable, "-m", "benchmarks.bench_memory", "process"], check=True)
