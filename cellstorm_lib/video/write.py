"""Frames to a video as a phone's encoder would write it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast, get_args

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.files import written_whole

Codec = Literal["h264", "hevc"]

_ENDINGS = {".mp4", ".mov", ".mkv"}
_LIMITED, _FULL = 1, 2
_ENCODERS = {"h264": ("libx264", "x264-params"), "hevc": ("libx265", "x265-params")}
#: Without what the encoder chip of a phone does not do, as measured on phone clips.
_PHONE_TOOLS = {
    "h264": "ref=1:rc-lookahead=0:sync-lookahead=0:mbtree=0:aq-mode=0:psy=0:8x8dct=0:weightp=0:"
    "subme=2:me=dia:trellis=0",
    "hevc": "ref=1:rc-lookahead=0:cutree=0:aq-mode=0:psy-rd=0:psy-rdoq=0:rdoq-level=0:weightp=0:"
    "subme=1:me=dia",
}
#: Encoders count in thousands of bits a second; with none left they refuse small frames.
_LEAST_RATE_BIT_PER_S = 1000.0
#: The same file on every machine, and nothing on the screen.
_REPRODUCIBLE = {
    "h264": "threads=1",
    "hevc": "open-gop=0:pools=none:frame-threads=1:wpp=0:log-level=none",
}
_RANGES = {
    "crf": (0, 51),
    "qp": (0, 51),
    "gop_frames": (1, 10_000),
    "b_frames": (0, 16),
    "ip_ratio": (0.5, 10),
    "buffer_s": (0.02, 100),
    "qp_min": (0, 51),
    "qp_max": (0, 51),
}
_COLOURS = "colorprim=bt709:transfer=bt709:colormatrix=bt709"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How a video is compressed; the default imitates the encoder of a phone.

    Attributes
    ----------
    codec : {"h264", "hevc"}
        Video standard.
    bits_per_px : float or None
        Constant bit rate, as bits per pixel and frame; 0.41 is 17 Mbit/s at 1080p and 20 Hz.
    crf : int or None
        Constant quality instead of a bit rate; 0 to 51, higher is worse.
    qp : int or None
        Constant quantiser instead of a bit rate; 0 is lossless.
    gop_frames : int
        Frames from one key frame to the next.
    b_frames : int
        Frames between reference frames that are predicted from both sides; phones use none.
    frame_rate_hz : float
        Frames per second.
    full_range : bool
        Tag the grey values as 0 to 255 instead of 16 to 235; the values themselves stay as given.
    bit_depth : int
        8, or 10 with ``hevc``.
    phone_like : bool
        Leave out the tools of the encoder that phones do not have.
    preset : str
        The encoder's own trade of effort for size.
    tune : str or None
        The encoder's own adaptation to a kind of pictures, as ``grain``.
    ip_ratio : float
        Quantiser step of predicted frames / that of key frames.
    buffer_s : float
        Seconds over which the bit rate is kept: the size of the decoder's buffer.
    qp_min, qp_max : int
        Range of quantisers the encoder may choose from.
    extra_params : str
        Further parameters of x264 or x265, ``name=value:name=value``; they win over all others.
    """

    codec: Codec = field(default="h264", metadata={"about": "video standard"})
    bits_per_px: float | None = field(
        default=0.4, metadata={"about": "constant bit rate as bits per pixel and frame"}
    )
    crf: int | None = field(
        default=None, metadata={"about": "constant quality (0 to 51) instead of a bit rate"}
    )
    qp: int | None = field(
        default=None, metadata={"about": "constant quantiser (0: lossless) instead of a bit rate"}
    )
    gop_frames: int = field(default=21, metadata={"about": "frames from key frame to key frame"})
    b_frames: int = field(default=0, metadata={"about": "frames predicted from both sides"})
    frame_rate_hz: float = field(default=20.0, metadata={"about": "frames per second"})
    full_range: bool = field(default=True, metadata={"about": "tag grey values as 0 to 255"})
    bit_depth: int = field(default=8, metadata={"about": "bits of a grey value, 8 or 10"})
    phone_like: bool = field(
        default=True, metadata={"about": "leave out encoder tools that phones do not have"}
    )
    preset: str = field(default="veryfast", metadata={"about": "effort of the encoder"})
    tune: str | None = field(default=None, metadata={"about": "kind of pictures, as grain"})
    ip_ratio: float = field(
        default=1.4, metadata={"about": "quantiser step of predicted / of key frames"}
    )
    buffer_s: float = field(
        default=1.0, metadata={"about": "seconds over which the bit rate is kept"}
    )
    qp_min: int = field(default=0, metadata={"about": "finest quantiser"})
    qp_max: int = field(default=51, metadata={"about": "coarsest quantiser"})
    extra_params: str = field(
        default="", metadata={"about": "further parameters of the encoder, name=value:..."}
    )

    def __post_init__(self) -> None:
        if self.codec not in get_args(Codec):
            raise SettingsError(f"codec must be h264 or hevc, got {self.codec!r}")
        if self.crf is not None and self.qp is not None:
            raise SettingsError(f"give crf or qp, not both, got {self.crf} and {self.qp}")
        if self.crf is None and self.qp is None and not (self.bits_per_px or 0) > 0:
            raise SettingsError(
                f"bits_per_px must be above 0 unless crf or qp is given, got {self.bits_per_px}"
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"{name} must be {low:g} to {high:g}, got {value}")
        if not 0 < self.frame_rate_hz <= 10_000:
            raise SettingsError(
                f"frame_rate_hz must be above 0 and at most 10000, got {self.frame_rate_hz}"
            )
        if self.bit_depth not in ({8, 10} if self.codec == "hevc" else {8}):
            raise SettingsError(
                f"bit_depth must be 8, or 10 with hevc, got {self.bit_depth} with {self.codec}"
            )


