"""Real clips and stacks of other people's cameras and programs (see tests/data/NOTICE.md)."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from numbered_videos import read

from cellstorm_lib.recording import LossSummary, Roi
from cellstorm_lib.video.read import open_recording

DATA = Path(__file__).parents[2] / "data"
PHONES = DATA / "androidx-media"


def test_dark_clip_of_a_phone():
    source = open_recording(PHONES / "pixel7_videoOnly_cleaned.mp4", roi="1920x1080")
    facts, chunk = source.facts, read(source, size=10)
    assert (facts.kind, facts.frame_count, facts.bit_depth) == ("h264", 36, 8)
    assert (facts.frame_width_px, facts.frame_height_px) == (1920, 1080)
    assert facts.digest.startswith("48f7d947b95c")
    assert facts.colour_range == "full"
    assert facts.rotation_deg == 180
    assert facts.frame_rate_hz == pytest.approx(29.87, abs=0.005)
    assert facts.bits_per_px * 1920 * 1080 * facts.frame_rate_hz == pytest.approx(22.7e6, rel=0.005)
    assert facts.details["profile"] == "High"
    assert chunk.frame[chunk.is_key].tolist() == source.key_frames().tolist() == [0, 30]
    assert (chunk.frames.min(), chunk.frames.max()) == (0, 29)
    assert chunk.frames.mean() == pytest.approx(4.4, abs=0.05)
    assert source.loss() == LossSummary(expected_count=36, decoded_count=36)


def test_dark_clip_is_read_in_its_centre_by_default():
    path = PHONES / "pixel7_videoOnly_cleaned.mp4"
    source, whole = open_recording(path), open_recording(path, roi="1920x1080")
    assert source.facts.roi == Roi(width_px=512, height_px=512, x_px=704, y_px=272)
    np.testing.assert_array_equal(
        read(source.part(28, 36)).frames, read(whole.part(28, 36)).frames[:, 272:784, 704:1216]
    )


def test_clip_of_an_old_phone_with_a_sound_track_and_a_first_long_interval():
    source = open_recording(PHONES / "android6_video_1.mp4")
    facts, chunk = source.facts, read(source)
    assert (facts.kind, facts.frame_count) == ("h264", 23)
    assert facts.roi == Roi(width_px=352, height_px=288)
    assert facts.details["profile"] == "Baseline"
    assert facts.details["other_tracks"] == ["audio"]
    assert facts.details["com.android.version"] == "6.0.1"
    assert not any("location" in name for name in facts.details)
    intervals_ms = 1e3 * np.diff(chunk.time_s)
    assert intervals_ms[0] == pytest.approx(36.0, abs=0.05)
    np.testing.assert_allclose(intervals_ms[1:], 33.4, atol=0.1)
    assert chunk.is_key.tolist() == [True] + [False] * 22
    assert source.loss() == LossSummary(expected_count=23, decoded_count=23)


def test_hevc_clip_whose_first_track_is_no_video():
    source = open_recording(PHONES / "h265_with_metadata_track.mp4")
    facts, chunk = source.facts, read(source)
    assert (facts.kind, facts.frame_count, facts.bit_depth) == ("hevc", 3, 8)
    assert (facts.frame_width_px, facts.frame_height_px) == (1920, 1080)
    assert facts.details["other_tracks"] == ["data", "audio"]
    assert (facts.colour_range, facts.rotation_deg) == ("full", 90)
    assert len(chunk.frame) == 3
    assert source.loss() == LossSummary(expected_count=3, decoded_count=3)


def test_dax_of_storm_analysis_has_its_molecules_where_its_own_program_finds_them():
    source = open_recording(DATA / "storm-analysis" / "two_frames.dax")
    frames = read(source).frames
    assert (source.facts.kind, frames.shape, frames.dtype) == ("dax", (2, 256, 256), np.uint16)
    with h5py.File(DATA / "storm-analysis" / "test_ref.hdf5") as file:
        column, row = (np.rint(file["fr_0"][axis][:]).astype(int) for axis in "xy")
    assert len(row) == 200
    assert np.median(frames[0, row, column]) > 3 * np.median(frames[0])
    assert np.median(frames[0, column, row]) < 1.2 * np.median(frames[0])


def test_real_raw_frames_of_imagej():
    source = open_recording(DATA / "locan" / "images.tif")
    frames = read(source).frames
    assert (frames.shape, frames.dtype) == ((5, 128, 128), np.uint16)
    assert np.median(frames) == pytest.approx(522, abs=2)
    assert source.facts.pixel_size_nm is None  # its unit is "pixel"


def test_pixel_size_of_a_stack_that_imagej_wrote():
    source = open_recording(DATA / "deep-storm" / "ArtificialDataset_demo1.tif")
    assert read(source).frames.shape == (20, 64, 64)
    assert source.facts.pixel_size_nm == pytest.approx(100)
