"""Reference pictures that are not in the file, told from the numbers in the stream."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import encode, opened, picture, remux

from cellstorm_lib.video.h264 import ReferenceNumbers


def exponential(value):
    """Return the Exp-Golomb code of a number."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def signed(value):
    return exponential(2 * value - 1 if value > 0 else -2 * value)


def unit(header, bits):
    """Return a unit: its header byte and its bits, with the bytes that prevent false starts."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    content = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    safe = bytearray()
    for byte in content:
        if safe[-2:] == b"\0\0" and byte <= 3:
            safe.append(3)
        safe.append(byte)
    return bytes([header]) + bytes(safe)


def parameters(profile, number_bits, *, order_type=0, may_jump=False, lists=(), planes=False):
    """Return a sequence parameter set."""
    bits = f"{profile:08b}" + "0" * 8 + f"{40:08b}" + exponential(0)
    if profile >= 100:
        bits += exponential(3) + str(int(planes)) if planes else exponential(1)
        bits += exponential(0) + exponential(0) + "0"
        bits += "1" if lists else "0"
        if lists:
            for index in range(12 if planes else 8):
                bits += "1" if index in lists else "0"
                if index in lists:  # equal steps of +1 up to the end of the list
                    bits += signed(1) * (16 if index < 6 else 64)
    bits += exponential(number_bits - 4) + exponential(order_type)
    if order_type == 0:
        bits += exponential(2)
    elif order_type == 1:
        bits += "0" + signed(-3) + signed(2) + exponential(2) + signed(1) + signed(-1)
    bits += exponential(4) + str(int(may_jump)) + exponential(10) + exponential(10) + "1" * 6
    return unit(0x67, bits)


def extradata(parameter_set):
    """Return the header of an MP4 track (avcC), with lengths of four bytes."""
    size = len(parameter_set).to_bytes(2, "big")
    return b"\x01\x64\x00\x28\xff\xe1" + size + parameter_set + b"\x01\x00\x04\x68\xee\x3c\x80"


def packet(number, number_bits, *, is_key=False, is_reference=True, planes=False):
    """Return a packet with a delimiter and one slice."""
    kind = 5 if is_key else 1
    bits = exponential(0) + exponential(7) + exponential(0) + ("00" if planes else "")
    bits += f"{number % (1 << number_bits):0{number_bits}b}" + "0110" * 40
    units = [b"\x09\xf0", unit((0x60 if is_reference else 0) | kind, bits)]
    return memoryview(b"".join(len(part).to_bytes(4, "big") + part for part in units))


@given(
    number_bits=st.integers(4, 16),
    profile=st.sampled_from([66, 77, 100, 244]),
    order_type=st.sampled_from([0, 1, 2]),
    lists=st.sets(st.integers(0, 7), max_size=3),
    planes=st.booleans(),
    lost=st.none() | st.integers(1, 59),
)
def test_a_lost_reference_picture_is_noticed_at_the_next_picture(
    number_bits, profile, order_type, lists, planes, lost
):
    planes = planes and profile == 244
    given_set = parameters(profile, number_bits, order_type=order_type, lists=lists, planes=planes)
    numbers = ReferenceNumbers(extradata(given_set))
    noticed = [
        index
        for index in range(60)
        if index != lost
        and numbers.refers_to_absent(packet(index, number_bits, is_key=index == 0, planes=planes))
    ]
    assert noticed == ([] if lost in (None, 59) else [lost + 1])


def test_pictures_nobody_refers_to_may_be_left_out():
    numbers = ReferenceNumbers(extradata(parameters(77, 4)))
    assert not numbers.refers_to_absent(packet(0, 4, is_key=True))
    for _ in range(40):  # each reference picture is preceded by an unused one of its number
        number = 1
        assert not numbers.refers_to_absent(packet(number, 4, is_reference=False))
        assert not numbers.refers_to_absent(packet(number, 4))
        assert not numbers.refers_to_absent(packet(0, 4, is_key=True))


def test_numbering_begins_anew_at_a_key_frame():
    numbers = ReferenceNumbers(extradata(parameters(77, 8)))
    sequence = [(0, True), (1, False), (0, True), (1, False), (2, False)]
    assert not any(numbers.refers_to_absent(packet(n, 8, is_key=k)) for n, k in sequence)


def test_streams_that_may_jump_are_believed():
    numbers = ReferenceNumbers(extradata(parameters(77, 8, may_jump=True)))
    assert not numbers.refers_to_absent(packet(0, 8, is_key=True))
    assert not numbers.refers_to_absent(packet(7, 8))


def test_parameters_inside_the_stream_count():
    numbers = ReferenceNumbers(extradata(parameters(77, 4)))
    inside = parameters(77, 9)
    first = packet(0, 9, is_key=True)
    first = memoryview(len(inside).to_bytes(4, "big") + inside + bytes(first))
    assert not numbers.refers_to_absent(first)
    assert not any(numbers.refers_to_absent(packet(n, 9)) for n in range(1, 40))
    assert numbers.refers_to_absent(packet(41, 9))


@pytest.mark.parametrize("header", [None, b"", b"\x00\x00\x00\x01\x67", b"\x01" + bytes(20)])
@given(content=st.binary(max_size=60))
def test_what_cannot_be_understood_is_left_to_the_decoder(header, content):
    numbers = ReferenceNumbers(header)
    numbers.refers_to_absent(memoryview(content))
    assert not ReferenceNumbers(header).refers_to_absent(memoryview(content))


@given(damage=st.binary(min_size=1, max_size=30))
def test_broken_parameters_are_no_error(damage):
    whole = extradata(parameters(100, 8, lists={1}))
    numbers = ReferenceNumbers(whole[:10] + damage)
    answers = [numbers.refers_to_absent(packet(n, 8, is_key=n == 0)) for n in range(3)]
    assert not answers[0]  # a key frame refers to nothing, whatever is known of the numbering


@pytest.mark.parametrize("params", ["bframes=3:b-pyramid=normal", "ref=4:bframes=0", "cqm=jvt"])
def test_real_encoders_number_as_expected(tmp_path, params):
    b_frames = 3 if "bframes=3" in params else 0
    frames = [picture(number) for number in range(50)]
    path = encode(tmp_path / "a.mp4", frames, params=params, b_frames=b_frames)
    assert not opened(path).table.is_orphan.any()
    removed = opened(remux(path, tmp_path / "b.mp4", without=[22])).table.is_orphan
    assert np.flatnonzero(removed).tolist()[:1] == [22]
