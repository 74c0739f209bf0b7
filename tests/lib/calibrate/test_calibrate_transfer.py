"""Photon transfer finds what a simulated camera was made with, and says how well."""

from dataclasses import replace

import numpy as np
import pytest
from transfer_series import P9, SCMOS, Camera, Sensor, VideoSource, corner, defocused, with_facts

from cellstorm_lib.calibrate.photon_transfer import (
    PhotonTransferSettings,
    measure_photon_transfer,
)
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.video.array import ArraySource

NUMBERS = ("offset_adu", "gain_e_per_adu", "read_noise_e", "fixed_pattern_e")


def calibrated(bright, dark, **how):
    return measure_photon_transfer(bright, dark, name="camera", **how).calibration


def holds(found, name, true):
    low, high = found.intervals[name]
    return low <= true <= high


def test_the_papers_numbers_are_found_although_dark_frames_are_cut_at_0():
    sensor = Sensor(P9, 1, side=160)
    found = calibrated([sensor.source(defocused(160, 800))], [sensor.dark()])
    assert found.offset_adu == pytest.approx(4.074, abs=0.1)
    assert found.gain_e_per_adu == pytest.approx(0.34, rel=0.02)
    assert found.read_noise_e == pytest.approx(1.23, rel=0.05)
    assert found.fixed_pattern_e == pytest.approx(0.343, rel=0.1)
    assert found.linear_from_adu == 1.0  # 0 stands for all that was cut off
    assert found.source == "measured: photon transfer, 100 bright and 100 dark frames"
    assert (found.frame_width_px, found.frame_height_px, found.bit_depth) == (160, 160, 16)


CAMERAS = {
    "p9": (P9, 700.0),
    "scmos": (SCMOS, 4000.0),
    "coarse": (Camera(64.3, 4.0, 1.5, 0.9, 0.01, 14), 20_000.0),
    "no pattern": (replace(SCMOS, fixed_pattern_e=0.0, gain_spread=0.0), 500.0),
}


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for number, (camera, light) in enumerate(CAMERAS.values()):
        for repeat in range(10):
            sensor = Sensor(camera, 100 * number + repeat)
            found = calibrated([sensor.source(defocused(64, light))], [sensor.dark()])
            held += [holds(found, name, getattr(camera, name)) for name in NUMBERS]
    # 160 intervals of 95 %: 4 standard deviations of the binomial below, and not all of them
    assert np.mean(held) > 0.95 - 4 * np.sqrt(0.05 * 0.95 / len(held))


@pytest.mark.parametrize("bins", ["object", "ladder"])
def test_a_corner_in_the_response_is_found(bins):
    sensor = Sensor(SCMOS, 3, side=96 if bins == "object" else 64)
    levels = (20, 100, 500, 2000, 6000, 9000, 9500, 10_000, 10_500, 12_000)
    lights = [defocused(96, 14_000)] if bins == "object" else levels
    bright = [sensor.source(light, bend=corner(10_000, 0.5)) for light in lights]
    found = calibrated(bright, [sensor.dark()])
    true_adu = SCMOS.offset_adu + 10_000 / SCMOS.gain_e_per_adu
    assert found.linear_to_adu == pytest.approx(true_adu, rel=0.05)
    assert found.gain_e_per_adu == pytest.approx(SCMOS.gain_e_per_adu, rel=0.02)


def test_noise_that_grows_faster_than_the_light_ends_the_linear_range():
    # the paper's Fig. 5; variance = light + excess * light^2 departs by 5 % where light is
    # 0.05 / excess
    sensor = Sensor(P9, 4, side=128)
    bright = sensor.source(defocused(128, 1000), excess=5e-4)
    measured = measure_photon_transfer([bright], [sensor.dark()], name="P9")
    found = measured.calibration
    assert found.gain_e_per_adu == pytest.approx(0.34, rel=0.02)
    assert holds(found, "linear_to_adu", 4.074 + 100 / 0.34)
    assert any("the noise grows faster than the light" in text for text in measured.remarks)
    curve = measured.curve
    assert curve.is_linear.any()
    assert not curve.is_linear.all()
    above = curve.mean_adu > 4 * found.linear_to_adu
    assert (curve.variance_adu2[above] > curve.fitted_variance_adu2[above]).all()


