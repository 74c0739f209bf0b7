"""What a recording is: its facts, its frames, and the one way to read them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError

#: Share of lost or tainted frames above which a recording is refused.
MAX_DAMAGED_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """A rectangle of the full frame, in whole pixels; the field all positions refer to."""

    width_px: int
    height_px: int
    x_px: int = 0
    y_px: int = 0

    def __post_init__(self) -> None:
        if self.width_px < 1 or self.height_px < 1 or self.x_px < 0 or self.y_px < 0:
            raise SettingsError(
                "a region needs a width and height of at least 1 and an origin of at least 0, "
                f"got {self.width_px}x{self.height_px}+{self.x_px}+{self.y_px}"
            )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in an array (Y, X) of the full frame."""
        return (
            slice(self.y_px, self.y_px + self.height_px),
            slice(self.x_px, self.x_px + self.width_px),
        )

    @classmethod
    def centred(cls, frame_width_px: int, frame_height_px: int, *, side_px: int = 512) -> Self:
        """Return the centred square of a frame, its origin rounded down to multiples of 16.

        Multiples of 16 keep the codec's block grid where it is. A frame smaller than the
        square in one direction is taken whole in that direction.
        """
        width_px, height_px = min(side_px, frame_width_px), min(side_px, frame_height_px)
        return cls(
            width_px=width_px,
            height_px=height_px,
            x_px=(frame_width_px - width_px) // 2 // 16 * 16,
            y_px=(frame_height_px - height_px) // 2 // 16 * 16,
        )

    @classmethod
    def parsed(cls, text: str, *, frame_width_px: int, frame_height_px: int) -> Self:
        """Read ``WxH`` (centred) or ``WxH+X+Y`` in pixels, and check that it fits the frame."""
        size, _, origin = text.strip().partition("+")
        try:
            width_px, height_px = (int(part) for part in size.lower().split("x"))
            if origin:
                x_px, y_px = (int(part) for part in origin.split("+"))
            else:
                x_px = max(frame_width_px - width_px, 0) // 2 // 16 * 16
                y_px = max(frame_height_px - height_px, 0) // 2 // 16 * 16
        except ValueError as error:
            raise SettingsError(
                f"a region is written WxH or WxH+X+Y in pixels, got {text!r}"
            ) from error
        roi = cls(width_px=width_px, height_px=height_px, x_px=x_px, y_px=y_px)
        if x_px + width_px > frame_width_px or y_px + height_px > frame_height_px:
            raise SettingsError(
                f"the region {text} does not fit into frames of "
                f"{frame_width_px} x {frame_height_px} pixels"
            )
        return roi


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSummary:
    """How much of a recording is missing or cannot be trusted.

    Attributes
    ----------
    expected_count : int or None
        Frames the container promises; None when it does not say.
    decoded_count : int
        Frames that came out of the decoder.
    missing_count : int
        Promised frames that never came.
    tainted_count : int
        Decoded frames that may be wrong: from a damaged packet to the next key frame.
    dropped_count : int
        Frames the camera left out, seen as gaps in time; no damage, the frame numbers go on.
    reason : str
        What the decoder said about the first damage; empty when there is none.
    """

    expected_count: int | None
    decoded_count: int
    missing_count: int = 0
    tainted_count: int = 0
    dropped_count: int = 0
    reason: str = ""

    @property
    def damaged_share(self) -> float:
        """Missing and tainted frames as a share of all that should be there."""
        total = self.decoded_count + self.missing_count
        return (self.missing_count + self.tainted_count) / total if total else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFacts:
    """Everything known about a file of frames before looking at its pixels.

    Attributes
    ----------
    name : str
        File name, without folders.
    digest : str
        SHA-256 of the file.
    kind : str
        ``h264``, ``hevc``, ``tiff``, ``dax``, ``raw``, ``sif``, ``dng`` or ``array``.
    frame_width_px, frame_height_px : int
        Size of the full frame as stored (before rotation).
    roi : Roi
        The part of the frame that is read.
    frame_count : int
        Frames of the whole file as far as the container tells.
    bit_depth : int
        Bits of a grey value.
    colour_range : str
        ``full``, ``limited`` or ``unspecified``: the tag only; values are never rescaled.
    rotation_deg : int
        The player's rotation flag; pixels are never rotated.
    frame_rate_hz : float or None
        Median frame rate from the time stamps.
    bits_per_px : float or None
        Compressed bits per pixel of the full frame; None for uncompressed stacks.
    pixel_size_nm : float or None
        Object-side pixel size when the file states one.
    iso : int or None
        Sensitivity setting of the camera when the file states it.
    photons_per_adu : float or None
        For stacks that already hold photons (written by ``cellstorm denoise``).
    is_denoised : bool
        Whether the frames were denoised.
    details : dict
        Further facts worth showing (codec profile, other tracks, edit list, ...).
    """

    name: str
    digest: str
    kind: str
    frame_width_px: int
    frame_height_px: int
    roi: Roi
    frame_count: int
    bit_depth: int
    colour_range: str = "unspecified"
    rotation_deg: int = 0
    frame_rate_hz: float | None = None
    bits_per_px: float | None = None
    pixel_size_nm: float | None = None
    iso: int | None = None
    photons_per_adu: float | None = None
    is_denoised: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_video(self) -> bool:
        """Whether the frames went through a lossy video codec."""
        return self.kind in {"h264", "hevc"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameChunk:
    """Consecutive frames with what the container says of each.

    Attributes
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values as decoded, region of interest only, C-contiguous.
    frame : (N,) int64
        The file's own frame numbers, from 0; a lost frame leaves a gap.
    time_s : (N,) float64
        Presentation time.
    is_key : (N,) bool
        Frames coded without reference to others; all True for stacks.
    frames_since_key : (N,) int32
        0 at a key frame.
    is_tainted : (N,) bool
        Frames that may be wrong because of damage.
    packet_bytes : (N,) int64
        Size of the compressed frame; of the raw frame for stacks.
    previous : (Y, X) or None
        The frame read just before this chunk; None at the start of the reading.
    """

    frames: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    is_key: npt.NDArray[np.bool_]
    frames_since_key: npt.NDArray[np.int32]
    is_tainted: npt.NDArray[np.bool_]
    packet_bytes: npt.NDArray[np.int64]
    previous: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None

    def rows_of(
        self, frame: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return which rows of a table lie in these frames, and in which of them.

        Parameters
        ----------
        frame : (M,) int
            Frame numbers of the rows, in order.

        Returns
        -------
        (K,) int64
            Rows.
        (K,) int64
            For each, the frame's place in this chunk.
        """
        first, last = np.searchsorted(frame, [self.frame[0], self.frame[-1] + 1])
        rows = np.arange(first, last)[np.isin(frame[first:last], self.frame)]
        return rows, np.searchsorted(self.frame, frame[rows])


class FrameSource(Protocol):
    """Frames of one recording, read as a stream in bounded memory.

    A source is cheap to make, picklable, and can be read any number of times. How many frames
    a chunk holds never changes what is in them.
    """

    @property
    def facts(self) -> RecordingFacts:
        """Facts of the file."""
        ...

    @property
    def frame_range(self) -> range:
        """Frame numbers this source yields (lost frames are left out of the chunks)."""
        ...

    def chunks(self, size: int) -> Iterator[FrameChunk]:
        """Yield all frames in order, at most `size` at a time."""
        ...

    def part(self, start: int, stop: int) -> "FrameSource":
        """Return the same recording restricted to frames ``start <= frame < stop``."""
        ...

    def key_frames(self) -> npt.NDArray[np.int64]:
        """Return the numbers of the frames at which decoding can start."""
        ...

    def loss(self) -> LossSummary:
        """Decode what was not decoded yet and say how much is missing or tainted."""
        ...
