"""Files that are no recordings: one sentence with the file, what was found and what to do."""

import os

import av
import numpy as np
import pytest
from numbered_videos import encode, picture, remux

from cellstorm_lib.errors import CellstormError, RecordingError
from cellstorm_lib.video.read import open_recording

RANDOM = np.random.default_rng(7).bytes(5000)
CENC = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def other_codec(path, codec, pixel_format="yuv420p"):
    """Write three frames with another encoder."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for _ in range(3):
            frame = av.VideoFrame(64, 48, pixel_format)
            for plane in frame.planes:
                np.frombuffer(plane, np.uint8)[:] = 128
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def only_sound(path):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        samples = np.zeros((1, 16000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def refused(path):
    """Return the sentence with which a file is refused."""
    with pytest.raises(CellstormError) as caught:
        open_recording(path)
    message = str(caught.value)
    assert isinstance(caught.value, RecordingError)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.mp4", b"", "is empty (0 bytes); copy the recording from the camera again"),
        ("empty.tif", b"", "is empty (0 bytes)"),
        ("junk.mp4", RANDOM, "is named like a video, but does not begin like one"),
        ("junk.mkv", RANDOM, "is named like a video, but does not begin like one"),
        ("text.tif", b"hello", "is named like a TIFF file, but does not begin like one"),
        ("text.sif", b"hello", "is named like an Andor SIF file, but does not begin like one"),
        ("notes.txt", b"x", "is no recording that can be read; expected is H.264 or HEVC video"),
        ("noending", RANDOM, "is no recording that can be read"),
        ("box.mp4", b"\0\0\0\x18ftypisom" + RANDOM, "ends before its index"),
        ("head.mkv", b"\x1a\x45\xdf\xa3" + RANDOM, "cannot be read as video"),
        ("head.tif", b"II*\0\x08\0\0\0", "begins like a TIFF file, but holds no image"),
        ("big.tif", b"II+\0\x08\0\0\0" + RANDOM, "begins like a TIFF file, but holds no image"),
        ("head.sif", b"Andor Technology Multi-Channel File\n", "its header cannot be read"),
    ],
)  # fmt: skip
def test_content_that_is_no_recording(tmp_path, capfd, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    assert sentence in refused(path)
    assert capfd.readouterr() == ("", "")
    assert path.read_bytes() == content


def test_missing_file_and_folder(tmp_path):
    assert "does not exist; check the name" in refused(tmp_path / "missing.mp4")
    assert "is a folder; give the name of a recording in it" in refused(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything"
)
def test_file_without_permission(sound, tmp_path):
    path = tmp_path / "locked.mp4"
    path.write_bytes(sound.read_bytes())
    path.chmod(0)
    assert "cannot be read: Permission denied; check that you may read it" in refused(path)


def test_file_that_cannot_be_opened(sound, tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "locked.mp4"
    path.write_bytes(sound.read_bytes())
    monkeypatch.setattr("cellstorm_lib.video.read.container_of", denied)
    assert "cannot be read: Permission denied; check that you may read it" in refused(path)


def test_sound_without_a_picture(tmp_path):
    assert "holds no video, only audio; give the file" in refused(only_sound(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("name", "codec", "found"),
    [
        ("a.mp4", "mpeg4", "mpeg4"),
        ("a.mkv", "ffv1", "ffv1"),
        ("a.mkv", "mjpeg", "mjpeg"),
        ("a.mp4", "libvpx-vp9", "vp9"),
    ],
)
def test_other_codecs(tmp_path, name, codec, found):
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = other_codec(tmp_path / name, codec, pixel_format)
    assert f"holds {found} video, but H.264 or HEVC is expected" in refused(path)


def test_colour_that_is_no_luma(tmp_path):
    path = other_codec(tmp_path / "rgb.mp4", "libx264rgb", "rgb24")
    assert "pixels, but luma and chroma (as yuv420p) are expected" in refused(path)


def test_encrypted_video(tmp_path, capfd):
    path = encode(tmp_path / "secret.mp4", [picture(n) for n in range(5)], container=CENC)
    assert "is encrypted, so its frames cannot be read; give a copy" in refused(path)
    assert capfd.readouterr() == ("", "")


def test_video_of_which_no_frame_can_be_decoded(sound, tmp_path):
    content = bytearray(sound.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin:] = bytes(len(content) - begin)
    path = tmp_path / "wiped.mp4"
    path.write_bytes(content)
    assert "but none of its frames can be decoded; it is damaged" in refused(path)


def test_video_whose_frames_are_all_hidden(sound, tmp_path):
    path = remux(sound, tmp_path / "hidden.mp4", earlier_by=150)
    assert "none of its frames can be decoded" in refused(path)


def test_video_without_frames(tmp_path, plain):
    content = plain.read_bytes()
    path = tmp_path / "bare.mp4"
    begin = content.index(b"mdat") - 4
    size = int.from_bytes(content[begin : begin + 4], "big")
    path.write_bytes(content[:begin] + content[begin + size :])
    assert "none of its frames can be decoded" in refused(path)