def test_a_gentle_saturation_ends_the_linear_range_where_the_noise_departs_by_5_percent():
    full = 40_000.0
    part = np.linspace(1e-3, 0.5, 100_000)
    seen = -np.log1p(-part)  # electrons / full of a response part = 1 - exp(-electrons / full)
    true_e = full * part[np.argmax((1 - part) ** 2 * seen / part < 0.95)]
    sensor = Sensor(replace(SCMOS, gain_spread=0.0), 5, side=128)
    bright = sensor.source(defocused(128, 20_000), bend=lambda e: -full * np.expm1(-e / full))
    found = calibrated([bright], [sensor.dark()])
    true_adu = SCMOS.offset_adu + true_e / SCMOS.gain_e_per_adu
    assert holds(found, "linear_to_adu", true_adu)
    assert found.linear_to_adu == pytest.approx(true_adu, rel=0.1)
    assert found.gain_e_per_adu == pytest.approx(SCMOS.gain_e_per_adu, rel=0.02)


def test_saturation_is_found_as_the_level_where_values_pile_up():
    sensor = Sensor(P9, 6, side=96)
    measured = measure_photon_transfer(
        [sensor.source(defocused(96, 1700))], [sensor.dark()], name="P9"
    )
    assert measured.calibration.linear_to_adu == pytest.approx(4094, rel=0.02)
    assert measured.calibration.linear_to_adu <= 4094
    assert "grey values are cut off at 4095" in measured.remarks


def test_without_a_bend_the_linear_range_is_what_was_measured_and_may_reach_further():
    sensor = Sensor(SCMOS, 7)
    measured = measure_photon_transfer([sensor.source(500.0)], [sensor.dark()], name="even")
    found = measured.calibration
    brightest = SCMOS.offset_adu + 500 / SCMOS.gain_e_per_adu
    assert found.linear_to_adu == pytest.approx(brightest, rel=0.1)
    assert found.intervals["linear_to_adu"] == (found.linear_to_adu, 65535.0)
    assert any("the linear range may reach further" in text for text in measured.remarks)
    assert holds(found, "gain_spread", SCMOS.gain_spread)


