"""Every reader of files that may come from strangers, and what is done to the files it gets."""

import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_bytes import damaged, damaged_in_place, zip_of
from fuzz_seeds import Files
from fuzz_text import damaged_json, damaged_text

_TEXTS = {".csv", ".txt", ".inf", ".yaml", ".json"}
_PLACES = ("folder", "pipe", "circle", "device", "nowhere", "empty", "missing", "noise")


def bad_files(seeds: list[Files], rng: random.Random) -> Files:
    """Return one of the whole inputs with one of its files changed."""
    files = dict(rng.choice(seeds))
    names = list(files)
    name = names[0] if len(names) == 1 or rng.random() < 0.6 else rng.choice(names[1:])
    others = [
        other[key] for other in seeds for key in other if Path(key).suffix == Path(name).suffix
    ]
    files[name] = bad_content(files[name], Path(name).suffix, others, rng)
    return files


def bad_content(content: bytes, ending: str, others: list[bytes], rng: random.Random) -> bytes:
    """Return one file changed: mostly in a way that only its own format can be."""
    if rng.random() < 0.75:
        try:
            if ending in _STRUCTURED:
                return _STRUCTURED[ending](content, rng)
            if ending in _TEXTS:
                return damaged_text(content, rng)
        except (ValueError, KeyError, OSError, pa.ArrowException):
            pass  # this seed has no such structure
    return damaged(content, others, rng)


def _bad_sif(content: bytes, rng: random.Random) -> bytes:
    """Return an Andor file with its head changed, mostly after the line that says what it is."""
    mark = content.find(b"\n") + 1 if rng.random() < 0.9 else 0
    head = content.find(b"\0\0")
    return content[:mark] + damaged_text(content[mark:head], rng) + content[head:]


def _bad_hdf5(content: bytes, rng: random.Random) -> bytes:
    """Return an HDF5 file of the same length, or a sound one that holds something else."""
    if rng.random() < 0.5:
        return damaged_in_place(content, rng)
    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        tables = [name for name in file if name != "metadata"]
        said = file.get("metadata", getlink=True)
        if rng.random() < 0.5 and isinstance(said, h5py.HardLink):
            text = damaged_text(bytes(file["metadata"][()]), rng).replace(b"\0", b"")
            _put_instead(file, "metadata", text, rng)
        elif tables:
            name = rng.choice(tables)
            if isinstance(file[name], h5py.Group):
                name = f"{name}/{rng.choice(list(file[name]))}"
            if file[name].size < 1000:  # no bomb
                _put_instead(file, name, _other_rows(file[name][()], rng), rng)
    return stream.getvalue()


def _put_instead(file: h5py.File, name: str, content: Any, rng: random.Random) -> None:
    """Put something else under a name: content, or a number, a group, or a link."""
    del file[name]
    if rng.random() < 0.8:
        file[name] = content
    else:
        number, link = np.arange(6.0).reshape(2, 3), h5py.SoftLink(f"/{name}")
        file[name] = rng.choice([number, number[0], link, h5py.ExternalLink("gone", "/x")])


def _other_rows(rows: npt.NDArray[Any], rng: random.Random) -> npt.NDArray[Any]:
    """Return rows with one column of another name or type, or with other numbers in it."""
    fields = [(name, rows.dtype[name]) for name in rows.dtype.names or ()]
    kind = rng.choice(["<f8", ">f4", "<i8", "u1", "?", "S3", "<c8", "(2,)<f4", "<f2"])
    if not fields:
        return np.resize(rows, rng.choice([0, 1, 7])).astype(kind.replace("(2,)", ""))
    at = rng.randrange(len(fields))
    name = rng.choice([fields[at][0], "", "x", "frame", "z", "sx", "photons"])
    taken = {other for other, _ in fields[:at] + fields[at + 1 :]}
    fields[at] = (fields[at][0] if name in taken or not name else name, np.dtype(kind))
    other = np.zeros(rng.choice([0, 1, len(rows)]), fields)
    for column, _ in fields[:at] + fields[at + 1 :]:
        other[column] = rows[column][: len(other)]
    if other.dtype[at].kind in "fi" and other.dtype[at].shape == ():
        value = rng.choice([0, 1, -1, 1e30, float("nan"), float("inf"), 40.5])
        with np.errstate(all="ignore"):
            other[fields[at][0]] = np.array(value).astype(other.dtype[at])
    return other


