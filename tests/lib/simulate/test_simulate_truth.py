"""What is measured back from noise-free frames agrees with the scene within statistics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from cellstorm_lib.simulate.airy import AirySpotSettings
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings, DarkStateSettings, blinking_from
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.labelling import LabellingSettings
from cellstorm_lib.simulate.scatter import GridSettings, RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.simulate import simulate_scene

QUANTUM_EFFICIENCY = 0.75
TILE_PX = 10
FRAME_S = 0.05

# 400 molecules, one in the middle of each tile of 10 x 10 pixels, in the dark
ISOLATED = Scene(
    frame_count=1200,
    frame_rate_hz=1 / FRAME_S,
    field=FieldSettings(width_px=200, height_px=200),
    structure=GridSettings(spacing_nm=1000.0, jitter_nm=20.0),
    spot=GaussianSpotSettings(sigma_px=0.8),
    background=BackgroundSettings(photons=0.0),
    blinking=BlinkingSettings(
        on_ms=200.0, dark_s=0.5, blinks=3.0, first_blink="dark", brightness_cv=0.0
    ),
)


def traces_e(scene):
    """Return the light of each tile in each frame, (N, molecules)."""
    simulation = simulate_scene(scene)
    parts = []
    for first in range(0, scene.frame_count, 100):
        frames = simulation.expected_e(range(first, min(first + 100, scene.frame_count)))
        rows, columns = (extent // TILE_PX for extent in frames.shape[1:])
        tiles = frames.reshape(len(frames), rows, TILE_PX, columns, TILE_PX)
        parts.append(tiles.sum(axis=(2, 4), dtype=np.float64).reshape(len(frames), -1))
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def traces():
    return traces_e(ISOLATED)


def assert_mean(values, expected, spread):
    """Fail when a mean is farther off than 4.5 of its standard errors."""
    off = (np.mean(values) - expected) / (spread / np.sqrt(len(values)))
    assert abs(off) < 4.5, f"mean {np.mean(values):.4g}, expected {expected:.4g}: {off:.1f} s.e."


def test_photons_of_a_full_exposure(traces):
    assert traces.shape == (1200, 400)
    full = traces.max(axis=0) > 0.999 * traces.max()
    assert traces.max() == pytest.approx(QUANTUM_EFFICIENCY * 1000.0, rel=1e-4)
    assert full.mean() > 0.5


def test_time_on_until_bleaching(traces):
    # a geometric number (mean 3) of exponential times (mean 0.2 s) is exponential of mean 0.6 s
    on_s = traces.sum(axis=0) / (QUANTUM_EFFICIENCY * 1000.0) * FRAME_S
    assert_mean(on_s, 0.6, 0.6)
    assert (on_s > 1.2).mean() == pytest.approx(np.exp(-2), abs=4 * np.sqrt(0.117 / 400))


def test_number_of_blinks(traces):
    # a dark time shows when it spans a whole frame, of which T / dark = 0.1 decides
    x = FRAME_S / 0.5
    seen = (np.exp(-x) - np.exp(-2 * x)) / x
    is_on = traces > 1e-3
    runs = is_on[0] + (np.diff(is_on.astype(int), axis=0) == 1).sum(axis=0)
    # blinks - 1 is geometric from 0 with mean 2; each further one is seen with that chance
    mean = 2.0 * seen
    assert_mean(runs, 1.0 + mean, np.sqrt(mean * (1 + mean)))


def test_frames_that_a_blink_touches():
    scene = replace(ISOLATED, blinking=replace(ISOLATED.blinking, blinks=1.0, first_blink="spread"))
    is_on = traces_e(scene) > 1e-6
    # a blink of mean length T touches 1 + T / frame frames; its last may lie after the recording
    touched = is_on.sum(axis=0)
    early = is_on[:-100].any(axis=0)
    assert_mean(touched[early], 1.0 + 0.2 / FRAME_S, np.sqrt((0.2 / FRAME_S) ** 2 + 0.25))
    first = is_on.argmax(axis=0)[early]
    assert_mean(first, 1100 / 2, 1100 / np.sqrt(12))


def test_duty_cycle_with_several_dark_states():
    states = (
        DarkStateSettings(name="short", entered_hz=20.0, lifetime_ms=10.0),
        DarkStateSettings(name="long", entered_hz=1.0, lifetime_ms=800.0),
    )
    blinking = replace(
        ISOLATED.blinking, blinks=10_000.0, first_blink="settled", dark_states=states
    )
    shares = traces_e(replace(ISOLATED, blinking=blinking)) / (QUANTUM_EFFICIENCY * 1000.0)
    expected = 1.0 / (1.0 + 5.0 * 0.5 + 20.0 * 0.010 + 1.0 * 0.8)
    assert blinking.settled_shares[0] == pytest.approx(expected, rel=1e-3)
    each = shares.mean(axis=0)
    assert_mean(each, expected, each.std())
    # settled from the first frame on: the first second is like the last
    assert_mean(shares[:20].mean(axis=0), expected, shares[:20].mean(axis=0).std())
    assert_mean(shares[-20:].mean(axis=0), expected, shares[-20:].mean(axis=0).std())


def test_photons_of_a_blink_of_a_named_dye():
    blinking = blinking_from(
        {"dye": "alexa-fluor-647-dstorm", "first_blink": "on", "brightness_cv": 0.0}
    )
    wide = FieldSettings(width_px=400, height_px=400)
    scene = replace(ISOLATED, frame_count=20, field=wide, blinking=blinking)
    in_one_second_e = traces_e(scene).sum(axis=0)
    blink_e = QUANTUM_EFFICIENCY * 96_300.0 * 0.0587
    # all of the first blink, and with the chance of 1 s in 50.7 s nearly all of a second one
    expected = 1.0 + 25 / 26 / 50.7 * (1.0 - 2 * 0.0587)
    assert_mean(in_one_second_e / blink_e, expected, 1.02)


def test_density_of_dyes_and_of_strays():
    labelling = LabellingSettings(efficiency=0.6, dyes_per_antibody=2.5, background_per_um2=4.0)
    scene = replace(
        ISOLATED,
        frame_count=1,
        field=FieldSettings(width_px=256, height_px=192),
        structure=RandomSettings(sites_per_um2=40.0),
        labelling=labelling,
        blinking=replace(ISOLATED.blinking, first_blink="on"),
    )
    simulation = simulate_scene(scene)
    area_um2 = 25.6 * 19.2
    dyes = len(simulation.emitters)
    antibodies = (0.6 * 40.0 + 4.0) * area_um2
    # a Poisson number of antibodies with k dyes each: variance is their number times mean k^2;
    # k is Poisson without zero, of rate r: mean k^2 = mean k * (1 + r), and r < mean k
    assert abs(dyes - 2.5 * antibodies) < 4.5 * np.sqrt(antibodies * 2.5 * 3.5)
    assert simulation.emitters.data["emitter"].is_unique
    stray = simulation.dyes.site[simulation.emitters.column("emitter")] < 0
    assert stray.mean() == pytest.approx(1 / 7, abs=4.5 * np.sqrt(0.13 / antibodies))


def test_spread_of_the_linker_in_the_frames():
    scene = replace(
        ISOLATED,
        frame_count=1,
        structure=GridSettings(spacing_nm=1000.0, jitter_nm=0.0),
        labelling=LabellingSettings(linker_nm=60.0),
        blinking=replace(ISOLATED.blinking, first_blink="on", on_ms=1e6),
    )
    frame = simulate_scene(scene).expected_e(range(1))[0].astype(np.float64)
    tiles = frame.reshape(20, TILE_PX, 20, TILE_PX).transpose(0, 2, 1, 3).reshape(400, 10, 10)
    at_nm = (np.arange(10) - 4.5) * 100.0
    for axis in (1, 2):
        light = tiles.sum(axis=3 - axis)
        off_nm = (light * at_nm).sum(axis=1) / light.sum(axis=1)
        assert np.abs(off_nm).max() < 61.0
        assert_mean(off_nm, 0.0, 60.0 / np.sqrt(3))
        assert_mean(off_nm**2, 60.0**2 / 3, np.sqrt(60.0**4 / 5 - 60.0**4 / 9))


def fitted_sigma_nm(scene):
    """Return the width of a pixel-integrated Gaussian fitted to the mean spot of a scene."""
    frame = simulate_scene(scene).expected_e(range(1))[0].astype(np.float64)
    rows, columns = np.indices(frame.shape) + 0.5
    truth = simulate_scene(scene).emitters.data.iloc[0]
    x_px, y_px = truth["x_nm"] / 100.0, truth["y_nm"] / 100.0
    core = np.hypot(columns - x_px, rows - y_px) < 2.5

    def residuals(values):
        light, variance = values
        squared = (columns - x_px) ** 2 + (rows - y_px) ** 2
        return (light * np.exp(-squared / (2 * variance)) - frame)[core]

    fitted = optimize.least_squares(residuals, (frame.max(), 1.5), x_scale=(frame.max(), 1.0))
    return 100.0 * np.sqrt(fitted.x[1] - 1 / 12)


@pytest.mark.parametrize(
    ("spot", "expected_nm", "tolerance"),
    [
        (GaussianSpotSettings(sigma_px=1.3), 130.0, 0.01),
        (GaussianSpotSettings(sigma_px=0.9), 90.0, 0.03),
        (AirySpotSettings(numerical_aperture=1.2), 0.21 * 670 / 1.2, 0.05),
        (AirySpotSettings(numerical_aperture=0.9), 0.21 * 670 / 0.9, 0.05),
    ],
)
def test_width_of_the_spot(spot, expected_nm, tolerance):
    scene = replace(
        ISOLATED,
        frame_count=1,
        field=FieldSettings(width_px=40, height_px=40),
        structure=GridSettings(spacing_nm=4000.0),
        spot=spot,
        blinking=replace(ISOLATED.blinking, first_blink="on", on_ms=1e6),
    )
    assert fitted_sigma_nm(scene) == pytest.approx(expected_nm, rel=tolerance)
