"""Pieces of a recording worked on by several processes: the same result, whatever happens."""

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.chunks import FAN_OUT_PX, LocalProcesses, Piece, chunks_around, pieces_of
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.video.read import open_recording


def frame_px(source: FrameSource) -> int:
    return source.facts.roi.width_px * source.facts.roi.height_px


def in_this_process(work, items):
    """Map without any process, so that only the cutting is tested."""
    return map(work, items)


def doubled(number: int) -> int:
    return 2 * number


def fails_at_three(number: int) -> int:
    if number == 3:
        raise RecordingError("the third is bad")
    return number


def dies_once(number: int, *, mark: Path) -> int:
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def always_dies(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_pieces_cover_every_frame_once_and_begin_at_key_frames(film: SimulatedRecording) -> None:
    source = open_recording(film.movie)
    pieces = pieces_of(source, 40 * frame_px(source))
    assert len(pieces) > 3
    frames = [frame for piece in pieces for frame in range(piece.begin, piece.stop)]
    assert frames == list(source.frame_range)
    keys = set(source.key_frames().tolist())
    assert all(piece.begin in keys for piece in pieces)


def test_a_piece_is_read_with_its_neighbours(film: SimulatedRecording) -> None:
    source = open_recording(film.movie)
    piece = pieces_of(source, 40 * frame_px(source))[1]
    chunks = chunks_around(source, piece, 17, reach=2)
    every = np.concatenate([chunk.frames for chunk in source.chunks(64)])
    frames = np.concatenate([chunk.frame for chunk in chunks])
    assert frames[0] <= piece.begin - 2
    assert frames[-1] == piece.stop + 1
    assert piece.begin in {int(chunk.frame[0]) for chunk in chunks}
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.frames, every[chunk.frame])
        if chunk is not chunks[0]:
            np.testing.assert_array_equal(chunk.previous, every[chunk.frame[0] - 1])


@pytest.mark.parametrize("kind", ["movie", "camera_stack"])
def test_localizing_by_pieces_is_identical(film: SimulatedRecording, kind: str) -> None:
    path = film.movie if kind == "movie" else film.camera_stack
    source = open_recording(path)
    calibration, _ = calibration_for(source, None)
    alone, told = localize(source, calibration, pixel_size_nm=100.0, threads=1)
    by_pieces, told_by = localize(
        source, calibration, pixel_size_nm=100.0, map_chunks=in_this_process,
        fan_out_px=40 * frame_px(source),
    )  # fmt: skip
    assert len(alone) > 20
    pd.testing.assert_frame_equal(alone.data, by_pieces.data, check_exact=True)
    assert told.rejected == told_by.rejected
    assert told.candidates == told_by.candidates


def test_a_damaged_film_by_pieces_is_identical(film: SimulatedRecording, tmp_path: Path) -> None:
    content = bytearray(film.movie.read_bytes())
    source = open_recording(film.movie)
    middle = int(len(content) * 0.45)
    content[middle : middle + 12] = bytes(12)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    source = open_recording(path)
    calibration, _ = calibration_for(source, None)
    alone, told = localize(source, calibration, pixel_size_nm=100.0, threads=1)
    by_pieces, told_by = localize(
        source, calibration, pixel_size_nm=100.0, map_chunks=in_this_process,
        fan_out_px=40 * frame_px(source),
    )  # fmt: skip
    loss = source.loss()
    assert loss.tainted_count or loss.missing_count
    pd.testing.assert_frame_equal(alone.data, by_pieces.data, check_exact=True)
    assert told.tainted_frames == told_by.tainted_frames


def test_processes_answer_in_order() -> None:
    assert list(LocalProcesses(count=2)(doubled, range(7))) == [2 * n for n in range(7)]


def test_few_pieces_are_under_way_at_a_time() -> None:
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    made = LocalProcesses(count=1)(doubled, items())
    assert next(made) == 0
    assert len(taken) <= 3
    made.close()


def test_a_killed_process_costs_only_its_pieces(tmp_path: Path) -> None:
    work = partial(dies_once, mark=tmp_path / "died")
    assert list(LocalProcesses(count=1)(work, range(6))) == [2 * n for n in range(6)]
    assert (tmp_path / "died").exists()


def test_processes_that_always_die_are_told() -> None:
    with pytest.raises(RecordingError, match="ended 3 times; they may lack memory"):
        list(LocalProcesses(count=1)(always_dies, range(2)))


def test_what_the_work_raises_is_raised() -> None:
    made = LocalProcesses(count=1)(fails_at_three, range(6))
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RecordingError, match="the third is bad"):
        next(made)


def test_no_process_is_refused() -> None:
    with pytest.raises(SettingsError, match="1 or more, got 0"):
        LocalProcesses(count=0)


def test_a_piece_of_a_recording_of_one_key_frame(film: SimulatedRecording) -> None:
    source = open_recording(film.movie)
    assert pieces_of(source, FAN_OUT_PX) == [Piece(begin=0, stop=len(source.frame_range))]


def test_a_recording_of_one_piece_is_nobody_elses(film: SimulatedRecording) -> None:
    source = open_recording(film.movie).part(0, 30)
    calibration, _ = calibration_for(source, None)

    def never(work, items):
        raise AssertionError

    spots, _ = localize(source, calibration, pixel_size_nm=100.0, map_chunks=never)
    assert len(spots)
