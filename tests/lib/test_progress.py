"""How far a work is, told through callbacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.progress import WHOLE, in_parts, silently


def test_parts_count_by_their_weights() -> None:
    told: list[tuple[int, int]] = []
    first, second = in_parts(lambda *at: told.append(at), 1.0, 3.0)
    first(1, 2)
    first(2, 2)
    second(1, 3)
    second(3, 3)
    assert told == [(125, WHOLE), (250, WHOLE), (500, WHOLE), (1000, WHOLE)]


def test_parts_of_a_part_make_its_share() -> None:
    told: list[float] = []
    _, second = in_parts(lambda done, whole: told.append(done / whole), 1.0, 1.0)
    one, two = in_parts(second, 1.0, 1.0)
    one(1, 1)
    two(1, 1)
    assert told == [0.75, 1.0]


@given(weights=st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20))
def test_progress_only_grows_and_ends_with_the_whole(weights: list[float]) -> None:
    told: list[int] = []
    for part in in_parts(lambda done, _: told.append(done), *weights):
        part(1, 2)
        part(1, 1)
    assert told == sorted(told)
    assert told[-1] == WHOLE


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0,)])
def test_nobody_is_told_without_a_callback(weights: tuple[float, ...]) -> None:
    parts = in_parts(None, *weights)
    assert len(parts) == len(weights)
    for part in parts:
        part(1, 1)
    silently("step", "")(1, 2)


def test_a_part_with_nothing_to_do_is_no_division_by_zero() -> None:
    told: list[int] = []
    (only,) = in_parts(lambda done, _: told.append(done), 0.0)
    only(0, 0)
    assert told == [0]
