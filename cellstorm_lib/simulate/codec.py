"""How the simulated phone compresses its video."""

import re
from dataclasses import dataclass, field
from typing import Literal

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges

_STRENGTHS = ("bits_per_px", "crf", "qp")
_PARAMS = re.compile(r"|[a-z0-9-]+=[^:\s]+(:[a-z0-9-]+=[^:\s]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSettings:
    """Compression of the video; exactly one of `bits_per_px`, `crf` and `qp` says how strong.

    The names are those of the encoder's own settings, which say what the encoder makes of them.
    """

    codec: Literal["h264", "hevc"] = field(default="h264", metadata=about("video standard"))
    bits_per_px: float | None = field(
        default=0.4,
        metadata=about("constant bit rate as bits per pixel and frame", above=0, at_most=20),
    )
    crf: int | None = field(
        default=None,
        metadata=about(
            "constant quality instead of a bit rate; higher is worse", at_least=0, at_most=51
        ),
    )
    qp: int | None = field(
        default=None,
        metadata=about(
            "constant quantiser instead of a bit rate; 0: lossless", at_least=0, at_most=51
        ),
    )
    tune: str | None = field(
        default=None, metadata=about("'grain': the encoder's preset for grainy pictures; or empty")
    )
    gop_frames: int = field(
        default=21, metadata=about("frames from key frame to key frame", at_least=1, at_most=1000)
    )
    ip_ratio: float = field(
        default=1.4,
        metadata=about(
            "quantiser step of the other frames / that of key frames", at_least=0.5, at_most=10
        ),
    )
    buffer_s: float = field(
        default=1.0,
        metadata=about("seconds over which the bit rate is kept", at_least=0.02, at_most=100),
    )
    qp_min: int = field(
        default=0, metadata=about("finest quantiser the encoder may choose", at_least=0, at_most=51)
    )
    qp_max: int = field(
        default=51, metadata=about("coarsest quantiser it may choose", at_least=0, at_most=51)
    )
    full_range: bool = field(default=True, metadata=about("tag grey values as 0 to 255"))
    phone_like: bool = field(
        default=True, metadata=about("leave out encoder tools that phones do not have")
    )
    preset: str = field(default="veryfast", metadata=about("effort of the encoder"))
    extra_params: str = field(
        default="",
        metadata=about("further parameters of x264 or x265, name=value:name=value; they win"),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        given = {name: getattr(self, name) for name in _STRENGTHS}
        if sum(value is not None for value in given.values()) != 1:
            found = ", ".join(f"{name} {value}" for name, value in given.items())
            raise SettingsError(
                "bits_per_px, crf and qp exclude each other and one is needed: leave the others "
                f"empty, got {found}"
            )
        if self.tune not in (None, "grain"):
            raise SettingsError(f"tune must be grain or empty, got {self.tune!r}")
        if self.qp_min > self.qp_max:
            raise SettingsError(
                f"qp_min must be at most qp_max, got {self.qp_min} and {self.qp_max}"
            )
        if not _PARAMS.fullmatch(self.extra_params):
            raise SettingsError(
                f"extra_params must be name=value:name=value, got {self.extra_params!r}"
            )
