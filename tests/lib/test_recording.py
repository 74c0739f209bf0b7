"""Regions of interest, the summary of what a recording lost, and the rows of a chunk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.recording import FrameChunk, LossSummary, Roi

sides = st.integers(1, 5000)


@given(sides, sides)
def test_the_centred_field_lies_in_the_frame_on_the_codec_grid(width: int, height: int) -> None:
    roi = Roi.centred(width, height)
    assert roi.width_px == min(width, 512)
    assert roi.height_px == min(height, 512)
    assert roi.x_px % 16 == 0
    assert roi.y_px % 16 == 0
    assert roi.x_px + roi.width_px <= width
    assert roi.y_px + roi.height_px <= height
    assert abs(roi.x_px + roi.width_px / 2 - width / 2) <= 16


def test_a_region_is_read_from_text() -> None:
    roi = Roi.parsed("64x48+16+32", frame_width_px=100, frame_height_px=100)
    assert roi == Roi(width_px=64, height_px=48, x_px=16, y_px=32)
    centred = Roi.parsed("512x512", frame_width_px=1920, frame_height_px=1080)
    assert (centred.x_px, centred.y_px) == (704, 272)


@pytest.mark.parametrize("text", ["", "64", "64x", "axb", "64x48+1", "64x48+1+2+3", "-4x5"])
def test_a_misspelt_region_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="region"):
        Roi.parsed(text, frame_width_px=100, frame_height_px=100)


def test_a_region_outside_the_frame_is_refused() -> None:
    with pytest.raises(SettingsError, match="does not fit into frames of 100 x 90 pixels"):
        Roi.parsed("64x64+50+0", frame_width_px=100, frame_height_px=90)
    with pytest.raises(SettingsError, match="does not fit"):
        Roi.parsed("128x64", frame_width_px=100, frame_height_px=90)


def test_damage_counts_missing_and_tainted_frames() -> None:
    loss = LossSummary(expected_count=100, decoded_count=96, missing_count=4, tainted_count=6)
    assert loss.damaged_share == pytest.approx(0.10)
    assert LossSummary(expected_count=0, decoded_count=0).damaged_share == 1.0
    dropped = LossSummary(expected_count=50, decoded_count=50, dropped_count=3)
    assert dropped.damaged_share == 0.0


def test_rows_of_a_table_are_found_in_the_frames_of_a_chunk_that_has_gaps():
    number = np.array([3, 4, 7])
    chunk = FrameChunk(
        frames=np.zeros((3, 2, 2), np.uint8), frame=number, time_s=number / 20,
        is_key=np.ones(3, bool), frames_since_key=np.zeros(3, np.int32),
        is_tainted=np.zeros(3, bool), packet_bytes=np.ones(3, np.int64), previous=None,
    )  # fmt: skip
    frame = np.array([0, 3, 3, 5, 7, 8], np.int32)
    rows, index = chunk.rows_of(frame)
    assert rows.tolist() == [1, 2, 4]
    assert index.tolist() == [0, 0, 2]
    assert [len(each) for each in chunk.rows_of(frame[:0])] == [0, 0]
