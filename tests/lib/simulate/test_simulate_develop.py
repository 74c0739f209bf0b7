"""Every step of the image signal processor does what it says, and nothing when it is off."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.develop import (
    black_shading,
    develop,
    memory_frames,
    neighbour_weight,
)
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.sensor import SensorPattern, SensorSettings, draw_pattern
from cellstorm_lib.simulate.tone import tone_curve

#: Much noise about a level far from both ends, in steps much smaller than it.
NOISY = SensorSettings(offset_adu=600.0, gain_e_per_adu=0.05, read_noise_e=2.0, fixed_pattern_e=0.0)
PLAIN = ProcessingSettings(adu_per_level=5.0)


def exposed(sensor, expected_e, *, pattern=None, first=0):
    frames = range(first, first + len(expected_e))
    return expose(
        expected_e,
        pattern=SensorPattern.even(expected_e.shape[1:]) if pattern is None else pattern,
        sensor=sensor,
        seeds=frame_seeds(1, frames, stream=0),
    )


def developed(raw, expected_e, *, sensor=NOISY, lead=0, first=0, frame_s=0.05, **steps):
    frames = np.arange(first, first + len(raw))
    return develop(
        raw,
        expected_e=expected_e,
        sensor=sensor,
        processing=replace(PLAIN, **steps),
        time_s=frames * frame_s,
        seeds=frame_seeds(1, range(first, first + len(raw)), stream=9),
        lead=lead,
    )


def dark_frames(shape=(8, 200, 200), **steps):
    expected_e = np.zeros(shape, np.float32)
    return developed(exposed(NOISY, expected_e), expected_e, **steps).astype(np.float64)


def correlation(values, axis):
    """Return the correlation of neighbours along an axis, away from the rims."""
    inner = values[:, 2:-2, 2:-2] if axis else values
    noise = np.moveaxis(inner - inner.mean(), axis, -1)
    return (noise[..., 1:] * noise[..., :-1]).mean() / (noise**2).mean()


def test_plain_processing_scales_rounds_and_clips():
    raw = np.array([[[0, 10, 13, 15, 1000, 4000]]], np.uint16)
    levels = developed(
        raw,
        np.full(raw.shape, 3.0, np.float32),
        sensor=SensorSettings(),
        black_level_adu=10.0,
        adu_per_level=4.0,
    )
    np.testing.assert_array_equal(levels, [[[0, 0, 1, 1, 248, 255]]])


@given(correlation=st.floats(0, 0.66))
def test_the_kernel_correlates_neighbours_as_stated(correlation):
    weight = neighbour_weight(correlation)
    kernel = np.array([weight, 1 - 2 * weight, weight])
    found = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    assert found == pytest.approx(correlation, abs=1e-9)


@pytest.mark.parametrize("denoises", ["noise", "image"])
@pytest.mark.parametrize(("along_x", "along_y"), [(0.3, 0.5), (0.45, 0.61), (0.66, 0.0)])
def test_denoising_correlates_noise_along_each_axis(denoises, along_x, along_y):
    levels = dark_frames(
        denoises=denoises, noise_correlation_x=along_x, noise_correlation_y=along_y
    )
    # rounding to whole levels adds 1/12 of white noise
    share = 1 - 1 / 12 / levels.var()
    assert correlation(levels, 2) == pytest.approx(along_x * share, abs=0.012)
    assert correlation(levels, 1) == pytest.approx(along_y * share, abs=0.012)
    assert abs(correlation(levels, 0)) < 0.012
    assert abs(levels.mean() - 120.0) < 4 * np.sqrt((64 + 1 / 12) / levels.size)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_temporal_denoising_correlates_noise_in_time(share):
    levels = dark_frames((130, 64, 64), temporal_share=share)[30:]
    white = 1 - 1 / 12 / levels.var()
    assert correlation(levels, 0) == pytest.approx(share * white, abs=0.02)
    variance = 64.0 * (1 - share) / (1 + share) + 1 / 12
    assert levels.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_older_frames_than_the_memory_hardly_matter(share):
    memory = memory_frames(ProcessingSettings(temporal_share=share))
    assert share ** (memory + 1) < 1 / 1024 or share == 0
    assert memory == 0 or share ** (memory - 1) > 1 / 1024


def blinking(shape=(6, 40, 40)):
    """Return a spot that shines in frame 3 only."""
    expected_e = np.zeros(shape, np.float32)
    expected_e[3, 20, 20] = 30.0
    return expected_e


def test_the_ideal_denoiser_leaves_the_image_alone_and_real_filters_smear_it():
    quiet = replace(NOISY, read_noise_e=0.0)
    expected_e = blinking()
    raw = np.rint(600.0 + expected_e / 0.05).astype(np.uint16)  # light without its noise
    steps = {"noise_correlation_x": 0.4, "noise_correlation_y": 0.4, "temporal_share": 0.5}
    ideal = developed(raw, expected_e, sensor=quiet, **steps)
    np.testing.assert_array_equal(ideal, np.rint(raw / 5.0))
    smeared = developed(raw, expected_e, sensor=quiet, denoises="image", **steps).astype(int) - 120
    weight = neighbour_weight(0.4)
    peak = 120.0 * (1 - 2 * weight) ** 2
    assert smeared[3, 20, 20] == pytest.approx(0.5 * peak, abs=0.51)
    assert smeared[3, 20, 21] == pytest.approx(0.5 * peak * weight / (1 - 2 * weight), abs=0.51)
    assert smeared[4, 20, 20] == pytest.approx(0.25 * peak, abs=0.51)
    assert smeared[2].max() == 0
    kept = developed(raw, expected_e, sensor=quiet, denoises="image", edge_levels=5.0, **steps)
    assert kept[3, 20, 20] > 220
    assert kept[4, 20, 20] < 130


def test_an_edge_far_above_the_noise_changes_nothing():
    steps = {"noise_correlation_x": 0.4, "temporal_share": 0.5, "denoises": "image"}
    without, with_edge = dark_frames(**steps), dark_frames(**steps, edge_levels=1e6)
    assert np.abs(without - with_edge).max() <= 1
    assert (without != with_edge).mean() < 1e-3


def test_the_black_level_decays_as_stated():
    expected_e = np.zeros((100, 64, 64), np.float32)
    levels = developed(
        exposed(NOISY, expected_e), expected_e, black_drift_levels=20.0, black_drift_s=1.5
    )
    expected = 120.0 + 20.0 * np.exp(-np.arange(100) * 0.05 / 1.5)
    deviation = (levels.mean(axis=(1, 2)) - expected) / np.sqrt((64 + 1 / 12) / 64**2)
    assert np.abs(deviation).max() < 5
    assert abs(deviation.mean()) < 0.5


def test_the_black_level_wobbles_from_frame_to_frame():
    expected_e = np.zeros((500, 32, 32), np.float32)
    means = developed(exposed(NOISY, expected_e), expected_e, black_wobble_levels=2.0).mean(
        axis=(1, 2)
    )
    variance = 4.0 + (64 + 1 / 12) / 32**2
    assert abs(means.var() / variance - 1) < 4 * np.sqrt(2 / 500)
    assert abs((means[1:] - 120.0) @ (means[:-1] - 120.0)) / 499 < 4 * variance / np.sqrt(499)


@pytest.mark.parametrize("width", [0.3, 2.0, 100.0])
def test_black_shading_falls_from_the_centre_to_the_corners(width):
    processing = ProcessingSettings(black_shading_levels=5.0, black_shading_width=width)
    shading = black_shading(processing, (201, 301))
    assert shading[100, 150] == pytest.approx(0.0, abs=1e-3)
    assert shading[0, 0] == pytest.approx(-5.0, abs=0.1)
    radius2 = (150.0 / np.hypot(100.5, 150.5)) ** 2
    bell = (1 - np.exp(-radius2 / 2 / width**2)) / (1 - np.exp(-0.5 / width**2))
    assert shading[100, 0] == pytest.approx(-5.0 * bell, abs=1e-9)
    levels = dark_frames((40, 200, 200), black_shading_levels=30.0, black_shading_width=width)
    found = levels.mean(axis=0)[:10, :10].mean() - levels.mean(axis=0)[95:105, 95:105].mean()
    expected = black_shading(replace(processing, black_shading_levels=30.0), (200, 200))
    difference = expected[:10, :10].mean() - expected[95:105, 95:105].mean()
    assert abs(found - difference) < 4 * np.sqrt(2 * 64.1 / 4000)


def test_lens_shading_correction_undoes_vignetting():
    sensor = replace(NOISY, corner_share=0.5)
    expected_e = np.full((60, 64, 64), 25.0, np.float32)
    pattern = draw_pattern(sensor, shape=(64, 64), rng=np.random.default_rng(1))
    raw = exposed(sensor, expected_e, pattern=pattern)
    steps = {"black_level_adu": 600.0}
    shaded = developed(raw, expected_e, sensor=sensor, **steps).mean(axis=0)
    even = developed(raw, expected_e, sensor=sensor, lens_shading_correction=1.0, **steps).mean(
        axis=0
    )
    corner = pattern.response[:4, :4].mean()
    assert shaded[:4, :4].mean() == pytest.approx(100 * corner, rel=0.02)
    assert even[:4, :4].mean() == pytest.approx(100, rel=0.02)
    assert even[30:34, 30:34].mean() == pytest.approx(100, rel=0.02)


def test_the_tone_curve_is_applied_to_every_value():
    raw = np.arange(0, 1275, 5, dtype=np.uint16).reshape(1, 15, 17)
    steps = {"gamma": 0.45, "toe_levels": 6.0, "toe_slope": 0.4, "knee_level": 180.0}
    levels = developed(raw, np.zeros(raw.shape, np.float32), denoises="image", **steps)
    curve = tone_curve(replace(PLAIN, **steps), raw / 5.0)
    assert np.abs(levels - curve).max() < 0.51


@pytest.mark.parametrize("radius_px", [0.5, 1.0, 2.0])
def test_sharpening_lifts_fine_detail_by_its_transfer(radius_px):
    """Noise keeps its mean; each frequency is lifted by 1 + amount (1 - that of the blur)."""
    levels = dark_frames((6, 128, 128), sharpening_amount=0.8, sharpening_radius_px=radius_px)
    plain = dark_frames((6, 128, 128))
    reach = int(np.ceil(3 * radius_px))
    blurred = [
        ndimage.gaussian_filter(frame, radius_px, mode="nearest", radius=reach) for frame in plain
    ]
    expected = plain + 0.8 * (plain - np.array(blurred))
    # both round once; the input of the expectation has been rounded before
    error = levels - expected
    assert abs(error.mean()) < 0.01
    assert error.std() < np.sqrt(1 / 12 + (1.8**2 + 0.1) / 12)
    assert abs(levels.mean() - plain.mean()) < 0.01


def test_dither_keeps_the_mean_where_rounding_does_not():
    raw = np.full((50, 64, 64), 602, np.uint16)  # 120.4 levels
    expected_e = np.zeros(raw.shape, np.float32)
    np.testing.assert_array_equal(developed(raw, expected_e), np.full(raw.shape, 120))
    dithered = developed(raw, expected_e, dither=True)
    assert set(np.unique(dithered)) == {120, 121}
    assert abs(dithered.mean() - 120.4) < 4 * np.sqrt(0.24 / raw.size)


def test_dark_values_are_clipped_at_zero():
    levels = dark_frames(black_level_adu=600.0)
    assert (levels == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert levels.mean() == pytest.approx(8.0 / np.sqrt(2 * np.pi), rel=0.03)


def test_steps_that_are_off_are_none():
    """At the value that switches a step off, its other settings change nothing."""
    off = {
        "black_drift_s": 3.0,
        "black_shading_width": 0.3,
        "denoises": "noise",
        "toe_levels": 9.0,
        "gamma_linear_share": 0.1,
        "sharpening_radius_px": 3.0,
        "lens_shading_correction": 1.0,
        "edge_levels": 4.0,
    }
    np.testing.assert_array_equal(dark_frames(**off), dark_frames())


@given(
    lead=st.integers(0, 30),
    share=st.sampled_from([0.0, 0.3, 0.6]),
    edge=st.sampled_from([None, 6.0]),
    denoises=st.sampled_from(["noise", "image"]),
)
def test_frames_are_the_same_whichever_others_are_made(lead, share, edge, denoises):
    expected_e = np.random.default_rng(1).gamma(1.0, 5.0, (40, 24, 32)).astype(np.float32)
    raw = exposed(NOISY, expected_e)
    steps = {
        "temporal_share": share, "noise_correlation_x": 0.3, "edge_levels": edge,
        "denoises": denoises, "dither": True, "black_wobble_levels": 1.0,
        "black_drift_levels": 3.0, "sharpening_amount": 0.5, "toe_levels": 5.0, "toe_slope": 0.5,
    }  # fmt: skip
    whole = developed(raw, expected_e, **steps)
    memory = memory_frames(replace(PLAIN, temporal_share=share))
    first = max(0, lead - memory)
    part = developed(raw[first:], expected_e[first:], lead=lead - first, first=first, **steps)
    np.testing.assert_array_equal(part, whole[lead:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_correlation_x": 0.9}, "noise_correlation_x must be at least 0 and at most 0.66"),
        ({"temporal_share": 0.9}, "temporal_share must be at least 0 and at most 0.8"),
        ({"adu_per_level": 0}, "adu_per_level must be above 0, got 0"),
        ({"gamma": 0.1}, "gamma must be at least 0.2"),
        ({"knee_level": 255.0}, "knee_level must be above 0 and at most 254"),
        ({"black_drift_s": 0.0}, "black_drift_s must be above 0"),
    ],
)
def test_impossible_processing_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ProcessingSettings(**settings)
