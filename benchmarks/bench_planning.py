"""What a facility needs: cores, hours and disk for its recordings of a day, from measured rates.

Every step of the platform is timed on a small film in CPU seconds; what grows with frames and
pixels is scaled to the recordings that are planned, the rest counts once a recording.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cellstorm_assets.denoising import network_of
from cellstorm_assets.project import Project
from cellstorm_lib.camera import read_calibration
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.video.read import open_recording

SIDE_PX = 256


@dataclass(frozen=True, kw_only=True)
class Costs:
    """CPU seconds, and bytes of stack and of everything else, of a film."""

    cpu_s: float
    stack_bytes: int
    other_bytes: int


def measured(frames: int) -> Costs:
    """Process a film from file to report, both branches."""
    with tempfile.TemporaryDirectory() as name:
        folder, demo = Path(name), read_preset("demo")
        scene = replace(
            demo, frame_count=frames, codec=replace(demo.codec, bits_per_px=0.1),
            field=replace(demo.field, width_px=SIDE_PX, height_px=SIDE_PX),
        )  # fmt: skip
        film_scene(scene, folder, stacks=())
        network = network_of(Project(home=folder / "none"))
        began = time.process_time()
        result = process_recording(
            open_recording(folder / "movie.mp4"), folder / "result", network=network,
            camera=read_calibration(folder / "camera.json"), pixel_size_nm=100.0,
        )  # fmt: skip
        page = recording_page(result)
        cpu_s = time.process_time() - began
        files = [path for path in (folder / "result").rglob("*") if path.is_file()]
        stack = sum(path.stat().st_size for path in files if path.name.endswith(".ome.tif"))
        rest = sum(path.stat().st_size for path in files) - stack
        return Costs(cpu_s=cpu_s, stack_bytes=stack, other_bytes=rest + len(page))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=200, help="a day")
    parser.add_argument("--frames", type=int, default=18_000)
    parser.add_argument("--side", type=int, default=512, help="px")
    parser.add_argument("--film-gb", type=float, default=1.9, help="one film, as filmed")
    given = parser.parse_args()
    measured(64)  # compiled once
    few, many = 256, 1024
    first, second = measured(few), measured(many)
    scale = (given.side / SIDE_PX) ** 2
    per_frame = {
        name: (getattr(second, name) - getattr(first, name)) / (many - few)
        for name in ("cpu_s", "stack_bytes", "other_bytes")
    }
    once_s = max(0.0, first.cpu_s - few * per_frame["cpu_s"])
    cpu_s = once_s + given.frames * scale * per_frame["cpu_s"]
    stack_gb = given.frames * scale * per_frame["stack_bytes"] / 1e9
    other_gb = (first.other_bytes + given.frames * scale * per_frame["other_bytes"]) / 1e9
    day_h = given.recordings * cpu_s / 3600
    print(f"measured: {1e3 * per_frame['cpu_s']:.2f} CPU ms a frame of {SIDE_PX} x {SIDE_PX}, "
          f"{once_s:.1f} CPU s once a recording, stack "
          f"{per_frame['stack_bytes'] / SIDE_PX**2:.3f} bytes a pixel, the rest "
          f"{per_frame['other_bytes'] / 1e3:.2f} kB a frame")  # fmt: skip
    print(f"a recording of {given.frames} frames of {given.side} x {given.side}: {cpu_s:.0f} CPU "
          f"s, stack {stack_gb:.2f} GB, the rest {other_gb:.3f} GB, film "
          f"{given.film_gb:.1f} GB")  # fmt: skip
    print(f"{given.recordings} a day: {day_h:.1f} core hours; within 24 h {day_h / 24:.1f} cores, "
          f"within 8 h {day_h / 8:.1f} cores busy")  # fmt: skip
    kept = given.recordings * (given.film_gb + other_gb)
    print(f"disk a day: films and results {kept:.0f} GB, stacks {given.recordings * stack_gb:.0f} "
          f"GB until they are tidied away")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
