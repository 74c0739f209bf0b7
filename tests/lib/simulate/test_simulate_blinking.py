"""Dyes known by name blink as their source measured, and contradictions are named."""

from dataclasses import asdict

import numpy as np
import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.blinking import (
    BlinkingSettings,
    DarkStateSettings,
    blinking_from,
    dye_names,
)
from cellstorm_lib.simulate.photophysics import draw_blinks

# Dempsey et al. 2011, Table 1: photons detected (0.92 of them), duty cycle, blinks, not bleached
# after 400 s
MEASURED = {
    "alexa-fluor-647-dstorm": (5202.0, 0.0012, 26.0, 0.73),
    "alexa-fluor-647-mea": (3823.0, 0.0005, 14.0, 0.83),
}


@pytest.mark.parametrize("name", list(MEASURED))
def test_a_dye_has_the_figures_of_its_source(name):
    photons, duty_cycle, blinks, unbleached = MEASURED[name]
    dye = blinking_from({"dye": name})
    assert 0.92 * dye.photons_per_s * dye.on_ms / 1000.0 == pytest.approx(photons, rel=0.005)
    assert dye.settled_shares[0] == pytest.approx(duty_cycle, rel=0.005)
    assert dye.blinks == blinks
    on = draw_blinks(6000, duration_s=1e6, settings=dye, rng=np.random.default_rng(1))
    bleached_s = on.end_s[np.append(np.diff(on.molecule) > 0, True)]
    found = (bleached_s > 400.0).mean()
    assert abs(found - unbleached) < 4 * np.sqrt(unbleached * (1 - unbleached) / 6000) + 0.005


@pytest.mark.parametrize("name", list(MEASURED))
def test_what_a_dye_does_is_what_its_source_measured(name):
    photons, duty_cycle, blinks, _ = MEASURED[name]
    dye = blinking_from({"dye": name})
    count = 3000
    on = draw_blinks(count, duration_s=1e6, settings=dye, rng=np.random.default_rng(2))
    is_new = np.append(True, np.diff(on.molecule) > 0)
    at = np.flatnonzero(is_new)
    lit_s = np.add.reduceat(on.end_s - on.start_s, at)
    gap_s = np.append(np.inf, on.start_s[1:] - on.end_s[:-1])
    # dark times of 50 s and more: the short state of 5 ms is over within 50 ms
    seen = np.add.reduceat((is_new | (gap_s > 0.05)).astype(float), at)
    # geometric numbers of exponential blinks
    assert abs(seen.mean() - blinks) < 4.5 * blinks / np.sqrt(count) + 0.005 * blinks
    detected = 0.92 * dye.photons_per_s * lit_s.sum() / seen.sum()
    assert abs(detected / photons - 1) < 4.5 / np.sqrt(seen.sum()) + 0.005
    # a ratio of two lengths of about `seen` independent terms each
    last = np.append(at[1:] - 1, len(on.end_s) - 1)
    dark_count = seen.sum() - len(at)
    dark_s = ((on.end_s[last] - on.start_s[at]).sum() - lit_s.sum()) / dark_count
    on_s = lit_s.sum() / seen.sum()
    # the source counts a dark time to every blink but the last
    share = on_s / (on_s + dark_s * (blinks - 1) / blinks)
    assert abs(share / duty_cycle - 1) < 4.5 * np.sqrt(2 / dark_count) + 0.01


def test_every_dye_reads_and_bears_its_name():
    assert set(dye_names()) == set(MEASURED)
    for name in dye_names():
        assert blinking_from({"dye": name}).dye == name


def test_a_scene_overrides_its_dye():
    dye = blinking_from({"dye": "alexa-fluor-647-dstorm"})
    other = blinking_from({"dye": "alexa-fluor-647-dstorm", "on_ms": 30, "dark_states": []})
    assert (other.on_ms, other.dark_states, other.dark_s) == (30.0, (), dye.dark_s)
    dim = blinking_from({"dye": "alexa-fluor-647-dstorm", "photons_per_frame": 500})
    assert (dim.photons_per_frame, dim.photons_per_s) == (500.0, None)
    assert blinking_from(asdict(dim)) == dim


def test_one_brightness_given_switches_off_the_other():
    blinking = blinking_from({"photons_per_s": 20_000})
    assert blinking.photons_per_frame is None
    assert blinking.photons_per_exposure(0.05) == pytest.approx(1000.0)
    assert blinking_from({}) == BlinkingSettings()
    assert blinking_from({"photons_per_frame": 5}).photons_per_exposure(0.05) == 5.0


def test_the_simple_keys_are_the_chain_with_one_dark_state():
    blinking = BlinkingSettings(on_ms=50.0, dark_s=4.0, blinks=2.0)
    np.testing.assert_allclose(blinking.rates_from_on_hz, [10.0, 10.0])
    np.testing.assert_allclose(blinking.dark_lifetimes_s, [4.0])
    np.testing.assert_allclose(blinking.settled_shares, [1 / 41, 40 / 41])
    assert blinking.interruptions_per_blink == 0.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"blinks": 0.5}, "blinking.blinks must be at least 1"),
        ({"on_ms": 0}, "blinking.on_ms must be above 0, got 0"),
        ({"dye": "cy9"}, "there is no dye 'cy9'; there are alexa-fluor-647-dstorm, "),
        (
            {"photons_per_frame": 5, "photons_per_s": 5},
            "photons_per_frame and photons_per_s exclude each other .* got 5.0 and 5.0",
        ),
        ({"photons_per_s": None, "photons_per_frame": None}, "one is needed"),
        ({"dark_states": [{"entered_hz": -1}]}, r"dark_states\[0\]\.entered_hz must be above 0"),
        ({"dark_states": {"entered_hz": 1}}, "dark_states must be a list"),
        ("alexa-fluor-647-dstorm", "blinking must be names with values"),
        ({"first_blink": "now"}, r"blinking\.first_blink must be one of"),
    ],
)
def test_impossible_blinking_is_refused(content, message):
    with pytest.raises(SettingsError, match=message):
        blinking_from(content)


def test_a_dark_state_needs_a_rate_and_a_lifetime():
    with pytest.raises(SettingsError, match="lifetime_ms must be above 0, got 0"):
        DarkStateSettings(lifetime_ms=0.0)
    with pytest.raises(SettingsError, match="there is no dye 'moon'"):
        BlinkingSettings(dye="moon")
