"""What a clip looks like in numbers, measured on clips of which the numbers are known."""

import numpy as np
import pytest

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.clip_measures import GRID_PERIODS_PX, MOST_FRAMES, measure_clip
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.quantiser import frame_quantisers
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

ROWS, COLUMNS = 64, 96


def noisy(rng, count=12, level=100.0, noise=4.0):
    frames = rng.normal(level, noise, (count, ROWS, COLUMNS))
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def blocky(period, step, inside=1):
    """Return a picture whose steps are `inside` along x and y, and `step` into each block."""

    def course(size):
        at = np.arange(1, size)
        sizes = np.where(at % period == 0, step, inside)
        return np.concatenate([[0], np.cumsum(sizes * (-1) ** at)])

    return (100 + course(ROWS)[:, None] + course(COLUMNS)[None, :]).astype(np.uint8)


@pytest.fixture(scope="module")
def lossless(tmp_path_factory):
    """Return a lossless video with key frames every 4 frames, three times as noisy there."""
    rng = np.random.default_rng(1)
    frames = np.array([noisy(rng, 1, noise=9.0 if i % 4 == 0 else 3.0)[0] for i in range(32)])
    path = tmp_path_factory.mktemp("lossless") / "keys.mp4"
    write_video(path, frames, EncoderSettings(bits_per_px=None, qp=0, gop_frames=4))
    return path, frames


@pytest.mark.parametrize("period", GRID_PERIODS_PX)
def test_steps_across_blocks_are_told_from_steps_inside(period):
    stack = np.tile(blocky(period, step=3), (6, 1, 1))
    ratio = measure_clip(ArraySource(stack)).grid_ratio
    assert ratio.shape == (6, 3, 2)
    index = GRID_PERIODS_PX.index(period)
    np.testing.assert_allclose(ratio[:, index], 3.0)
    for wider in range(index + 1, 3):  # half of the larger steps are at its edges, half are not
        assert np.all((ratio[:, wider] > 1) & (ratio[:, wider] < 3))


def test_noise_without_blocks_has_no_grid():
    ratio = measure_clip(ArraySource(noisy(np.random.default_rng(2)))).grid_ratio
    # |difference of normals|: s.d. / mean 0.756; neighbouring differences share a pixel.
    edges = ROWS * COLUMNS / np.array(GRID_PERIODS_PX)
    limit = 5 * 0.756 / np.sqrt(edges * (1 - 1 / np.array(GRID_PERIODS_PX)))
    assert np.all(np.abs(ratio - 1) < 2 * limit[None, :, None])


def test_flat_frames_have_no_ratio():
    assert np.isnan(
        measure_clip(ArraySource(np.full((6, ROWS, COLUMNS), 9, np.uint8))).grid_ratio
    ).all()


def test_blocks_are_those_of_the_file_whatever_region_is_read(tmp_path):
    path = tmp_path / "blocks.mp4"
    frames = np.tile(blocky(8, step=4), (8, 1, 1))
    write_video(path, frames, EncoderSettings(bits_per_px=None, qp=0))
    for x_px, y_px in ((0, 0), (10, 6)):
        roi = Roi(width_px=64, height_px=48, x_px=x_px, y_px=y_px)
        measured = measure_clip(open_recording(path, roi=roi))
        np.testing.assert_allclose(measured.grid_ratio[:, 1], 4.0)


def test_the_histogram_counts_every_pixel():
    frames = noisy(np.random.default_rng(3))
    share = measure_clip(ArraySource(frames)).share
    expected = [np.bincount(frame.ravel(), minlength=256) / frame.size for frame in frames]
    np.testing.assert_allclose(share, expected)


