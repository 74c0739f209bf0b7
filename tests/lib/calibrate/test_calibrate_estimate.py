from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.calibrate.estimate import check_calibration, estimate_camera
from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.calibrate.noise_levels import (
    NoiseLevels,
    fit_noise_line,
    measure_noise_levels,
)
from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.video.array import ArraySource


class VideoSource(ArraySource):
    """A stack that says it is a video with a key frame every `gop` frames."""

    def __init__(self, frames, *, gop=5, **facts):
        super().__init__(frames, name="clip.mp4")
        self._facts = replace(self._facts, kind="h264", **facts)
        self._gop = gop
        self.read = []

    def key_frames(self):
        return np.arange(0, self._range.stop, self._gop)

    def chunks(self, size):
        for chunk in super().chunks(size):
            self.read.extend(chunk.frame.tolist())
            yield chunk


def blinking(rng, *, frames=24, side=128, spots=40, photons=1500.0, sigma_px=1.3, background=10.0):
    """Return expected photoelectrons of random spots on an even background."""
    expected = np.full((frames, side, side), background)
    pixel = np.arange(side) + 0.5
    for k in range(frames):
        for x, y in rng.uniform(0, side, (spots, 2)):
            row = np.exp(-0.5 * ((pixel - y) / sigma_px) ** 2)
            column = np.exp(-0.5 * ((pixel - x) / sigma_px) ** 2)
            light = photons * rng.exponential() / (2 * np.pi * sigma_px**2)
            expected[k] += light * np.outer(row, column)
    return expected


def exposed(rng, expected, *, offset, gain, read_noise, bits):
    """Return grey values of a camera."""
    electrons = rng.poisson(expected) + rng.normal(0, read_noise, expected.shape)
    grey = np.rint(electrons / gain + offset)
    return np.clip(grey, 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)


CAMERAS = {
    "phone": {"offset": 4.074, "gain": 0.34, "read_noise": 1.28, "bits": 8},
    "scmos": {"offset": 100.0, "gain": 0.46, "read_noise": 1.6, "bits": 16},
    "steep": {"offset": 20.0, "gain": 2.0, "read_noise": 1.0, "bits": 16},
}


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("sigma_px", [1.0, 1.6])
def test_gain_and_offset_of_a_blinking_recording_are_found(camera, sigma_px):
    rng = np.random.default_rng(1)
    frames = exposed(rng, blinking(rng, sigma_px=sigma_px), **camera)
    found = estimate_camera(ArraySource(frames))
    assert found.source == "estimated"
    low, high = found.intervals["gain_e_per_adu"]
    assert low < camera["gain"] < high
    assert found.gain_e_per_adu == pytest.approx(camera["gain"], rel=0.2)
    low, high = found.intervals["offset_adu"]
    assert low <= camera["offset"] <= high
    background_error_e = (found.offset_adu - camera["offset"]) * camera["gain"]
    assert abs(background_error_e) < 4.0
    low, high = found.intervals["read_noise_e"]
    assert low <= camera["read_noise"] <= high


def test_the_noise_of_the_background_is_predicted():
    # what the fit needs: photoelectrons plus read noise squared must give the variance
    rng = np.random.default_rng(2)
    frames = exposed(rng, blinking(rng), **CAMERAS["phone"])
    found = estimate_camera(ArraySource(frames))
    electrons = found.photoelectrons(frames)
    dark = electrons[electrons < np.median(electrons) + 12]
    predicted = np.median(electrons) + found.read_noise_e**2
    assert predicted == pytest.approx(np.var(dark), rel=0.2)


@settings(max_examples=8, deadline=None)
@given(scale=st.integers(2, 30))  # above 36 the brightest pixels do not fit into 16 bits
def test_grey_values_in_other_units_give_the_same_photons(scale):
    rng = np.random.default_rng(3)
    frames = exposed(rng, blinking(rng, frames=6, side=96), **CAMERAS["scmos"])
    one, other = (estimate_camera(ArraySource(stack)) for stack in (frames, frames * scale))
    assert other.gain_e_per_adu * scale == pytest.approx(one.gain_e_per_adu, rel=1e-3)
    assert other.offset_adu / scale == pytest.approx(one.offset_adu, rel=1e-3)


def test_an_even_background_alone_is_met_with_a_usual_offset():
    rng = np.random.default_rng(4)
    frames = exposed(rng, np.full((4, 64, 64), 30.0), **CAMERAS["scmos"])
    found = estimate_camera(ArraySource(frames))
    assert found.source.startswith("estimated")
    low, high = found.intervals["gain_e_per_adu"]
    assert low < 0.46 < high
    assert found.offset_adu < np.median(frames)


