"""A phone's numbers are those its frames show, and are read off a clip."""

from dataclasses import replace

import numpy as np
import pytest
from still_films import CODEC, MODEL, changed, still_film

from cellstorm_lib.evaluate.clip_measures import measure_clip
from cellstorm_lib.pipeline.phone_model import (
    first_guess,
    is_dark_clip,
    phone_of,
    with_levels_moved,
)
from cellstorm_lib.video.read import open_recording

FRAMES, SIZE = 24, (320, 240)


@pytest.fixture(scope="module")
def uncoded(tmp_path_factory):
    """Return the measures of the known phone's frames before the codec."""
    path = still_film(
        tmp_path_factory.mktemp("uncoded"),
        changed(level=20.0),  # well above 0, so that nothing is clipped
        None,
        frame_count=FRAMES,
        size=SIZE,
    )
    return measure_clip(open_recording(path))


def test_the_simulated_phone_shows_the_numbers_of_the_model(uncoded):
    pixels = SIZE[0] * SIZE[1]
    rows, columns = np.linspace(-1, 1, SIZE[1])[:, None], np.linspace(-1, 1, SIZE[0])[None, :]
    radius2 = (rows**2 * SIZE[1] ** 2 + columns**2 * SIZE[0] ** 2) / (SIZE[0] ** 2 + SIZE[1] ** 2)
    # A wide bell, hardly different from a parabola; the pattern of 256 pixels averages out.
    glow = MODEL.glow_levels * np.exp(-radius2 / (2 * MODEL.glow_width**2))
    expected = 20.0 - MODEL.shading_levels * radius2 + glow
    difference = (uncoded.mean_adu - expected).reshape(15, 16, 20, 16).mean(axis=(1, 3))
    assert np.abs(difference).max() < 0.06 * MODEL.shading_levels + 5 * MODEL.pattern_levels / 16
    # The model's variance plus that of rounding, in the bins of the curve; what is left of the
    # noise in the mean moves pixels between bins.
    variance = MODEL.read_variance + MODEL.shot_variance * glow + 1 / 12
    order = np.argsort(uncoded.mean_adu, axis=None, kind="stable")
    binned = variance.ravel()[order].reshape(len(uncoded.level_adu), -1).mean(axis=1)
    np.testing.assert_allclose(uncoded.variance_adu2, binned, rtol=0.05)
    dilution = 1 - 1 / 12 / uncoded.variance_adu2.mean()
    scatter = 5 * 2 / np.sqrt(pixels * FRAMES)
    for axis in ("x", "y", "time"):
        found = getattr(uncoded, f"correlation_{axis}").value
        true = getattr(MODEL, f"correlation_{axis}")
        assert found == pytest.approx(true * dilution, abs=scatter + 0.01), axis


def test_the_first_guess_is_near_the_truth(uncoded):
    guess = first_guess(uncoded, is_dark=True)
    assert guess.level == pytest.approx(20.0, abs=0.4)
    assert guess.shading_levels == pytest.approx(MODEL.shading_levels, abs=0.6)
    assert guess.glow_levels == pytest.approx(MODEL.glow_levels, rel=0.2)
    assert guess.glow_width == pytest.approx(MODEL.glow_width, rel=0.2)
    assert MODEL.read_variance < guess.read_variance < 2 * MODEL.read_variance
    assert guess.shot_variance == pytest.approx(MODEL.shot_variance, rel=0.2)
    assert guess.correlation_x == pytest.approx(MODEL.correlation_x, rel=0.2)
    assert guess.correlation_y == pytest.approx(MODEL.correlation_y, rel=0.2)


def test_a_picture_without_glow_is_given_none(tmp_path):
    path = still_film(tmp_path, changed(level=20.0, glow_levels=0.0), None)
    guess = first_guess(measure_clip(open_recording(path)), is_dark=True)
    assert guess.glow_levels == 0.0
    assert guess.level == pytest.approx(20.0, abs=0.1)
    assert guess.shading_levels == pytest.approx(MODEL.shading_levels, abs=0.3)