def test_key_frames_do_not_count_as_noise(lossless):
    path, frames = lossless
    measured = measure_clip(open_recording(path))
    np.testing.assert_array_equal(measured.frame, np.arange(32))
    np.testing.assert_array_equal(measured.frames_since_key, np.arange(32) % 4)
    np.testing.assert_array_equal(measured.is_key, np.arange(32) % 4 == 0)
    still = frames[np.arange(32) % 4 != 0].astype(float)
    np.testing.assert_allclose(measured.mean_adu, still.mean(axis=0), rtol=1e-6)
    assert measured.variance_adu2.mean() == pytest.approx(
        still.var(axis=0, ddof=1).mean(), rel=2e-3
    )
    np.testing.assert_array_equal(measured.example, still[len(still) // 2])


def test_key_frames_count_where_there_is_nothing_else(tmp_path):
    path = tmp_path / "intra.mp4"
    frames = noisy(np.random.default_rng(4), 8)
    write_video(path, frames, EncoderSettings(bits_per_px=None, qp=0, gop_frames=1))
    measured = measure_clip(open_recording(path))
    assert measured.is_key.all()
    np.testing.assert_allclose(measured.mean_adu, frames.mean(axis=0), rtol=1e-6)


def test_compressed_sizes_are_bits_of_the_whole_frame(lossless):
    path, _ = lossless
    roi = Roi(width_px=48, height_px=32)
    measured = measure_clip(open_recording(path, roi=roi))
    told = frame_quantisers(path)
    np.testing.assert_allclose(measured.bits_per_px, 8 * told.packet_bytes / (ROWS * COLUMNS))
    assert np.isnan(measured.qp).all()
    assert np.isnan(measure_clip(ArraySource(noisy(np.random.default_rng(5)))).bits_per_px).all()


def test_the_given_quantisers_are_those_of_the_frames_read():
    frames = noisy(np.random.default_rng(6), MOST_FRAMES + 6)
    measured = measure_clip(ArraySource(frames), qp=np.arange(MOST_FRAMES + 6.0))
    np.testing.assert_array_equal(measured.qp, np.arange(MOST_FRAMES))
    assert len(measured.frame) == MOST_FRAMES


@pytest.mark.parametrize("depth", [0.0, 8.0, -5.0])
def test_black_shading_is_the_centre_above_the_corners(depth):
    rows, columns = np.linspace(-1, 1, ROWS)[:, None], np.linspace(-1, 1, COLUMNS)[None, :]
    radius2 = (rows**2 + columns**2) / 2
    frames = np.random.default_rng(7).normal(30.0 - depth * radius2, 2.0, (20, ROWS, COLUMNS))
    measured = measure_clip(ArraySource(np.clip(np.rint(frames), 0, 255).astype(np.uint8)))
    patch = (
        np.s_[28:36, 42:54],
        (np.s_[:8, :12], np.s_[:8, -12:], np.s_[-8:, :12], np.s_[-8:, -12:]),
    )
    centre = 30 - depth * radius2[patch[0]].mean()
    corner = 30 - depth * np.mean([radius2[corner].mean() for corner in patch[1]])
    for found, true, pixels in (
        (measured.centre_adu, centre, 96),
        (measured.corner_adu, corner, 384),
    ):
        scatter = np.sqrt((4 + 1 / 12) / (20 * pixels))
        assert found.value == pytest.approx(true, abs=5 * scatter)
        assert found.error == pytest.approx(scatter, rel=5 / np.sqrt(2 * 19))


def test_a_clip_of_few_frames_is_refused():
    with pytest.raises(
        RecordingError,
        match="^short has 5 frames to measure, but noise needs at least 6; give a longer clip$",
    ):
        measure_clip(ArraySource(noisy(np.random.default_rng(8), 5), name="short"))


def test_an_empty_clip_is_refused():
    source = ArraySource(noisy(np.random.default_rng(8), 6), name="none").part(3, 3)
    with pytest.raises(RecordingError, match="^none has no frame to measure; check that it plays$"):
        measure_clip(source)


def test_a_small_clip_is_refused():
    with pytest.raises(
        RecordingError,
        match="^tiny shows 96 x 31 pixels, but at least 32 x 32 are needed; give a larger region$",
    ):
        measure_clip(ArraySource(noisy(np.random.default_rng(9))[:, :31], name="tiny"))
