"""The tone curve is the standard's where there is one, rises, and has no corners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.tone import (
    TABLE_STEPS,
    is_straight,
    linear_range,
    tone_curve,
    tone_table,
)

CURVES = st.builds(
    ProcessingSettings,
    toe_levels=st.one_of(st.just(0.0), st.floats(2, 60)),
    toe_slope=st.floats(0.1, 3),
    gamma=st.floats(0.3, 2.5),
    gamma_linear_share=st.floats(0.005, 0.2),
    knee_level=st.one_of(st.none(), st.floats(50, 250)),
)


def test_no_curve_changes_nothing():
    linear = np.linspace(-20, 400, 101)
    np.testing.assert_array_equal(tone_curve(ProcessingSettings(), linear), linear)
    assert is_straight(ProcessingSettings())
    assert is_straight(ProcessingSettings(toe_levels=5.0))
    assert not is_straight(ProcessingSettings(toe_levels=5.0, toe_slope=0.5))
    assert not is_straight(ProcessingSettings(knee_level=200.0))


def test_gamma_045_is_bt_709():
    light = np.array([0.0, 0.004, 0.018, 0.1, 0.5, 1.0])
    standard = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    curve = tone_curve(ProcessingSettings(gamma=0.45), 255.0 * light) / 255.0
    np.testing.assert_allclose(curve, standard, atol=1e-3)


def test_a_toe_bends_the_dark_end_only():
    processing = ProcessingSettings(toe_levels=8.0, toe_slope=0.25)
    step = 1e-4
    slopes = [
        float(np.diff(tone_curve(processing, np.array([at, at + step])))[0]) / step
        for at in (-5.0, 0.0, 8.0, 200.0)
    ]
    assert slopes == pytest.approx([0.25, 0.25, 1 - 0.75 / 4, 1.0], abs=2e-3)


def test_a_knee_keeps_the_rest_and_never_clips():
    processing = ProcessingSettings(knee_level=200.0)
    curve = tone_curve(processing, np.array([150.0, 200.0, 255.0, 800.0]))
    np.testing.assert_allclose(curve[:2], [150.0, 200.0])
    assert curve[2] == pytest.approx(200 + 55 * (1 - np.exp(-1)))
    assert 254.99 < curve[3] < 255.0


@given(processing=CURVES)
def test_every_curve_rises_without_a_corner(processing):
    linear = np.linspace(-10, 254, 2 * 5280 + 1)
    slope = np.diff(tone_curve(processing, linear)) / np.diff(linear)
    assert (slope > 0).all()
    # a corner would be a jump of the slope that does not shrink with the step
    coarse = np.abs(np.diff(slope[::2])).max()
    assert np.abs(np.diff(slope)).max() < 0.75 * coarse + 1e-9


@given(processing=CURVES)
def test_the_table_is_the_curve(processing):
    table = tone_table(processing)
    linear = np.linspace(0, 254, 1000)
    looked_up = np.interp(linear * TABLE_STEPS, np.arange(len(table)), table)
    curve = tone_curve(processing, linear)
    assert np.abs(looked_up - curve).max() < 0.05
    at_top = tone_curve(processing, np.array([len(table) / TABLE_STEPS]))
    assert at_top > min(254.0, tone_curve(processing, np.array([1e4]))[0] - 1)


def test_the_linear_range_ends_where_the_slope_departs_by_two_percent():
    processing = ProcessingSettings(toe_levels=8.0, toe_slope=0.25)
    slope, low, high = linear_range(processing, 100.0)

    def slope_at(level):
        linear = np.linspace(0, 400, 400_001)
        at = np.searchsorted(tone_curve(processing, linear), level)
        return np.diff(tone_curve(processing, linear[at : at + 2]))[0] / 1e-3

    assert slope == pytest.approx(slope_at(tone_curve(processing, np.array([100.0]))[0]), rel=1e-3)
    assert slope_at(low) == pytest.approx(0.98 * slope, rel=1e-3)
    assert high == 255.0
    assert linear_range(ProcessingSettings(), 4.0) == (1.0, 0.0, 255.0)
    # a power of 0.45 has lost 2 % of its slope when the light has grown by 0.98 ** (-1 / 0.55)
    end = tone_curve(ProcessingSettings(gamma=0.45), np.array([255 * 0.018 * 0.98 ** (-1 / 0.55)]))
    assert linear_range(ProcessingSettings(gamma=0.45), 2.0)[1:] == pytest.approx(
        (0.0, end[0]), rel=5e-3
    )


def test_a_curve_that_is_level_is_refused():
    with pytest.raises(SettingsError, match=r"toe_slope must be at least 0\.02"):
        ProcessingSettings(toe_slope=0.0)
