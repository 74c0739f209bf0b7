"""Denoised frames are searched, and their spots judged one by one and fitted without background."""

from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import PHONE, expected_frame

from cellstorm_lib.localize.denoised import (
    LEAST_PHOTONS,
    LOOSE_THRESHOLD,
    MOST_PHOTONS,
    SURE_PHOTONS,
    denoised_camera,
    denoised_level,
    detect_denoised,
    fit_denoised,
)
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pairs.pair_set import LIGHT_SIGMA_PX
from cellstorm_lib.video.array import ArraySource

STEP_E = 0.02


def stack_of(spots, *, frames=20, shape=(48, 48), sigma_px=LIGHT_SIGMA_PX):
    """Return a denoised recording with the same spots (x, y, photons) in each frame."""
    light = expected_frame(shape, spots, background=0.0, sigma=sigma_px)
    values = np.rint(np.stack([light] * frames) / STEP_E).astype(np.uint16)
    return ArraySource(values, denoised_photons_per_adu=STEP_E)


def found_in(source, **settings):
    return localize(source, PHONE, pixel_size_nm=100.0, settings=LocalizeSettings(**settings))


def light_of(photons, sigma_px=1.3):
    spots = [(12.5 + 24 * (k % 3), 12.5 + 24 * (k // 3), p) for k, p in enumerate(photons)]
    frame = expected_frame((72, 72), spots, background=0.0, sigma=sigma_px)
    return frame.astype(np.float32)[None]


def threshold_of(light):
    level = denoised_level(light, STEP_E)
    return level.photons_per_height * level.threshold_photons


def test_the_threshold_follows_the_usual_spot_between_limits() -> None:
    assert threshold_of(light_of([140.0] * 9)) == pytest.approx(LEAST_PHOTONS)
    assert threshold_of(light_of([1000.0] * 9)) == pytest.approx(MOST_PHOTONS)
    # the fitted box holds 0.88 of the light of a spot 1.3 px wide
    between = threshold_of(light_of([220.0] * 9))
    assert between == pytest.approx(0.45 * 220.0 * 0.88, rel=0.02)
    # spots too faint to be sure of have no say in what is usual
    assert threshold_of(light_of([220.0] * 4 + [60.0] * 5)) == pytest.approx(between)


@pytest.mark.parametrize("sigma_px", [0.85, 1.3])
def test_a_threshold_is_as_many_photons_however_wide_a_network_makes_spots(sigma_px) -> None:
    level = denoised_level(light_of([2000.0] * 9, sigma_px), STEP_E)
    dimmer, brighter = (
        wavelet_band(light_of([photons], sigma_px)).max() for photons in (110.0, 145.0)
    )
    assert dimmer < level.threshold_photons < brighter


def test_where_sure_spots_are_rare_no_faint_one_is_believed() -> None:
    assert threshold_of(np.zeros((2, 32, 32), np.float32)) == pytest.approx(SURE_PHOTONS)
    assert threshold_of(np.zeros((0, 32, 32), np.float32)) == pytest.approx(SURE_PHOTONS)
    assert threshold_of(light_of([80.0] * 9)) == pytest.approx(SURE_PHOTONS)
    dark = np.zeros((20, 72, 72), np.float32)
    rare = np.concatenate([light_of([1000.0]), dark])
    assert threshold_of(rare) == pytest.approx(SURE_PHOTONS)


def test_what_was_asked_for_is_kept() -> None:
    given, expression = DetectSettings(threshold_photons=9.0), DetectSettings(threshold="std(I1)")
    sharp, wide = (
        denoised_level(np.tile(light_of([900.0] * 9, sigma_px), (2, 1, 1)), STEP_E)
        for sigma_px in (0.85, 1.4)
    )
    assert detect_denoised(given, sharp) is given
    assert detect_denoised(expression, wide) is expression
    assert detect_denoised(DetectSettings(), sharp).threshold_photons == LOOSE_THRESHOLD
    assert detect_denoised(DetectSettings(), wide).threshold_photons == wide.threshold_photons
    assert fit_denoised(FitSettings()).box_px == 5
    wide = replace(FitSettings(), box_px=9)
    assert fit_denoised(wide) is wide


def test_faint_remains_are_not_molecules() -> None:
    source = stack_of([(12.4, 12.7, 600.0), (34.2, 33.9, 60.0)])
    table, report = found_in(source)
    assert len(table) == 20
    assert report.threshold_mode == "automatic"
    assert report.threshold_photons == pytest.approx(LOOSE_THRESHOLD)
    assert report.rejected["improbable"] == 20
    assert report.least_probability == DetectSettings().least_probability
    assert report.least_probability_if_bright == 0.75 * report.least_probability
    assert (table.column("molecule_probability") >= report.least_probability).all()
    both, given = found_in(source, detect=DetectSettings(threshold_photons=1.0))
    assert len(both) == 40
    assert given.threshold_mode == "given"
    assert "molecule_probability" not in both.data


def test_a_spot_in_doubt_is_believed_where_it_is_not_the_only_one() -> None:
    spot = expected_frame((48, 48), [(24.4, 23.7, 130.0)], background=0.0, sigma=LIGHT_SIGMA_PX)
    found = {}
    for lit in ((30,), range(5, 60, 10)):
        values = np.zeros((60, 48, 48), np.uint16)
        values[list(lit)] = np.rint(spot / STEP_E)
        found[len(lit)] = found_in(ArraySource(values, denoised_photons_per_adu=STEP_E))
    # 60 frames of 48 x 48 are two of 256 x 256
    several, report = found[6]
    assert len(several) == 6
    in_doubt = several.column("molecule_probability")
    assert ((in_doubt > 0.4) & (in_doubt < 0.75)).all()
    assert report.least_probability == DetectSettings().least_probability
    single, report = found[1]
    assert len(single) == 0
    assert report.least_probability > DetectSettings().least_probability


def test_spots_as_wide_as_filmed_are_found_by_the_threshold() -> None:
    source = stack_of([(12.4, 12.7, 600.0), (34.2, 33.9, 60.0)], sigma_px=1.4)
    table, report = found_in(source)
    assert len(table) == 20
    assert report.threshold_mode == "automatic"
    assert report.threshold_photons == pytest.approx(120.0 / 30.0, rel=0.1)
    assert report.least_probability == 0.0
    assert "molecule_probability" not in table.data
    # what is expected is that of this threshold, as if it had been asked for
    noise_e = np.random.default_rng(1).normal(0.0, 6.0, (20, 48, 48))
    values = next(iter(source.chunks(20))).frames + np.maximum(noise_e, 0.0) / STEP_E
    rough = ArraySource(values.astype(np.uint16), denoised_photons_per_adu=STEP_E)
    _, report = found_in(rough)
    _, as_asked = found_in(rough, detect=DetectSettings(threshold_photons=report.threshold_photons))
    assert report.least_probability == 0.0
    assert report.expected_false_per_frame == as_asked.expected_false_per_frame > 0.0
    # of a few spots nobody can say how wide the network makes them
    few, report = found_in(stack_of([(12.4, 12.7, 600.0)], frames=9, sigma_px=1.4))
    assert report.least_probability > 0.0
    assert "molecule_probability" in few.data


def test_neighbours_disturb_less_than_in_the_raw_fit() -> None:
    spots = [(20.3, 20.6, 500.0), (24.9, 20.6, 500.0)]
    source = stack_of(spots, frames=10, sigma_px=1.4)
    error = {}
    for name, fit in (("small box", FitSettings()), ("usual box", FitSettings(max_steps=31))):
        table, _ = found_in(source, fit=fit)
        assert len(table) == 20
        error[name] = np.abs(
            np.sort(table.column("x_nm")).reshape(2, 10).T - [2030.0, 2490.0]
        ).max()
    assert error["small box"] < 0.8 * error["usual box"]


@pytest.mark.parametrize("spot", [(0.9, 20.3, 500.0), (46.4, 1.7, 500.0), (24.2, 47.2, 500.0)])
def test_spots_at_the_edge_are_fitted(spot) -> None:
    table, report = found_in(stack_of([spot], frames=3))
    assert len(table) == 3
    assert report.rejected["border"] == 0
    np.testing.assert_allclose(table.xy_nm, [[100 * spot[0], 100 * spot[1]]] * 3, atol=2.0)
    fitted = table.column("photons") / table.column("photon_correction")
    np.testing.assert_allclose(fitted, 500.0, rtol=0.05)


def test_molecules_outside_of_the_frame_and_in_the_border_are_left_out() -> None:
    outside = stack_of([(-0.6, 20.0, 900.0), (24.0, 48.4, 900.0)], frames=2)
    assert len(found_in(outside)[0]) == 0
    spots = [(1.9, 20.3, 500.0), (24.0, 24.0, 500.0)]
    table, _ = found_in(stack_of(spots, frames=1), detect=DetectSettings(border_px=4))
    np.testing.assert_allclose(table.xy_nm, [[2400.0, 2400.0]], atol=2.0)


def test_the_camera_of_denoised_frames_counts_photons() -> None:
    camera = denoised_camera("film", STEP_E)
    assert camera.photoelectrons(np.array([[50]], np.uint16))[0, 0] == pytest.approx(1.0)
    assert camera.read_noise_e > 0