def _bad_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON with other values, or with other marks."""
    return (damaged_json if rng.random() < 0.7 else damaged_text)(content, rng)


def _bad_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Return a network whose header, or the JSON of ours within it, says something else."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.get("__metadata__", {})
    if metadata and rng.random() < 0.6:
        inner = _bad_json(metadata["cellstorm"].encode(), rng)
        metadata["cellstorm"] = inner.decode("utf-8", errors="replace")
        text = json.dumps(header).encode()
    else:
        text = _bad_json(content[8 : 8 + size], rng)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _bad_smlm(content: bytes, rng: random.Random) -> bytes:
    """Return a sound zip whose manifest lies, or whose table is a bomb."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.003:
        members["table-0.bin"] = bytes(80 << 20)
    elif rng.random() < 0.1:
        members["table-0.bin"] = damaged(members["table-0.bin"], [], rng)
    else:
        members["manifest.json"] = _bad_json(members["manifest.json"], rng)
    return zip_of(members)


def _bad_parquet(content: bytes, rng: random.Random) -> bytes:
    """Return a sound Parquet file with other metadata of ours, or other columns."""
    table = pq.read_table(io.BytesIO(content))
    metadata = dict(table.schema.metadata or {})
    if b"cellstorm" in metadata and rng.random() < 0.8:
        metadata[b"cellstorm"] = _bad_json(metadata[b"cellstorm"], rng)
        table = table.replace_schema_metadata(metadata)
    else:
        name = rng.choice(table.column_names)
        to = rng.choice(["string", "binary", "bool", "timestamp[ns]", "int8", "double", "int64"])
        at = table.column_names.index(name)
        column = table[name].cast(to, safe=False) if rng.random() < 0.7 else table[name].slice(0, 0)
        kept = table.remove_column(at)
        table = kept if len(column) < len(table) else kept.append_column(name, column)
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


_STRUCTURED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": _bad_json, ".safetensors": _bad_safetensors, ".smlm": _bad_smlm,
    ".parquet": _bad_parquet, ".hdf5": _bad_hdf5, ".sif": _bad_sif,
}  # fmt: skip


