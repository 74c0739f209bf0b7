import numpy as np
import pytest
from numbered_videos import COUNT, GOP, HEIGHT, WIDTH, opened, picture

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.quantiser import frame_quantisers, key_frame_qp
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

#: x264 codes key frames finer by a factor 1.4 of the step: 6 * log2(1.4), rounded.
KEY_FINER_QP = 3


def constant_qp(path, qp, **settings):
    write_video(path, (picture(k) for k in range(45)), EncoderSettings(qp=qp, **settings))
    return path


@pytest.mark.parametrize("qp", [8, 20, 36])
def test_a_constant_quantiser_is_read_back(tmp_path, qp):
    found = frame_quantisers(constant_qp(tmp_path / "clip.mp4", qp))
    np.testing.assert_array_equal(found.frame, np.arange(45))
    np.testing.assert_array_equal(np.flatnonzero(found.is_key), [0, 21, 42])
    np.testing.assert_allclose(found.mean_qp[found.is_key], qp - KEY_FINER_QP)
    np.testing.assert_allclose(found.mean_qp[~found.is_key], qp)
    np.testing.assert_allclose(np.diff(found.time_s), 0.05)
    assert not found.is_tainted.any()
    assert key_frame_qp(open_recording(tmp_path / "clip.mp4")) == pytest.approx(qp - KEY_FINER_QP)


def test_sizes_times_and_frames_are_those_of_the_recording(sound, with_b_frames):
    for path in (sound, with_b_frames):
        chunk = next(opened(path).chunks(COUNT))
        found = frame_quantisers(path)
        np.testing.assert_array_equal(found.packet_bytes, chunk.packet_bytes)
        np.testing.assert_array_equal(found.time_s, chunk.time_s)
        np.testing.assert_array_equal(found.is_key, chunk.is_key)
        assert np.isfinite(found.mean_qp).all()


def test_a_part_has_the_quantisers_of_the_whole(sound):
    whole = frame_quantisers(sound)
    part = frame_quantisers(sound, frames=(30, 50))
    np.testing.assert_array_equal(part.frame, np.arange(30, 50))
    np.testing.assert_array_equal(part.mean_qp, whole.mean_qp[30:50])


def test_the_regions_of_a_frame_average_to_the_whole(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, (picture(k) for k in range(30)), EncoderSettings(phone_like=False))
    half = WIDTH // 32 * 16
    widths, origins = (half, WIDTH - half), (0, half)
    parts = [
        frame_quantisers(path, roi=Roi(width_px=width, height_px=HEIGHT, x_px=origin)).mean_qp
        for width, origin in zip(widths, origins, strict=True)
    ]
    assert not np.array_equal(parts[0], parts[1])
    both = np.average(parts, axis=0, weights=widths)
    np.testing.assert_allclose(both, frame_quantisers(path).mean_qp)


def test_a_region_within_one_macroblock_has_its_quantiser(tmp_path):
    path = constant_qp(tmp_path / "clip.mp4", 20)
    tiny = frame_quantisers(path, roi=Roi(width_px=2, height_px=2, x_px=17, y_px=33))
    assert set(tiny.mean_qp) == {20.0, 20.0 - KEY_FINER_QP}


def test_only_some_key_frames_are_asked(sound):
    whole = frame_quantisers(sound)
    keys = whole.mean_qp[::GOP]
    assert key_frame_qp(opened(sound)) == pytest.approx(keys.mean())
    assert key_frame_qp(opened(sound), most_frames=2) == pytest.approx(keys[[0, -1]].mean())


def test_videos_that_do_not_tell_and_stacks_have_none(hevc, tmp_path):
    with pytest.raises(RecordingError, match=r"hevc.mp4 is hevc, but only of H.264 video can it"):
        frame_quantisers(hevc)
    frames = np.zeros((3, 16, 16), np.uint8)
    write_stack(tmp_path / "stack.tif", [frames], pixel_size_nm=100.0)
    with pytest.raises(RecordingError, match=r"stack.tif is tiff, but only of H.264 .* go on"):
        frame_quantisers(tmp_path / "stack.tif")
    assert key_frame_qp(opened(hevc)) is None
    assert key_frame_qp(ArraySource(frames)) is None
