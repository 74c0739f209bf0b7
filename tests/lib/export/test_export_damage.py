"""Damaged files end in one sentence: never a crash, a hang or another exception."""

import random
import zlib
from pathlib import Path

import pytest

from cellstorm_lib.errors import CellstormError
from cellstorm_lib.export.formats import read_table

DATA = Path(__file__).parents[2] / "data"
FILES = [
    "locan/Elyra_dstorm_data.txt",
    "locan/Nanoimager_dstorm_data.csv",
    "locan/SMLM_dstorm_data.smlm",
    "locan/Thunderstorm_dstorm_data.csv",
    "locan/rapidSTORM_from_images.txt",
    "storm-analysis/test_olist.bin",
]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file with a few bytes changed, moved, added or lost."""
    broken = bytearray(content)
    for _ in range(rng.choice([1, 2, 5, 20])):
        start, stop = sorted(rng.randrange(len(broken) + 1) for _ in range(2))
        piece = rng.choice([b"\0", b"\xff" * 4, b"nan,", b"1e999", b'"', b"[[[[", b"\n", b"-1 "])
        action = rng.randrange(4)
        if action == 0:
            broken[start : start + len(piece)] = piece
        elif action == 1:
            broken[start:start] = piece
        elif action == 2:
            del broken[start : start + rng.randrange(1, 30)]
        else:
            broken[start : start + 40] = broken[stop : stop + 40]
    return bytes(broken) or b"x"


def outcome(path: Path, content: bytes) -> str:
    """Return "read", or the sentence with which the file is refused."""
    path.write_bytes(content)
    try:
        read_table(path, pixel_size_nm=100.0)
    except CellstormError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_are_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    rng = random.Random(zlib.crc32(name.encode()))
    content = (DATA / name).read_bytes()[:6000]
    path = tmp_path / f"table{Path(name).suffix}"
    outcomes = [outcome(path, damaged(content, rng)) for _ in range(150)]
    assert all("\n" not in sentence for sentence in outcomes)
    refused = [sentence for sentence in outcomes if sentence != "read"]
    assert len(refused) > 10
    assert all(str(path) in sentence and len(sentence) < 700 for sentence in refused)


@pytest.mark.parametrize("name", [*FILES, "picasso/testdata_locs.hdf5"])
def test_a_file_cut_short_is_read_or_refused(tmp_path: Path, name: str) -> None:
    content = (DATA / name).read_bytes()
    path = tmp_path / f"table{Path(name).suffix}"
    steps = 4 if name.endswith("hdf5") else 40
    for length in range(1, len(content), len(content) // steps):
        assert "\n" not in outcome(path, content[:length])


@pytest.mark.parametrize("ending", [".csv", ".txt", ".smlm", ".bin", ".hdf5", ".h5", ".parquet"])
def test_random_bytes_are_no_table(tmp_path: Path, ending: str) -> None:
    for seed in range(2 if ending in (".hdf5", ".h5") else 20):
        content = random.Random(seed).randbytes(5000)
        assert outcome(tmp_path / f"table{ending}", content) != "read"


def test_changed_bytes_of_hdf5_never_take_the_reader_along(tmp_path: Path) -> None:
    rng = random.Random(5)
    content = (DATA / "picasso/testdata_locs.hdf5").read_bytes()
    for _ in range(6):
        broken = bytearray(content)
        for _ in range(12):
            broken[rng.randrange(2400)] = rng.randrange(256)  # headers and trees come first
        assert "\n" not in outcome(tmp_path / "table.hdf5", bytes(broken))
