"""The number of a shown frame as light and dark cells that a camera reads without mistakes.

A code word is a 20-bit Gray counter followed by its CRC-16, one cell per bit. Under each cell
lies its complement, so that a bit is the sign of a difference and needs no threshold; and the
share of another frame that got into the exposure shows as a smaller difference. The CRC starts
from a mark of the movie: the word of one movie is never a word of another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError

NUMBER_BITS, CHECK_BITS = 20, 16
WORD_BITS = NUMBER_BITS + CHECK_BITS
NUMBER_COUNT = 1 << NUMBER_BITS
#: Weakest cell over the median one below which a word is not believed.
LEAST_CELL_SHARE = 0.55

_POLYNOMIAL = 0x1021
#: Difference over sum of a cell and its complement below which there is no barcode at all.
_LEAST_CONTRAST = 0.1
_CHECK_WEIGHTS = 1 << np.arange(CHECK_BITS - 1, -1, -1)
_NUMBER_WEIGHTS = 1 << np.arange(NUMBER_BITS - 1, -1, -1)

_Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarcodeReading:
    """What the two strips of some frames say.

    Attributes
    ----------
    number : (N,) int64
        Number of the shown frame; -1 where it is not believed.
    weakest_cell : (N,) float64
        Contrast of the weakest cell of both strips as a share of the median one.
    overlap : (N,) float64
        Share of another frame in the exposure, ``(1 - weakest_cell) / 2``.
    is_torn : (N,) bool
        Both strips are right by themselves, but show different numbers.
    mark : (N,) int64
        Mark of the movie that both words agree on; -1 where the strips differ or are too weak.
    """

    number: npt.NDArray[np.int64]
    weakest_cell: npt.NDArray[np.float64]
    overlap: npt.NDArray[np.float64]
    is_torn: npt.NDArray[np.bool_]
    mark: npt.NDArray[np.int64]


def word_of(number: int, mark: int) -> _Bits:
    """Return the code word of a number, (36,) bool, the highest bit first.

    Parameters
    ----------
    number : int
        0 to 1,048,575.
    mark : int
        Mark of the movie, 0 to 65,535; the start value of the CRC.
    """
    if not 0 <= number < NUMBER_COUNT:
        raise SettingsError(f"a barcode holds the numbers 0 to {NUMBER_COUNT - 1}, got {number}")
    gray = number ^ (number >> 1)
    bits = (gray & _NUMBER_WEIGHTS) != 0
    return np.concatenate([bits, (_check_of(bits, mark) & _CHECK_WEIGHTS) != 0])


def cells_of(number: int, mark: int) -> _Bits:
    """Return the cells of a strip, (2, 36) bool: the word, and its complement under it."""
    word = word_of(number, mark)
    return np.stack([word, ~word])


def read_barcodes(cells: npt.NDArray[np.floating], mark: int) -> BarcodeReading:
    """Read frames from the brightness of the cells of their two strips.

    A number is believed when the CRC of both strips is right, both show the same number, and no
    cell is weaker than 0.55 of the median one. Contrast is taken within each cell and its
    complement, so vignetting and flicker do not matter.

    Parameters
    ----------
    cells : (N, 2, 2, 36) float
        Mean brightness above black: strip (top, bottom), row (word, complement), bit.
    mark : int
        Mark of the movie.
    """
    upper, lower = cells[:, :, 0], cells[:, :, 1]
    total = np.maximum(upper + lower, np.finfo(np.float32).tiny)
    contrast = np.abs(upper - lower) / total
    words = upper > lower
    median = np.median(contrast, axis=(1, 2))
    is_seen = median >= _LEAST_CONTRAST
    weakest = np.where(is_seen, contrast.min(axis=(1, 2)) / np.maximum(median, 1e-6), 0.0)
    numbers, found_marks = numbers_of(words), marks_of(words)
    is_right = (found_marks == mark) & is_seen[:, None]
    is_same = (words[:, 0] == words[:, 1]).all(axis=-1)
    is_strong = weakest >= LEAST_CELL_SHARE
    return BarcodeReading(
        number=np.where(is_right.all(axis=1) & is_same & is_strong, numbers[:, 0], -1),
        weakest_cell=weakest.astype(np.float64),
        overlap=(0.5 * (1.0 - np.minimum(weakest, 1.0))).astype(np.float64),
        is_torn=is_right.all(axis=1) & ~is_same,
        mark=np.where(is_same & is_seen & is_strong, found_marks[:, 0], -1),
    )


def numbers_of(words: _Bits) -> npt.NDArray[np.int64]:
    """Return the numbers of code words (..., 36) without checking them, (...) int64."""
    gray = words[..., :NUMBER_BITS]
    binary = np.bitwise_xor.accumulate(gray, axis=-1)
    return np.asarray(binary @ _NUMBER_WEIGHTS, dtype=np.int64)


def marks_of(words: _Bits) -> npt.NDArray[np.int64]:
    """Return the mark with which each code word (..., 36) is right, (...) int64.

    Each word is right for exactly one mark: the CRC's register is run backwards from the check
    bits to its start value.
    """
    register = np.asarray(words[..., NUMBER_BITS:] @ _CHECK_WEIGHTS, dtype=np.int64)
    for bit in range(NUMBER_BITS - 1, -1, -1):
        feedback = register & 1
        register = (register ^ (feedback * _POLYNOMIAL)) >> 1
        register |= (feedback ^ words[..., bit]) << (CHECK_BITS - 1)
    return register


def _check_of(bits: _Bits, mark: int) -> int:
    """Return the CRC-16 (polynomial 0x1021, start value `mark`) of bits (20,)."""
    register = mark
    for bit in bits.tolist():
        feedback = (register >> (CHECK_BITS - 1)) ^ bit
        register = ((register << 1) & 0xFFFF) ^ (feedback * _POLYNOMIAL)
    return register
