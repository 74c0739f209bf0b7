"""Every step of a command that may be long is announced by name, and told to its end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_assets import command_options
from cellstorm_assets.commands import main
from cellstorm_assets.project import find_project
from cellstorm_lib.export.formats import write_table
from cellstorm_lib.progress import Progress
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import FieldOfView, Localizations

#: The steps of a command by name, with the share that each told last; None where it told none.
Steps = list[tuple[str, float | None]]


@pytest.fixture
def steps_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Steps]:
    """Return what runs a command and says what it announced."""
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CELLSTORM_STORE", raising=False)

    def steps(*arguments: object) -> Steps:
        announced: Steps = []

        def begin(step: str, unit: str) -> Progress:
            announced.append((step, None))

            def told(done: int, total: int) -> None:
                before = announced[-1][1] or 0.0
                assert announced[-1][0] == step, f"{step} still tells when the next has begun"
                assert before <= done / total
                announced[-1] = (step, done / total)

            return told

        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
            patch.setattr(command_options.STEPS, "begin", begin)
            main([str(argument) for argument in arguments])
        assert not left.value.code
        return announced

    return steps


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, 100, 4000)),
            "x_nm": rng.uniform(0, 5000, 4000),
            "y_nm": rng.uniform(0, 5000, 4000),
            "photons": rng.uniform(100, 5000, 4000),
            "uncertainty_nm": rng.uniform(8, 12, 4000),
        }
    )
    field = FieldOfView(width_px=50, height_px=50, pixel_size_nm=100.0, frame_count=100)
    path = tmp_path / "t.csv"
    write_table(Localizations(data=data, field=field), path)
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv", "hdf5", "smlm", "txt"])
def test_converting_reads_and_writes(steps_of, table: Path, tmp_path: Path, ending: str) -> None:
    told = steps_of("convert", table, tmp_path / f"o.{ending}", "--pixel-size-nm", 100)
    assert told == [("reading t.csv", 1.0), (f"writing o.{ending}", 1.0)]


@pytest.mark.parametrize(
    ("command", "between", "is_written"),
    [
        (["merge"], ["merge"], True),
        (["drift"], ["drift"], True),
        (["select", "--where", "photons > 300"], [], True),
        (["frc", "--split", "localizations"], ["resolution"], False),
    ],
)
def test_a_table_is_read_and_what_comes_of_it_written(
    steps_of, table: Path, tmp_path: Path, command: list[str], between: list[str], is_written: bool
) -> None:
    name, *options = command
    out = ["--out", tmp_path / "o.csv"] if is_written else []
    told = steps_of(name, table, *options, *out)
    assert [step for step, _ in told] == [
        "reading t.csv", *between, *(["writing o.csv"] if is_written else []),
    ]  # fmt: skip
    assert {share for _, share in told} == {1.0}


def test_scoring_is_told_beside_both_tables(steps_of, table: Path) -> None:
    told = steps_of("evaluate", table, "--truth", table)
    assert told == [("reading t.csv", 1.0), ("reading t.csv", 1.0), ("match", 1.0)]


def test_tables_side_by_side_are_told_one_by_one(steps_of, table: Path, tmp_path: Path) -> None:
    told = steps_of("compare", table, table, "--out", tmp_path / "page.html")
    assert told == [("t.csv", 1.0), ("t.csv", 1.0), ("page", 1.0)]


def test_a_film_is_opened_and_copied_and_known_again(steps_of, film: SimulatedRecording) -> None:
    name = film.movie.name
    for _ in range(2):  # the second time its content is compared
        told = steps_of("add", film.movie, "--pixel-size-nm", 100)
        assert told == [(f"opening {name}", 1.0), (f"copying {name}", 1.0)]


def test_what_has_nothing_to_look_through_announces_it_all_the_same(steps_of) -> None:
    find_project()
    assert steps_of("tidy") == [("tidy", None)]
    assert steps_of("lineage", "huawei-p9-raw") == [("lineage", None)]


def test_a_name_that_steers_a_terminal_is_spelled_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[str] = []
    bar = command_options.tqdm

    def seen(*, desc: str, **options):
        shown.append(desc)
        return bar(desc=desc, **options)

    monkeypatch.setattr(command_options, "tqdm", seen)
    command_options.on_file("reading", tmp_path / "a\x1b[2J.csv")
    command_options.STEPS.finish()
    assert shown == [r"reading a\x1b[2J.csv"]
