"""Barcodes: read right, or not read at all."""

import binascii

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.barcode import (
    NUMBER_BITS,
    NUMBER_COUNT,
    WORD_BITS,
    cells_of,
    marks_of,
    numbers_of,
    read_barcodes,
    word_of,
)

NUMBERS = st.integers(0, NUMBER_COUNT - 1)
MARKS = st.integers(0, 0xFFFF)


def frame_of(top, bottom=None, mark=0x36A2):
    """Return the cells of one frame, (1, 2, 2, 36)."""
    bottom = top if bottom is None else bottom
    return np.stack([cells_of(top, mark), cells_of(bottom, mark)])[None].astype(np.float64)


def read_one(cells, mark=0x36A2):
    reading = read_barcodes(cells, mark)
    return int(reading.number[0]), float(reading.overlap[0]), bool(reading.is_torn[0])


@given(NUMBERS, MARKS)
def test_word_holds_its_number_and_its_mark(number, mark):
    word = word_of(number, mark)
    assert word.shape == (WORD_BITS,)
    assert numbers_of(word[None])[0] == number
    assert marks_of(word[None])[0] == mark


@given(NUMBERS)
def test_check_bits_are_the_common_crc(number):
    gray = number ^ (number >> 1)
    check = binascii.crc_hqx(gray.to_bytes(3, "big"), 0)  # four leading zeros change nothing
    bits = word_of(number, 0)[NUMBER_BITS:]
    assert int("".join(str(int(bit)) for bit in bits), 2) == check


@given(st.integers(0, NUMBER_COUNT - 2), MARKS)
def test_next_number_differs_in_one_bit_of_the_counter(number, mark):
    differs = word_of(number, mark) ^ word_of(number + 1, mark)
    assert differs[:NUMBER_BITS].sum() == 1


@given(NUMBERS, MARKS, MARKS)
def test_number_of_one_movie_is_never_read_in_another(number, mark, other):
    read, _, _ = read_one(frame_of(number, mark=mark), mark=other)
    assert read == (number if mark == other else -1)


@given(NUMBERS, st.integers(0, WORD_BITS - 1), st.integers(1, (1 << 16) - 1))
def test_burst_of_wrong_cells_is_noticed(number, first, pattern):
    cells = frame_of(number)
    burst = np.array([pattern >> bit & 1 for bit in range(16)], bool)[: WORD_BITS - first]
    if not burst.any():
        return
    wrong = np.zeros(WORD_BITS, bool)
    wrong[first : first + len(burst)] = burst
    cells[..., wrong] = 1 - cells[..., wrong]  # the same in both strips, word and complement
    assert read_one(cells)[0] == -1


@given(st.integers(0, NUMBER_COUNT - 2), st.floats(0, 0.5))
def test_overlap_with_the_next_frame_is_measured(number, share):
    cells = (1 - share) * frame_of(number) + share * frame_of(number + 1)
    read, overlap, is_torn = read_one(cells)
    np.testing.assert_allclose(overlap, share, atol=1e-9)
    assert not is_torn
    assert read == (number if share <= 0.225 - 1e-9 else -1) or abs(share - 0.225) < 1e-9


@given(NUMBERS, st.integers(0, 2**32 - 1))
def test_uneven_light_changes_nothing(number, seed):
    light = np.random.default_rng(seed).uniform(0.1, 200, (1, 2, 1, WORD_BITS))
    read, overlap, _ = read_one(frame_of(number) * light)
    assert read == number
    assert overlap == pytest.approx(0, abs=1e-9)


def test_torn_exposure_is_named_and_not_read():
    assert read_one(frame_of(41, 42)) == (-1, 0.0, True)


def test_black_and_featureless_frames_show_no_number():
    rng = np.random.default_rng(1)
    black = np.zeros((1, 2, 2, WORD_BITS))
    grey = rng.normal(100, 1, (200, 2, 2, WORD_BITS))
    noise = rng.uniform(0, 200, (20_000, 2, 2, WORD_BITS))
    for cells in (black, grey, noise):
        assert (read_barcodes(cells, 7).number == -1).all()


@pytest.mark.parametrize("number", [-1, NUMBER_COUNT])
def test_number_that_does_not_fit_is_refused(number):
    with pytest.raises(SettingsError, match=r"holds the numbers 0 to 1048575, got"):
        word_of(number, 0)
