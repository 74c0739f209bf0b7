"""Videos made once for all tests of this folder."""

import pytest
from numbered_videos import encode, opened, read, remux


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def sound(made):
    """100 numbered frames, H.264, key frame every 21, index before the data."""
    return encode(made / "sound.mp4", container={"movflags": "faststart"})


@pytest.fixture(scope="session")
def plain(made, sound):
    """The same with its index after the data, as phones write it."""
    return remux(sound, made / "plain.mp4")


@pytest.fixture(scope="session")
def fragmented(made, sound):
    """The same in fragments, each with an index of its own."""
    return remux(sound, made / "fragmented.mp4", container={"movflags": "frag_keyframe+empty_moov"})


@pytest.fixture(scope="session")
def matroska(made, sound):
    """The same in another container."""
    return remux(sound, made / "sound.mkv")


@pytest.fixture(scope="session")
def with_b_frames(made):
    return encode(made / "b_frames.mp4", b_frames=3, container={"movflags": "faststart"})


@pytest.fixture(scope="session")
def hevc(made):
    return encode(made / "hevc.mp4", codec="libx265")


@pytest.fixture(scope="session")
def open_gop(made):
    return encode(made / "open_gop.mp4", codec="libx265", b_frames=3, params="open-gop=1")


@pytest.fixture(scope="session")
def reference(sound):
    """What the sound file decodes to."""
    return read(opened(sound))
