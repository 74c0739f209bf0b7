"""Small videos whose pictures carry their own number, and ways to damage them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from cellstorm_lib.recording import FrameChunk, FrameSource
from cellstorm_lib.video.containers import container_of
from cellstorm_lib.video.video import VideoSource
from cellstorm_lib.video.video_file import open_video

BITS, BLOCK = 7, 16
WIDTH, HEIGHT = BITS * BLOCK, 64
COUNT, GOP = 100, 21
X265 = "open-gop=0:pools=none:frame-threads=1:log-level=none"


def picture(number: int) -> np.ndarray:
    """Return a picture: its number as blocks of luma 20 or 220, below them something moving."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    luma = (60 + (rows + columns) // 4).astype(np.uint8)
    for bit in range(BITS):
        luma[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 220 if number >> bit & 1 else 20
    at = number * 3 % (WIDTH - 12)
    luma[40:52, at : at + 12] = 200
    return luma


def number_in(luma: np.ndarray) -> int:
    """Return the number a picture carries."""
    middles = [
        luma[4:12, bit * BLOCK + 4 : bit * BLOCK + 12].astype(float).mean() for bit in range(BITS)
    ]
    return sum(1 << bit for bit, level in enumerate(middles) if level > 120)


def encode(
    path: Path,
    frames: Iterable[np.ndarray] | None = None,
    *,
    codec: str = "libx264",
    params: str = "",
    b_frames: int = 0,
    container: Mapping[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    colour_range: int = 0,
    before_close: Callable[[OutputContainer], None] | None = None,
) -> Path:
    """Write a video with PyAV directly; by default the numbered pictures at 20 Hz."""
    frames = [picture(number) for number in range(COUNT)] if frames is None else list(frames)
    with av.open(str(path), "w", container_options=dict(container or {})) as output:
        stream = output.add_stream(codec, rate=20)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "yuv420p" if frames[0].dtype == np.uint8 else "yuv420p10le"
        stream.codec_context.thread_count = 1
        stream.codec_context.color_range = colour_range
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        name = codec.removeprefix("lib") + "-params"
        own = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes={b_frames}"
        if codec == "libx265":
            own += ":" + X265
        stream.options = {"preset": "veryfast", "crf": "24", name: f"{own}:{params}".strip(":")}
        for index, luma in enumerate(frames):
            frame = av.VideoFrame(luma.shape[1], luma.shape[0], stream.pix_fmt)
            frame.color_range = colour_range
            for plane_index, plane in enumerate(frame.planes):
                rows = np.frombuffer(plane, luma.dtype)
                rows = rows.reshape(plane.height, plane.line_size // luma.itemsize)
                if plane_index == 0:
                    rows[:, : plane.width] = luma
                else:
                    rows[:] = 128 if luma.dtype == np.uint8 else 512
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        if before_close is not None:
            before_close(output)
    return path


def remux(
    source: Path,
    target: Path,
    *,
    without: Iterable[int] = (),
    earlier_by: int = 0,
    rotation_deg: int | None = None,
    audio_s: float = 0,
    container: Mapping[str, str] | None = None,
) -> Path:
    """Copy the compressed frames into a new file, some left out or moved in time."""
    left_out = set(without)
    options = dict(container or {})
    with (
        av.open(str(source)) as given,
        av.open(str(target), "w", container_options=options) as output,
    ):
        stream = given.streams.video[0]
        if audio_s:
            sound = output.add_stream("aac", rate=16000, layout="mono")
        copy = output.add_stream_from_template(stream)
        if rotation_deg is not None:
            copy.set_display_rotation(rotation_deg)
        if audio_s:
            samples = np.zeros((1, int(16000 * audio_s)), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.rate = 16000
            output.mux(sound.encode(frame))
            output.mux(sound.encode())
        packets = [packet for packet in given.demux(stream) if packet.size]
        for index, packet in enumerate(packets):
            if index in left_out:
                continue
            shift = earlier_by * packet.duration
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            output.mux(packet)
    return target


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Return where each compressed frame begins in the file and how long it is."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(packet.pos, packet.size) for packet in container.demux(stream) if packet.size]


def overwrite(source: Path, target: Path, changes: Mapping[int, bytes]) -> Path:
    """Copy a file with some bytes replaced."""
    content = bytearray(source.read_bytes())
    for at, data in changes.items():
        content[at : at + len(data)] = data
    target.write_bytes(content)
    return target


def opened(path: Path) -> VideoSource:
    """Open a video, however damaged it is."""
    container = container_of(path)
    assert container in ("mov", "matroska")
    return open_video(path, container)


def read(source: FrameSource, size: int = 16) -> FrameChunk:
    """Return all that a source yields as one chunk."""
    chunks = list(source.chunks(size))
    names = ("frames", "frame", "time_s", "is_key", "frames_since_key", "is_tainted")
    joined = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in (*names, "packet_bytes")
    }
    return FrameChunk(**joined, previous=chunks[0].previous)


def assert_equal(one: FrameChunk, other: FrameChunk) -> None:
    """Fail unless two readings are the same in every frame and every fact."""
    for name in (
        "frame", "time_s", "is_key", "frames_since_key", "is_tainted", "packet_bytes", "frames",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
