"""Run by `hdf5` in a process of its own: pick the tables out of one HDF5 file.

Damaged files can make the HDF5 library crash or search without end, which must not take the
caller along. So this is a script without imports from the package: ``hdf5_child.py WHAT FILE
FOLDER`` writes ``columns.npz`` and ``found.json`` into the folder; WHAT is ``tables``, or
``metadata`` to leave the columns out, and long metadata too.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

if sys.platform != "win32":
    import resource

#: Processor seconds after which the system ends this process.
_CPU_SECONDS = 4
_BYTES_PER_CPU_SECOND = 20_000_000
#: Tables compress a few times; what claims to unpack to far more is refused.
_MAX_UNPACKING = 200
_ALWAYS_ALLOWED_BYTES = 64 << 20
#: What this process may hold beside some copies of the tables.
_SPARE_BYTES = 1 << 30
_MAX_MEMBERS = 1000
#: Of a file that is asked for nothing else.
_MAX_METADATA_CHARACTERS = 4 << 20

Columns = dict[str, npt.NDArray[Any]]


def limit_time(size_bytes: int) -> None:
    """Have the system end this process after a time that a whole file never needs."""
    if (
        sys.platform != "win32"
    ):  # Windows has no such limit; the caller waits no longer than it says
        seconds = _CPU_SECONDS + size_bytes // _BYTES_PER_CPU_SECOND
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def limit_memory(allowed_bytes: int) -> None:
    """Have the system refuse memory that no whole file needs.

    Before the HDF5 library looks for a text, it takes as much memory as the text claims to need.
    """
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _SPARE_BYTES + 4 * allowed_bytes
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def own_member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what lies in a group under a name, or None where there is nothing."""
    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise ValueError(f"{name!r} is a link to another place")
    return None if link is None else group[name]


def own_dataset(group: h5py.Group, name: str, allowed_bytes: int) -> h5py.Dataset | None:
    """Return a dataset whose content lies in the file itself and has a plausible size."""
    dataset = own_member(group, name)
    if not isinstance(dataset, h5py.Dataset):
        return None
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name!r} is kept in other files")
    if (dataset.size or 0) * dataset.dtype.itemsize > allowed_bytes:
        raise ValueError(f"{name!r} claims {dataset.size} values, more than the file can hold")
    return dataset


def table_columns(dataset: h5py.Dataset | None) -> Columns:
    """Return the number columns of a table of records; empty when it is none."""
    if dataset is None or dataset.dtype.names is None or dataset.ndim != 1:
        return {}
    names = [name for name in dataset.dtype.names if dataset.dtype[name].kind in "biuf"]
    rows = dataset[:]
    return {name: np.ascontiguousarray(rows[name]) for name in names}


def frame_columns(file: h5py.File, allowed_bytes: int) -> Columns:
    """Return the columns that all groups ``fr_N`` share, one frame below the other."""
    parts: list[Columns] = []
    for frame in sorted(int(name[3:]) for name in file if re.fullmatch(r"fr_\d{1,9}", name)):
        group = own_member(file, f"fr_{frame}")
        part: Columns = {}
        for name in group if isinstance(group, h5py.Group) else ():
            dataset = own_dataset(group, name, allowed_bytes)
            if dataset is not None and dataset.ndim == 1 and dataset.dtype.kind in "iuf":
                part[name] = dataset[:]
        lengths = {len(values) for values in part.values()} or {0}
        if len(lengths) > 1:
            raise ValueError(f"the columns of 'fr_{frame}' differ in length")
        if lengths != {0}:
            parts.append({**part, "frame": np.full(max(lengths), frame)})
    shared = sorted(set.intersection(*(set(part) for part in parts))) if parts else []
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def text_of(dataset: h5py.Dataset | None) -> str:
    """Return the text of a scalar dataset; empty when it is none."""
    if dataset is None or dataset.shape != () or h5py.check_string_dtype(dataset.dtype) is None:
        return ""
    return bytes(dataset[()]).decode("utf-8", errors="replace")


def main(what: str, path: Path, folder: Path) -> None:
    """Write the columns of Picasso's ``/locs`` or of storm-analysis's frames into a folder."""
    size_bytes = path.stat().st_size
    limit_time(size_bytes)
    wants_columns = what == "tables"
    allowed_bytes = _ALWAYS_ALLOWED_BYTES
    if wants_columns:
        allowed_bytes = max(allowed_bytes, _MAX_UNPACKING * size_bytes)
    limit_memory(allowed_bytes)
    with h5py.File(path, "r") as file:
        members = list(file)[:_MAX_MEMBERS]
        is_frames = "locs" not in file and any(name.startswith("fr_") for name in members)
        if not wants_columns:
            columns = {}
        elif is_frames:
            columns = frame_columns(file, allowed_bytes)
        else:
            columns = table_columns(own_dataset(file, "locs", allowed_bytes))
        metadata = text_of(own_dataset(file, "metadata", allowed_bytes))
    if not wants_columns and len(metadata) > _MAX_METADATA_CHARACTERS:
        raise ValueError(f"'metadata' holds {len(metadata)} characters")
    np.savez(folder / "columns.npz", *columns.values())
    found = {
        "is_frames": is_frames,
        "members": members,
        "names": list(columns),
        "metadata": metadata,
    }
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises is told to the caller
        sys.exit(" ".join(str(error).split()))
