"""No bad file gets past a reader: a short form of the fuzzer, and the fuzzer's own honesty."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_readers
import pytest
from fuzz_bytes import damaged, fields_of
from fuzz_readers import READERS, bad_files
from fuzz_run import one_process
from fuzz_seeds import seeds
from fuzz_verdict import verdict_on

from cellstorm_lib.errors import SettingsError

INPUTS = 100
REFUSED = {("hdf5", 3), ("dng", 3)}  # a bomb, and a file of three colours
FIRST = 1_000_000  # inputs that the long form does not reach


def test_every_bad_file_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    told = one_process(list(READERS), FIRST, FIRST + INPUTS, tmp_path, minutes=9.0)
    again = f"--reader {told.reader} --first {told.number} --inputs 1"
    assert told.fault is None, f"{again}: {told.fault}"
    assert (told.reader, told.number) == (list(READERS)[-1], FIRST + INPUTS - 1)
    share = told.read / (INPUTS * len(READERS))
    assert 0.1 < share < 0.6, "the damage should be neither hopeless nor harmless"
    assert len(told.places) > 100, "it should reach many checks of the readers"


def raises(error: BaseException) -> Callable[[Path], Any]:
    def read(_path: Path) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (raises(KeyError("x")), "KeyError"),
        (raises(SystemExit(1)), "SystemExit"),
        (raises(SettingsError("it is bad")), "does not name the file"),
        (lambda path: (path.parent / "left").write_text("x"), "leaves files beside it"),
        (lambda path: path.unlink(), "changes its input"),
    ],
)
def test_a_fault_of_a_reader_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Callable[[Path], Any], fault: str
) -> None:
    monkeypatch.setitem(READERS, "sidecar", read)
    found = verdict_on("sidecar", seeds("sidecar"), 0, tmp_path).fault
    assert found is not None
    assert fault in found


def test_a_reader_that_refuses_well_has_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path) -> None:
        raise SettingsError(f"{path.name} is bad; write it again")

    monkeypatch.setitem(READERS, "sidecar", refuse)
    verdict = verdict_on("sidecar", seeds("sidecar"), 0, tmp_path)
    assert verdict.fault is None
    assert verdict.place is not None
    assert verdict.place.startswith(__file__)


def test_a_number_makes_the_same_input_again_and_another_seed_another() -> None:
    whole = seeds("csv")
    made = [bad_files(whole, random.Random(text)) for text in ("csv 7", "csv 7", "csv 7 1")]
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert made[0] not in whole


@pytest.mark.parametrize("name", list(READERS))
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    for number, files in enumerate(seeds(name)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = fuzz_readers.put(files, folder, random.Random(1))
        if (name, number) not in REFUSED:
            READERS[name](path)


@pytest.mark.parametrize("name", ["video", "tiff", "smlm", "parquet", "hdf5"])
def test_lies_are_told_where_the_format_keeps_its_numbers(name: str) -> None:
    (content, *_) = seeds(name)[0].values()
    places = fields_of(content)
    assert len(places) > (0 if name == "parquet" else 10)
    assert all(0 <= place.at <= len(content) - place.size for place in places)


def test_damage_changes_a_file() -> None:
    content = bytes(range(256)) * 4
    changed = [damaged(content, [], random.Random(number)) != content for number in range(100)]
    assert sum(changed) > 95
