"""Old stacks go, and only those that can be made again."""

import json
import os
from pathlib import Path

import pytest

from cellstorm_assets.commands import main
from cellstorm_assets.denoising import stack_of
from cellstorm_assets.project import Project, find_project, recording_key
from cellstorm_assets.tidy import tidy_stacks
from cellstorm_lib.errors import SettingsError

DAY_S = 86400.0
NOW = 1_000 * DAY_S


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    monkeypatch.delenv("CELLSTORM_STORE", raising=False)
    return find_project()


def stack(
    project: Project, name: str, *, age_days: float, has_film: bool = True,
    results: Path | None = None,
) -> Path:  # fmt: skip
    """Put a film, its stack and the last of its tables into a project."""
    film = project.recordings_folder / f"{name}.mp4"
    film.write_bytes(name.encode())
    key = recording_key(film)
    if not has_film:
        film.unlink()
    path = stack_of(project, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(1000))
    os.utime(path, (NOW - age_days * DAY_S,) * 2)
    path.with_name(f"{key}.parquet").write_bytes(b"report")
    table = (results or project.assets_folder) / "verdict" / f"{key}.parquet"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(b"table")
    return path


def test_old_stacks_go_and_their_tables_stay(project: Project) -> None:
    old, young = stack(project, "old", age_days=91), stack(project, "young", age_days=89)
    looked_at: list[tuple[int, int]] = []
    told = tidy_stacks(
        project, older_than_days=90, now=NOW, progress=lambda *at: looked_at.append(at)
    )
    assert looked_at == [(1, 2), (2, 2)]
    assert not old.exists()
    assert young.exists()
    assert told.freed_bytes == 1000
    assert told.kept == 1
    assert len(list(old.parent.glob("*.parquet"))) == 2
    assert len(list(project.recordings_folder.iterdir())) == 2
    assert tidy_stacks(project, older_than_days=90, now=NOW).removed == ()


def test_a_stack_that_cannot_be_made_again_stays(project: Project) -> None:
    orphan = stack(project, "orphan", age_days=500, has_film=False)
    told = tidy_stacks(project, older_than_days=90, now=NOW)
    assert orphan.exists()
    assert list(told.kept_for_reason.values()) == ["its film is no longer there"]


def test_a_stack_that_is_still_needed_stays(project: Project) -> None:
    needed = stack(project, "needed", age_days=500)
    for table in (project.assets_folder / "verdict").iterdir():
        table.unlink()
    told = tidy_stacks(project, older_than_days=90, now=NOW)
    assert needed.exists()
    assert list(told.kept_for_reason.values()) == ["its tables are not finished"]


def test_tables_may_be_in_a_store(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_STORE", (tmp_path / "store").as_uri())
    there = stack(project, "there", age_days=500, results=tmp_path / "store")
    elsewhere = stack(project, "elsewhere", age_days=500)
    told = tidy_stacks(project, older_than_days=90, now=NOW)
    assert not there.exists()
    assert elsewhere.exists()
    assert len(told.removed) == 1


def test_a_trial_removes_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = stack(project, "old", age_days=900)
    with pytest.raises(SystemExit, match="0"):
        main(["tidy", "--older-than", "0", "--trial", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(told["removed"]) == 1
    assert path.exists()
    with pytest.raises(SystemExit, match="0"):
        main(["tidy", "--older-than", "0"])
    assert "removed" in capsys.readouterr().out
    assert not path.exists()


@pytest.mark.parametrize("days", [-1.0, float("nan")])
def test_impossible_ages_are_refused(project: Project, days: float) -> None:
    with pytest.raises(SettingsError, match="must be 0 or more"):
        tidy_stacks(project, older_than_days=days)
