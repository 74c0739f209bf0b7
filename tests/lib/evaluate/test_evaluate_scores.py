"""Scores follow the definitions of the challenge and say None where there is nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth_tables import found, true

from cellstorm_lib.evaluate.scores import efficiency, nearest_true_nm, score


def test_scores_by_hand():
    # four emitters; two found 3-4-5 off, one found twice, one missed, one false far away
    emitters = true([[0, 0], [1000, 0], [2000, 0], [3000, 0]])
    localizations = found([[3, 4], [1003, 4], [2003, 4], [2050, 0], [9000, 9000]])
    scores = score(localizations, emitters)
    assert (scores.true, scores.found, scores.matched) == (4, 5, 3)
    assert scores.jaccard == 3 / 6
    assert scores.recall == 3 / 4
    assert scores.precision == 3 / 5
    assert scores.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert scores.rmse_nm == pytest.approx(5.0)
    assert (scores.bias_x_nm, scores.bias_y_nm) == (3.0, 4.0)
    assert scores.efficiency == pytest.approx(100 - np.sqrt(50**2 + 5**2))
    assert scores.error_over_uncertainty is None
    assert scores.tolerance_nm == 250.0


def test_a_perfect_table_scores_a_hundred():
    xy_nm = np.random.default_rng(0).uniform(0, 25_600, (100, 2))
    scores = score(found(xy_nm), true(xy_nm))
    assert (scores.jaccard, scores.f1, scores.rmse_nm, scores.efficiency) == (1, 1, 0, 100)


@given(jaccard=st.floats(0, 1), rmse_nm=st.floats(0, 300))
def test_the_efficiency_is_that_of_the_challenge(jaccard, rmse_nm):
    expected = 100 - np.sqrt((100 - 100 * jaccard) ** 2 + rmse_nm**2)
    assert efficiency(jaccard, rmse_nm) == pytest.approx(expected)


def test_a_poor_table_has_a_negative_efficiency():
    assert efficiency(0.1, 200.0) < 0
    assert efficiency(None, 3.0) is None
    assert efficiency(0.5, None) is None


def test_nothing_to_compare_gives_none():
    both = score(found([]), true([]))
    assert (both.jaccard, both.recall, both.precision, both.f1, both.rmse_nm) == (None,) * 5
    missed = score(found([]), true([[0, 0]]))
    assert (missed.jaccard, missed.recall, missed.precision, missed.efficiency) == (
        0,
        0,
        None,
        None,
    )
    false = score(found([[0, 0]]), true([]))
    assert (false.jaccard, false.recall, false.precision, false.bias_x_nm) == (0, None, 0, None)
    apart = score(found([[0, 0]], [1], uncertainty_nm=[5.0]), true([[0, 0]], [2]))
    assert (apart.matched, apart.jaccard, apart.error_over_uncertainty) == (0, 0, None)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    recall=st.floats(0, 1),
    false_count=st.integers(0, 100),
    method=st.sampled_from(["greedy", "hungarian"]),
)
def test_counts_add_up(seed, recall, false_count, method):
    rng = np.random.default_rng(seed)
    xy_nm = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) * 2000.0
    hit = rng.random(100) < recall
    wrong_nm = 1000 + 2000 * rng.integers(0, 9, (false_count, 2))
    scores = score(found(np.concatenate([xy_nm[hit] + 30, wrong_nm])), true(xy_nm), method=method)
    assert scores.matched == hit.sum()
    assert scores.jaccard == hit.sum() / (100 + false_count)
    assert scores.recall == hit.mean()
    if scores.matched:
        assert scores.rmse_nm == pytest.approx(30 * np.sqrt(2))


def test_dim_emitters_still_count_as_true():
    emitters = true([[0, 0], [500, 0]], photons=[50.0, 500.0])
    scores = score(found([[0, 0], [500, 0]]), emitters, min_photons=100.0)
    assert (scores.true, scores.found, scores.matched) == (2, 2, 1)
    assert scores.jaccard == 1 / 3


@pytest.mark.parametrize("names", [["uncertainty_nm"], ["uncertainty_x_nm", "uncertainty_y_nm"]])
@pytest.mark.parametrize("honesty", [0.5, 1.0, 2.0])
def test_the_error_is_compared_with_the_claim(names, honesty):
    rng, count = np.random.default_rng(1), 4000
    xy_nm, sigma_nm = rng.uniform(0, 25_600, (count, 2)), rng.uniform(5, 20, count)
    errors_nm = rng.normal(0, 1, (count, 2)) * sigma_nm[:, None] * honesty
    claims = dict.fromkeys(names, sigma_nm)
    frame = np.arange(count)
    scores = score(found(xy_nm + errors_nm, frame, **claims), true(xy_nm, frame))
    error = 1 / np.sqrt(2 * 2 * count)
    assert abs(scores.error_over_uncertainty / honesty - 1) < 4 * error
    # the median is about 1.6 times less efficient
    assert abs(scores.error_over_uncertainty_robust / honesty - 1) < 4 * 1.65 * error


def test_a_few_wrong_pairs_spoil_the_mean_square_but_not_the_median():
    rng, count = np.random.default_rng(2), 2000
    xy_nm, errors_nm = rng.uniform(0, 25_600, (count, 2)), rng.normal(0, 10, (count, 2))
    errors_nm[:40] += 150
    frame = np.arange(count)
    scores = score(
        found(xy_nm + errors_nm, frame, uncertainty_nm=np.full(count, 10.0)), true(xy_nm, frame)
    )
    assert scores.error_over_uncertainty > 2
    assert scores.error_over_uncertainty_robust == pytest.approx(1, abs=0.1)
    assert abs(scores.bias_x_nm) < 4 * 1.2533 * 10 / np.sqrt(count) + 0.3


def test_claims_of_no_uncertainty_are_left_out():
    scores = score(found([[3, 4], [1003, 4]], uncertainty_nm=[0.0, 5.0]), true([[0, 0], [1000, 0]]))
    assert scores.error_over_uncertainty == pytest.approx(np.sqrt((0.6**2 + 0.8**2) / 2))


def test_neighbours_are_those_of_the_same_frame_and_may_be_shared():
    emitters = true([[0, 0], [1000, 0]], [0, 1])
    localizations = found([[10, 0], [0, 25], [0, 999], [900, 0], [0, 0]], [0, 0, 0, 1, 7])
    distances = nearest_true_nm(localizations, emitters)
    np.testing.assert_allclose(distances, [10, 25, 999, 100, np.inf])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), count=st.integers(0, 80), other=st.integers(0, 80))
def test_neighbour_distances_agree_with_all_distances(seed, count, other):
    rng = np.random.default_rng(seed)
    frame, other_frame = (np.sort(rng.integers(0, 4, n)) for n in (count, other))
    one, two = rng.uniform(0, 3000, (count, 2)), rng.uniform(0, 3000, (other, 2))
    distance = np.hypot(*(one[:, None] - two).transpose(2, 0, 1))
    distance[frame[:, None] != other_frame] = np.inf
    nearest = np.min(distance, axis=1, initial=np.inf)
    measured = nearest_true_nm(found(one, frame), true(two, other_frame))
    np.testing.assert_allclose(measured, nearest)
