"""Sound videos: every frame, its number, its time and its exact values."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numbered_videos import (
    COUNT,
    GOP,
    HEIGHT,
    WIDTH,
    assert_equal,
    encode,
    number_in,
    opened,
    picture,
    read,
    remux,
)

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.recording import LossSummary, Roi
from cellstorm_lib.video.loss import count_dropped, tainted_samples
from cellstorm_lib.video.read import open_recording

fixtures = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = ["sound", "plain", "fragmented", "matroska", "with_b_frames", "hevc", "open_gop"]


@pytest.fixture(params=KINDS)
def any_video(request):
    return request.getfixturevalue(request.param)


def test_every_frame_is_read_in_order_with_its_number(any_video):
    source = opened(any_video)
    chunk = read(source)
    assert [number_in(luma) for luma in chunk.frames] == list(range(COUNT))
    np.testing.assert_array_equal(chunk.frame, np.arange(COUNT))
    np.testing.assert_allclose(chunk.time_s, np.arange(COUNT) / 20, atol=1e-9)
    assert chunk.frame[chunk.is_key].tolist() == list(range(0, COUNT, GOP))
    np.testing.assert_array_equal(chunk.frames_since_key, np.arange(COUNT) % GOP)
    assert not chunk.is_tainted.any()
    assert chunk.frames.flags.c_contiguous
    assert chunk.previous is None
    loss = source.loss()
    assert (loss.decoded_count, loss.damaged_share, loss.dropped_count) == (COUNT, 0, 0)
    assert loss.reason == ""


def test_packet_bytes_are_those_of_the_file(sound):
    source = opened(sound)
    total = int(read(source).packet_bytes.sum())
    assert source.facts.bits_per_px == pytest.approx(8 * total / (COUNT * WIDTH * HEIGHT))
    assert 0.8 * sound.stat().st_size < total < sound.stat().st_size


def test_facts(sound, with_b_frames, matroska, hevc):
    facts = opened(sound).facts
    assert (facts.kind, facts.frame_count, facts.bit_depth) == ("h264", COUNT, 8)
    assert (facts.frame_width_px, facts.frame_height_px) == (WIDTH, HEIGHT)
    assert facts.roi == Roi(width_px=WIDTH, height_px=HEIGHT)
    assert facts.frame_rate_hz == pytest.approx(20)
    assert facts.colour_range == "unspecified"
    assert facts.is_video
    assert facts.details["key_frame_interval"] == GOP
    assert not facts.details["is_reordered"]
    assert opened(with_b_frames).facts.details["is_reordered"]
    assert opened(hevc).facts.kind == "hevc"
    assert opened(matroska).loss().expected_count is None


@fixtures
@given(size=st.integers(1, 130))
@pytest.mark.parametrize("name", ["sound", "open_gop"])
def test_chunk_size_changes_nothing(request, name, size):
    path = request.getfixturevalue(name)
    chunks = list(opened(path).chunks(size))
    assert all(len(chunk.frame) == size for chunk in chunks[:-1])
    assert_equal(read(opened(path), size=size), read(opened(path), size=COUNT))
    for before, after in pairwise(chunks):
        np.testing.assert_array_equal(after.previous, before.frames[-1])


@fixtures
@given(limits=st.lists(st.integers(0, COUNT), min_size=2, max_size=6))
@pytest.mark.parametrize("name", ["sound", "with_b_frames", "open_gop", "matroska"])
def test_parts_are_what_reading_everything_gives(request, name, limits):
    path = request.getfixturevalue(name)
    source, whole = opened(path), read(opened(path))
    limits = sorted({*limits, 0, COUNT})
    for start, stop in pairwise(limits):
        part = source.part(start, stop)
        assert part.frame_range == range(start, stop)
        chunk = read(part, size=9)
        assert chunk.frame.tolist() == list(range(start, stop))
        np.testing.assert_array_equal(chunk.frames, whole.frames[start:stop])
        np.testing.assert_array_equal(chunk.frames_since_key, whole.frames_since_key[start:stop])
        if start % GOP:
            np.testing.assert_array_equal(chunk.previous, whole.frames[start - 1])


def test_parts_decoded_in_parallel_are_what_reading_everything_gives(any_video):
    source = opened(any_video)
    starts = [*source.key_frames().tolist(), COUNT]
    parts = [source.part(a, b) for a, b in pairwise(starts)]
    with ThreadPoolExecutor(4) as pool:
        chunks = list(pool.map(read, parts))
    whole = read(opened(any_video))
    np.testing.assert_array_equal(np.concatenate([c.frames for c in chunks]), whole.frames)
    np.testing.assert_array_equal(np.concatenate([c.frame for c in chunks]), whole.frame)
    assert source.loss() == opened(any_video).loss()


def test_part_of_a_part_keeps_within_it(sound):
    part = opened(sound).part(10, 50).part(0, 20)
    assert part.frame_range == range(10, 20)
    assert part.part(30, 40).frame_range == range(30, 30)
    assert list(part.part(30, 40).chunks(5)) == []
    assert part.loss() == LossSummary(expected_count=10, decoded_count=10)
    assert part.key_frames().tolist() == []
    assert opened(sound).part(10, 50).key_frames().tolist() == [21, 42]


def test_a_source_can_be_sent_to_another_process(sound):
    source = opened(sound).part(20, 60)
    assert_equal(read(pickle.loads(pickle.dumps(source))), read(source))


def test_region_is_cut_out_of_the_same_frames(sound, reference):
    source = open_recording(sound, roi="48x32+16+8")
    np.testing.assert_array_equal(read(source).frames, reference.frames[:, 8:40, 16:64])
    assert source.facts.roi == Roi(width_px=48, height_px=32, x_px=16, y_px=8)
    assert (source.facts.frame_width_px, source.facts.frame_height_px) == (WIDTH, HEIGHT)
    again = open_recording(sound, roi=source.facts.roi)
    np.testing.assert_array_equal(read(again).frames, read(source).frames)


def test_frame_range_keeps_the_numbers_of_the_file(sound, reference):
    source = open_recording(sound, frames=(30, 40))
    chunk = read(source)
    assert chunk.frame.tolist() == list(range(30, 40))
    np.testing.assert_array_equal(chunk.frames, reference.frames[30:40])
    np.testing.assert_array_equal(chunk.previous, reference.frames[29])
    assert source.facts.frame_count == COUNT
    assert open_recording(sound, frames=(None, 7)).frame_range == range(7)
    assert open_recording(sound, frames=(95, None)).frame_range == range(95, COUNT)
    assert open_recording(sound, frames=(95, 500)).frame_range == range(95, COUNT)


@pytest.mark.parametrize("frames", [(100, 120), (20, 20), (-5, 10), (None, 0)])
def test_frames_that_do_not_exist_are_refused(sound, frames):
    with pytest.raises(SettingsError, match=r"sound\.mp4 has no frames .*it holds 0 to 99"):
        open_recording(sound, frames=frames)


@pytest.mark.parametrize("roi", ["200x10", "16x16+100+0", Roi(width_px=16, height_px=65)])
def test_region_outside_the_frame_is_refused(sound, roi):
    with pytest.raises(SettingsError, match=r"sound\.mp4: the region .* does not fit into frames"):
        open_recording(sound, roi=roi)


def test_chunks_need_room_for_a_frame(sound):
    with pytest.raises(SettingsError, match="a chunk must hold at least 1 frame, got 0"):
        next(opened(sound).chunks(0))


def test_large_video_is_read_in_its_centre(tmp_path):
    luma = np.zeros((560, 900), np.uint8)
    luma[16:528, 192:704] = 200
    path = encode(tmp_path / "large.mp4", [luma] * 2, params="qp=0")
    source = open_recording(path)
    assert source.facts.roi == Roi(width_px=512, height_px=512, x_px=192, y_px=16)
    np.testing.assert_array_equal(read(source).frames, 200)


@pytest.mark.parametrize(("colour_range", "tag"), [(0, "unspecified"), (1, "limited"), (2, "full")])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_values_are_exact_whatever_the_range_tag_says(tmp_path, codec, colour_range, tag):
    ramp = np.arange(64 * 128, dtype=np.uint32).reshape(64, 128) % 256
    frames = [np.roll(ramp, shift, axis=1).astype(np.uint8) for shift in range(5)]
    lossless = "qp=0" if codec == "libx264" else "lossless=1"
    colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709" if colour_range else ""
    path = encode(
        tmp_path / "ramp.mp4", frames, codec=codec, params=f"{lossless}:{colours}",
        colour_range=colour_range,
    )  # fmt: skip
    source = open_recording(path)
    np.testing.assert_array_equal(read(source).frames, frames)
    if not (codec == "libx265" and colour_range == 0):  # x265 always writes a tag
        assert source.facts.colour_range == tag


@pytest.mark.parametrize("colour_range", [1, 2])
def test_ten_bit_values_are_exact(tmp_path, colour_range):
    ramp = np.arange(64 * 128).reshape(64, 128) % 1024
    frames = [np.roll(ramp, shift, axis=1).astype(np.uint16) for shift in range(5)]
    path = encode(
        tmp_path / "ramp.mp4", frames, codec="libx265", params="lossless=1",
        colour_range=colour_range,
    )  # fmt: skip
    source = open_recording(path, roi="64x32+8+4")
    chunk = read(source)
    assert chunk.frames.dtype == np.uint16
    assert source.facts.bit_depth == 10
    np.testing.assert_array_equal(chunk.frames, np.array(frames)[:, 4:36, 8:72])


def test_times_come_from_the_time_stamps_and_gaps_are_dropped_frames(tmp_path):
    intervals = [50] * COUNT
    intervals[10], intervals[11] = 58, 42  # jitter
    intervals[40] = 97  # one frame dropped
    intervals[70] = 150  # two frames dropped
    times_ms = np.concatenate([[0], np.cumsum(intervals)])[:COUNT]
    path = encode(tmp_path / "variable.mp4", times_ms=times_ms.tolist())
    source = opened(path)
    chunk = read(source)
    np.testing.assert_allclose(chunk.time_s * 1e3, times_ms, atol=0.1)
    np.testing.assert_array_equal(chunk.frame, np.arange(COUNT))
    assert [number_in(luma) for luma in chunk.frames] == list(range(COUNT))
    loss = source.loss()
    assert (loss.dropped_count, loss.missing_count, loss.tainted_count) == (3, 0, 0)
    assert source.facts.frame_rate_hz == pytest.approx(20, rel=1e-3)


@given(st.lists(st.integers(900, 1100), min_size=40, max_size=60), st.integers(1, 5))
def test_a_gap_counts_the_frames_that_fit_into_it(intervals, dropped):
    intervals[20] = 1000 * (dropped + 1)
    assert count_dropped(np.cumsum(intervals)) == dropped


def test_a_lasting_change_of_the_frame_rate_is_no_gap():
    assert count_dropped(np.cumsum([33] * 60 + [66] * 60)) == 0
    assert count_dropped(np.array([0, 33])) == 0


@pytest.mark.parametrize("name", ["sound", "with_b_frames"])
def test_frames_hidden_by_an_edit_list_are_neither_frames_nor_a_loss(request, tmp_path, name):
    path = remux(request.getfixturevalue(name), tmp_path / "edited.mp4", earlier_by=5)
    source = opened(path)
    chunk = read(source)
    assert source.facts.frame_count == len(chunk.frame) == COUNT - 5
    assert source.facts.details["frames_hidden_by_edit_list"] == 5
    np.testing.assert_array_equal(chunk.frame, np.arange(COUNT - 5))
    assert [number_in(luma) for luma in chunk.frames] == list(range(5, COUNT))
    assert chunk.time_s[0] == 0
    assert source.loss() == LossSummary(expected_count=95, decoded_count=95)
    assert source.key_frames().tolist() == [0, 16, 37, 58, 79]
    np.testing.assert_array_equal(read(source.part(30, 60)).frames, chunk.frames[30:60])


def test_sound_track_is_ignored(sound, reference, tmp_path):
    source = opened(remux(sound, tmp_path / "talking.mp4", audio_s=7))
    assert source.facts.details["other_tracks"] == ["audio"]
    assert_equal(read(source), reference)
    assert source.loss().dropped_count == 0


@pytest.mark.parametrize(("counter_clockwise", "clockwise"), [(90, 270), (-90, 90), (180, 180)])
def test_rotation_is_told_but_not_applied(sound, reference, tmp_path, counter_clockwise, clockwise):
    path = remux(sound, tmp_path / "turned.mp4", rotation_deg=counter_clockwise)
    source = opened(path)
    assert source.facts.rotation_deg == clockwise
    assert_equal(read(source), reference)


@pytest.mark.parametrize("name", ["a:b.mp4", "naïve µm.mov", "%d.mkv", "noending"])
def test_content_decides_and_names_do_not_matter(sound, reference, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(sound.read_bytes())
    assert_equal(read(open_recording(path)), reference)


def test_all_key_frames_can_be_read_too(tmp_path):
    path = encode(tmp_path / "intra.mp4", [picture(n) for n in range(12)], params="keyint=1")
    source = opened(path)
    assert source.key_frames().tolist() == list(range(12))
    assert [number_in(luma) for luma in read(source).frames] == list(range(12))


@given(st.data())
def test_taint_begins_at_damage_and_ends_at_sound_key_frames(data):
    count = data.draw(st.integers(1, 40))
    is_key = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    is_bad = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    tainted = tainted_samples(is_bad, is_key, np.arange(count))
    for at in range(count):
        starts = [k for k in range(at + 1) if is_key[k] and not is_bad[k]]
        assert tainted[at] == (not starts or bool(is_bad[starts[-1] : at + 1].any()))


def test_frames_shown_before_a_key_frame_but_decoded_after_it_stay_tainted():
    is_key = np.array([1, 0, 0, 1, 0, 0], bool)
    is_bad = np.array([0, 1, 0, 0, 0, 0], bool)
    pts = np.array([0, 1, 2, 5, 4, 6])
    assert tainted_samples(is_bad, is_key, pts).tolist() == [False, True, True, False, True, False]


def test_opening_tells_what_is_read_up_to_the_whole(any_video):
    told = []
    source = open_recording(any_video, progress=lambda done, whole: told.append(done / whole))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(set(told)) > COUNT / 2  # nearly every frame is a word of its own
    packets = source.table.packet_bytes.sum() / any_video.stat().st_size
    assert told[-2] == pytest.approx(packets / 2, abs=0.001)  # then it is hashed, in one word
    assert source.facts == open_recording(any_video).facts