def test_noise_that_a_codec_took_from_some_blocks_is_not_believed():
    rng = np.random.default_rng(5)
    expected = blinking(rng)
    frames = exposed(rng, expected, **CAMERAS["phone"])
    smooth = np.rint(expected / 0.34 + 4.074).clip(0, 255).astype(np.uint8)
    is_kept = np.kron(rng.random((16, 16)) < 0.3, np.ones((8, 8), bool))
    coded = np.where(is_kept, frames, smooth)
    found = estimate_camera(VideoSource(coded))
    assert found.source == "estimated: gain assumed to be 0.34, the codec removed the noise"
    low, high = found.intervals["gain_e_per_adu"]
    assert high / low > 10
    assert found.offset_adu <= np.median(coded)


def test_a_gain_is_assumed_where_the_quantiser_is_too_coarse_for_the_noise():
    rng = np.random.default_rng(12)
    source = VideoSource(exposed(rng, blinking(rng), **CAMERAS["phone"]))
    fine = estimate_camera(source, key_frame_qp=lambda _: 14.0)
    assert fine == estimate_camera(source, key_frame_qp=lambda _: None)
    assert fine == estimate_camera(source)
    assert fine.source == "estimated"
    coarse = estimate_camera(source, key_frame_qp=lambda _: 36.0)
    assert coarse.source.startswith("estimated: gain assumed to be 0.34, because the codec rounds")
    assert "QP 36" in coarse.source


def test_the_quantiser_is_asked_of_videos_only():
    rng = np.random.default_rng(13)
    frames = exposed(rng, blinking(rng, frames=4), **CAMERAS["scmos"])
    assert estimate_camera(ArraySource(frames), key_frame_qp=lambda _: 51.0).source == "estimated"


@pytest.mark.parametrize("read_noise", [1.0, 6.0])
@pytest.mark.parametrize("offset", [4.0, 300.0])
def test_intervals_of_an_even_background_allow_for_any_usual_camera(offset, read_noise):
    rng = np.random.default_rng(14)
    camera = {"offset": offset, "gain": 0.6, "read_noise": read_noise, "bits": 16}
    found = estimate_camera(ArraySource(exposed(rng, np.full((4, 64, 64), 30.0), **camera)))
    assert found.source.startswith("estimated: offset assumed")
    for name, truth in (
        ("offset_adu", offset),
        ("gain_e_per_adu", 0.6),
        ("read_noise_e", read_noise),
    ):
        low, high = found.intervals[name]
        assert low <= truth <= high


@pytest.mark.parametrize("level", [0, 3, 200])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_constant_frames_get_a_usual_camera_that_says_so(level, dtype):
    found = estimate_camera(ArraySource(np.full((3, 40, 40), level, dtype)))
    assert found.source.startswith("estimated: gain assumed")
    assert found.source.endswith("the frames show no noise")
    assert 0 <= found.offset_adu <= level
    check_calibration(found, ArraySource(np.full((3, 40, 40), level, dtype)))


def test_frames_of_a_few_pixels_get_a_usual_camera():
    found = estimate_camera(ArraySource(np.arange(36, dtype=np.uint8).reshape(1, 6, 6)))
    assert "too small" in found.source


def test_saturated_spots_do_not_tilt_the_line():
    rng = np.random.default_rng(6)
    frames = exposed(rng, blinking(rng, photons=4000.0), **CAMERAS["phone"])
    assert (frames == 255).sum() > 100
    found = estimate_camera(ArraySource(frames))
    assert found.gain_e_per_adu == pytest.approx(0.34, rel=0.2)


def test_limited_range_video_is_dark_at_16():
    rng = np.random.default_rng(7)
    camera = dict(CAMERAS["phone"], offset=19.0)
    frames = exposed(rng, blinking(rng), **camera)
    found = estimate_camera(VideoSource(frames, gop=1, colour_range="limited"))
    assert 16 <= found.offset_adu <= np.median(frames)


def test_only_key_frames_are_read_and_few_of_them():
    source = VideoSource(np.random.default_rng(8).integers(0, 99, (400, 16, 16), np.uint8))
    source.read = []
    first = few_frames(source, most_frames=32, most_pixels=10**9)
    assert len(first) == 32
    assert len(few_frames(source, most_frames=32, most_pixels=16 * 16 * 7)) == 7
    assert len(few_frames(source, most_frames=32, most_pixels=1)) == 1


