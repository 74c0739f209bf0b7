"""Labels of columns: what is the name, what the unit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.export.dialects import split_label


@pytest.mark.parametrize(
    ("label", "name", "unit"),
    [
        ("x [nm]", "x", "nm"),
        (" X (nm) ", "X", "nm"),
        ("frame", "frame", ""),
        ("a (b) [px]", "a (b)", "px"),
        ("a [b] c", "a [b] c", ""),
        ("[nm]", "", "nm"),
        ("nm]", "nm]", ""),
        ("", "", ""),
    ],
)
def test_a_label_is_a_name_and_a_unit(label: str, name: str, unit: str) -> None:
    assert split_label(label) == (name, unit)


@given(st.text("ab []()\n", max_size=12))
def test_a_unit_stands_in_the_last_brackets(label: str) -> None:
    found = re.fullmatch(r"(.*?)\s*[\[(]([^\])]*)[\])]", label.strip(), flags=re.DOTALL)
    expected = (found[1], found[2].strip()) if found else (label.strip(), "")
    assert split_label(label) == expected


def test_a_label_without_end_takes_no_time_without_end() -> None:
    for label in ("[" * 1_000_000, "[" * 1_000_000 + "]x", "a" + " " * 1_000_000 + "x"):
        assert split_label(label) == (label, "")
