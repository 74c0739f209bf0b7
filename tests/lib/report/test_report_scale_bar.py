import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.report.scale_bar import length_text, scale_bar_nm


@pytest.mark.parametrize(
    ("width_nm", "bar_nm"),
    [
        (40_960, 10_000),
        (40_000, 10_000),
        (39_900, 10_000),
        (39_000, 5_000),
        (6_400, 1_000),
        (2_000, 500),
        (3, 0.5),
    ],
)
def test_bar_is_the_longest_round_length_within_a_quarter(width_nm, bar_nm):
    assert scale_bar_nm(width_nm) == pytest.approx(bar_nm)


@given(width_nm=st.floats(1e-3, 1e9))
def test_bar_is_round_and_neither_too_long_nor_too_short(width_nm):
    bar_nm = scale_bar_nm(width_nm)
    assert width_nm / 10 * 0.999 < bar_nm <= width_nm / 4 * 1.0201
    mantissa = bar_nm / 10.0 ** np.floor(np.log10(bar_nm * (1 + 1e-9)))
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-6


@pytest.mark.parametrize("width_nm", [0.0, -5.0, np.nan, np.inf])
def test_no_bar_without_a_width(width_nm):
    with pytest.raises(SettingsError, match="a scale bar needs a picture wider than 0 nm"):
        scale_bar_nm(width_nm)


@pytest.mark.parametrize(
    ("length_nm", "text"),
    [(0.5, "0.5 nm"), (200, "200 nm"), (1_000, "1 µm"), (20_000, "20 µm"), (1.2e6, "1.2 mm")],
)
def test_lengths_carry_the_unit_that_suits_them(length_nm, text):
    assert length_text(length_nm) == text