def write_video(
    path: Path,
    frames: Iterable[npt.NDArray[np.uint8] | npt.NDArray[np.uint16]],
    settings: EncoderSettings | None = None,
) -> None:
    """Compress frames to a video whose luma they are; the chroma is grey throughout.

    Runs as a stream, on one thread, and gives the same file on every machine with the same
    version of the encoder.

    Parameters
    ----------
    path : Path
        The file to write: ``.mp4``, ``.mov`` or ``.mkv``.
    frames : iterable of (Y, X) uint8, or uint16 up to 1023 with a bit depth of 10
        Grey values; all of one size, even in both directions.
    settings : EncoderSettings or None
        How to compress; None for the default.

    Raises
    ------
    ExportError
        When there is no frame, a frame is of another size or type than expected, or the file
        cannot be written.
    """
    path = Path(path)
    settings = settings or EncoderSettings()
    if path.suffix.lower() not in _ENDINGS:
        raise ExportError(f"{path} must end in .mp4, .mov or .mkv, so that the format is known")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ExportError(f"cannot write {path}: there are no frames; check what was to be written")
    expected = np.dtype(np.uint8 if settings.bit_depth == 8 else np.uint16)
    _refuse_size(path, first)
    with written_whole(path) as temporary:
        try:
            with av.open(str(temporary), "w") as output:
                stream = _added_stream(output, first.shape, settings)
                for frame in chain([first], remaining):
                    if frame.shape != first.shape or frame.dtype != expected:
                        raise ExportError(
                            f"cannot write {path}: all frames must be {expected} of shape "
                            f"{first.shape}, got {frame.dtype} of shape {frame.shape}"
                        )
                    output.mux(stream.encode(_picture(frame, settings)))
                output.mux(stream.encode())
        except av.error.FFmpegError as error:
            raise ExportError(
                f"cannot write {path} as {settings.codec}: {error.strerror}; check the size of the "
                f"frames ({first.shape[1]} x {first.shape[0]}) and the space in the folder"
            ) from error


def _refuse_size(path: Path, frame: npt.NDArray[Any]) -> None:
    """Raise for frames that cannot be coded with chroma at half the resolution."""
    if frame.ndim != 2 or not frame.size or frame.shape[0] % 2 or frame.shape[1] % 2:
        raise ExportError(
            f"cannot write {path}: a video needs frames (Y, X) of even height and width, got shape "
            f"{frame.shape}; crop or pad them by a pixel"
        )


def _added_stream(
    output: OutputContainer, shape: tuple[int, ...], settings: EncoderSettings
) -> VideoStream:
    """Add the video track with the encoder's options."""
    encoder, params_name = _ENCODERS[settings.codec]
    rate = Fraction(settings.frame_rate_hz).limit_denominator(1001)
    stream = cast(VideoStream, output.add_stream(encoder, rate=rate))
    stream.height, stream.width = shape
    stream.pix_fmt = _pixel_format(settings)
    context = stream.codec_context
    context.thread_count = 1
    context.color_range = _FULL if settings.full_range else _LIMITED
    if settings.codec == "hevc":
        context.codec_tag = "hvc1"
    pixels_per_s = shape[0] * shape[1] * settings.frame_rate_hz
    stream.options = {
        "preset": settings.preset,
        **({"tune": settings.tune} if settings.tune else {}),
        **_strength(settings, pixels_per_s),
        params_name: ":".join(_params(settings)),
    }
    return stream


def _strength(settings: EncoderSettings, pixels_per_s: float) -> dict[str, str]:
    """Return the options that say how strongly to compress."""
    if settings.crf is not None:
        return {"crf": str(settings.crf)}
    if settings.qp is not None:
        return {"qp": str(settings.qp)}
    rate = max((settings.bits_per_px or 0) * pixels_per_s, _LEAST_RATE_BIT_PER_S)
    buffer = str(round(max(rate * settings.buffer_s, _LEAST_RATE_BIT_PER_S)))
    return {"b": str(round(rate)), "maxrate": str(round(rate)), "bufsize": buffer}


def _params(settings: EncoderSettings) -> Iterator[str]:
    """Yield the encoder's own parameters."""
    gop = settings.gop_frames
    yield f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={settings.b_frames}"
    if settings.phone_like:
        yield _PHONE_TOOLS[settings.codec]
    if settings.codec == "hevc" and settings.qp == 0:
        yield "lossless=1"
    yield f"ipratio={settings.ip_ratio:g}"
    if settings.qp_min > 0:
        yield f"qpmin={settings.qp_min}"
    if settings.qp_max < 51:
        yield f"qpmax={settings.qp_max}"
    yield _COLOURS
    yield _REPRODUCIBLE[settings.codec]
    if settings.extra_params:
        yield settings.extra_params


def _pixel_format(settings: EncoderSettings) -> str:
    """Return the name of the pixel format."""
    return "yuv420p" if settings.bit_depth == 8 else "yuv420p10le"


def _picture(frame: npt.NDArray[Any], settings: EncoderSettings) -> VideoFrame:
    """Return a frame with the given luma and grey chroma, without any conversion."""
    height_px, width_px = frame.shape
    picture = VideoFrame(width_px, height_px, _pixel_format(settings))
    picture.color_range = _FULL if settings.full_range else _LIMITED
    for index, plane in enumerate(picture.planes):
        rows = np.frombuffer(plane, frame.dtype)  # type: ignore[call-overload]
        rows = rows.reshape(plane.height, plane.line_size // frame.dtype.itemsize)
        rows[:, : plane.width] = frame if index == 0 else 1 << (settings.bit_depth - 1)
    return picture
