"""The parts of photon transfer, each by a closed form or an obvious reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transfer_series import P9, SCMOS, Camera, Sensor

from cellstorm_lib.calibrate.camera_maps import measure_maps
from cellstorm_lib.calibrate.dark_noise import cut_moments, measure_dark_noise, uncut_offsets
from cellstorm_lib.calibrate.estimates import Estimate, estimate, inverse, pooled, root
from cellstorm_lib.calibrate.linear_range import saturation_level
from cellstorm_lib.calibrate.photon_transfer import (
    PhotonTransferSettings,
    measure_photon_transfer,
)
from cellstorm_lib.calibrate.pixel_statistics import merged, read_statistics
from cellstorm_lib.calibrate.planes import planes_of
from cellstorm_lib.calibrate.pooled_planes import joined_remarks, pooled_numbers
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.array import ArraySource


def statistics(frames):
    source = ArraySource(frames)
    return read_statistics(source, planes=planes_of(source.facts, most_pixels=None))["grey"]


@given(offset=st.floats(-3, 60), sigma=st.floats(0.3, 8))
def test_moments_of_rounded_and_cut_noise_are_those_of_many_numbers(offset, sigma):
    at = (np.arange(200_000) + 0.5) / 200_000
    from scipy.special import ndtri

    values = np.maximum(np.rint(offset + sigma * ndtri(at)), 0)
    mean, variance = cut_moments(np.array([offset]), sigma)
    assert mean[0] == pytest.approx(values.mean(), abs=2e-3 * sigma)
    assert variance[0] == pytest.approx(values.var(), abs=5e-3 * sigma**2)


@pytest.mark.parametrize("offset", [2.0, 4.074, 9.0, 100.3])
def test_offset_read_noise_and_pattern_are_unbiased_wherever_the_cut_lies(offset):
    # pulls over repetitions: no bias and the scatter that is claimed, within 4 standard errors
    truth = np.array([offset, (1.23 / 0.34) ** 2, (0.343 / 0.34) ** 2])
    pulls = []
    for seed in range(12):
        dark = statistics(Sensor(Camera(offset_adu=offset), seed).frames(0.0, count=40))
        found = measure_dark_noise(dark, is_good=np.ones((64, 64), bool))
        numbers = [found.offset_adu, found.read_variance_adu2, found.pattern_variance_adu2]
        pulls.append((numbers - truth) / np.sqrt(np.diag(found.covariance)))
    assert (np.abs(np.mean(pulls, axis=0)) < 4 / np.sqrt(12)).all()
    assert (np.std(pulls, axis=0) < 1 + 4 / np.sqrt(24)).all()
    assert found.cut_share == pytest.approx((dark.levels[0] / dark.levels.sum()), abs=1e-12)


def test_a_camera_that_cuts_above_0_is_recognised():
    frames = Sensor(P9, 3).frames(0.0) + 16
    found = measure_dark_noise(statistics(frames), is_good=np.ones((64, 64), bool))
    assert found.cut_level == 16
    assert found.offset_adu == pytest.approx(20.074, abs=0.1)


def test_dark_means_are_turned_back_into_offsets():
    dark = statistics(Sensor(P9, 4).frames(0.0, count=400))
    noise = measure_dark_noise(dark, is_good=np.ones((64, 64), bool))
    sensor = Sensor(P9, 4)
    true = P9.offset_adu + sensor.offset_e / P9.gain_e_per_adu
    error = uncut_offsets(dark.pooled_mean_adu, noise) - true
    scatter = np.sqrt(noise.read_variance_adu2 / 400)
    assert abs(error.mean()) < 0.05 * scatter + 4 * scatter / 64
    assert error.std() == pytest.approx(scatter, rel=0.15)  # the cut costs a little


@settings(max_examples=20, deadline=None)
@given(st.integers(9, 40), st.floats(0, 50), st.integers(0, 2**31))
def test_a_common_course_is_taken_out_exactly(count, drift, seed):
    rng = np.random.default_rng(seed)
    course = rng.normal(0, drift, count)
    pixels = rng.uniform(0.5, 2, (40, 40))
    noise = rng.normal(0, 3, (count, 40, 40))
    frames = 1000 + course[:, None, None] * pixels + noise
    found = statistics(np.rint(frames).astype(np.uint16))
    # variance of 1600 pixels with count - 4 degrees of freedom each; the course itself carries
    # the mean of the noise of 1600 pixels
    slack = 4 * np.sqrt(2 / (1600 * (count - 4))) + 2 / 1600
    assert found.pooled_variance_adu2.mean() == pytest.approx(9 + 1 / 12, rel=slack)


def test_means_and_variances_are_those_of_numpy():
    frames = np.random.default_rng(5).integers(0, 4000, (23, 33, 35)).astype(np.uint16)
    found = statistics(frames)
    for half in (0, 1):
        own = frames[half::2].astype(float)
        np.testing.assert_allclose(found.mean_adu[half], own.mean(axis=0))
        course = own.mean(axis=(1, 2)) - own.mean()
        away = own - own.mean(axis=0)
        slope = np.tensordot(course, away, 1) / (course @ course)
        square = np.square(away - course[:, None, None] * slope).sum(axis=0)
        np.testing.assert_allclose(found.variance_adu2[half], square / (len(own) - 2))
    assert found.levels.sum() == frames.size
    np.testing.assert_allclose(found.frame_means_adu, frames.mean(axis=(1, 2)))


def test_chunks_do_not_matter(monkeypatch):
    frames = np.random.default_rng(6).integers(0, 4000, (30, 32, 32)).astype(np.uint16)
    one = statistics(frames)
    monkeypatch.setattr("cellstorm_lib.calibrate.pixel_statistics._CHUNK_VALUES", 7 * 32 * 32)
    other = statistics(frames)
    for name in ("mean_adu", "variance_adu2", "part_means_adu", "frame_means_adu", "levels"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)


def test_series_merged_weigh_by_their_frames():
    frames = np.random.default_rng(7).integers(0, 50, (40, 32, 32)).astype(np.uint16)
    joined = merged([statistics(frames[:10]), statistics(frames[10:])])
    assert joined.frame_count == 40
    np.testing.assert_allclose(joined.pooled_mean_adu, frames.mean(axis=0))


def test_planes_of_a_mosaic_and_of_grey_frames():
    roi = Roi(width_px=6, height_px=5)
    facts = RecordingFacts(
        name="x", digest="", kind="dng", frame_width_px=6, frame_height_px=5, roi=roi,
        frame_count=1, bit_depth=12, details={"mosaic": "GRBG"},
    )  # fmt: skip
    planes = planes_of(facts, most_pixels=None)
    assert list(planes) == ["G1", "R", "B", "G2"]
    seen = np.zeros((5, 6), int)
    for plane in planes.values():
        seen[np.ix_(plane.rows, plane.columns)] += 1
        assert plane.is_seam[0].all()
    assert (seen == 1).all()


def test_patches_spread_over_a_large_frame_and_know_their_seams():
    facts = RecordingFacts(
        name="x", digest="", kind="tiff", frame_width_px=1000, frame_height_px=800,
        roi=Roi(width_px=1000, height_px=800), frame_count=1, bit_depth=12,
    )  # fmt: skip
    plane = planes_of(facts, most_pixels=20_000)["grey"]
    assert len(plane.rows) * len(plane.columns) <= 20_000
    assert plane.rows[0] == 0
    assert plane.rows[-1] == 799
    gaps = np.flatnonzero(np.diff(plane.rows) > 1)
    assert plane.is_seam[gaps].all()
    assert plane.is_seam[gaps + 1].all()
    assert not plane.is_seam[1:15, 1:15].any()


@pytest.mark.parametrize(
    ("levels", "top"),
    [({100: 500, 99: 400, 98: 300}, None), ({100: 5000, 99: 40, 98: 30}, 100), ({7: 9000}, 7)],
)
def test_saturation_is_a_pile_at_the_top(levels, top):
    counts = np.zeros(65536, np.int64)
    for level, count in levels.items():
        counts[level] = count
    assert saturation_level(counts) == top


def test_intervals_follow_their_numbers():
    assert inverse(estimate(2.0, 0.1)) == pytest.approx((0.5, 1 / 2.196, 1 / 1.804))
    assert root(-1.0, 1.0) == pytest.approx((0.0, 0.0, np.sqrt(0.96)))
    assert estimate(1.0, 0.2).error == pytest.approx(0.2)


def test_numbers_of_planes_are_pooled_by_their_errors():
    found, differ = pooled([estimate(1.0, 0.1), estimate(1.1, 0.1), estimate(1.05, 1.0)])
    assert found.value == pytest.approx(1.05, abs=1e-3)
    assert found.error == pytest.approx(0.1 / np.sqrt(2.01))
    assert not differ
    found, differ = pooled([estimate(1.0, 0.1), estimate(2.0, 0.1)])
    assert differ
    assert found.low < 1.0 < 2.0 < found.high


def test_the_first_plane_to_bend_ends_the_linear_range():
    straight, bent = Estimate(3000.0, 3000.0, 4095.0), Estimate(2500.0, 2400.0, 2600.0)
    numbers, _ = pooled_numbers({"R": {"linear_to_adu": straight}, "B": {"linear_to_adu": bent}})
    assert numbers["linear_to_adu"] == bent
    numbers, _ = pooled_numbers({"R": {"linear_to_adu": straight}})
    assert numbers["linear_to_adu"] == straight
    assert joined_remarks({"R": ("a", "b"), "B": ("a",)}) == ["a", "R: b"]


def test_maps_show_what_differs_from_pixel_to_pixel():
    sensor = Sensor(SCMOS, 8)
    sensor.read_noise_e[10, 20] = 15.0
    sources = [sensor.source(level) for level in (100, 400, 1600)], [sensor.dark(200)]
    found = measure_photon_transfer(
        *sources, name="x", settings=PhotonTransferSettings(wants_maps=True)
    )
    maps = found.calibration.maps
    true = SCMOS.offset_adu + sensor.offset_e / SCMOS.gain_e_per_adu
    error = maps.offset_adu - true
    # drawn towards the mean: better than each pixel's own mean of 200 frames
    assert error.std() < SCMOS.read_noise_e / SCMOS.gain_e_per_adu / np.sqrt(200)
    assert maps.read_variance_e2[10, 20] == pytest.approx(225, rel=4 * np.sqrt(2 / 196))
    usual = np.delete(maps.read_variance_e2.ravel(), 10 * 64 + 20)
    assert np.median(usual) == pytest.approx(1.6**2, rel=0.02)
    assert usual.std() < 0.5 * 1.6**2 * np.sqrt(2 / 196)  # all pixels are alike, and it says so
    np.testing.assert_allclose(maps.gain_e_per_adu, SCMOS.gain_e_per_adu, rtol=0.15)
    assert maps.gain_e_per_adu.std() < 0.02


def test_a_map_of_the_gain_shows_pixels_of_another_gain():
    sensor = Sensor(Camera(100.4, 0.46, 1.6, 0.3, 0.0, 16), 9, side=48)
    bright = [sensor.frames(level) for level in (400, 1600, 6400)]
    dark = sensor.frames(0.0)
    odd = np.s_[:, 8:16, 8:24]
    for stack in (*bright, dark):  # twice the grey values per electron
        stack[odd] = 100 + 2 * (stack[odd].astype(np.int64) - 100).clip(-50)
    found = measure_photon_transfer(
        [ArraySource(stack) for stack in bright], [ArraySource(dark)], name="x",
        settings=PhotonTransferSettings(wants_maps=True),
    )  # fmt: skip
    gain = found.calibration.maps.gain_e_per_adu
    assert np.median(gain[8:16, 8:24]) == pytest.approx(0.23, rel=0.1)


def test_one_bright_series_gives_no_map_of_the_gain():
    sensor = Sensor(SCMOS, 10)
    found = measure_photon_transfer(
        [sensor.source(500.0)], [sensor.dark()], name="x",
        settings=PhotonTransferSettings(wants_maps=True),
    )  # fmt: skip
    assert set(found.calibration.maps.named()) == {"offset_adu", "read_variance_e2"}
    assert any("no map of the gain" in text for text in found.remarks)
    assert measure_maps.__doc__
