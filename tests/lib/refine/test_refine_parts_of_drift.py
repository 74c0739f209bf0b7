import numpy as np
import pytest
from drifting_tables import filaments, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cellstorm_lib.refine.correlation import correlate_segments
from cellstorm_lib.refine.events import Events, find_events
from cellstorm_lib.refine.halves import deal_halves
from cellstorm_lib.refine.neighbours import find_pairs, sort_into_cells
from cellstorm_lib.refine.overlap import RADIUS2_PER_VARIANCE, Overlap
from cellstorm_lib.refine.segments import Segments
from cellstorm_lib.refine.smoothness import Smoothness, bent, matrix_of, solve_balance


def events_of(xy_nm, frame, *, frame_count, variance_nm2=0.0, span_frames=5, area_nm2=6400.0**2):
    order = np.argsort(frame, kind="stable")
    return Events(
        xy_nm=xy_nm[order],
        frame=frame[order],
        variance_nm2=np.full(len(frame), variance_nm2),
        frame_count=frame_count,
        span_frames=span_frames,
        area_nm2=area_nm2,
    )


def listed(pairs):
    """Return the pairs as a set of sorted pairs of original rows."""
    first = np.repeat(np.arange(len(pairs.order)), np.diff(pairs.first))
    rows = np.column_stack([pairs.order[first], pairs.order[pairs.partner]])
    return {tuple(pair) for pair in np.sort(rows, axis=1).tolist()}


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 150),
    radius_nm=st.floats(1, 400),
    span=st.integers(0, 30),
)
def test_pairs_are_those_of_a_tree_without_those_near_in_time(seed, count, radius_nm, span):
    rng = np.random.default_rng(seed)
    xy_nm, frame = rng.uniform(-500, 500, (count, 2)), rng.integers(0, 100, count)
    pairs = find_pairs(xy_nm, frame, radius_nm=radius_nm, span_frames=span, most=10**9)
    expected = {
        (i, j)
        for i, j in cKDTree(xy_nm).query_pairs(radius_nm)
        if abs(int(frame[i]) - int(frame[j])) > span
    }
    assert listed(pairs) == expected
    assert pairs.share == 1.0


def test_too_many_pairs_are_thinned_to_about_the_wanted_number():
    rng = np.random.default_rng(0)
    xy_nm, frame = rng.uniform(0, 1000, (3000, 2)), rng.integers(0, 1000, 3000)
    everything = find_pairs(xy_nm, frame, radius_nm=200, span_frames=0, most=10**9)
    some = find_pairs(xy_nm, frame, radius_nm=200, span_frames=0, most=20_000)
    assert len(some.partner) == pytest.approx(20_000, abs=5 * np.sqrt(20_000))
    assert some.share == pytest.approx(20_000 / len(everything.partner), rel=1e-3)
    assert listed(some) < listed(everything)


def test_a_huge_field_does_not_make_a_huge_grid():
    grid = sort_into_cells(np.array([[0.0, 0.0], [1e9, 1e9]]), 10.0)
    assert len(grid.first) < 5e6


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(4, 30),
    kind=st.sampled_from(["walk", "smooth", "steps"]),
    scale_nm=st.floats(3, 1e4),
)
def test_balance_is_that_of_the_dense_matrix(seed, count, kind, scale_nm):
    rng = np.random.default_rng(seed)
    springs = rng.uniform(0, 0.01, (count, count))
    springs = springs + springs.T
    np.fill_diagonal(springs, 0)
    force = rng.normal(0, 1, (count, 2))
    trace_nm = rng.normal(0, 20, (count, 2))
    belief = Smoothness(kind=kind, scale_nm=scale_nm)
    band = belief.band(trace_nm)
    move = solve_balance(springs, band, force)
    matrix = np.diag(springs.sum(1)) - springs
    matrix += sum(np.diag(band[k, : count - k], k) for k in range(3))
    matrix += sum(np.diag(band[k, : count - k], -k) for k in (1, 2))
    expected = np.linalg.lstsq(matrix, force - force.mean(axis=0), rcond=None)[0]
    expected -= expected.mean(axis=0)
    assert np.abs(move - expected).max() < 0.05 * np.abs(expected).max() + 1e-12
    np.testing.assert_allclose(
        bent(band, move),
        (matrix @ move) - (np.diag(springs.sum(1)) - springs) @ move,
        atol=1e-6 * np.abs(band).max() * 100,
    )
    assert np.isfinite(np.linalg.inv(matrix_of(springs, band))).all()