def put(files: Files, folder: Path, rng: random.Random) -> Path:
    """Write an input; now and then with something else in the place of a file."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if rng.random() < 0.03:
        _replace(folder / rng.choice(list(files)), rng.choice(_PLACES), rng)
    return folder / next(iter(files))


def _replace(path: Path, place: str, rng: random.Random) -> None:
    """Put something that is no such file in the place of one."""
    path.unlink()
    if place == "folder":
        path.mkdir()
    elif place == "pipe":
        os.mkfifo(path)
    elif place in ("circle", "device", "nowhere"):
        path.symlink_to({"circle": path.name, "device": "/dev/zero", "nowhere": "gone"}[place])
    elif place in ("empty", "noise"):
        path.write_bytes(rng.randbytes(3000) if place == "noise" else b"")


def _watch(path: Path) -> None:
    """Open a recording, read all of its frames, ask what is lost."""
    from cellstorm_lib.video.read import open_recording

    source = open_recording(path)
    for chunk in source.chunks(3):
        chunk.frames.sum()
    source.loss()


def _read_image(path: Path) -> None:
    from cellstorm_lib.video.tiff import read_image, read_image_details

    read_image(path)
    read_image_details(path)


def _read_table(path: Path) -> None:
    from cellstorm_lib.export.formats import read_truth

    read_truth(path, pixel_size_nm=100.0)


def _read_own_table(path: Path) -> None:
    from cellstorm_lib.export.formats import read_table

    read_table(path)


def _read_emitters(path: Path) -> None:
    from cellstorm_lib.tables import read_emitters

    read_emitters(path)


def _read_records(path: Path) -> None:
    from cellstorm_lib.camera import CameraCalibration
    from cellstorm_lib.pipeline.store import read_records

    read_records(CameraCalibration, path)


def _read_choice(path: Path) -> None:
    from cellstorm_lib.pipeline.choice import read_choice

    read_choice(path.with_name("film.mp4"))


def _read_settings(path: Path) -> None:
    from cellstorm_lib.pipeline.settings import PipelineSettings
    from cellstorm_lib.settings import read_settings

    read_settings(PipelineSettings, path)


def _read_scene(path: Path) -> None:
    from cellstorm_lib.simulate.scene import read_scene

    read_scene(path)


def _read_camera(path: Path) -> None:
    from cellstorm_lib.simulate.cameras import read_camera

    read_camera(path)


def _read_calibration(path: Path) -> None:
    from cellstorm_lib.camera import read_calibration

    read_calibration(path)


def _read_z_calibration(path: Path) -> None:
    from cellstorm_lib.z_calibration import read_z_calibration

    read_z_calibration(path)


def _read_plan(path: Path) -> None:
    from cellstorm_lib.pairs.display_plan import read_plan

    read_plan(path)


def _read_checkpoint(path: Path) -> None:
    from cellstorm_lib.gan.checkpoint import read_checkpoint

    read_checkpoint(path)


def _read_appraiser(path: Path) -> None:
    from cellstorm_lib.localize.appraisal import read_appraiser

    read_appraiser(path)


def _read_spot(path: Path) -> None:
    from cellstorm_lib.simulate.spot_table import TableSpotSettings, table_image

    table_image(TableSpotSettings(image=str(path)), pixel_size_nm=100.0)


def _read_mask(path: Path) -> None:
    from cellstorm_lib.simulate.pictures import MaskSettings, picture_sites

    picture_sites(MaskSettings(image=str(path), sites=9), 1e4, 1e4, np.random.default_rng(0))


def _read_dataset(path: Path) -> None:
    from cellstorm_lib.pipeline.datasets import read_recipe

    read_recipe(path.parent, path.stem)


def _read_shelf(path: Path) -> None:
    from cellstorm_lib.pipeline.cameras import CameraShelf

    folder = path.parent
    if not os.path.lexists(path):
        return  # there is no such camera
    CameraShelf(folder=folder, measured=folder / "m", flat_fields=folder).camera(path.stem)


def _read_positions(path: Path) -> None:
    from cellstorm_lib.simulate.positions import PositionSettings, table_sites

    table_sites(PositionSettings(table=str(path)), 1e4, 1e4)


def _read_note(path: Path) -> None:
    from cellstorm_lib.pipeline.lineage_files import needed_note

    needed_note(path)


#: Name: what reads a file; those that take least of the processor first, so that a run of limited
#: time gets furthest. The seeds have the same names.
READERS: dict[str, Callable[[Path], Any]] = {
    "display_plan": _read_plan, "z_calibration": _read_z_calibration, "sidecar": _read_choice,
    "plain_stack": _watch, "mask": _read_mask, "calibration": _read_calibration,
    "shelf": _read_shelf, "settings": _read_settings, "appraiser": _read_appraiser,
    "image": _read_image, "dataset": _read_dataset, "records": _read_records,
    "positions": _read_positions, "spot_table": _read_spot, "checkpoint": _read_checkpoint,
    "sif": _watch, "dng": _watch, "camera": _read_camera, "scene": _read_scene, "tiff": _watch,
    "smlm": _read_table, "csv": _read_table, "text": _read_table, "emitters": _read_emitters,
    "insight3": _read_table, "parquet": _read_own_table, "video": _watch, "hdf5": _read_table,
    "note": _read_note,
}  # fmt: skip
