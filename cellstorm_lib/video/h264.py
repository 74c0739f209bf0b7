"""Whether an H.264 picture refers to one that is not in the file.

A packet that was removed from a file together with its entry in the index leaves no trace
there, and the decoder silently predicts the following pictures from the wrong one. The stream
itself tells: reference pictures are numbered (``frame_num``), and the numbers then jump.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_SLICE, _IDR_SLICE, _PARAMETERS = 1, 5, 7
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_HEADER_BYTES = 40  # more than the part of a slice header read here
_PARAMETER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Numbering:
    """How a stream numbers its reference pictures."""

    bits: int
    has_colour_planes: bool
    may_jump: bool


class ReferenceNumbers:
    """Follows the numbers of the reference pictures of one stream, packet by packet."""

    def __init__(self, extradata: bytes | None) -> None:
        self._numbering: _Numbering | None = None
        self._previous: int | None = None
        self._prefix_bytes = 0
        if extradata and extradata[0] == 1 and len(extradata) > 8:
            self._prefix_bytes = (extradata[4] & 3) + 1
            if extradata[5] & 31:
                size = int.from_bytes(extradata[6:8], "big")
                self._numbering = _read_numbering(memoryview(extradata)[8 : 8 + size])

    def refers_to_absent(self, packet: memoryview) -> bool:
        """Return whether the picture in this packet needs one that never was in the file.

        Parameters
        ----------
        packet : memoryview
            The next packet in decoding order, as MP4 and MKV store it.
        """
        for unit in _units(packet, self._prefix_bytes):
            kind = unit[0] & 31
            if kind == _PARAMETERS:
                self._numbering = _read_numbering(unit)
            elif kind == _IDR_SLICE:
                self._previous = 0
                return False
            elif kind == _SLICE:
                return self._jumps(unit)
        self._previous = None  # unreadable: the decoder will say so itself
        return False

    def _jumps(self, unit: memoryview) -> bool:
        """Take note of a slice's number; return whether reference pictures lack before it."""
        if self._numbering is None or self._numbering.may_jump:
            return False
        bits = _Bits(unit[1:_HEADER_BYTES])
        try:
            bits.exponential()  # first macroblock
            bits.exponential()  # slice type
            bits.exponential()  # picture parameter set
            if self._numbering.has_colour_planes:
                bits.plain(2)
            number = bits.plain(self._numbering.bits)
        except EOFError:
            self._previous = None
            return False
        previous = self._previous
        if unit[0] >> 5 & 3:  # others may refer to this picture
            self._previous = number
        if previous is None:
            return False
        return number not in (previous, (previous + 1) % (1 << self._numbering.bits))


class _Bits:
    """Reads the bit-wise coded numbers of an H.264 header."""

    def __init__(self, coded: memoryview) -> None:
        plain = bytes(coded).replace(b"\0\0\3", b"\0\0")
        self._text = "".join(f"{byte:08b}" for byte in plain)
        self._at = 0

    def plain(self, count: int) -> int:
        """Read an unsigned number of `count` bits."""
        start, self._at = self._at, self._at + count
        if self._at > len(self._text):
            raise EOFError
        return int(self._text[start : self._at], 2) if count else 0

    def exponential(self) -> int:
        """Read an unsigned Exp-Golomb number."""
        one = self._text.find("1", self._at)
        if one < 0:
            raise EOFError
        zeros, self._at = one - self._at, one
        return self.plain(zeros + 1) - 1

    def signed(self) -> int:
        """Read a signed Exp-Golomb number."""
        value = self.exponential()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _units(packet: memoryview, prefix_bytes: int) -> Iterator[memoryview]:
    """Yield the units of a packet in which each is preceded by its length."""
    at = 0
    while prefix_bytes and at + prefix_bytes < len(packet):
        size = int.from_bytes(packet[at : at + prefix_bytes], "big")
        at += prefix_bytes
        if not 0 < size <= len(packet) - at:
            return
        yield packet[at : at + size]
        at += size


def _read_numbering(unit: memoryview) -> _Numbering | None:
    """Read from a sequence parameter set how reference pictures are numbered."""
    bits = _Bits(unit[1:_PARAMETER_BYTES])
    try:
        profile = bits.plain(8)
        bits.plain(16)  # constraints, level
        bits.exponential()  # its own number
        has_colour_planes = profile in _HIGH_PROFILES and _skip_high_profile(bits)
        number_bits = bits.exponential() + 4
        _skip_order_count(bits)
        bits.exponential()  # how many reference frames
        return _Numbering(number_bits, has_colour_planes, bool(bits.plain(1)))
    except EOFError:
        return None


def _skip_high_profile(bits: _Bits) -> bool:
    """Skip what only high profiles have; return whether colour planes are coded apart."""
    chroma_format = bits.exponential()
    has_colour_planes = chroma_format == 3 and bool(bits.plain(1))
    bits.exponential()  # luma depth
    bits.exponential()  # chroma depth
    bits.plain(1)
    if bits.plain(1):
        for index in range(8 if chroma_format != 3 else 12):
            if bits.plain(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return has_colour_planes


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    """Skip a quantisation matrix."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_order_count(bits: _Bits) -> None:
    """Skip how the order of presentation is coded."""
    order_type = bits.exponential()
    if order_type == 0:
        bits.exponential()
    elif order_type == 1:
        bits.plain(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.exponential()):
            bits.signed()