@pytest.mark.parametrize(
    ("kind", "trace_nm"),
    [("walk", np.ones(9)), ("steps", np.ones(9)), ("smooth", np.arange(9.0))],
)
def test_beliefs_do_not_resist_what_they_expect(kind, trace_nm):
    trace_nm = np.column_stack([trace_nm, 3 * trace_nm])
    belief = Smoothness(kind=kind, scale_nm=10.0)
    np.testing.assert_allclose(bent(belief.band(trace_nm), trace_nm), 0, atol=1e-9)


def test_a_belief_in_steps_resists_a_large_step_less_than_a_walk_does():
    trace_nm = np.repeat([[0.0, 0.0], [500.0, 500.0]], 10, axis=0)
    walk, steps = (Smoothness(kind=kind, scale_nm=10.0) for kind in ("walk", "steps"))
    forces = [np.abs(bent(belief.band(trace_nm), trace_nm)).max() for belief in (walk, steps)]
    assert forces[1] < 0.01 * forces[0]


def test_segments_and_what_lies_between_agree_with_interpolation():
    segments = Segments(frame_count=103, count=7)
    frame = np.arange(103)
    trace_nm = np.random.default_rng(0).normal(0, 50, (7, 2))
    left, fraction = segments.between(frame)
    right = np.minimum(left + 1, 6)
    mixed = trace_nm[left] * (1 - fraction)[:, None] + trace_nm[right] * fraction[:, None]
    np.testing.assert_allclose(mixed, segments.at(frame, trace_nm), atol=1e-4)
    assert np.bincount(segments.number(frame)).min() >= 14
    constant = segments.resampled(np.ones((7, 2)), Segments(frame_count=103, count=20))
    np.testing.assert_allclose(constant, 0, atol=1e-12)


@pytest.mark.parametrize("variance_nm2", [0.0, 400.0])
def test_log_density_is_that_of_the_kernels_summed_one_by_one(variance_nm2):
    rng = np.random.default_rng(1)
    events = events_of(
        rng.uniform(0, 400, (200, 2)), rng.integers(0, 100, 200), frame_count=100,
        variance_nm2=variance_nm2, area_nm2=400.0**2,
    )  # fmt: skip
    segments = Segments(frame_count=100, count=5)
    trace_nm = rng.normal(0, 10, (5, 2))
    overlap = Overlap(events, segments)
    overlap.gather(trace_nm, kernel_nm=30.0, slack_nm=0.0, most_pairs=10**9)
    found = np.exp(overlap.log_density(trace_nm, 30.0))
    xy_nm = events.xy_nm - segments.at(events.frame, trace_nm)
    apart2 = ((xy_nm[:, None] - xy_nm) ** 2).sum(axis=2)
    radius2 = RADIUS2_PER_VARIANCE * (30.0**2 + 2 * variance_nm2)
    kernel = 4 / (np.pi * radius2) * np.maximum(0, 1 - apart2 / radius2) ** 3
    kernel[np.abs(events.frame[:, None] - events.frame) <= events.span_frames] = 0
    density = kernel.sum(axis=1) / 200
    # the mixture with uniform strays is linear in the density; fit its two coefficients
    coefficients = np.polynomial.polynomial.polyfit(density, found, 1)
    np.testing.assert_allclose(coefficients[0] + coefficients[1] * density, found, rtol=1e-3)
    share = coefficients[0] * 400.0**2
    assert 0.02 <= share < 0.98
    assert coefficients[1] == pytest.approx(1 - share, rel=1e-3)


