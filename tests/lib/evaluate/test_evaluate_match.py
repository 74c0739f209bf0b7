"""Pairs are one to one, of one frame, within the tolerance, and the best there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from truth_tables import found, true

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.evaluate import match as matching
from cellstorm_lib.evaluate.match import match_localizations

METHODS = ["greedy", "hungarian"]


def crowd(seed, count=60, frames=5, side_nm=1500.0):
    rng = np.random.default_rng(seed)
    xy_nm, frame = rng.uniform(0, side_nm, (count, 2)), np.sort(rng.integers(0, frames, count))
    return xy_nm, frame


def tables(seed, count=60):
    return found(*crowd(seed, count)), true(*crowd(seed + 10_000, count - 10))


def slow_greedy(localizations, emitters, tolerance_nm):
    """Take the closest free pair again and again."""
    distance = np.hypot(*(localizations.xy_nm[:, None] - emitters_xy(emitters)).transpose(2, 0, 1))
    frame, other = localizations.column("frame"), emitters.column("frame")
    distance[(frame[:, None] != other) | (distance > tolerance_nm)] = np.inf
    pairs = set()
    while np.isfinite(distance).any():
        row, column = np.unravel_index(np.argmin(distance), distance.shape)
        pairs.add((int(row), int(column)))
        distance[row], distance[:, column] = np.inf, np.inf
    return pairs


def emitters_xy(emitters):
    return np.column_stack([emitters.column("x_nm"), emitters.column("y_nm")])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5000), tolerance_nm=st.floats(20, 800))
def test_greedy_takes_the_closest_free_pair_again_and_again(seed, tolerance_nm):
    localizations, emitters = tables(seed)
    found_pairs = match_localizations(localizations, emitters, tolerance_nm)
    assert set(
        zip(found_pairs.localization.tolist(), found_pairs.emitter.tolist(), strict=True)
    ) == slow_greedy(localizations, emitters, tolerance_nm)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5000), tolerance_nm=st.floats(20, 800))
def test_hungarian_agrees_with_scipy_frame_by_frame(seed, tolerance_nm):
    localizations, emitters = tables(seed)
    pairs = match_localizations(localizations, emitters, tolerance_nm, method="hungarian")
    count, total = 0, 0.0
    for frame in range(5):
        one = localizations.xy_nm[localizations.column("frame") == frame]
        two = emitters_xy(emitters)[emitters.column("frame") == frame]
        distance = np.hypot(*(one[:, None] - two).transpose(2, 0, 1))
        chosen = linear_sum_assignment(np.where(distance <= tolerance_nm, distance, 1e7))
        kept = distance[chosen][distance[chosen] <= tolerance_nm]
        count, total = count + len(kept), total + kept.sum()
    assert len(pairs) == count
    assert pairs.distance_nm.sum() == pytest.approx(total)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5000), tolerance_nm=st.floats(1, 3000), method=st.sampled_from(METHODS))
def test_pairs_are_one_to_one_of_one_frame_and_within_the_tolerance(seed, tolerance_nm, method):
    localizations, emitters = tables(seed)
    pairs = match_localizations(localizations, emitters, tolerance_nm, method=method)
    assert len(np.unique(pairs.localization)) == len(np.unique(pairs.emitter)) == len(pairs)
    assert (
        localizations.column("frame")[pairs.localization] == emitters.column("frame")[pairs.emitter]
    ).all()
    distance = np.hypot(
        *(localizations.xy_nm[pairs.localization] - emitters_xy(emitters)[pairs.emitter]).T
    )
    np.testing.assert_allclose(pairs.distance_nm, distance)
    assert (distance <= tolerance_nm).all()
    assert (np.diff(pairs.localization) > 0).all()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 5000), shift_nm=st.floats(0, 1e5), method=st.sampled_from(METHODS))
def test_moving_both_tables_changes_no_pair(seed, shift_nm, method):
    localizations, emitters = tables(seed)
    moved = true(emitters_xy(emitters) + shift_nm, emitters.column("frame"))
    one = match_localizations(localizations, emitters, method=method)
    two = match_localizations(
        found(localizations.xy_nm + shift_nm, localizations.column("frame")), moved, method=method
    )
    np.testing.assert_array_equal(one.emitter, two.emitter)


def test_greedy_prefers_the_closest_and_hungarian_the_most_pairs():
    emitters = true([[100.0, 0.0], [200.0, 0.0]])
    localizations = found([[160.0, 0.0], [320.0, 0.0]])
    greedy = match_localizations(localizations, emitters, 100.0)
    assert (greedy.localization.tolist(), greedy.emitter.tolist()) == ([0], [1])
    best = match_localizations(localizations, emitters, 130.0, method="hungarian")
    assert (best.localization.tolist(), best.emitter.tolist()) == ([0, 1], [0, 1])


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_at_exactly_the_tolerance_counts(method):
    emitters, localizations = true([[0.0, 0.0]]), found([[150.0, 200.0]])
    assert len(match_localizations(localizations, emitters, 250.0, method=method)) == 1
    assert len(match_localizations(localizations, emitters, 249.999999, method=method)) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("here", "there"), [(0, 0), (0, 3), (3, 0)])
def test_either_table_may_be_empty(here, there, method):
    one, two = found(np.zeros((here, 2))), true(np.zeros((there, 2)))
    assert len(match_localizations(one, two, method=method)) == 0


def test_dim_emitters_cannot_be_matched():
    emitters = true([[0.0, 0.0], [500.0, 0.0]], photons=[99.0, 100.0])
    localizations = found([[0.0, 0.0], [500.0, 0.0]])
    pairs = match_localizations(localizations, emitters, min_photons=100.0)
    assert pairs.emitter.tolist() == [1]


def test_a_table_of_localizations_can_be_the_truth():
    localizations = found(*crowd(3))
    pairs = match_localizations(localizations, localizations)
    np.testing.assert_array_equal(pairs.localization, pairs.emitter)


@pytest.mark.parametrize("method", METHODS)
def test_a_hundred_thousand_pairs_are_found(method):
    rng = np.random.default_rng(0)
    frame = np.repeat(np.arange(4000), 25)
    xy_nm = rng.uniform(0, 25_600, (100_000, 2))
    pairs = match_localizations(
        found(xy_nm + rng.normal(0, 10, xy_nm.shape), frame), true(xy_nm, frame), method=method
    )
    assert len(pairs) > 99_900
    assert np.mean(pairs.localization == pairs.emitter) > 0.99


@pytest.mark.parametrize("tolerance_nm", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_tolerance_is_refused(tolerance_nm):
    with pytest.raises(SettingsError, match="tolerance_nm must be above 0, got"):
        match_localizations(found([]), true([]), tolerance_nm)


def test_an_unknown_method_is_refused():
    with pytest.raises(SettingsError, match="method must be one of .*'nearest'"):
        match_localizations(found([]), true([]), method="nearest")


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 5000), at_once=st.integers(1, 70), method=st.sampled_from(METHODS),
    min_photons=st.sampled_from([0.0, 500.0]),
)  # fmt: skip
def test_how_many_are_matched_at_once_changes_nothing(seed, at_once, method, min_photons):
    xy_nm, frame = crowd(seed)
    later = frame + np.where(frame > 2, 3, 0)  # frames with truth alone, and with neither
    photons = np.random.default_rng(seed).uniform(0, 1000, 50)
    localizations = found(xy_nm, later)
    emitters = true(*crowd(seed + 10_000, 50, frames=9), photons=photons)
    told = []

    def matched(rows):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "_AT_ONCE", rows)
            return match_localizations(
                localizations, emitters, 300.0, method=method, min_photons=min_photons,
                progress=lambda *at: told.append(at),
            )  # fmt: skip

    whole = matched(10_000)
    assert told == [(60, 60)]
    told.clear()
    parts = matched(at_once)
    np.testing.assert_array_equal(parts.localization, whole.localization)
    np.testing.assert_array_equal(parts.emitter, whole.emitter)
    np.testing.assert_array_equal(parts.distance_nm, whole.distance_nm)
    done = [at[0] for at in told]
    assert done == sorted(set(done))
    assert told[-1] == (60, 60)
    if at_once == 1:
        assert len(told) == len(np.unique(later))
