"""The video track of a file, opened where one wants to begin."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cellstorm_lib.threads import processor_count
from cellstorm_lib.video.containers import Container
from cellstorm_lib.video.samples import SampleTable, demuxed

#: More of them hardly help, since all begin anew at each key frame.
_MOST_THREADS = 4
#: A sample and its packet.
Coded = tuple[int, "Packet[VideoStream]"]
Threads = Literal["NONE", "FRAME"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """Where the frames are: a file, how to open it, which of its video tracks, and what it shows.

    Attributes
    ----------
    path : Path
        The file.
    container : {"mov", "matroska"}
        Its kind.
    video_index : int
        Which of its video tracks.
    width_px, height_px : int
        Size of the frames.
    pixel_format : str
        FFmpeg's name of what a pixel consists of.
    tells_quantisers : bool
        Have the decoder tell the quantiser of every macroblock (H.264 only); costs a fifth.
    """

    path: Path
    container: Container
    video_index: int
    width_px: int
    height_px: int
    pixel_format: str
    tells_quantisers: bool = False

    @contextmanager
    def opened(self, threads: Threads = "NONE") -> Iterator[tuple[InputContainer, VideoStream]]:
        """Open the file; its track decodes several frames at once (``FRAME``) or one by one."""
        with opened_container(self.path, self.container) as container:
            stream = container.streams.video[self.video_index]
            stream.thread_type = threads
            stream.thread_count = min(_MOST_THREADS, processor_count())
            if self.tells_quantisers:  # heeded only before the first frame is decoded
                stream.codec_context.options = {"export_side_data": "venc_params"}
            yield container, stream

    @contextmanager
    def coded(
        self, table: SampleTable, samples: range, threads: Threads
    ) -> Iterator[tuple[VideoCodecContext, Iterator[Coded]]]:
        """Open the file at some consecutive samples; give a decoder and their packets."""
        with ExitStack() as stack:
            container, stream = stack.enter_context(self.opened(threads))
            packets = _known_packets(container, stream, table)
            if samples.start:
                with suppress(av.error.FFmpegError):
                    container.seek(int(table.pts[samples.start]), stream=stream)
                first = next(packets, None)
                if first is not None and first[0] <= samples.start:
                    packets = chain([first], packets)
                else:  # gone too far: read from the beginning
                    stack.close()
                    container, stream = stack.enter_context(self.opened(threads))
                    packets = _known_packets(container, stream, table)
            yield stream.codec_context, _within(packets, samples)

    def fits(self, source: VideoFrame) -> bool:
        """Return whether a frame is of the size and depth of the track."""
        found = (source.width, source.height, source.format.name)
        return found == (self.width_px, self.height_px, self.pixel_format)


def opened_container(path: Path, container: Container) -> InputContainer:
    """Open a file whatever its metadata are written in; use it as a context manager."""
    return av.open(str(path.absolute()), format=container, metadata_errors="replace")


def _known_packets(
    container: InputContainer, stream: VideoStream, table: SampleTable
) -> Iterator[Coded]:
    """Yield the packets that are samples of the table."""
    for packet in demuxed(container, stream):
        sample = table.sample_of_stamps.get((packet.pts, packet.dts))
        if sample is not None:
            yield sample, packet


def _within(packets: Iterator[Coded], samples: range) -> Iterator[Coded]:
    """Yield the packets of some samples and end after them."""
    for sample, packet in packets:
        if sample >= samples.stop:
            return
        if sample >= samples.start:
            yield sample, packet
