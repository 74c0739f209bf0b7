"""The same frames and the same region of two clips are measured and compared."""

import numpy as np
import pytest
from still_films import CODEC, MODEL, changed, still_film

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.compare_clips import (
    central_region,
    compare_clips,
    measured_clip,
    quantisers_of,
)
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.quantiser import frame_quantisers
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

SIZE = (192, 144)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return still_film(tmp_path_factory.mktemp("clip"))


def test_a_clip_is_exactly_like_itself(clip):
    report = compare_clips(clip, clip)
    assert report.remarks == ()
    assert all(row.relative_difference == pytest.approx(0.0, abs=1e-12) for row in report.rows)
    groups = [row.group for row in report.rows]
    # Key frames, 1 to 3, 4 to 11 and 12 to 15 after; 3 block sizes; 2 directions.
    assert groups.count("grid ratio") == 4 * 3 * 2
    assert groups.count("quantiser") == groups.count("compressed size") == 2


def test_another_take_of_the_same_phone_is_alike(clip, tmp_path):
    report = compare_clips(clip, still_film(tmp_path, seed=6))
    for row in report.rows:
        error = row.error if np.isfinite(row.error) else 0.0
        assert row.passed or abs(row.relative_difference) < 4 * error, row


def test_another_phone_is_not(clip, tmp_path):
    noisier = still_film(tmp_path, changed(read_variance=3 * MODEL.read_variance), seed=6)
    failed = {row.group for row in compare_clips(clip, noisier).rows if not row.passed}
    assert "temporal variance" in failed
    assert "shading" not in failed


def test_only_the_chosen_frames_are_compared(clip):
    report = compare_clips(clip, clip, frames=(8, 20))
    for measured in (report.real, report.simulated):
        np.testing.assert_array_equal(measured.frame, np.arange(8, 20))
        np.testing.assert_array_equal(measured.frames_since_key, np.arange(8, 20) % 16)
    told = frame_quantisers(clip, roi=Roi(width_px=SIZE[0], height_px=SIZE[1]))
    np.testing.assert_array_equal(report.real.qp, told.mean_qp[8:20])


def test_clips_of_two_sizes_are_compared_in_their_centres(clip, tmp_path):
    small = still_film(tmp_path, size=(128, 96), frame_count=16)
    report = compare_clips(clip, small)
    assert report.remarks[0] == (
        "The clips have 192 x 144 and 128 x 96 pixels; the central 128 x 96 of both were compared."
    )
    assert len(report.real.frame) == len(report.simulated.frame) == 16
    assert report.real.facts.roi == Roi(width_px=128, height_px=96, x_px=32, y_px=16)


@pytest.mark.parametrize("size", [(64, 48), (190, 142), (100, 99)])
def test_a_region_begins_between_blocks_and_lies_inside(clip, size):
    region = central_region(open_recording(clip).facts, *size)
    assert region.x_px % 16 == region.y_px % 16 == 0
    assert region.x_px + region.width_px <= SIZE[0]
    assert region.y_px + region.height_px <= SIZE[1]
    assert abs(region.x_px - (SIZE[0] - size[0]) / 2) < 16


def test_hevc_has_no_quantisers_and_the_rest_is_compared(tmp_path):
    frames = np.random.default_rng(1).normal(60, 6, (16, 64, 64)).clip(0, 255).astype(np.uint8)
    path = tmp_path / "hevc.mp4"
    write_video(path, frames, EncoderSettings(codec="hevc", bits_per_px=1.0, gop_frames=8))
    whole = Roi(width_px=64, height_px=64)
    assert quantisers_of(path, whole, (0, 16)) is None
    assert np.isnan(measured_clip(path, roi=whole, frames=(0, 16)).qp).all()
    report = compare_clips(path, path)
    assert "quantiser" not in {row.group for row in report.rows}
    (remark,) = report.remarks
    lost = "quantiser (QP, key frames); quantiser (QP, other frames)"
    assert remark == f"Not compared, for one of the clips has none: {lost}."


def test_clips_too_short_or_of_another_depth_are_refused(clip, tmp_path):
    with pytest.raises(RecordingError, match=r"movie.mp4 has 4 frames to measure, but noise needs"):
        compare_clips(clip, clip, frames=(0, 4))
    stack = tmp_path / "deep.tif"
    write_stack(stack, [np.full((12, 144, 192), 900, np.uint16)], pixel_size_nm=100.0)
    with pytest.raises(RecordingError, match=r"movie.mp4 has 8 bits .* and deep.tif 16"):
        compare_clips(clip, stack)


def test_the_codec_shows_in_the_measures_as_it_was_set(clip):
    measured = measured_clip(clip, roi=Roi(width_px=SIZE[0], height_px=SIZE[1]), frames=(0, 24))
    later_key = measured.is_key & (measured.frame > 0)
    assert measured.qp[later_key].mean() == pytest.approx(CODEC.key_qp, abs=0.6)
    assert measured.qp[~measured.is_key].mean() == pytest.approx(CODEC.qp, abs=0.1)
    assert measured.qp[0] == pytest.approx(CODEC.start_qp, abs=0.6)
