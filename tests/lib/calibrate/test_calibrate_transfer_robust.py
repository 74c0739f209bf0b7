"""What real series suffer from, and what it does to the numbers: nothing, or a refusal."""

import numpy as np
import pytest
from scipy import ndimage
from transfer_series import P9, SCMOS, Camera, Sensor, VideoSource, defocused

from cellstorm_lib.calibrate.photon_transfer import measure_photon_transfer
from cellstorm_lib.calibrate.pixel_statistics import read_statistics
from cellstorm_lib.calibrate.planes import planes_of
from cellstorm_lib.calibrate.steadiness import NoiseMemory, measure_memory
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.video.array import ArraySource

NUMBERS = ("offset_adu", "gain_e_per_adu", "read_noise_e", "fixed_pattern_e")


def measured(bright, dark):
    return measure_photon_transfer([bright], [dark], name="camera")


def assert_within_aims(found, camera):
    assert found.offset_adu == pytest.approx(camera.offset_adu, abs=0.1)
    assert found.gain_e_per_adu == pytest.approx(camera.gain_e_per_adu, rel=0.02)
    assert found.read_noise_e == pytest.approx(camera.read_noise_e, rel=0.05)
    assert found.fixed_pattern_e == pytest.approx(camera.fixed_pattern_e, rel=0.1)


def test_hot_and_telegraph_pixels_and_cosmic_particles_change_nothing():
    sensor = Sensor(P9, 1, side=96)
    bright, dark = sensor.frames(defocused(96, 700)), sensor.frames(0.0)
    rng = np.random.default_rng(2)
    for stack in (bright, dark):
        hot = rng.random((96, 96)) < 0.003
        stack[:, hot] = np.minimum(stack[:, hot] + rng.integers(50, 3000, hot.sum()), 4095)
        jumping = rng.random((96, 96)) < 0.005
        stack[:, jumping] += (300 * (rng.random((100, jumping.sum())) < 0.3)).astype(np.uint16)
        for frame in range(0, 100, 10):
            row, column = rng.integers(0, 90, 2)
            stack[frame, row : row + 2, column : column + 6] = 4095
    result = measured(ArraySource(bright, name="bright"), ArraySource(dark, name="dark"))
    assert_within_aims(result.calibration, P9)
    assert any("hot or noisy and left out" in text for text in result.remarks)
    assert any("varying unlike others of the same signal" in text for text in result.remarks)


def test_a_changing_lamp_is_taken_out_and_reported():
    sensor = Sensor(P9, 3, side=96)
    frame = np.arange(100)
    lamp = 1 + 0.1 * np.sin(frame / 9) + sensor.rng.normal(0, 0.03, 100) - 0.002 * frame
    result = measured(sensor.source(defocused(96, 600), lamp=lamp), sensor.dark())
    assert_within_aims(result.calibration, P9)
    low, high = result.calibration.intervals["gain_e_per_adu"]
    assert low < 0.34 < high
    said = [text for text in result.remarks if "the light changed by up to" in text]
    assert said
    assert f"{np.ptp(lamp):.0%}"[:1] == said[0].split("up to ")[1][:1]


def test_a_dark_level_that_drifts_does_not_count_as_noise_but_widens_the_offsets_interval():
    sensor = Sensor(SCMOS, 4)
    dark = sensor.frames(0.0)
    moved = dark + np.linspace(0, 4, 100).round().astype(np.uint16)[:, None, None]
    still = measured(sensor.source(500.0), ArraySource(dark, name="dark"))
    drifting = measured(sensor.source(500.0), ArraySource(moved, name="dark"))
    assert drifting.calibration.read_noise_e == pytest.approx(
        still.calibration.read_noise_e, rel=0.01
    )
    width = [np.ptp(each.calibration.intervals["offset_adu"]) for each in (still, drifting)]
    assert width[1] > 5 * width[0]
    assert any("the dark level changed by" in text for text in drifting.remarks)
    assert not any("the dark level" in text for text in still.remarks)


def moving(path, *, side=96, count=100):
    """Return a picture per frame, displaced along a path in pixels (count, 2)."""
    still = defocused(side, 800)
    return np.stack([ndimage.shift(still, by, order=3, mode="nearest") for by in path[:count]])


def test_an_object_that_drifts_by_some_pixels_is_refused():
    sensor = Sensor(P9, 5, side=96)
    path = np.stack([np.zeros(100), np.linspace(0, 5, 100)], axis=1)
    with pytest.raises(CalibrationError, match=r"the picture of bright changes .* something moves"):
        measured(sensor.source(np.maximum(moving(path), 0)), sensor.dark())


