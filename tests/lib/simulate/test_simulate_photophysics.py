"""Molecules blink with the stated times, and no light is lost between frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.blinking import BlinkingSettings, DarkStateSettings
from cellstorm_lib.simulate.photophysics import (
    Blinks,
    draw_blinks,
    draw_brightness,
    expose_blinks,
)

LEAST_P = 1e-4
SHORT = DarkStateSettings(name="short", entered_hz=30.0, lifetime_ms=4.0)
LONG = DarkStateSettings(name="long", entered_hz=2.0, lifetime_ms=900.0)


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


def generator_of(blinking):
    """The chain's matrix of rates: on, main dark, short, long, bleached."""
    rates_hz = np.zeros((5, 5))
    leaves_hz = 1000.0 / blinking.on_ms
    rates_hz[0, 1:4] = leaves_hz * (1 - 1 / blinking.blinks), 30.0, 2.0
    rates_hz[0, 4] = leaves_hz / blinking.blinks
    rates_hz[1:4, 0] = 1 / blinking.dark_s, 1 / 0.004, 1 / 0.9
    return rates_hz - np.diag(rates_hz.sum(axis=1))


@pytest.mark.parametrize("first_blink", ["on", "dark", "settled"])
def test_the_share_of_molecules_on_follows_the_chain_in_time(first_blink):
    blinking = BlinkingSettings(
        on_ms=100.0, dark_s=0.4, blinks=5.0, first_blink=first_blink, dark_states=(SHORT, LONG)
    )
    rates_hz = generator_of(blinking)
    no_bleaching = rates_hz[:4, :4] + np.diag([rates_hz[0, 4], 0, 0, 0])
    stationary = linalg.null_space(no_bleaching.T)[:, 0]
    start = {
        "on": np.array([1.0, 0, 0, 0, 0]),
        "dark": np.array([0, 1.0, 0, 0, 0]),
        "settled": np.append(stationary / stationary.sum(), 0.0),
    }[first_blink]
    np.testing.assert_allclose(blinking.settled_shares, stationary / stationary.sum())
    count = 20_000
    blinks = draw_blinks(count, duration_s=6.0, settings=blinking, rng=np.random.default_rng(7))
    for time_s in (0.0, 0.01, 0.05, 0.2, 0.7, 2.0, 5.9):
        expected = (start @ linalg.expm(rates_hz * time_s))[0]
        found = ((blinks.start_s <= time_s) & (blinks.end_s > time_s)).sum() / count
        assert abs(found - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / count), time_s


def test_short_dark_states_chop_a_blink_and_leave_its_light_and_number_alone():
    blinking = BlinkingSettings(
        on_ms=100.0, dark_s=1e6, blinks=4.0, first_blink="dark", dark_states=(SHORT,)
    )
    count = 10_000
    on = draw_blinks(count, duration_s=1e12, settings=blinking, rng=np.random.default_rng(8))
    gap_s = np.append(np.inf, on.start_s[1:] - on.end_s[:-1])
    is_new = (np.diff(on.molecule, prepend=-1) > 0) | (gap_s > 1.0)
    lit_s = np.add.reduceat(on.end_s - on.start_s, np.flatnonzero(is_new))
    assert stats.kstest(lit_s, "expon", args=(0, 0.100)).pvalue > LEAST_P
    per_molecule = np.bincount(on.molecule[is_new], minlength=count)
    assert abs(per_molecule.mean() - 4.0) < 4 * np.sqrt(12.0 / count)
    assert stats.kstest(gap_s[~is_new], "expon", args=(0, 0.004)).pvalue > LEAST_P
    interruptions = (~is_new).sum() / is_new.sum()
    assert blinking.interruptions_per_blink == pytest.approx(3.0)
    assert abs(interruptions - 3.0) < 4 * np.sqrt(12.0 / is_new.sum())  # geometric from 0, mean 3


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
    photons = draw_brightness(
        50_000, settings=blinking, exposure_s=0.05, rng=np.random.default_rng(5)
    )
    assert abs(photons.mean() / 800.0 - 1) < 4 * 0.5 / np.sqrt(50_000)
    assert photons.std() / photons.mean() == pytest.approx(0.5, rel=0.04)
    even = BlinkingSettings(photons_per_frame=None, photons_per_s=3000.0, brightness_cv=0.0)
    same = draw_brightness(10, settings=even, exposure_s=0.02, rng=np.random.default_rng(6))
    np.testing.assert_allclose(same, 60.0)


def test_too_many_on_times_are_refused():
    def drawn(blinking):
        rng = np.random.default_rng(0)
        draw_blinks(1_000_000, duration_s=1e6, settings=blinking, rng=rng)

    with pytest.raises(SettingsError, match=r"1000000 dyes with about 1e\+03 each are too many"):
        drawn(BlinkingSettings(blinks=1000.0))
    fast = DarkStateSettings(entered_hz=1e5, lifetime_ms=0.01)
    with pytest.raises(SettingsError, match=r"may hold 1e\+08 on times"):
        drawn(BlinkingSettings(blinks=1.0, dark_states=(fast,)))
