"""Blocks that the codec copied from the frame before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import read

from cellstorm_lib.video.codec import copied_blocks
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video


def slowly_copied(frames, previous):
    """Compare block by block."""
    count, height, width = frames.shape
    copied = np.zeros((count, -(-height // 8), -(-width // 8)), bool)
    for index in range(count):
        before = frames[index - 1] if index else previous
        for row, column in np.ndindex(*copied.shape[1:]):
            here = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            if before is not None:
                equal = (frames[index] == before)[here]
                rows = slice(1, 7) if len(equal) > 1 else slice(None)
                columns = slice(1, 7) if equal.shape[1] > 1 else slice(None)
                copied[index, row, column] = equal[rows, columns].all()
    return copied


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 34), st.integers(1, 34)),
    seed=st.integers(0, 2**32 - 1),
    has_previous=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_blocks_are_copied_where_their_inner_pixels_are_equal(shape, seed, has_previous, dtype):
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(0, 200, (1, *shape[1:])), shape[0] + 1, axis=0).astype(dtype)
    for _ in range(rng.integers(0, 12)):
        frames[tuple(rng.integers(0, frames.shape))] += 1
    previous = frames[0] if has_previous else None
    np.testing.assert_array_equal(
        copied_blocks(frames[1:], previous), slowly_copied(frames[1:], previous)
    )


def test_it_is_the_formula_of_the_literature_on_whole_blocks():
    frames = np.random.default_rng(0).integers(0, 2, (40, 16, 24)).astype(np.uint8)
    frames[20:, :8, 8:16] = frames[20, :8, 8:16]
    equal = frames[1:] == frames[:-1]
    expected = equal.reshape(39, 2, 8, 3, 8)[:, :, 1:-1, :, 1:-1].all((2, 4))
    np.testing.assert_array_equal(copied_blocks(frames[1:], frames[0]), expected)
    assert expected[20:, 0, 1].all()


def test_rim_of_a_block_does_not_matter_and_its_inside_does():
    frames = np.zeros((2, 8, 8), np.uint8)
    frames[1, 0, :] = frames[1, :, 7] = 9
    assert copied_blocks(frames, None).tolist() == [[[False]], [[True]]]
    frames[1, 6, 6] = 1
    assert copied_blocks(frames, None).tolist() == [[[False]], [[False]]]


@given(size=st.integers(1, 12))
def test_chunks_give_the_same_answer_with_the_frame_before(size):
    frames = np.random.default_rng(5).integers(0, 2, (12, 16, 20)).astype(np.uint8)
    frames[5:] = frames[5]
    previous, found = None, []
    for start in range(0, 12, size):
        chunk = frames[start : start + size]
        found.append(copied_blocks(chunk, previous))
        previous = chunk[-1]
    np.testing.assert_array_equal(np.concatenate(found), copied_blocks(frames, None))


@pytest.mark.parametrize("height", [64, 60])
def test_static_dark_scene_is_copied_by_the_codec(tmp_path, height):
    rng = np.random.default_rng(6)
    frames = rng.normal(5, 1.5, (20, height, 64)).round().clip(0, 255).astype(np.uint8)
    write_video(tmp_path / "dark.mp4", frames, EncoderSettings(bits_per_px=0.02))
    chunk = read(open_recording(tmp_path / "dark.mp4"))
    copied = copied_blocks(chunk.frames, chunk.previous)
    assert copied.shape == (20, 8, 8)
    assert not copied[0].any()
    assert copied[1:].mean() > 0.5
