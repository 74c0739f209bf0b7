"""Frames follow from the scene and its seed, and hold exactly the light the truth lists."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.files import digest_of
from cellstorm_lib.simulate.airy import AirySpotSettings
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.exposure import CameraSettings, SensorSettings
from cellstorm_lib.simulate.illumination import IlluminationSettings
from cellstorm_lib.simulate.labelling import LabellingSettings
from cellstorm_lib.simulate.pictures import MaskSettings
from cellstorm_lib.simulate.scatter import GridSettings, RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.simulate.stage import StageSettings
from cellstorm_lib.tables import EMITTER_COLUMNS

GRID = Scene(
    frame_count=60,
    field=FieldSettings(width_px=64, height_px=48),
    structure=GridSettings(),
    blinking=BlinkingSettings(dark_s=0.3, blinks=5.0),
)
RANDOM = replace(GRID, structure=RandomSettings(sites_per_um2=20.0))


def all_levels(scene, size=64):
    return np.concatenate([chunk.levels for chunk in simulate_scene(scene).chunks(size)])


def test_the_same_scene_gives_the_same_frames_whatever_the_chunk_size():
    frames = all_levels(RANDOM, 60)
    assert frames.shape == (60, 48, 64)
    assert frames.dtype == np.uint8
    for size in (1, 7, 1000):
        np.testing.assert_array_equal(all_levels(RANDOM, size), frames)
    middle = simulate_scene(RANDOM).chunk(range(20, 30))
    assert middle.first_frame == 20
    np.testing.assert_array_equal(middle.levels, frames[20:30])


def test_another_seed_gives_another_recording():
    one, other = simulate_scene(RANDOM), simulate_scene(replace(RANDOM, seed=2))
    assert (all_levels(RANDOM) != all_levels(replace(RANDOM, seed=2))).mean() > 0.5
    assert len(one.emitters) != len(other.emitters)
    assert (one.pattern.offset_e != other.pattern.offset_e).all()


def test_another_camera_leaves_the_molecules_alone():
    camera = CameraSettings(sensor=SensorSettings(quantum_efficiency=0.375, read_noise_e=5.0))
    one, other = simulate_scene(RANDOM), simulate_scene(replace(RANDOM, camera=camera))
    for name in ("frame", "emitter", "x_nm", "y_nm"):
        np.testing.assert_array_equal(one.emitters.column(name), other.emitters.column(name))
    np.testing.assert_allclose(
        other.emitters.column("photons"), 0.5 * one.emitters.column("photons"), rtol=1e-6
    )
    np.testing.assert_allclose(other.background_e, 0.5 * one.background_e, rtol=1e-6)


def test_frames_hold_the_light_of_the_truth():
    simulation = simulate_scene(GRID)  # all molecules well inside, all light listed
    expected_e = simulation.expected_e(range(60)).astype(np.float64)
    light_e = (expected_e - simulation.background_e).sum(axis=(1, 2))
    listed_e = np.bincount(
        simulation.emitters.column("frame"),
        simulation.emitters.column("photons").astype(np.float64),
        minlength=60,
    )
    np.testing.assert_allclose(light_e, listed_e, rtol=1e-4, atol=0.1)
    assert listed_e.max() > 500


def test_frames_show_molecules_where_the_truth_says():
    blinking = replace(GRID.blinking, blinks=1.0, on_ms=500.0)
    scene = replace(GRID, blinking=blinking, structure=GridSettings(spacing_nm=3000.0))
    simulation = simulate_scene(scene)
    truth = simulation.emitters.data
    light_e = simulation.expected_e(range(60)) - simulation.background_e
    rows, columns = np.indices((48, 64)) + 0.5
    alone = truth[~truth["frame"].duplicated(keep=False) & (truth["photons"] > 100)]
    assert len(alone) > 3
    for spot in alone.itertuples():
        weight = light_e[spot.frame].astype(np.float64)
        x_nm = 100.0 * (weight * columns).sum() / weight.sum()
        y_nm = 100.0 * (weight * rows).sum() / weight.sum()
        assert (x_nm, y_nm) == pytest.approx((spot.x_nm, spot.y_nm), abs=0.5)


def test_photons_are_detected_photoelectrons_of_a_full_exposure():
    blinking = BlinkingSettings(
        on_ms=1000.0, dark_s=1.0, photons_per_frame=400.0, brightness_cv=0.0
    )
    photons = simulate_scene(replace(GRID, blinking=blinking)).emitters.column("photons")
    assert photons.max() == pytest.approx(0.75 * 400.0)
    assert (photons == photons.max()).mean() > 0.8


def test_every_flash_is_listed_down_to_the_shortest():
    photons = simulate_scene(replace(RANDOM, frame_count=400)).emitters.column("photons")
    assert photons.min() > 0
    assert (photons < 20).sum() > 10


def test_the_truth_lists_the_field_and_the_frames_show_its_surroundings_too():
    simulation = simulate_scene(RANDOM)
    truth = simulation.emitters.data
    assert list(truth.columns) == list(EMITTER_COLUMNS)
    assert truth["x_nm"].between(0, 6400).all()
    assert truth["y_nm"].between(0, 4800).all()
    assert truth["frame"].between(0, 59).all()
    assert truth["frame"].is_monotonic_increasing
    assert len(simulation.light) > 1.2 * len(truth)
    assert simulation.emitters.field == RANDOM.field_of_view


def test_the_mean_number_of_molecules_on_is_that_of_the_scene():
    blinking = BlinkingSettings(on_ms=75.0, dark_s=0.5, blinks=1.0)
    scene = replace(RANDOM, frame_count=2000, blinking=blinking)
    per_frame = len(simulate_scene(scene).emitters) / 2000
    molecules = 20.0 * 6.4 * 4.8
    # one blink each, evenly over 100 s; a blink of mean length T touches 1 + T / frame frames
    expected = molecules * (1 + 75.0 / 50.0) / 2000
    spread = expected * np.sqrt((1 + 1.5**2 / 2.5**2) / molecules)
    assert abs(per_frame - expected) < 4 * spread


def test_drift_moves_all_molecules_together():
    scene = replace(RANDOM, stage=StageSettings(drift_nm=300.0))
    still, drifting = simulate_scene(RANDOM), simulate_scene(scene)
    shift_nm = drifting.light[["x_nm", "y_nm"]].to_numpy() - still.light[["x_nm", "y_nm"]]
    np.testing.assert_allclose(
        shift_nm, drifting.drift_nm[drifting.light["frame"].to_numpy()], atol=1e-9
    )
    assert np.ptp(drifting.drift_nm, axis=0).max() == pytest.approx(300.0)


def test_the_laser_profile_dims_molecules_and_background_alike():
    scene = replace(
        GRID,
        illumination=IlluminationSettings(waist_um=4.0),
        background=BackgroundSettings(structure_share=0.0),
        blinking=replace(GRID.blinking, brightness_cv=0.0),
    )
    even = simulate_scene(replace(scene, illumination=IlluminationSettings()))
    lit = simulate_scene(scene)
    ratio = lit.emitters.column("photons") / even.emitters.column("photons")
    pixel = (lit.emitters.data[["y_nm", "x_nm"]].to_numpy() / 100.0).astype(int)
    np.testing.assert_allclose(ratio, lit.background_e[tuple(pixel.T)] / 7.5, rtol=0.08)
    assert ratio.min() < 0.5 < 0.9 < ratio.max()


def test_an_empty_scene_is_background_alone():
    simulation = simulate_scene(replace(GRID, structure=None))
    assert len(simulation.emitters) == 0
    np.testing.assert_array_equal(
        simulation.expected_e(range(3)), np.repeat(simulation.background_e[None], 3, axis=0)
    )
    assert all_levels(replace(GRID, structure=None)).shape == (60, 48, 64)


def test_the_truth_knows_its_scene(tmp_path):
    provenance = simulate_scene(RANDOM).emitters.provenance
    assert provenance["seed"] == RANDOM.seed
    assert provenance["scene_digest"] == digest_of(RANDOM)
    assert provenance["scene"]["structure"]["kind"] == "random"
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "mask.png")
    masked = replace(RANDOM, structure=MaskSettings(image=str(tmp_path / "mask.png"), sites=9))
    digests = simulate_scene(masked).emitters.provenance["file_digests"]
    assert list(digests) == ["structure.image"]
    assert len(digests["structure.image"]) == 64


def test_labelling_gives_the_dyes_that_the_truth_lists():
    labelling = LabellingSettings(efficiency=0.5, dyes_per_antibody=2.0, linker_nm=20.0)
    simulation = simulate_scene(replace(RANDOM, labelling=labelling))
    truth = simulation.emitters.data
    dye = simulation.dyes.position_nm[truth["emitter"]]
    np.testing.assert_allclose(truth[["x_nm", "y_nm"]].to_numpy(), dye)
    site = simulation.sites_nm[simulation.dyes.site[truth["emitter"]]]
    off = np.linalg.norm(dye - site, axis=1)
    assert 10.0 < off.max() <= 20.0


def test_labelling_leaves_the_structure_and_the_spot_leaves_the_truth():
    one = simulate_scene(RANDOM)
    labelled = simulate_scene(replace(RANDOM, labelling=LabellingSettings(efficiency=0.5)))
    np.testing.assert_array_equal(labelled.sites_nm, one.sites_nm)
    airy = simulate_scene(replace(RANDOM, spot=AirySpotSettings()))
    np.testing.assert_array_equal(airy.light, one.light)
    light_e = (airy.expected_e(range(60)) - airy.background_e).sum(dtype=np.float64)
    assert light_e == pytest.approx(
        (one.expected_e(range(60)) - one.background_e).sum(dtype=np.float64), rel=0.05
    )


def test_the_background_fades_and_the_molecules_do_not():
    background = BackgroundSettings(fading_s=1.0, autofluorescence_share=0.5)
    scene = replace(RANDOM, background=background, structure=RandomSettings(sites_per_um2=1.0))
    simulation = simulate_scene(scene)
    expected_e = simulation.expected_e(range(60))
    dark = expected_e.reshape(60, -1).min(axis=1)
    np.testing.assert_allclose(dark / dark[0], np.exp(-np.arange(60) * 0.05), rtol=0.02)
    np.testing.assert_array_equal(simulation.expected_e(range(30, 40)), expected_e[30:40])
    assert simulation.background_e.mean() == pytest.approx(7.5, rel=1e-4)
