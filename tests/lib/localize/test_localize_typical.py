"""Lone spots are those that no other is near, and counting along sorted values is searching."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cellstorm_lib.localize import noise_floor, typical

PLACES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), unique=True, max_size=60
)


@given(PLACES, st.integers(1, 9))
def test_a_spot_is_alone_that_no_other_of_its_frame_is_near(places, reach_px) -> None:
    index, row, column = np.array(sorted(places), np.int32).reshape(-1, 3).T
    found = typical._alone(index, row, column, reach_px)
    apart = np.column_stack([row, column, 1000 * index]).astype(float)
    near = (
        cKDTree(apart).query_ball_point(apart, reach_px, p=np.inf, return_length=True)
        if len(apart)
        else np.zeros(0)
    )
    np.testing.assert_array_equal(found, near == 1)


@given(
    st.lists(st.floats(0, 100, width=32), max_size=50),
    st.lists(st.floats(0, 100, width=32), max_size=50),
)
def test_values_within_limits_are_counted_as_by_searching(values, limits) -> None:
    values, limits = np.sort(np.array(values, np.float32)), np.sort(np.array(limits, np.float32))
    np.testing.assert_array_equal(
        noise_floor._counts_within(values, limits), np.searchsorted(values, limits, side="right")
    )
