"""Damaged videos: what is missing, what is tainted, and what is still exact."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numbered_videos import (
    COUNT,
    GOP,
    assert_equal,
    number_in,
    opened,
    overwrite,
    packets_of,
    read,
    remux,
)

from cellstorm_lib.errors import CellstormError, RecordingError
from cellstorm_lib.recording import LossSummary
from cellstorm_lib.video.loss import refuse_damaged
from cellstorm_lib.video.read import open_recording

P_FRAME, KEY_FRAME = 30, 42  # key frames are 0, 21, 42, 63, 84
AFTER_P, AFTER_KEY = range(31, 42), range(43, 63)


def zeros(packet):
    """Return the change that wipes a packet out."""
    at, size = packet
    return {at: bytes(size)}


def filler(packet):
    """Return the change that makes of a packet one that holds no picture."""
    at, size = packet
    return {at: (size - 4).to_bytes(4, "big") + b"\x0c" + b"\xff" * (size - 6) + b"\x80"}


def flipped(path, packet, begin, step, count):
    """Return the change of some single bits of a packet."""
    content = path.read_bytes()
    places = [packet[0] + begin + step * index for index in range(count)]
    return {at: bytes([content[at] ^ 1 << index % 8]) for index, at in enumerate(places)}


def assert_only_tainted_frames_are_wrong(chunk, reference):
    """Fail when a frame that is not marked differs from the sound file, or has a wrong number."""
    for luma, frame, is_tainted in zip(chunk.frames, chunk.frame, chunk.is_tainted, strict=True):
        if not is_tainted:
            assert number_in(luma) == frame
            np.testing.assert_array_equal(luma, reference.frames[frame])


@pytest.mark.parametrize("wiped", [zeros, filler])
def test_lost_predicted_frame_taints_up_to_the_next_key_frame(sound, reference, tmp_path, wiped):
    change = wiped(packets_of(sound)[P_FRAME])
    source = opened(overwrite(sound, tmp_path / "lost.mp4", change))
    chunk = read(source)
    assert chunk.frame.tolist() == [*range(P_FRAME), *range(P_FRAME + 1, COUNT)]
    assert chunk.frame[chunk.is_tainted].tolist() == list(AFTER_P)
    assert_only_tainted_frames_are_wrong(chunk, reference)
    loss = source.loss()
    assert (loss.expected_count, loss.decoded_count) == (COUNT, COUNT - 1)
    assert (loss.missing_count, loss.tainted_count, loss.dropped_count) == (1, 11, 0)
    assert "frame 30 cannot be decoded" in loss.reason


@pytest.mark.parametrize("wiped", [zeros, filler])
def test_lost_key_frame_leaves_nothing_sound_up_to_the_next(sound, reference, tmp_path, wiped):
    change = wiped(packets_of(sound)[KEY_FRAME])
    source = opened(overwrite(sound, tmp_path / "lost.mp4", change))
    chunk = read(source)
    loss = source.loss()
    assert loss.missing_count + loss.tainted_count == GOP
    assert KEY_FRAME not in chunk.frame
    assert set(chunk.frame[chunk.is_tainted]) <= set(AFTER_KEY)
    assert_only_tainted_frames_are_wrong(chunk, reference)
    sound_frames = set(range(COUNT)) - {KEY_FRAME, *AFTER_KEY}
    assert set(chunk.frame[~chunk.is_tainted]) == sound_frames


def test_flipped_bits_taint_the_frame_and_those_after_it(sound, reference, tmp_path):
    change = flipped(sound, packets_of(sound)[P_FRAME], begin=12, step=3, count=6)
    source = opened(overwrite(sound, tmp_path / "flipped.mp4", change))
    chunk = read(source)
    assert chunk.frame.tolist() == list(range(COUNT))
    assert chunk.frame[chunk.is_tainted].tolist() == [P_FRAME, *AFTER_P]
    assert_only_tainted_frames_are_wrong(chunk, reference)
    assert "frame 30 is flagged by the decoder" in source.loss().reason


def test_flipped_bits_of_a_key_frame_taint_all_that_depends_on_it(sound, reference, tmp_path):
    packet = packets_of(sound)[KEY_FRAME]
    change = flipped(sound, packet, begin=packet[1] // 2, step=7, count=20)
    chunk = read(opened(overwrite(sound, tmp_path / "flipped.mp4", change)))
    assert set(chunk.frame[chunk.is_tainted]) <= {KEY_FRAME, *AFTER_KEY}
    assert set(chunk.frame[~chunk.is_tainted]) == set(range(COUNT)) - {KEY_FRAME, *AFTER_KEY}
    assert_only_tainted_frames_are_wrong(chunk, reference)


def test_predicted_frame_removed_without_trace_in_the_index_is_noticed(sound, tmp_path):
    source = opened(remux(sound, tmp_path / "removed.mp4", without=[P_FRAME]))
    chunk = read(source)
    assert len(chunk.frame) == COUNT - 1
    numbers = [number_in(luma) for luma in chunk.frames[~chunk.is_tainted]]
    assert numbers == [*range(P_FRAME), *range(KEY_FRAME, COUNT)]
    loss = source.loss()
    assert (loss.tainted_count, loss.dropped_count) == (11, 1)
    assert "frame 30 is predicted from a picture that is not in the file" in loss.reason


def test_key_frame_removed_without_trace_in_the_index_is_noticed(sound, tmp_path):
    source = opened(remux(sound, tmp_path / "removed.mp4", without=[KEY_FRAME]))
    chunk = read(source)
    numbers = [number_in(luma) for luma in chunk.frames[~chunk.is_tainted]]
    assert numbers == [*range(KEY_FRAME), *range(63, COUNT)]
    assert source.loss().missing_count + source.loss().tainted_count == GOP - 1


@pytest.mark.parametrize("lost", [P_FRAME, KEY_FRAME])
def test_hevc_frame_removed_without_trace_in_the_index_is_noticed(hevc, tmp_path, lost):
    source = opened(remux(hevc, tmp_path / "removed.mp4", without=[lost]))
    chunk = read(source)
    end = next(key for key in range(0, COUNT, GOP) if key > lost)
    numbers = [number_in(luma) for luma in chunk.frames[~chunk.is_tainted]]
    assert numbers == [*range(lost), *range(end, COUNT)]
    assert source.loss().missing_count + source.loss().tainted_count == end - lost - 1


def test_damage_between_b_frames_taints_those_shown_before_it_too(with_b_frames, tmp_path):
    clean = read(opened(with_b_frames))
    table = opened(with_b_frames).table
    # a frame that others, shown earlier, are predicted from
    lost = next(
        sample
        for sample in range(GOP + 2, len(table.number))
        if table.number[sample] > table.number[sample + 1]
    )
    change = zeros(packets_of(with_b_frames)[lost])
    source = opened(overwrite(with_b_frames, tmp_path / "lost.mp4", change))
    chunk = read(source)
    doubtful = set(table.number[lost : 2 * GOP].tolist())
    assert min(doubtful) < table.number[lost]
    assert set(chunk.frame[~chunk.is_tainted]) == set(range(COUNT)) - doubtful
    for luma, frame, is_tainted in zip(chunk.frames, chunk.frame, chunk.is_tainted, strict=True):
        if not is_tainted:
            np.testing.assert_array_equal(luma, clean.frames[frame])


@pytest.mark.parametrize("where", ["inside a packet", "between packets"])
def test_file_cut_after_its_index_knows_what_it_lacks(sound, reference, tmp_path, where):
    at, size = packets_of(sound)[50]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(sound.read_bytes()[: at + (size // 2 if where == "inside a packet" else 0)])
    source = opened(cut)
    chunk = read(source)
    np.testing.assert_array_equal(chunk.frames, reference.frames[:50])
    assert not chunk.is_tainted.any()
    loss = source.loss()
    assert (loss.expected_count, loss.decoded_count, loss.missing_count) == (COUNT, 50, 50)
    assert loss.damaged_share == 0.5
    assert source.facts.details["ends_early"]
    assert "frame 50" in loss.reason
    with pytest.raises(
        RecordingError, match=r"cut\.mp4 is damaged: of 100 frames (49|50) are missing"
    ):
        open_recording(cut)
    assert read(open_recording(cut, frames=(10, 50))).frame.tolist() == list(range(10, 50))


def test_file_with_b_frames_cut_after_its_index_keeps_its_numbers(with_b_frames, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(with_b_frames.read_bytes()[: packets_of(with_b_frames)[50][0]])
    source, whole = opened(cut), read(opened(with_b_frames))
    chunk = read(source)
    assert source.loss().missing_count == COUNT - len(chunk.frame) >= 50
    np.testing.assert_array_equal(chunk.frames, whole.frames[chunk.frame])


def test_file_cut_before_its_index_is_refused(plain, tmp_path):
    cut = tmp_path / "half.mp4"
    cut.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    with pytest.raises(RecordingError, match=r"half\.mp4 ends before its index .*copy it from the"):
        open_recording(cut)


def test_fragmented_file_cut_inside_a_fragment_lacks_the_rest_of_it(
    fragmented, reference, tmp_path
):
    at, _ = packets_of(fragmented)[50]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(fragmented.read_bytes()[: at + 10])
    source = opened(cut)
    chunk = read(source)
    np.testing.assert_array_equal(chunk.frames, reference.frames[:50])
    loss = source.loss()
    assert loss.expected_count is None
    assert (loss.decoded_count, loss.missing_count) == (50, 63 - 50)
    assert source.facts.details["ends_early"]


def test_fragmented_file_cut_between_fragments_cannot_know_what_it_lacks(
    fragmented, reference, tmp_path
):
    content = fragmented.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: content.rindex(b"moof", 0, packets_of(fragmented)[63][0]) - 4])
    source = opened(cut)
    np.testing.assert_array_equal(read(source).frames, reference.frames[:63])
    assert source.loss() == LossSummary(expected_count=None, decoded_count=63)


@pytest.mark.parametrize(("kind", "table"), [("sound", b"stsz"), ("fragmented", b"trun")])
def test_more_frames_than_bytes_are_refused_before_there_is_room_for_them(
    request, tmp_path, kind, table
):
    path = request.getfixturevalue(kind)
    at = path.read_bytes().index(table) + (12 if table == b"stsz" else 8)
    harmed = overwrite(path, tmp_path / "harmed.mp4", {at: (1 << 30).to_bytes(4, "big")})
    with pytest.raises(
        RecordingError, match=r"harmed.mp4 says that it has 1073741824 frames, more than it has b"
    ):
        open_recording(harmed)


@pytest.mark.parametrize("beyond", [0, 20])
def test_matroska_cut_anywhere_lacks_what_its_duration_promises(
    matroska, reference, tmp_path, beyond
):
    at, _ = packets_of(matroska)[50]
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(matroska.read_bytes()[: at + beyond])
    source = opened(cut)
    chunk = read(source)
    np.testing.assert_array_equal(chunk.frames, reference.frames[:50])
    assert source.facts.details["ends_early"]
    assert (source.loss().expected_count, source.loss().missing_count) == (None, 50)


def damaged_files(sound, with_b_frames, hevc, folder):
    """Yield one file of each kind of damage."""
    packets = packets_of(sound)
    yield overwrite(sound, folder / "lost_p.mp4", zeros(packets[P_FRAME]))
    yield overwrite(sound, folder / "lost_key.mp4", zeros(packets[KEY_FRAME]))
    yield overwrite(sound, folder / "lost_first.mp4", zeros(packets[0]))
    yield overwrite(sound, folder / "flip.mp4", flipped(sound, packets[45], 12, 3, 6))
    yield remux(sound, folder / "removed.mp4", without=[P_FRAME, KEY_FRAME])
    yield remux(hevc, folder / "hevc.mp4", without=[P_FRAME, KEY_FRAME])
    at = packets_of(with_b_frames)
    yield overwrite(with_b_frames, folder / "b.mp4", zeros(at[26]) | zeros(at[63]))


def test_damage_is_the_same_however_a_file_is_cut_into_chunks_and_parts(
    sound, with_b_frames, hevc, tmp_path
):
    for path in damaged_files(sound, with_b_frames, hevc, tmp_path):
        whole = read(opened(path))
        assert_equal(read(opened(path), size=1), whole)
        source = opened(path)
        limits = [0, *source.key_frames().tolist()[1:], 47, COUNT]
        parts = [source.part(a, b) for a, b in pairwise(sorted(limits))]
        chunks = [chunk for part in reversed(parts) for chunk in part.chunks(5)]
        chunks.sort(key=lambda chunk: chunk.frame[0])
        np.testing.assert_array_equal(np.concatenate([c.frame for c in chunks]), whole.frame)
        np.testing.assert_array_equal(np.concatenate([c.frames for c in chunks]), whole.frames)
        tainted = np.concatenate([c.is_tainted for c in chunks])
        np.testing.assert_array_equal(tainted, whole.is_tainted)
        assert source.loss() == opened(path).loss()


def test_loss_is_found_without_reading_the_chunks_first(sound, tmp_path):
    path = overwrite(sound, tmp_path / "lost.mp4", zeros(packets_of(sound)[P_FRAME]))
    source = opened(path)
    before = source.loss()
    read(source)
    assert source.loss() == before
    assert source.part(0, P_FRAME).loss() == LossSummary(expected_count=30, decoded_count=30)
    assert source.part(35, 50).loss().tainted_count == 7


def test_first_frames_lost_are_missing_and_the_rest_is_read(sound, reference, tmp_path):
    change = zeros(packets_of(sound)[0])
    source = opened(overwrite(sound, tmp_path / "headless.mp4", change))
    chunk = read(source)
    assert set(chunk.frame[~chunk.is_tainted]) == set(range(GOP, COUNT))
    assert_only_tainted_frames_are_wrong(chunk, reference)


def test_nothing_is_printed_about_damage(sound, tmp_path, capfd):
    read(opened(overwrite(sound, tmp_path / "lost.mp4", zeros(packets_of(sound)[P_FRAME]))))
    assert capfd.readouterr() == ("", "")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40), part=st.sampled_from(["head", "all"])
)
def test_random_damage_is_read_or_refused_but_never_anything_else(
    sound, tmp_path, seed, count, part
):
    content = bytearray(sound.read_bytes())
    rng = np.random.default_rng(seed)
    end = packets_of(sound)[0][0] if part == "head" else len(content)
    for at in rng.integers(0, end, count):
        content[at] = rng.integers(256)
    path = tmp_path / "random.mp4"
    path.write_bytes(content)
    source, refusal = None, "random.mp4"
    try:
        source = open_recording(path, frames=(0, 5))
    except CellstormError as error:
        refusal = str(error)
    assert "random.mp4" in refusal
    assert "\n" not in refusal
    if source is not None:
        count = sum(len(chunk.frame) for chunk in source.chunks(3))
        assert source.loss().decoded_count == count


def test_little_damage_is_accepted_and_much_is_not():
    refuse_damaged(LossSummary(expected_count=100, decoded_count=99, missing_count=1), "x.mp4")
    with pytest.raises(
        RecordingError, match=r"x\.mp4 is damaged: of 100 frames 1 are missing and 5"
    ):
        refuse_damaged(
            LossSummary(expected_count=100, decoded_count=99, missing_count=1, tainted_count=5),
            "x.mp4",
        )