def test_the_estimate_is_always_the_same():
    rng = np.random.default_rng(9)
    source = ArraySource(exposed(rng, blinking(rng, frames=5), **CAMERAS["scmos"]))
    assert estimate_camera(source) == estimate_camera(source)


def test_white_noise_is_even_and_its_variance_is_found():
    noise = np.random.default_rng(10).normal(1000, 20, (8, 128, 128)).astype(np.uint16)
    levels = measure_noise_levels(noise, saturation_adu=65535)
    blocks = 8 * 16 * 16 / 2
    # the error of the 10 % quantile of a chi-square with 63 degrees is about 2.1 % of it / sqrt(n)
    assert levels.evenness == pytest.approx(1.0, abs=5 * 0.35 / np.sqrt(blocks))
    independent = noise.size / 10
    assert levels.background_variance_adu2 == pytest.approx(
        400, abs=5 * 400 * np.sqrt(2 / independent) + 1
    )


def test_a_line_through_exact_levels_is_exact():
    mean = np.linspace(110, 400, 12)
    levels = NoiseLevels(
        mean_adu=mean,
        variance_adu2=(mean - 95.0) / 0.46,
        pixels=np.geomspace(1e6, 1e3, 12),
        dark_adu=108.0,
        median_adu=110.0,
        background_variance_adu2=15 / 0.46,
        evenness=1.0,
    )
    line = fit_noise_line(levels)
    assert line is not None
    assert line.slope_adu == pytest.approx(1 / 0.46)
    assert line.zero_adu == pytest.approx(95.0)
    assert fit_noise_line(replace(levels, variance_adu2=levels.variance_adu2[::-1])) is None
    assert fit_noise_line(replace(levels, mean_adu=mean[:1], variance_adu2=mean[:1])) is None


def given_camera(**numbers):
    values = {"offset_adu": 4.0, "gain_e_per_adu": 0.34, "read_noise_e": 1.2, "bit_depth": 8}
    return CameraCalibration(name="mine", source="given", **(values | numbers))


def dark_frames(level=4.0, noise=3.0, dtype=np.uint8):
    rng = np.random.default_rng(11)
    grey = np.rint(rng.normal(level, noise, (6, 32, 32)))
    return grey.clip(0, np.iinfo(dtype).max).astype(dtype)


def test_factory_offsets_of_other_cameras_are_refused():
    with pytest.raises(CalibrationError, match=r"clip.mp4 .*offset is 414, above the signal; give"):
        check_calibration(given_camera(offset_adu=414.0), VideoSource(dark_frames(20)))
    with pytest.raises(CalibrationError, match=r"median grey value of 235 .* offset is 414"):
        check_calibration(
            given_camera(offset_adu=414.0, bit_depth=16),
            ArraySource(dark_frames(235, 12, np.uint16)),
        )


@pytest.mark.parametrize("preset", ["huawei-p9-raw", "andor-ixon-897"])
def test_presets_of_another_depth_are_refused_with_the_remedy(preset):
    with pytest.raises(CalibrationError, match=r"8-bit grey values, .* calibrate on frames like"):
        check_calibration(CAMERA_PRESETS[preset], VideoSource(dark_frames()))


def test_a_calibration_of_fewer_bits_is_refused_when_the_values_exceed_it():
    with pytest.raises(CalibrationError, match="grey values up to .* which end at 255"):
        check_calibration(given_camera(), ArraySource(dark_frames(500, 20, np.uint16)))
    ten_bit = VideoSource(dark_frames(40, 9, np.uint16), bit_depth=10)
    with pytest.raises(CalibrationError, match="10-bit grey values, but the camera mine"):
        check_calibration(given_camera(), ten_bit)


def test_a_calibration_of_fewer_bits_in_a_wider_container_is_taken():
    andor = replace(CAMERA_PRESETS["andor-ixon-897"], offset_adu=200.0)
    check_calibration(andor, ArraySource(dark_frames(210, 15, np.uint16)))


@pytest.mark.parametrize("level", [0.0, 2.0, 4.0, 9.0])
def test_dark_frames_a_little_below_the_offset_are_taken(level):
    check_calibration(given_camera(offset_adu=4.074), VideoSource(dark_frames(level, 0.4)))
    check_calibration(given_camera(offset_adu=8.0), VideoSource(dark_frames(level, 0.4)))
