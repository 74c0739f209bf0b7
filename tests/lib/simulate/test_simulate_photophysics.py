"""Molecules blink with the stated times, and no light is lost between frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.photophysics import (
    BlinkingSettings,
    Blinks,
    draw_blinks,
    draw_brightness,
    expose_blinks,
)

LEAST_P = 1e-4


def test_on_times_dark_times_and_numbers_of_blinks_have_their_distributions():
    blinking = BlinkingSettings(on_ms=40.0, dark_s=3.0, blinks=4.0, first_blink="dark")
    blinks = draw_blinks(20_000, duration_s=1e9, settings=blinking, rng=np.random.default_rng(1))
    on_s = blinks.end_s - blinks.start_s
    assert stats.kstest(on_s, "expon", args=(0, 0.040)).pvalue > LEAST_P
    is_next = np.diff(blinks.molecule) == 0
    dark_s = (blinks.start_s[1:] - blinks.end_s[:-1])[is_next]
    assert stats.kstest(dark_s, "expon", args=(0, 3.0)).pvalue > LEAST_P
    per_molecule = np.bincount(blinks.molecule)
    assert per_molecule.min() >= 1
    spread = np.sqrt((1 - 1 / 4) * 4**2)  # of a geometric number with mean 4
    assert abs(per_molecule.mean() - 4.0) < 4 * spread / np.sqrt(20_000)
    assert abs((per_molecule == 1).mean() - 1 / 4) < 4 * np.sqrt(3 / 16 / 20_000)


def test_the_first_blink_comes_after_a_dark_time_or_anywhere_in_the_recording():
    for first_blink, expected in (("dark", ("expon", (0, 2.0))), ("spread", ("uniform", (0, 50)))):
        blinking = BlinkingSettings(dark_s=2.0, blinks=2.0, first_blink=first_blink)
        blinks = draw_blinks(5000, duration_s=50.0, settings=blinking, rng=np.random.default_rng(2))
        is_first = np.diff(blinks.molecule, prepend=-1) > 0
        name, args = expected
        assert stats.kstest(blinks.start_s[is_first], name, args=args).pvalue > LEAST_P


def test_molecules_that_never_bleach_reach_their_duty_cycle():
    blinking = BlinkingSettings(on_ms=500.0, dark_s=2.0, blinks=10_000.0, first_blink="dark")
    blinks = draw_blinks(5000, duration_s=30.0, settings=blinking, rng=np.random.default_rng(3))
    on_share = ((blinks.start_s < 29.0) & (blinks.end_s > 29.0)).sum() / 5000
    duty = 0.5 / 2.5
    assert abs(on_share - duty) < 4 * np.sqrt(duty * (1 - duty) / 5000)


def test_no_blink_starts_after_the_recording():
    blinks = draw_blinks(
        1000, duration_s=5.0, settings=BlinkingSettings(), rng=np.random.default_rng(4)
    )
    assert blinks.start_s.min() >= 0
    assert blinks.start_s.max() < 5.0
    assert (np.diff(blinks.molecule) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    exposure_share=st.floats(0.05, 1.0),
    frame_count=st.integers(1, 12),
)
def test_exposed_shares_are_the_overlap_of_blinks_and_exposures(seed, exposure_share, frame_count):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 30))
    molecule = np.sort(rng.integers(0, 5, count))
    start_s = rng.uniform(0, frame_count * 0.05, count)
    end_s = start_s + rng.exponential(0.08, count)
    found = expose_blinks(
        Blinks(molecule=molecule, start_s=start_s, end_s=end_s),
        frame_count=frame_count,
        frame_s=0.05,
        exposure_s=0.05 * exposure_share,
    )
    expected = np.zeros((frame_count, 5))
    for frame in range(frame_count):
        opened_s, closed_s = frame * 0.05, frame * 0.05 + 0.05 * exposure_share
        overlap_s = np.minimum(end_s, closed_s) - np.maximum(start_s, opened_s)
        np.add.at(expected[frame], molecule, np.maximum(overlap_s, 0) / (closed_s - opened_s))
    image = np.zeros((frame_count, 5))
    image[found.frame, found.molecule] = found.exposed_share
    np.testing.assert_allclose(image, expected, atol=1e-9)
    rows = found.frame * 5 + found.molecule
    assert (np.diff(rows) > 0).all(), "rows are not sorted, or a molecule stands twice in a frame"


def test_brightness_has_its_mean_and_spread():
    blinking = BlinkingSettings(photons_per_frame=800.0, brightness_cv=0.5)
    photons = draw_brightness(50_000, settings=blinking, rng=np.random.default_rng(5))
    assert abs(photons.mean() / 800.0 - 1) < 4 * 0.5 / np.sqrt(50_000)
    assert photons.std() / photons.mean() == pytest.approx(0.5, rel=0.04)
    same = draw_brightness(
        10, settings=BlinkingSettings(brightness_cv=0.0), rng=np.random.default_rng(6)
    )
    np.testing.assert_allclose(same, 1000.0)


def test_impossible_blinking_is_refused():
    with pytest.raises(SettingsError, match="blinks must be at least 1"):
        BlinkingSettings(blinks=0.5)
    with pytest.raises(SettingsError, match="on_ms must be above 0, got 0"):
        BlinkingSettings(on_ms=0.0)
    with pytest.raises(
        SettingsError, match=r"1000000 dyes with about 1e\+03 blinks each are too many"
    ):
        draw_blinks(
            1_000_000,
            duration_s=1e6,
            settings=BlinkingSettings(blinks=1000.0),
            rng=np.random.default_rng(0),
        )
