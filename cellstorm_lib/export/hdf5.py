"""Read the tables of an HDF5 file of unknown origin, in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.delimited import printable

_CHILD = Path(__file__).with_name("hdf5_child.py")
#: A whole file is read long before; on a crowded machine even starting takes a while.
_PATIENCE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hdf5Tables:
    """What an HDF5 file holds.

    Attributes
    ----------
    columns : dict of str to (N,) array
        Number columns of ``/locs``, or of all groups ``fr_N`` with the column ``frame``.
    is_frames : bool
        True for groups ``fr_N``, as storm-analysis writes them.
    members : list of str
        Names at the root of the file.
    metadata : str
        Text of ``/metadata``, empty when there is none.
    """

    columns: dict[str, npt.NDArray[Any]]
    is_frames: bool
    members: list[str]
    metadata: str


def read_hdf5(path: Path, *, with_columns: bool = True) -> Hdf5Tables:
    """Return the tables of an HDF5 file; links to other files are refused, code never run.

    Parameters
    ----------
    path : Path
        The file. It is opened by a child process, because damaged files can crash the HDF5
        library or hold it up without end.
    with_columns : bool
        Without, only what else the file holds is read, however long its tables are; metadata
        of more than 4 million characters are refused then.

    Raises
    ------
    TableError
        When the file is not HDF5, or is cut short or damaged.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        what = "tables" if with_columns else "metadata"
        command = [sys.executable, "-P", str(_CHILD), what, str(path.absolute()), str(folder)]
        try:
            done = subprocess.run(  # noqa: S603 - our own script, and no shell
                command, capture_output=True, timeout=_PATIENCE_S, check=False, env=_one_thread()
            )
        except subprocess.TimeoutExpired:
            raise _damaged(path, "reading takes without end") from None
        if done.returncode != 0:
            message = done.stderr.decode(errors="replace").strip()
            reason = message.splitlines()[-1] if message and done.returncode == 1 else ""
            raise _damaged(path, reason or "it makes the HDF5 library fail")
        found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        with np.load(folder / "columns.npz", allow_pickle=False) as stored:
            columns = {name: stored[f"arr_{i}"] for i, name in enumerate(found.pop("names"))}
    return Hdf5Tables(columns=columns, **found)


def _one_thread() -> dict[str, str]:
    """Return the environment of the child, in which no memory is kept for threads it never uses."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


def _damaged(path: Path, reason: str) -> TableError:
    """Return the error for a file that cannot be read."""
    return TableError(f"{path} cannot be read as HDF5: {printable(reason)}; save or copy it again")
