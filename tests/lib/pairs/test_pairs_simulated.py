"""Simulated pairs: film and light belong together, cameras differ, and nothing leaks."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.random_scenes import SceneRanges, random_scene
from cellstorm_lib.pairs.simulated import (
    SimulatedPairsSettings,
    pairs_of_scene,
    simulated_pairs,
)
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.sensor import vignetting

#: A rate below 1 kbit/s is none for the encoder.
RANGES = SceneRanges(bits_per_px=(0.05, 0.8))
SETTINGS = SimulatedPairsSettings(scenes=6, side_px=64, frames=5, lead_frames=2)


def test_every_scene_is_a_camera_of_its_own_and_the_same_again() -> None:
    pairs = simulated_pairs(SETTINGS, ranges=RANGES)
    assert pairs.filmed.shape == (6, 5, 64, 64)
    assert len(set(pairs.gain_e_per_adu.tolist())) == 6
    assert set(pairs.split.tolist()) == {"train", "validation", "test"}
    assert simulated_pairs(SETTINGS, ranges=RANGES).digest == pairs.digest
    assert simulated_pairs(replace(SETTINGS, seed=1), ranges=RANGES).digest != pairs.digest


def test_light_is_what_the_film_shows_above_its_background() -> None:
    ranges = SceneRanges(
        photons=(2000.0, 2500.0), background=(2.0, 4.0), spots_per_1000_px=(0.5, 0.8),
        bits_per_px=(0.7, 0.8), crf_share=0.0, empty_share=0.0,
    )  # fmt: skip
    scene = random_scene(1, seed=3, side_px=64, frame_count=8, ranges=ranges)
    pairs = pairs_of_scene(scene, split="train")
    film_e = (pairs.filmed[0].astype(float) - pairs.offset_adu[0]) * pairs.gain_e_per_adu[0]
    light_e = pairs.light_e[0].astype(float)
    is_lit = light_e > 20.0
    assert is_lit.sum() > 20
    assert np.corrcoef(film_e.ravel(), light_e.ravel())[0, 1] > 0.8
    shifted = np.corrcoef(np.roll(film_e, 1, axis=2).ravel(), light_e.ravel())[0, 1]
    assert shifted < np.corrcoef(film_e.ravel(), light_e.ravel())[0, 1]


def test_molecules_are_as_narrow_in_the_light_as_is_asked_for() -> None:
    scene = random_scene(1, seed=3, side_px=64, frame_count=4, ranges=RANGES)
    filmed, narrow, same = (
        pairs_of_scene(scene, split="train", light_sigma_px=sigma_px)
        for sigma_px in (None, 0.85, scene.spot.sigma_px)
    )
    np.testing.assert_array_equal(narrow.filmed, filmed.filmed)
    np.testing.assert_array_equal(same.light_e, filmed.light_e)
    wide, sharp = (pairs.light_e.astype(float) for pairs in (filmed, narrow))
    # molecules at the edge have a part of their light outside
    inner = np.s_[:, :, 8:-8, 8:-8]
    assert sharp[inner].sum() == pytest.approx(wide[inner].sum(), rel=0.05)
    # of a lone spot the brightest pixel grows as its area falls
    gain = (scene.spot.sigma_px / 0.85) ** 2
    assert 1.2 < sharp.max() / wide.max() < 1.1 * gain


def test_light_is_that_which_reaches_the_corners() -> None:
    scene = random_scene(1, seed=3, side_px=64, frame_count=4, ranges=RANGES)
    sensor = scene.camera.sensor
    even = replace(scene.camera, sensor=replace(sensor, corner_share=1.0))
    dark = replace(scene.camera, sensor=replace(sensor, corner_share=0.4))
    light, less = (
        pairs_of_scene(replace(scene, camera=camera), split="train").light_e[0].astype(float)
        for camera in (even, dark)
    )
    is_lit = light > 1.0
    share = less[is_lit] / light[is_lit]
    expected = np.broadcast_to(vignetting(dark.sensor, (64, 64)), light.shape)[is_lit]
    np.testing.assert_allclose(share, expected, rtol=2e-3)  # half precision


def test_all_scenes_can_be_filmed_by_one_phone() -> None:
    phone = PhoneSettings(codec=CodecSettings(bits_per_px=0.4))
    pairs = simulated_pairs(SETTINGS, ranges=RANGES, phone=phone)
    assert len(set(pairs.gain_e_per_adu.tolist())) == 1
    assert len({clip.tobytes() for clip in pairs.filmed}) == len(pairs)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 3 scenes"):
        SimulatedPairsSettings(scenes=2)
    with pytest.raises(SettingsError, match="multiple of 16, got 50"):
        SimulatedPairsSettings(side_px=50)
    with pytest.raises(SettingsError, match="add up to less than 1"):
        SimulatedPairsSettings(test_share=0.9, validation_share=0.2)
    with pytest.raises(SettingsError, match="seed must be at least 0, got -1"):
        SimulatedPairsSettings(seed=-1)
    with pytest.raises(SettingsError, match="photons must be from a low number above 0 up"):
        SceneRanges(photons=(500.0, 100.0))
