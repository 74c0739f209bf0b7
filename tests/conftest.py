"""A small simulated recording, filmed once for all tests that need one."""

import os
from dataclasses import replace

import pytest
from hypothesis import settings

from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.simulate.scene import Scene, read_preset

# Where nobody watches, the same examples every time: a new one is found by those who can look.
settings.register_profile("reproducible", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("reproducible")


@pytest.fixture(scope="session")
def small_scene() -> Scene:
    """Return 300 frames of 96 x 96 pixels, moderately compressed."""
    demo = read_preset("demo")
    return replace(
        demo,
        name="small",
        frame_count=300,
        field=replace(demo.field, width_px=96, height_px=96),
        codec=replace(demo.codec, bits_per_px=0.4),
    )


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory, small_scene: Scene) -> SimulatedRecording:
    """Return the files of the small recording."""
    return film_scene(small_scene, tmp_path_factory.mktemp("film"), stacks=("camera",))
