import numpy as np
import pytest
from localize_scenes import Recording

from cellstorm_lib.localize.copies import ages_at, temporal_differences, with_copy_ages
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.codec import copied_blocks

RNG = np.random.default_rng(0)


def copied_video(frames=40, shape=(48, 64), share=0.6, roi_x_px=0, roi_y_px=0, **facts):
    """Return frames in which blocks of the full frame's grid repeat, except for their rims."""
    height, width = shape
    stack = RNG.integers(0, 255, (frames, height, width)).astype(np.uint8)
    rows = (np.arange(height) + roi_y_px) // 8
    columns = (np.arange(width) + roi_x_px) // 8
    is_copied = RNG.random((frames, rows[-1] + 1, columns[-1] + 1)) < share
    is_copied[0] = False
    for index in range(1, frames):
        mask = is_copied[index][np.ix_(rows, columns)]
        stack[index][mask] = stack[index - 1][mask]
    return Recording(frames=stack, roi_x_px=roi_x_px, roi_y_px=roi_y_px, **facts), is_copied


def ages_of(recording, size=1000):
    return np.concatenate(
        [ages for _, ages in with_copy_ages(recording.chunks(size), recording.facts)]
    )


@pytest.mark.parametrize(("x_px", "y_px"), [(0, 0), (3, 5), (16, 8)])
def test_ages_count_copies_since_the_block_was_coded(x_px, y_px):
    recording, is_copied = copied_video(roi_x_px=x_px, roi_y_px=y_px, gop_frames=12)
    is_copied = is_copied[:, y_px // 8 :, x_px // 8 :]
    expected = np.zeros(is_copied.shape, int)
    for index in range(1, len(is_copied)):
        if index % 12:
            expected[index] = np.where(is_copied[index], expected[index - 1] + 1, 0)
    np.testing.assert_array_equal(ages_of(recording), expected)
    assert expected.max() > 3


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_ages_do_not_depend_on_the_chunks(size):
    recording, _ = copied_video()
    np.testing.assert_array_equal(ages_of(recording, size), ages_of(recording, 40))


def test_a_copied_block_is_what_the_codec_says():
    recording, _ = copied_video(gop_frames=1000)
    copied = copied_blocks(recording.frames, None)
    np.testing.assert_array_equal(ages_of(recording) > 0, copied)


def test_a_changed_rim_does_not_matter_and_a_changed_middle_does():
    frames = np.zeros((3, 8, 8), np.uint8)
    frames[1, 0, :] = frames[1, :, 7] = 9
    frames[2] = frames[1]
    frames[2, 1, 1] = 3
    ages = ages_of(Recording(frames=frames))
    np.testing.assert_array_equal(ages.ravel(), [0, 1, 0])


def test_reading_from_the_middle_starts_anew():
    recording, _ = copied_video(share=1.0)
    assert (ages_of(recording.part(5, 9))[0] == 0).all()
    assert (ages_of(recording.part(5, 9))[1] == 1).all()


def test_stacks_are_never_copied():
    recording, _ = copied_video(kind="tiff")
    assert all(ages is None for _, ages in with_copy_ages(recording.chunks(9), recording.facts))


def test_a_position_belongs_to_the_block_of_the_full_frame():
    roi = Roi(width_px=20, height_px=20, x_px=5, y_px=0)
    ages = np.arange(12, dtype=np.int32).reshape(1, 3, 4)
    at = ages_at(
        ages, roi, np.zeros(5, int), np.array([0.0, 2.9, 3.0, 11.0, 19.9]), np.array([0.0] * 5)
    )
    np.testing.assert_array_equal(at, [0, 0, 1, 2, 3])


def test_differences_are_means_over_seven_by_seven_pixels():
    frames = RNG.integers(0, 255, (4, 20, 22)).astype(np.uint8)
    chunks = list(Recording(frames=frames).chunks(3))
    index, row, column = np.array([0, 1, 2]), np.array([10, 0, 19]), np.array([10, 5, 21])
    first = temporal_differences(chunks[0], index, row, column)
    assert first[0] == 0  # nothing came before
    steps = np.abs(np.diff(frames.astype(int), axis=0))
    np.testing.assert_allclose(first[1], steps[0, :4, 2:9].mean(), rtol=1e-6)
    np.testing.assert_allclose(first[2], steps[1, 16:, 18:].mean(), rtol=1e-6)
    second = temporal_differences(chunks[1], index[:1], row[:1], column[:1])
    np.testing.assert_allclose(second[0], steps[2, 7:14, 7:14].mean(), rtol=1e-6)
