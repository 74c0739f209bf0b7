"""One bad input read: well, refused in one sentence that names the file, or a finding."""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from fuzz_readers import READERS, bad_files, put
from fuzz_seeds import Files

from cellstorm_lib.errors import CellstormError

MOST_BYTES = 2 << 30
_LONGEST_SENTENCE = 1000


def rng_of(reader: str, number: int, seed: int) -> random.Random:
    """Return what makes the input of a number the same on every run."""
    return random.Random(f"{reader} {number} {seed}" if seed else f"{reader} {number}")


def findings_of(
    reader: str, seeds: list[Files], number: int, folder: Path, *, seed: int = 0
) -> str | None:
    """Make the bad input of a number, read it, and return what is wrong with the reader.

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
    for path in (files, scratch):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    path = put(bad_files(seeds, rng), files, rng)
    before = _content(files)
    tempfile.tempdir = str(scratch)
    peak_before = _peak_bytes()
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = _outcome(reader, path)
    finally:
        tempfile.tempdir = None
    if found is None and said:
        found = f"warns: {said[0].category.__name__}: {said[0].message}"
    if found is None and _content(files) != before:
        found = "changes its input or leaves files beside it"
    if found is None and any(scratch.iterdir()):
        found = "leaves files behind"
    peak = _peak_bytes()
    if found is None and peak > max(MOST_BYTES, peak_before):  # this input, not one before it
        found = f"takes {peak / 2**30:.1f} GB of memory"
    return found


def _peak_bytes() -> int:
    """Return the most memory that this process or a child of it ever held."""
    return 1024 * max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def _outcome(reader: str, path: Path) -> str | None:
    """Read an input; return what is wrong with how that ends."""
    try:
        READERS[reader](path)
    except CellstormError as error:
        return _what_is_wrong(str(error), path)
    except BaseException:  # noqa: BLE001 - everything else is a finding, also an exit
        return traceback.format_exc()
    return None


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


def _content(folder: Path) -> dict[str, bytes | str]:
    """Return all files of a folder; of what is no file, what it is."""
    return {
        path.name: path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else f"{path.lstat().st_mode:o}"
        for path in sorted(folder.iterdir())
    }


def read_hdf5_in_forks() -> None:
    """Have the child process of the HDF5 reader forked from here, which is 50 times as fast.

    It runs the same script in a process of its own, from the same arguments; only Python and
    h5py are not started anew.
    """
    import h5py  # noqa: F401 - once, for all forks

    from cellstorm_lib.export import hdf5, hdf5_child

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            try:
                hdf5_child.main(Path(command[-2]), Path(command[-1]))
            except Exception as error:  # noqa: BLE001 - as the script itself does
                os.write(write, " ".join(str(error).split()).encode()[:4000])
                os._exit(1)
            except BaseException:  # noqa: BLE001
                os._exit(2)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            message = stream.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess(command, status, b"", message)

    stand_in = type(sys)("subprocess")
    stand_in.run, stand_in.TimeoutExpired = run, subprocess.TimeoutExpired  # type: ignore[attr-defined]
    hdf5.subprocess = stand_in  # type: ignore[attr-defined]
