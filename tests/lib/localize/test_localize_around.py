import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from localize_scenes import Recording

from cellstorm_lib.localize.around import Surroundings, with_surroundings
from cellstorm_lib.recording import FrameChunk

REACH = 2


def numbered_frames(count):
    """Return frames each of which holds its own number."""
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None], (1, 2, 3))


def seen_from(recording, size, reach=REACH):
    items = ((chunk, None) for chunk in recording.chunks(size))
    return list(with_surroundings(items, reach=reach))


@given(count=st.integers(1, 12), size=st.integers(1, 13), reach=st.integers(1, 4))
def test_every_frame_sees_its_neighbours_however_the_frames_are_cut(count, size, reach):
    recording = Recording(frames=numbered_frames(count))
    seen = seen_from(recording, size, reach)
    assert np.concatenate([chunk.frame for chunk, _, _ in seen]).tolist() == list(range(count))
    for chunk, _, around in seen:
        first, last = int(chunk.frame[0]), int(chunk.frame[-1])
        assert around.before[:, 0, 0].tolist() == list(range(max(first - reach, 0), first))
        after = range(last + 1, min(last + 1 + reach, count))
        assert around.after[:, 0, 0].tolist() == list(after)
        assert around.frames is chunk.frames
        assert around.number.tolist() == list(range(max(first - reach, 0), after.stop))


def test_no_more_is_read_ahead_than_is_needed():
    recording = Recording(frames=numbered_frames(12))
    read = []

    def chunks():
        for chunk in recording.chunks(4):
            read.append(int(chunk.frame[0]))
            yield chunk, None

    first = next(with_surroundings(chunks(), reach=REACH))
    assert first[0].frame[0] == 0
    assert read == [0, 4]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_lost_frame_leaves_a_gap_in_the_numbers(size):
    recording = Recording(frames=numbered_frames(6))

    def chunks():
        for chunk in recording.chunks(size):
            shifted = np.where(chunk.frame >= 3, chunk.frame + 1, chunk.frame)
            names = FrameChunk.__slots__
            values = {name: getattr(chunk, name) for name in names} | {"frame": shifted}
            yield FrameChunk(**values), None

    number = np.concatenate(
        [
            around.number[len(around.before) : len(around.number) - len(around.after)]
            for _, _, around in with_surroundings(chunks(), reach=REACH)
        ]
    )
    assert number.tolist() == [0, 1, 2, 4, 5, 6]


def test_frames_alone_have_no_neighbours():
    around = Surroundings.alone(numbered_frames(3))
    assert len(around.before) == len(around.after) == 0
    assert around.number.tolist() == [0, 1, 2]
