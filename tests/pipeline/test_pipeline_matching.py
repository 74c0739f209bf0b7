"""Parameters are turned until the differences are as small as they can be."""

import numpy as np
import pytest

from cellstorm_lib.pipeline.matching import Turned, matched

WIDE = Turned(start=0.0, low=-100.0, high=100.0, step=1.0)


def test_a_straight_problem_is_solved_as_least_squares_solve_it():
    rng = np.random.default_rng(1)
    slopes, wanted = rng.normal(size=(9, 3)), rng.normal(size=9)
    found = matched(lambda values: slopes @ values - wanted, (WIDE,) * 3, rounds=8)
    np.testing.assert_allclose(found, np.linalg.lstsq(slopes, wanted, rcond=None)[0], atol=1e-3)


def test_a_curved_problem_is_solved_with_slopes_learnt_once():
    true = np.array([1.5, -0.7])
    time = np.linspace(0, 3, 20)

    def difference(values):
        return values[0] * np.exp(values[1] * time) - true[0] * np.exp(true[1] * time)

    start = (
        Turned(start=1.0, low=0.1, high=9.0, step=0.1),
        Turned(start=-0.2, low=-5.0, high=5.0, step=0.1),
    )
    np.testing.assert_allclose(matched(difference, start, rounds=20), true, atol=1e-3)


def test_no_parameter_leaves_its_range_and_the_others_make_up_for_it():
    def difference(values):
        return np.array([values[0] + values[1] - 10.0, 0.1 * (values[0] - values[1])])

    start = (Turned(start=0.0, low=-1.0, high=2.0, step=1.0), WIDE)
    found = matched(difference, start, rounds=12)
    assert found[0] == pytest.approx(2.0)
    # Best with the first at its end: minimise (y - 8)^2 + 0.01 (y - 2)^2.
    assert found[1] == pytest.approx(8.02 / 1.01, abs=1e-2)


@pytest.mark.parametrize("start", [-50.0, 50.0])
def test_a_start_outside_the_range_is_moved_into_it(start):
    tried = []

    def difference(values):
        tried.append(float(values[0]))
        return values - 0.5

    turned = Turned(start=start, low=0.0, high=1.0, step=0.25)
    assert matched(difference, (turned,), rounds=5) == pytest.approx(0.5, abs=1e-2)
    assert 0.0 <= min(tried) <= max(tried) <= 1.0


def test_a_step_that_makes_it_worse_is_not_kept():
    def difference(values):
        return np.array([np.where(abs(values[0]) < 0.3, 1.0 + values[0] ** 2, 5.0)])

    turned = Turned(start=0.1, low=-9.0, high=9.0, step=0.05)
    found = matched(difference, (turned,), rounds=6)
    assert difference(found)[0] <= difference(np.array([0.1]))[0]


def test_the_function_is_called_as_often_as_promised():
    calls = []

    def difference(values):
        calls.append(values.copy())
        return np.concatenate([values - 1.0, np.sin(5 * values)])

    matched(difference, (WIDE,) * 3, rounds=4)
    assert 1 + 3 < len(calls) <= 1 + 3 + 4


def test_parameters_that_do_nothing_stay_where_they_are():
    found = matched(lambda values: np.array([values[0] - 2.0]), (WIDE, WIDE), rounds=5)
    np.testing.assert_allclose(found, [2.0, 0.0], atol=1e-2)
