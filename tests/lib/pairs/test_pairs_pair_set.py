"""Training pairs: whole on disk, nothing leaks between splits, impossible ones are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from cellstorm_lib.errors import ExportError, TableError
from cellstorm_lib.pairs.pair_set import PairSet, joined, read_pairs, split_of, write_pairs

RNG = np.random.default_rng(2)


def pairs(clips: int = 3, name: str = "scene") -> PairSet:
    shape = (clips, 2, 16, 32)
    return PairSet(
        filmed=RNG.integers(0, 255, shape).astype(np.uint8),
        light_e=RNG.uniform(0, 90, shape).astype(np.float16),
        is_usable=np.ones((clips, 2), bool),
        is_key=np.zeros((clips, 2), bool),
        offset_adu=np.full(clips, 2.0, np.float32),
        gain_e_per_adu=np.full(clips, 0.5, np.float32),
        bits_per_px=np.full(clips, 0.1, np.float32),
        split=np.array(["train", "validation", "test"] * clips)[:clips],
        origin=np.array([f"{name}-{index}-µ" for index in range(clips)]),
        method=np.array(["simulated"] * clips),
    )


def test_pairs_survive_their_folder(tmp_path: Path) -> None:
    made = pairs()
    write_pairs(made, tmp_path / "a.zarr")
    back = read_pairs(tmp_path / "a.zarr")
    assert back.digest == made.digest
    np.testing.assert_array_equal(back.filmed, made.filmed)
    assert back.origin.tolist() == made.origin.tolist()
    other = pairs(name="other")
    write_pairs(other, tmp_path / "a.zarr")
    assert read_pairs(tmp_path / "a.zarr").digest == other.digest != made.digest
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_one_changed_value_changes_the_digest() -> None:
    made = pairs()
    changed = made.filmed.copy()
    changed[0, 0, 0, 0] ^= 1
    assert replace(made, filmed=changed).digest != made.digest
    assert replace(made, method=np.array(["localized"] * 3)).digest != made.digest


def test_sets_are_joined_and_parted(tmp_path: Path) -> None:
    both = joined([pairs(name="a"), pairs(2, name="b")])
    assert len(both) == 5
    assert both.of_split("train").origin.tolist() == ["a-0-µ", "b-0-µ"]
    with pytest.raises(TableError, match="no pairs to join"):
        joined([])
    smaller = pairs()
    smaller = replace(smaller, filmed=smaller.filmed[..., :16], light_e=smaller.light_e[..., :16])
    with pytest.raises(TableError, match="clips of one size"):
        joined([pairs(), smaller])


@pytest.mark.parametrize(
    ("count", "splits"),
    [
        (1, ["train"]),
        (2, ["train", "validation"]),
        (4, ["train", "train", "validation", "test"]),
    ],
)
def test_recordings_are_for_training_first(count: int, splits: list[str]) -> None:
    assert [split_of(number, count) for number in range(count)] == splits


def test_nothing_leaks_from_training_into_the_test() -> None:
    made = pairs()
    with pytest.raises(TableError, match="clips of cell are in train and in validation"):
        replace(made, origin=np.array(["cell"] * 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"light_e": np.zeros((3, 2, 16, 16), np.float16)}, "film and light of one shape"),
        ({"is_key": np.zeros((3, 5), bool)}, r"is_key of 3 clips must be \(3, 2\)"),
        ({"offset_adu": np.zeros(2, np.float32)}, "offset_adu of 3 clips"),
        ({"gain_e_per_adu": np.zeros(3, np.float32)}, "gain that is not above 0"),
        ({"light_e": np.full((3, 2, 16, 32), np.nan, np.float16)}, "not finite"),
        ({"split": np.array(["train", "dev", "test"])}, "split must be one of .* got 'dev'"),
        ({"method": np.array(["a", "b", "c"])}, "method must be one of"),
    ],
)
def test_impossible_pairs_are_refused(change: dict, words: str) -> None:
    with pytest.raises(TableError, match=words):
        replace(pairs(), **change)


def test_missing_foreign_and_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="missing.zarr does not exist; make the pairs first"):
        read_pairs(tmp_path / "missing.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="empty holds no pairs"):
        read_pairs(tmp_path / "empty")
    zarr.open_group(str(tmp_path / "foreign.zarr"), mode="w").attrs["format"] = "other"
    with pytest.raises(TableError, match="holds no pairs of this program"):
        read_pairs(tmp_path / "foreign.zarr")
    write_pairs(pairs(), tmp_path / "a.zarr")
    zarr.open_group(str(tmp_path / "a.zarr"), mode="a")["filmed"][0, 0, 0, 0] += 1
    with pytest.raises(TableError, match="changed or damaged since"):
        read_pairs(tmp_path / "a.zarr")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="choose a folder with space"):
        write_pairs(pairs(), tmp_path / "file" / "a.zarr")
