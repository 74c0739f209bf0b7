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


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 3 scenes"):
        SimulatedPairsSettings(scenes=2)
    with pytest.raises(SettingsError, match="multiple of 16, got 50"):
        SimulatedPairsSettings(side_px=50)
    with pytest.raises(SettingsError, match="add up to less than 1"):
        SimulatedPairsSettings(test_share=0.9, validation_share=0.2)
    with pytest.raises(SettingsError, match="photons must be from a low number above 0 up"):
        SceneRanges(photons=(500.0, 100.0))