def test_forces_are_the_slope_of_the_log_density():
    rng = np.random.default_rng(2)
    sites = rng.uniform(0, 2000, (40, 2))
    events = events_of(
        sites[rng.integers(0, 40, 1500)] + rng.normal(0, 20, (1500, 2)),
        rng.integers(0, 1000, 1500),
        frame_count=1000,
        area_nm2=2000.0**2,
    )
    segments = Segments(frame_count=1000, count=4)
    overlap = Overlap(events, segments)
    still = np.zeros((4, 2))
    overlap.gather(still, kernel_nm=40.0, slack_nm=20.0, most_pairs=10**9)
    _, force = overlap.springs(still, 40.0)
    # forces act on whole segments; along a common move of one axis they cancel
    np.testing.assert_allclose(force.sum(axis=0), 0, atol=1e-3 * np.abs(force).max())
    # a linear move in time: events follow it by interpolation, forces by segment
    move = np.column_stack([np.linspace(-1, 1, 4), np.linspace(0.5, -0.5, 4)]) * 5
    rise = overlap.log_density(move, 40.0).sum() - overlap.log_density(-move, 40.0).sum()
    assert rise == pytest.approx(2 * (force * move).sum(), rel=0.35)


def test_coarse_correlation_finds_segments_to_within_its_bins():
    rng = np.random.default_rng(3)
    sites = filaments(rng, side_nm=6400)
    frame = np.sort(rng.integers(0, 8000, 4000))
    segments = Segments(frame_count=8000, count=8)
    places_nm = rng.uniform(-400, 400, (8, 2))
    places_nm -= places_nm.mean(axis=0)
    number = segments.number(frame)
    xy_nm = sites[rng.integers(0, len(sites), 4000)] + places_nm[number]
    events = events_of(xy_nm + rng.normal(0, 20, xy_nm.shape), frame, frame_count=8000)
    found_nm = correlate_segments(events, segments, reach_nm=1000.0)
    assert np.abs(found_nm - places_nm).max() < 60


def test_a_blink_is_one_event_at_its_mean_place_and_time():
    rng = np.random.default_rng(4)
    frame = np.concatenate([np.arange(10, 19), [500]])
    xy_nm = np.concatenate([1000 + rng.normal(0, 10, (9, 2)), [[1000.0, 1000.0]]])
    table = table_of(xy_nm, frame, frame_count=4000, uncertainty_nm=10.0)
    events = find_events(table)
    np.testing.assert_array_equal(events.frame, [14, 500])
    np.testing.assert_allclose(events.xy_nm[0], xy_nm[:9].mean(axis=0))
    np.testing.assert_allclose(events.variance_nm2, [100 / 9, 100], rtol=1e-6)


def test_a_long_blink_is_cut_into_pieces():
    frame = np.arange(1000)
    table = table_of(np.full((1000, 2), 3000.0), frame, frame_count=4000, uncertainty_nm=10.0)
    events = find_events(table)
    assert len(events) == 1000 // events.span_frames
    assert np.diff(events.frame).max() == events.span_frames


def test_thinning_keeps_at_most_the_wanted_number_in_time_order():
    rng = np.random.default_rng(5)
    events = events_of(rng.uniform(0, 1, (1003, 2)), rng.integers(0, 50, 1003), frame_count=50)
    thin = events.thinned(100)
    assert 80 <= len(thin) <= 100
    assert (np.diff(thin.frame) >= 0).all()
    assert len(events.thinned(5000)) == 1003


def test_halves_are_chessboard_squares_and_a_single_spot_is_dealt_by_time():
    rng = np.random.default_rng(6)
    spread = events_of(rng.uniform(0, 6400, (4000, 2)), rng.integers(0, 900, 4000), frame_count=900)
    half, unit = deal_halves(spread)
    assert len(np.unique(unit)) == 64
    assert all(len(np.unique(half[unit == square])) == 1 for square in np.unique(unit))
    spot = events_of(rng.normal(3000, 5, (400, 2)), np.arange(400) % 900, frame_count=900)
    half, unit = deal_halves(spot)
    np.testing.assert_array_equal(half, (spot.frame // 10) % 2)