def test_differences_of_frame_pairs_give_the_same_gain_and_read_noise():
    # EMVA 1288, plain: half the variance of the difference of two frames of even light
    sensor = Sensor(SCMOS, 8)
    levels = (50, 200, 800)
    bright = [sensor.frames(level) for level in levels]
    dark = sensor.frames(0.0)
    pairs = [np.diff(stack.astype(float)[: len(stack) // 2 * 2].reshape(-1, 2, 64, 64), axis=1)
             for stack in (dark, *bright)]  # fmt: skip
    variance = np.array([np.mean(pair**2) / 2 for pair in pairs])
    mean = np.array([stack.mean() for stack in (dark, *bright)])
    slope = np.polyfit(mean - mean[0], variance, 1, w=1 / variance)[0]
    found = calibrated([ArraySource(stack) for stack in bright], [ArraySource(dark)])
    # the pairs' own error: two variances of 204,800 differences each
    slack = 4 * np.sqrt(2 / 204_800)
    low, high = found.intervals["gain_e_per_adu"]
    assert low * (1 - slack) < 1 / slope < high * (1 + slack)
    low, high = found.intervals["read_noise_e"]
    assert low * (1 - slack) < np.sqrt(variance[0] - 1 / 12) / slope < high * (1 + slack)
    low, high = found.intervals["offset_adu"]
    assert low < mean[0] < high


def test_grey_values_in_other_units_give_the_same_electrons():
    sensor = Sensor(SCMOS, 9)
    bright, dark = sensor.frames(defocused(64, 2000)), sensor.frames(0.0)
    one = calibrated([ArraySource(bright)], [ArraySource(dark)])
    other = calibrated([ArraySource(bright * 4)], [ArraySource(dark * 4)])
    assert other.offset_adu == pytest.approx(4 * one.offset_adu, rel=1e-3)
    assert 4 * other.gain_e_per_adu == pytest.approx(one.gain_e_per_adu, rel=0.01)
    assert other.fixed_pattern_e == pytest.approx(one.fixed_pattern_e, rel=0.02)


def test_series_in_another_order_give_the_same_numbers():
    sensor = Sensor(SCMOS, 10)
    bright = [sensor.source(level) for level in (20, 200, 2000)]
    dark = [sensor.dark(60), sensor.dark(60)]
    one = calibrated(bright, dark)
    other = calibrated(bright[::-1], dark[::-1])
    for name in (*NUMBERS, "gain_spread"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6), name
    assert one.source == "measured: photon transfer, 300 bright and 120 dark frames"


def test_a_mosaic_is_measured_plane_by_plane_and_differing_planes_are_reported():
    sensor = Sensor(SCMOS, 11, side=128)
    sensor.response[::2, ::2] *= 0.5  # less light is no other gain
    bright, dark = sensor.frames(defocused(128, 2000)), sensor.frames(0.0)
    sources = [
        with_facts(ArraySource(stack), details={"mosaic": "RGGB"}) for stack in (bright, dark)
    ]
    measured = measure_photon_transfer(sources[:1], sources[1:], name="mosaic")
    assert list(measured.calibration.planes) == ["R", "G1", "G2", "B"]
    assert set(measured.curve.plane) == {"R", "G1", "G2", "B"}
    assert not any("differ beyond" in text for text in measured.remarks)
    assert holds(measured.calibration, "gain_e_per_adu", SCMOS.gain_e_per_adu)
    bright[:, ::2, ::2] *= 2  # another gain and another offset
    dark[:, ::2, ::2] *= 2
    measured = measure_photon_transfer(sources[:1], sources[1:], name="mosaic")
    planes = measured.calibration.planes
    assert planes["R"]["gain_e_per_adu"] == pytest.approx(SCMOS.gain_e_per_adu / 2, rel=0.03)
    assert planes["B"]["gain_e_per_adu"] == pytest.approx(SCMOS.gain_e_per_adu, rel=0.03)
    assert any(
        text.startswith("the planes R, G1, G2, B differ beyond their intervals in offset_adu, gain")
        for text in measured.remarks
    )


def test_of_a_video_only_key_frames_count():
    camera = Camera(16.3, 0.5, 2.0, 0.4, 0.0, 8)
    sensor = Sensor(camera, 12)
    bright, dark = (sensor.frames(light).astype(np.uint8) for light in (defocused(64, 100), 0.0))
    asked = []

    def key_frame_qp(source):
        asked.append(source.facts.name)
        return 12.0

    found = calibrated(
        [VideoSource(bright)], [VideoSource(dark, name="dark.mp4")], key_frame_qp=key_frame_qp
    )
    plain = calibrated([ArraySource(bright)], [ArraySource(dark)])
    for name in NUMBERS:  # frames fall into other parts of the series, nothing else
        assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-3), name
    assert found.codec == "h264"
    assert found.bits_per_px == 2.0
    assert set(asked) == {"clip.mp4", "dark.mp4"}


def test_a_frame_too_large_is_sampled_in_patches():
    sensor = Sensor(SCMOS, 13, side=160)
    sources = [sensor.source(defocused(160, 2000))], [sensor.dark()]
    found = calibrated(*sources, settings=PhotonTransferSettings(most_pixels=9000))
    for name in (*NUMBERS, "gain_spread"):
        assert holds(found, name, getattr(SCMOS, name)), name


def test_a_calibration_is_written_and_read_as_it_is(tmp_path):
    sensor = Sensor(SCMOS, 14)
    found = calibrated(
        [sensor.source(light) for light in (100, 1000)],
        [sensor.dark()],
        settings=PhotonTransferSettings(wants_maps=True),
    )
    write_calibration(found, tmp_path / "CAL.json")
    assert read_calibration(tmp_path / "CAL.json") == found
    assert len(found.transfer.mean_adu) <= 60


@pytest.mark.parametrize("wants_maps", [False, True])
def test_progress_grows_with_the_frames_and_ends_with_the_whole(wants_maps):
    sensor = Sensor(SCMOS, 15)
    seen = []
    calibrated(
        [sensor.source(200.0), sensor.source(400.0)],
        [sensor.dark()],
        settings=PhotonTransferSettings(wants_maps=wants_maps),
        progress=lambda done, whole: seen.append(done / whole),
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(set(seen)) > 3 * (1 + wants_maps)  # each series, read once more for maps