def test_of_a_lit_clip_the_darkest_pixels_are_taken_for_the_black_level(uncoded):
    mean = np.linspace(9.0, 200.0, uncoded.mean_adu.size, dtype=np.float32)
    lit = replace(uncoded, mean_adu=mean.reshape(uncoded.mean_adu.shape))
    guess = first_guess(lit, is_dark=False)
    assert guess.level == pytest.approx(np.percentile(mean, 0.1), abs=0.01)
    assert (guess.shading_levels, guess.glow_levels) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("level", "span", "is_dark"), [(4, 6, True), (23, 15, True), (30, 6, False), (10, 40, False)]
)
def test_dark_clips_are_dim_and_flat(uncoded, level, span, is_dark):
    mean = np.linspace(level - span / 2, level + span / 2, uncoded.mean_adu.size)
    picture = mean.reshape(uncoded.mean_adu.shape).astype(np.float32)
    assert is_dark_clip(replace(uncoded, mean_adu=picture)) is is_dark


def test_the_level_is_moved_by_what_is_missing(uncoded):
    darker = replace(uncoded, mean_adu=uncoded.mean_adu - np.float32(1.5))
    moved = with_levels_moved(MODEL, uncoded, darker)
    assert moved.level == pytest.approx(MODEL.level + 1.5, abs=1e-4)
    assert moved.shading_levels == pytest.approx(MODEL.shading_levels, abs=1e-4)
    same = replace(moved, level=MODEL.level, shading_levels=MODEL.shading_levels)
    assert same == MODEL


def test_the_level_stays_within_the_raw_grey_values(uncoded):
    far = replace(uncoded, mean_adu=uncoded.mean_adu - np.float32(500.0))
    moved = with_levels_moved(MODEL, uncoded, far)
    assert moved.level == 64.0
    assert phone_of(moved, CODEC, name="far").camera.processing.black_level_adu == 0.0


def test_light_and_levels_are_two_names_of_one_thing(uncoded):
    levels = np.full((4, 5), 7.0, np.float32)
    electrons = MODEL.light_e(levels)
    assert electrons.dtype == np.float32
    # Poisson noise of these electrons, scaled and denoised, has the variance stated per level.
    variance = electrons[0, 0] * MODEL.levels_per_e**2 * MODEL.kept_variance
    assert variance == pytest.approx(7.0 * MODEL.shot_variance, rel=1e-5)


def test_denoising_keeps_what_smoothing_noise_keeps():
    assert changed(
        correlation_x=0.0, correlation_y=0.0, correlation_time=0.0
    ).kept_variance == pytest.approx(1.0)
    # [a, 1 - 2a, a] with a = 1/4 correlates neighbours by 2/3 and keeps 3/8.
    smooth = changed(correlation_x=2 / 3, correlation_y=0.0, correlation_time=0.5)
    assert smooth.kept_variance == pytest.approx(3 / 8 * 1 / 3, rel=1e-6)


def test_the_encoder_works_at_the_quantisers_of_the_file():
    codec = phone_of(MODEL, replace(CODEC, qp=12.4, key_qp=6.6, start_qp=14.7), name="p").codec
    assert codec is not None
    assert (codec.qp, codec.bits_per_px) == (12, None)
    assert codec.ip_ratio == pytest.approx(2 ** (5 / 6))
    assert codec.extra_params == "deadzone-inter=21:deadzone-intra=18:zones=0,0,q=20"


def test_without_quantisers_the_encoder_works_at_the_bit_rate():
    unknown = replace(CODEC, codec="hevc", qp=None, key_qp=None, start_qp=None)
    codec = phone_of(MODEL, unknown, name="p").codec
    assert codec is not None
    assert (codec.codec, codec.qp, codec.bits_per_px) == ("hevc", None, 0.6)
    assert codec.extra_params == ""
