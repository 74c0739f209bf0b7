"""Chunks never change frames, with any camera; a camera like none is none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.simulate.cameras import camera_names, read_camera
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.sensor import SensorSettings
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.simulate.structures import RandomSettings

SCENE = Scene(
    frame_count=50, field=FieldSettings(width_px=32, height_px=24), structure=RandomSettings()
)
EVERYTHING = CameraSettings(
    name="everything",
    sensor=SensorSettings(
        offset_adu=200.0, gain_e_per_adu=20.0, em_gain=60.0, read_noise_e=30.0,
        read_noise_spread=0.3, gain_spread=0.02, dark_current_e=0.1, hot_pixel_share=0.01,
        hot_pixel_e=30.0, clock_induced_e=0.05, corner_share=0.7, full_well_e=3e4, glow_e=0.5,
    ),
    processing=ProcessingSettings(
        black_level_adu=100.0, lens_shading_correction=0.8, black_shading_levels=4.0,
        black_drift_levels=5.0, black_drift_s=0.7, black_wobble_levels=0.3,
        noise_correlation_x=0.4, noise_correlation_y=0.5, temporal_share=0.6, edge_levels=20.0,
        toe_levels=6.0, toe_slope=0.5, gamma=0.6, knee_level=200.0, sharpening_amount=0.6,
        dither=True,
    ),
)  # fmt: skip
PHONE = simulate_scene(replace(SCENE, camera=EVERYTHING))
FRAMES = PHONE.chunk(range(50)).levels


@settings(max_examples=25)
@given(start=st.integers(0, 49), count=st.integers(1, 50))
def test_any_frames_alone_are_those_of_the_whole(start, count):
    stop = min(start + count, 50)
    chunk = PHONE.chunk(range(start, stop))
    assert chunk.first_frame == start
    assert len(chunk.expected_e) == len(chunk.raw) == stop - start
    np.testing.assert_array_equal(chunk.levels, FRAMES[start:stop])


@pytest.mark.parametrize("size", [1, 7, 16, 49, 50, 1000])
def test_the_chunk_size_never_changes_the_frames(size):
    chunks = list(PHONE.chunks(size))
    np.testing.assert_array_equal(np.concatenate([chunk.levels for chunk in chunks]), FRAMES)


@pytest.mark.parametrize("name", camera_names())
def test_every_named_camera_films_in_its_own_grey_values(name):
    camera = read_camera(name).camera
    simulation = simulate_scene(replace(SCENE, camera=camera, codec=None))
    frames = np.concatenate([chunk.levels for chunk in simulation.chunks(13)])
    assert frames.dtype == (np.uint8 if camera.frame_bit_depth == 8 else np.uint16)
    np.testing.assert_array_equal(frames, simulation.chunk(range(50)).levels)
    assert frames.std() > 1
    assert frames.max() < 2**camera.frame_bit_depth


def test_another_processing_leaves_the_raw_frames_alone():
    plain = replace(EVERYTHING, processing=None)
    simulation = simulate_scene(replace(SCENE, camera=plain, codec=None))
    np.testing.assert_array_equal(
        simulation.chunk(range(20, 30)).raw, PHONE.chunk(range(20, 30)).raw
    )
