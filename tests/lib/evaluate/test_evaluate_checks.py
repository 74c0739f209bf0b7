"""Grids are found where they are, and not in structure, blinking or chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_tables import field, found

from cellstorm_lib.evaluate.checks import grid_test, subpixel_bias_test

SIDE_NM = 25_600.0


def scattered(count, seed=0):
    return np.random.default_rng(seed).uniform(0, SIDE_NM, (count, 2))


def on_blocks(share, period_nm, *, count=4000, seed=0, offset_nm=0.0):
    rng, xy_nm = np.random.default_rng(seed), scattered(count, seed)
    caught = rng.random(count) < share
    snapped = np.round((xy_nm - offset_nm) / period_nm) * period_nm + offset_nm
    xy_nm[caught] = (snapped + rng.normal(0, 30, xy_nm.shape))[caught]
    return np.clip(xy_nm, 0, SIDE_NM)


def filaments(seed, *, molecules=2000, size=10, precision_nm=15.0):
    """Return blinking molecules on straight lines in all directions."""
    rng = np.random.default_rng(seed)
    start, angle = rng.uniform(0, SIDE_NM, (15, 2)), rng.uniform(0, np.pi, 15)
    line, along = rng.integers(0, 15, molecules), rng.uniform(-SIDE_NM, SIDE_NM, molecules)
    direction = np.column_stack([np.cos(angle), np.sin(angle)])[line]
    centres_nm = start[line] + along[:, None] * direction + rng.normal(0, 10, (molecules, 2))
    xy_nm = np.repeat(centres_nm, size, axis=0)
    xy_nm = xy_nm + rng.normal(0, precision_nm, xy_nm.shape)
    return xy_nm[((xy_nm > 0) & (xy_nm < SIDE_NM)).all(axis=1)]


@pytest.mark.parametrize("period_px", [4.0, 8.0, 16.0])
def test_localizations_on_codec_blocks_fail(period_px):
    report = grid_test(found(on_blocks(0.3, 100 * period_px)))
    assert report.passed is False
    assert report.p_value < 1e-3
    assert report.effect == pytest.approx(0.3, abs=0.06)
    # the grid of 16 px has power at 8 and 4 px too; the strongest is named
    assert period_px % report.period_px == 0
    assert min(report.phase_px, report.period_px - report.phase_px) < 0.3
    assert "of the localizations sit on a grid of" in report.reason


def test_the_interval_of_the_effect_holds_the_share():
    reports = [grid_test(found(on_blocks(0.2, 800.0, count=2000, seed=s))) for s in range(40)]
    # of a scatter of 30 nm around the grid, a blur of exp(-2 (pi 30 / 800)^2) is left
    share = 0.2 * np.exp(-2 * (np.pi * 30 / 800) ** 2)
    inside = [report.effect_low < share < report.effect_high for report in reports]
    # the strongest of six tests is reported, so a few more lie above than 1 in 20
    assert np.mean(inside) > 0.8
    uniform = grid_test(found(scattered(5000)))
    assert uniform.effect_low == 0
    assert uniform.effect_high < 0.1


def test_the_effect_is_the_share_on_the_grid():
    effects = [
        grid_test(found(on_blocks(0.2, 800.0, count=20_000, seed=s))).effect for s in range(5)
    ]
    # the best of three periods, each with noise of sqrt(1.5 / count) under a Hann window
    noise = np.sqrt(1.5 / 20_000)
    assert np.mean(effects) == pytest.approx(0.2, abs=2 * noise + 0.01)


@settings(deadline=None, max_examples=20)
@given(roi_px=st.integers(0, 40), block_px=st.integers(0, 7))
def test_blocks_are_those_of_the_full_frame(roi_px, block_px):
    xy_nm = on_blocks(0.5, 800.0, offset_nm=100.0 * block_px)
    report = grid_test(found(xy_nm, fov=field(roi_x_px=roi_px, roi_y_px=roi_px)))
    from_edge = (report.phase_px - (block_px + roi_px)) % report.period_px
    assert min(from_edge, report.period_px - from_edge) < 0.3


@pytest.mark.parametrize("test", [grid_test, subpixel_bias_test])
@pytest.mark.parametrize("count", [300, 5000, 200_000])
def test_uniform_positions_pass(test, count):
    report = test(found(scattered(count)))
    assert report.passed is True
    assert report.p_value > 1e-3
    assert "stands out" in report.reason


@pytest.mark.parametrize("test", [grid_test, subpixel_bias_test])
def test_blinking_structure_passes(test):
    failed = [test(found(filaments(seed))).passed is False for seed in range(40)]
    assert sum(failed) <= 1  # 1 in 1000 each by chance


@pytest.mark.parametrize("test", [grid_test, subpixel_bias_test])
def test_chances_are_stated_fairly(test):
    p_values = np.array([test(found(scattered(400, seed))).p_value for seed in range(300)])
    for level in (0.05, 0.2):
        assert np.mean(p_values < level) < level + 4 * np.sqrt(level * (1 - level) / 300)


@pytest.mark.parametrize("make", [lambda: scattered(100_000, 3), lambda: filaments(3)])
def test_positions_drawn_to_pixel_centres_fail(make):
    xy_px = make() / 100
    pulled = xy_px - 0.03 * np.sin(2 * np.pi * (xy_px - 0.5))
    report = subpixel_bias_test(found(np.clip(pulled, 0, 256) * 100))
    assert report.passed is False
    assert report.period_px == 1.0
    assert report.phase_px == pytest.approx(0.5, abs=0.1)
    assert report.effect == pytest.approx(np.pi * 0.03, abs=0.03)
    assert "px of every 1 px along" in report.reason


def test_positions_drawn_to_centres_and_edges_fail():
    xy_px = scattered(50_000, 4) / 100
    pulled = xy_px - 0.02 * np.sin(4 * np.pi * xy_px)
    report = subpixel_bias_test(found(np.clip(pulled, 0, 256) * 100))
    assert (report.passed, report.period_px) == (False, 0.5)


def test_a_preference_too_small_to_matter_passes_however_sure():
    xy_nm = on_blocks(0.02, 800.0, count=400_000)
    report = grid_test(found(xy_nm))
    assert report.passed is True
    assert report.p_value < 1e-6
    assert grid_test(found(xy_nm), min_effect=0.01).passed is False
    assert "a share on the grid of 5.0% would have" in report.reason


def test_a_bead_seen_in_every_frame_is_no_grid():
    bead = np.array([8000.0, 12_000.0]) + np.random.default_rng(0).normal(0, 10, (5000, 2))
    xy_nm = np.concatenate([bead, scattered(5000)])
    assert grid_test(found(xy_nm)).passed is not False
    assert subpixel_bias_test(found(xy_nm)).passed is not False


@pytest.mark.parametrize("side_px", [128, 200, 250, 519])
def test_fields_of_any_size_can_be_tested(side_px):
    rng = np.random.default_rng(side_px)
    xy_nm = rng.uniform(0, 100 * side_px, (6000, 2))
    assert grid_test(found(xy_nm, fov=field(side_px))).passed is True
    xy_nm[::3] = np.round(xy_nm[::3] / 800) * 800
    report = grid_test(found(np.clip(xy_nm, 0, 100 * side_px - 1), fov=field(side_px)))
    assert report.passed is False
    assert report.effect == pytest.approx(1 / 3, abs=0.06)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_turning_the_table_swaps_the_axes(seed):
    xy_nm = on_blocks(0.3, 800.0, seed=seed)
    one, two = grid_test(found(xy_nm)), grid_test(found(xy_nm[:, ::-1]))
    assert one.effect == pytest.approx(two.effect)
    assert {one.axis, two.axis} == {"x", "y"}


@pytest.mark.parametrize("test", [grid_test, subpixel_bias_test])
@pytest.mark.parametrize(
    "table",
    [
        found([]),
        found(scattered(199)),
        found(np.random.default_rng(0).uniform(0, 1600, (5000, 2)), fov=field(16)),
        found(np.full((5000, 2), 12_345.0)),
        found(np.full((5000, 2), -50.0)),
    ],
    ids=["empty", "few", "small field", "one place", "outside"],
)
def test_too_little_to_tell_is_none(test, table):
    report = test(table)
    assert report.passed is None
    assert "too few or too close together to test them against" in report.reason
    assert report.p_value == 1.0
