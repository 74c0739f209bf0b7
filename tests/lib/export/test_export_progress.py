"""Reading and writing tables tells how far it is, and does the same whether or not it is asked."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.export import hdf5
from cellstorm_lib.export.delimited import read_columns
from cellstorm_lib.export.formats import WRITE_ENDINGS, read_table, read_truth, write_table
from cellstorm_lib.tables import FieldOfView, Localizations

PIXEL_NM = 100.0
#: More than twice what is written between two words, and some megabytes in every format.
ROWS = 150_000
#: How many words it takes at least to write a table, and to read it.
LEAST: dict[str, tuple[int, int]] = {
    ".parquet": (1, 1),
    ".csv": (4, 6),
    ".hdf5": (1, 2),
    ".h5": (1, 2),
    ".txt": (4, 6),
    ".smlm": (4, 5),
}


class Told:
    """The shares that a work told."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def __call__(self, done: int, total: int) -> None:
        self.shares.append(done / total)

    def assert_whole(self, *, at_least: int) -> None:
        """Fail unless they grew to the whole, and told it in so many words."""
        assert self.shares == sorted(self.shares)
        assert self.shares[-1] == 1.0
        assert len(set(self.shares)) >= at_least


@pytest.fixture(scope="module")
def table() -> Localizations:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, 1000, ROWS)),
            "x_nm": rng.uniform(0, 25_600, ROWS),
            "y_nm": rng.uniform(0, 25_600, ROWS),
            "photons": rng.uniform(100, 5000, ROWS),
        }
    )
    field = FieldOfView(width_px=256, height_px=256, pixel_size_nm=PIXEL_NM, frame_count=1000)
    return Localizations(data=data, field=field)


@pytest.mark.parametrize("ending", WRITE_ENDINGS)
def test_a_table_is_written_in_words_that_grow_to_the_whole(
    ending: str, table: Localizations, tmp_path: Path
) -> None:
    told = Told()
    one, two = tmp_path / "one" / f"table{ending}", tmp_path / "two" / f"table{ending}"
    write_table(table, one, progress=told)
    told.assert_whole(at_least=LEAST[ending][0])
    write_table(table, two)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("ending", WRITE_ENDINGS)
@pytest.mark.parametrize("read", [read_table, read_truth])
def test_a_table_is_read_in_words_that_grow_to_the_whole(
    read, ending: str, table: Localizations, tmp_path: Path
) -> None:
    path = tmp_path / f"table{ending}"
    write_table(table, path)
    told = Told()
    found = read(path, pixel_size_nm=PIXEL_NM, progress=told)
    told.assert_whole(at_least=LEAST[ending][1])
    pd.testing.assert_frame_equal(found.data, read(path, pixel_size_nm=PIXEL_NM).data)
    assert len(found) == ROWS


def test_the_share_of_a_text_is_that_of_its_bytes() -> None:
    text = b"1.5,2.5\n" * 1_000_000
    told = Told()
    columns = read_columns(
        io.BytesIO(text), ["a", "b"], delimiter=",", path=Path("t.csv"), progress=told
    )
    assert [len(column) for column in columns if column is not None] == [1_000_000] * 2
    told.assert_whole(at_least=8)
    # 8 MB in blocks of one, of which each is an eighth of what is read
    assert max(np.diff([0.0, *told.shares])) < 0.3


def test_going_back_for_a_column_of_text_tells_nothing_twice() -> None:
    rows = b"".join(b"%d,ab,%d\n" % (number, number) for number in range(400_000))
    told = Told()
    columns = read_columns(
        io.BytesIO(rows), ["a", "b", "c"], delimiter=",", path=Path("t.csv"), progress=told
    )
    assert columns[1] is None
    assert columns[2] is not None
    assert columns[2].sum() == sum(range(400_000))
    told.assert_whole(at_least=6)


def test_an_elyra_table_is_read_in_words_that_grow_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "elyra.txt"
    rows = "".join(f"{1 + number // 100}\t{number}.5\t2000\n" for number in range(200_000))
    path.write_bytes(b"First Frame\tPosition X [nm]\tPosition Y [nm]\n" + rows.encode() + b"\0")
    told = Told()
    assert len(read_table(path, progress=told)) == 200_000
    told.assert_whole(at_least=5)


@pytest.mark.parametrize("ending", [".csv", ".smlm", ".txt", ".parquet"])
def test_an_empty_table_is_told_whole(ending: str, table: Localizations, tmp_path: Path) -> None:
    path = tmp_path / f"none{ending}"
    wrote, read = Told(), Told()
    write_table(table.take(np.zeros(0, np.int64)), path, progress=wrote)
    assert len(read_table(path, pixel_size_nm=PIXEL_NM, progress=read)) == 0
    assert wrote.shares[-1] == read.shares[-1] == 1.0


def test_what_another_process_reads_is_told_when_it_has_ended(
    table: Localizations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.hdf5"
    write_table(table, path)
    told = Told()
    before: list[int] = []
    run = hdf5.subprocess.run

    def watched(*arguments, **options):
        done = run(*arguments, **options)
        before.append(len(told.shares))
        return done

    monkeypatch.setattr(hdf5.subprocess, "run", watched)
    read_table(path, progress=told)
    assert before == [0]
    assert told.shares[0] < 1.0
