"""One bad input read: well, refused in one sentence that names the file, or a finding."""

import os
import random
import resource
import shutil
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from fuzz_readers import READERS, bad_files, put
from fuzz_seeds import Files

from cellstorm_lib.errors import CellstormError

MOST_BYTES = 2 << 30
_LONGEST_SENTENCE = 1000


class Verdict(NamedTuple):
    """How the reading of an input ended.

    Attributes
    ----------
    fault : str or None
        What is wrong with the reader.
    place : str or None
        The line of code that refused the input; None when it was read.
    """

    fault: str | None
    place: str | None = None


def rng_of(reader: str, number: int, seed: int) -> random.Random:
    """Return what makes the input of a number the same on every run."""
    return random.Random(f"{reader} {number} {seed}" if seed else f"{reader} {number}")


def verdict_on(
    reader: str, seeds: list[Files], number: int, folder: Path, *, seed: int = 0
) -> Verdict:
    """Make the bad input of a number, read it, and return how that ended.

    Parameters
    ----------
    reader : str
        One of `READERS`.
    seeds : list of dict
        Whole files of that kind.
    number : int
        Which input.
    folder : Path
        Where the input is put, under ``input``.
    seed : int
        Another one gives other inputs.
    """
    rng = rng_of(reader, number, seed)
    files, scratch = folder / "input", folder / "scratch"
    _empty(files)
    _empty(scratch)
    return verdict_on_file(reader, put(bad_files(seeds, rng), files, rng), scratch)


def verdict_on_file(reader: str, path: Path, scratch: Path) -> Verdict:
    """Read one input, with an empty folder for what the reader keeps meanwhile."""
    before = _content(path.parent)
    tempfile.tempdir = str(scratch)
    peak_before = _peak_bytes()
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fault, place = _outcome(reader, path)
    finally:
        tempfile.tempdir = None
    peak = _peak_bytes()
    if fault is None and said:
        fault = f"warns: {said[0].category.__name__}: {said[0].message}"
    if fault is None and _content(path.parent) != before:
        fault = "changes its input or leaves files beside it"
    if fault is None and any(scratch.iterdir()):
        fault = "leaves files behind"
    if fault is None and peak > max(MOST_BYTES, peak_before):  # this input, not one before it
        fault = f"takes {peak / 2**30:.1f} GB of memory"
    return Verdict(fault, place)


def _empty(folder: Path) -> None:
    """Have an empty folder; one that is kept costs less than one made anew."""
    folder.mkdir(exist_ok=True)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink()


def _peak_bytes() -> int:
    """Return the most memory that this process or a child of it ever held."""
    return 1024 * max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def _outcome(reader: str, path: Path) -> Verdict:
    """Read an input; return what is wrong with how that ends, and where it was refused."""
    try:
        READERS[reader](path)
    except CellstormError as error:
        return Verdict(_what_is_wrong(str(error), path), _origin(error))
    except BaseException:  # noqa: BLE001 - everything else is a finding, also an exit
        return Verdict(traceback.format_exc())
    return Verdict(None)


def _origin(error: BaseException) -> str:
    """Return the line of code where an error, or what caused it, was raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "" if step is None else f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


def _what_is_wrong(sentence: str, path: Path) -> str | None:
    """Return what is wrong with a message to the user."""
    names = {path.name, *(file.name for file in path.parent.iterdir())}
    faults = {
        "does not name the file": not any(name in sentence for name in names),
        "cannot be printed": not sentence.isprintable(),
        "ends in a full stop": sentence.rstrip().endswith("."),
        "is too long": len(sentence) > _LONGEST_SENTENCE,
    }
    wrong = [fault for fault, is_so in faults.items() if is_so]
    return f"the message {' and '.join(wrong)}: {ascii(sentence)[:1500]}" if wrong else None


def _content(folder: Path) -> dict[str, bytes | int]:
    """Return all files of a folder; of what is no file, what it is."""
    with os.scandir(folder) as entries:
        return {
            entry.name: Path(entry.path).read_bytes()
            if entry.is_file(follow_symlinks=False)
            else entry.stat(follow_symlinks=False).st_mode
            for entry in entries
        }
