"""Seconds to simulate 5,000 frames of 256 x 256 pixels, movie included; and what each camera costs.

The target: under 2 minutes on two cores. Writing the large uncompressed stacks is left out.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.cameras import camera_names, read_camera
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.scene import Scene, read_preset

FRAMES, FRAMES_OF_A_CAMERA, LIMIT_S = 5000, 500, 120.0
EVERY_STEP = CameraSettings(
    name="every step of the processor on",
    processing=ProcessingSettings(
        black_shading_levels=2.0, black_drift_levels=1.0, black_wobble_levels=0.1,
        noise_correlation_x=0.4, noise_correlation_y=0.5, temporal_share=0.5, edge_levels=10.0,
        toe_levels=5.0, toe_slope=0.5, gamma=0.8, knee_level=200.0, sharpening_amount=0.5,
        dither=True,
    ),
)  # fmt: skip


def measured(scene: Scene) -> tuple[float, float]:
    """Return wall and CPU seconds of filming a scene."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        film_scene(scene, Path(folder), stacks=())
        return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    demo = replace(read_preset("demo"), frame_count=FRAMES)
    phones = {name: read_camera(name) for name in camera_names()}
    scenes = {name: replace(demo, camera=p.camera, codec=p.codec) for name, p in phones.items()}
    scenes[EVERY_STEP.name] = replace(demo, camera=EVERY_STEP)
    for scene in scenes.values():
        measured(replace(scene, frame_count=20))  # compilation
    wall_s, cpu_s = measured(demo)
    print(f"demo, {FRAMES} frames of 256 x 256 as H.264: {wall_s:.1f} s, {cpu_s:.1f} CPU s, "
          f"{FRAMES / wall_s:.0f} frames/s")  # fmt: skip
    for name, scene in scenes.items():
        wall, cpu = measured(replace(scene, frame_count=FRAMES_OF_A_CAMERA))
        print(f"{name}: {1000 * wall / FRAMES_OF_A_CAMERA:.2f} ms a frame, "
              f"{1000 * cpu / FRAMES_OF_A_CAMERA:.2f} CPU ms")  # fmt: skip
    verdict = "under" if wall_s < LIMIT_S else "OVER"
    print(f"{verdict} the limit of {LIMIT_S:.0f} s")


if __name__ == "__main__":
    main()
