from dataclasses import dataclass, field

import numpy as np
import pytest

from cellstorm_lib.report.rows import Row, interval_text, rounded_text, rows_of, value_text, words


@dataclass(frozen=True, kw_only=True)
class Inner:
    rms_nm: float = 3.25
    is_applied: bool = True


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    rejected: dict[str, int] = field(default_factory=lambda: {"too_wide": 1234})
    trace: np.ndarray = field(default_factory=lambda: np.zeros(9))
    gain_e_per_adu: float = 0.34
    note: str = ""


def test_nested_content_becomes_rows_with_units_and_without_arrays():
    assert rows_of(Outer()) == (
        Row(name="Inner · RMS", value="3.25 nm"),
        Row(name="Inner · applied", value="yes"),
        Row(name="Rejected · too wide", value="1,234"),
        Row(name="Gain", value="0.34 e⁻/grey value"),
        Row(name="Note", value="(empty)"),
    )


def test_names_from_files_are_kept_whole():
    assert rows_of({"photons > 300.5": 7}) == (Row(name="Photons > 300.5", value="7"),)


def test_nothing_gives_no_rows():
    assert rows_of({}) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (np.False_, "no"),
        (18_000, "18,000"),
        (np.float32(0.5), "0.5"),
        (123456.7, "123,457"),
        (0.0123456, "0.01235"),
        (float("nan"), "not finite"),
        ((1.0, 2.5), "1, 2.5"),
        ([], "none"),
        (list(range(20)), "0, 1, 2, 3, 4, 5, 6, 7, … (20)"),
    ],
)
def test_values_are_written_for_people(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rms_nm", "RMS"),
        ("expected_false_per_frame", "expected false per frame"),
        ("photons_per_adu", "photons per adu"),
        ("codec_grid", "codec grid"),
        ("frc_crossed", "FRC crossed"),
        ("nm", "nm"),
    ],
)
def test_names_become_words(name, text):
    assert words(name) == text


def test_intervals_need_both_ends():
    assert interval_text(54.96, 70.04, unit="nm") == "55 to 70 nm"
    assert interval_text(None, 70.0, unit="nm") == ""


@pytest.mark.parametrize(("value", "text"), [(114.62, "115"), (22.0, "22"), (12345.6, "12,346")])
def test_measured_numbers_have_three_digits(value, text):
    assert rounded_text(value) == text