def test_something_that_crosses_the_picture_is_refused():
    sensor = Sensor(P9, 6)
    light = np.full((100, 64, 64), 200.0)
    for frame in range(100):
        light[frame, 20:34, frame // 2 : frame // 2 + 12] = 500.0
    with pytest.raises(CalibrationError, match=r"changes in \d+\.\d% of its area"):
        measured(sensor.source(light), sensor.dark())


def test_an_object_that_shakes_is_refused():
    sensor = Sensor(P9, 7, side=96)
    path = np.random.default_rng(8).normal(0, 0.4, (100, 2))
    with pytest.raises(CalibrationError, match=r"the object in bright moves by 0\.\d+ pixels RMS"):
        measured(sensor.source(np.maximum(moving(path), 0)), sensor.dark())


def test_a_speck_that_moves_is_left_out_and_reported():
    sensor = Sensor(SCMOS, 9, side=128)
    light = np.repeat(defocused(128, 2000)[None], 100, axis=0)
    light[50:, 64:72, 64:72] *= 1.2
    result = measured(sensor.source(light), sensor.dark())
    assert any("0.39% of the area changed and was left out" in text for text in result.remarks)
    assert_within_aims(result.calibration, SCMOS)


def test_dark_frames_whose_noise_was_smoothed_do_not_bend_the_line():
    sensor = Sensor(SCMOS, 10, side=96)
    dark = sensor.frames(0.0)
    smoothed = ndimage.uniform_filter(dark.astype(float), (0, 3, 3)).round().astype(np.uint16)
    result = measured(sensor.source(defocused(96, 1000)), ArraySource(smoothed, name="dark"))
    assert result.calibration.gain_e_per_adu == pytest.approx(SCMOS.gain_e_per_adu, rel=0.03)
    assert any("does not lie on the line of the bright ones" in text for text in result.remarks)


@pytest.mark.parametrize("sigma_px", [(0.0, 0.45, 0.0), (0.0, 0.45, 0.45)])
def test_noise_that_was_smoothed_gives_a_reason_and_no_number(sigma_px):
    sensor = Sensor(SCMOS, 11, side=96)
    bright = sensor.frames(defocused(96, 1000)).astype(float)
    smoothed = ndimage.gaussian_filter(bright, sigma_px).round()
    series = ArraySource(smoothed.astype(np.uint16), name="smoothed")
    with pytest.raises(
        CalibrationError,
        match=r"cannot be calibrated from smoothed, because its noise goes together",
    ):
        measured(series, sensor.dark())


def statistics_of(frames):
    source = ArraySource(frames.round().astype(np.uint16))
    return read_statistics(source, planes=planes_of(source.facts, most_pixels=None))["grey"]


ALL = np.ones((64, 64), bool)


def test_noise_of_a_sensor_goes_together_with_nothing_whatever_the_lamp_does():
    rng = np.random.default_rng(12)
    lamp = 1 + 0.1 * np.sin(np.arange(100) / 5) + rng.normal(0, 0.05, 100)
    frames = Sensor(SCMOS, 13).frames(defocused(64, 3000), lamp=lamp)
    assert measure_memory(statistics_of(frames), is_good=ALL) == NoiseMemory(
        along_x=0.0, along_y=0.0, in_time=0.0
    )


def test_how_far_smoothed_noise_goes_together_is_measured():
    frames = Sensor(SCMOS, 13).frames(500.0).astype(float)
    along_x = measure_memory(
        statistics_of(ndimage.uniform_filter1d(frames, 3, axis=2)), is_good=ALL
    )
    # two of three values are shared
    assert along_x.along_x == pytest.approx(2 / 3, abs=0.02)
    assert (along_x.along_y, along_x.in_time) == (0.0, 0.0)
    in_time = measure_memory(
        statistics_of(ndimage.uniform_filter1d(frames, 2, axis=0)), is_good=ALL
    )
    # the mean of 100 frames, which is taken out, holds 2/100 of the variance of such noise
    assert in_time.in_time == pytest.approx(1 / 2 - 2 / 100, abs=0.01)
    assert (in_time.along_x, in_time.along_y) == (0.0, 0.0)


def test_a_video_smoothed_over_time_shows_it_in_its_key_frames_and_those_before():
    camera = Camera(16.3, 0.5, 2.0, 0.4, 0.0, 8)
    sensor = Sensor(camera, 14)
    light, dark = (sensor.frames(e, count=402).astype(float) for e in (defocused(64, 100), 0.0))

    class Video(VideoSource):
        def __init__(self, frames, name):
            super().__init__(frames[::3], gop=3, name=name)
            self._frames = frames

    def clips(smooth):
        return [
            Video((smooth(stack)).round().astype(np.uint8), name)
            for stack, name in ((light, "clip.mp4"), (dark, "dark.mp4"))
        ]

    plain = clips(lambda stack: stack)
    found = measure_photon_transfer(
        plain[:1], plain[1:], name="phone", key_frame_qp=lambda source: 4.0
    )
    assert found.calibration.gain_e_per_adu == pytest.approx(0.5, rel=0.03)
    smoothed = clips(lambda stack: 0.7 * stack + 0.3 * np.roll(stack, 1, axis=0))
    with pytest.raises(CalibrationError, match=r"0\.\d\d with the frame before\)"):
        measure_photon_transfer(
            smoothed[:1], smoothed[1:], name="phone", key_frame_qp=lambda source: 4.0
        )
