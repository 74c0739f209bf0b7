"""Messages stay one line that harms no terminal, whatever a bad file makes them quote."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import (
    CalibrationError,
    CellstormError,
    TableError,
    is_no_plain_file,
    refusing,
)

PATH = Path("folder/x.csv")


@given(text=st.text(st.characters(exclude_categories=()), max_size=3000))
def test_any_message_is_one_short_printable_line(text: str) -> None:
    message = str(CellstormError(text))
    assert message.isprintable()
    assert len(message) <= 1000
    assert not message.endswith(".")
    assert str(CellstormError(message)) == message


def test_a_good_message_stays_as_it_is() -> None:
    message = "a  b.csv holds 3 columns, expected 4; save it again (see docs/index.md)"
    assert str(TableError(message)) == message
    assert str(pickle.loads(pickle.dumps(TableError(message)))) == message


def test_a_long_quotation_loses_its_middle() -> None:
    message = str(TableError(f"x.csv holds {'9' * 5000}; write it again"))
    assert message.startswith("x.csv holds 999")
    assert message.endswith("999; write it again")
    assert " ... " in message


def test_a_quotation_of_a_million_spaces_takes_no_time_without_end() -> None:
    assert len(str(TableError(f"x.csv holds a{' ' * 1_000_000}b"))) < 1000


def test_control_characters_are_spelled_out() -> None:
    assert str(TableError("x\x1b[31m\u202ey\nz.\n")) == r"x\x1b[31m\u202ey z"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("frame"), "'frame'"),
        (ValueError("odd\n  numbers."), "odd numbers."),
        (RecursionError(), "RecursionError"),
        (MemoryError(), "MemoryError"),
        (OSError(5, "Input/output error", "folder/x.csv"), "Input/output error"),
    ],
)
def test_whatever_reading_raises_becomes_one_sentence(error: Exception, reason: str) -> None:
    with pytest.raises(TableError) as raised, refusing(TableError, PATH, "is bad", "mend it"):
        raise error
    assert str(raised.value) == f"folder/x.csv is bad: {reason}; mend it"
    assert raised.value.__cause__ is error


def test_our_own_refusals_pass_and_get_the_name_of_the_file() -> None:
    with (
        pytest.raises(CalibrationError, match=r"^x.csv is wrong$"),
        refusing(TableError, PATH, "is bad", "mend it"),
    ):
        raise CalibrationError("x.csv is wrong")
    with (
        pytest.raises(TableError, match=r"^folder/x.csv is bad: gain must be above 0$"),
        refusing(TableError, PATH, "is bad", "mend it"),
    ):
        raise CalibrationError("gain must be above 0")


def test_an_interruption_is_no_bad_file() -> None:
    with pytest.raises(KeyboardInterrupt), refusing(TableError, PATH, "is bad", "mend it"):
        raise KeyboardInterrupt


def test_folders_and_devices_are_no_plain_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert [is_no_plain_file(tmp_path / name) for name in ("", "file", "missing")] == [
        True, False, False,
    ]  # fmt: skip
    assert is_no_plain_file(Path("/dev/null"))
