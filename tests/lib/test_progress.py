"""How far a work is, told through callbacks."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.progress import WHOLE, CountedReader, in_parts, silently


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


@given(content=st.binary(max_size=100), size=st.integers(1, 40))
def test_what_is_read_is_told_in_bytes_up_to_the_end(content: bytes, size: int) -> None:
    told: list[tuple[int, int]] = []
    reader = CountedReader(io.BytesIO(content), lambda *at: told.append(at))
    blocks = list(iter(lambda: reader.read(size), b""))
    assert b"".join(blocks) == content
    ends = [min(end, len(content)) for end in range(size, len(content) + size, size)]
    assert told == [(end, len(content)) for end in ends or [0]]


def test_a_reader_begins_where_its_stream_stands_and_tells_no_step_back() -> None:
    told: list[tuple[int, int]] = []
    stream = io.BytesIO(bytes(range(10)))
    stream.seek(4)
    reader = CountedReader(stream, lambda *at: told.append(at))
    assert reader.read(2) == bytes([4, 5])
    stream.seek(0)
    assert reader.read(3) == bytes([0, 1, 2])
    assert reader.read() == bytes(range(3, 10))
    assert told == [(6, 10), (10, 10)]
