"""Cameras that were calibrated long ago are named, with the number of days and what to do."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from cellstorm_assets.calibration_age import ages_days, calibration_is_recent
from cellstorm_assets.project import Project, find_project
from cellstorm_assets.resources import ProjectResource

DAY_S = 86_400


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    return find_project()


def film(project: Project, name: str, days_ago: float) -> None:
    """Write a file of a camera that was changed some days ago."""
    path = project.cameras_folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"frames")
    when = time.time() - days_ago * DAY_S
    os.utime(path, (when, when))


def looked_at(project: Project) -> dg.AssetCheckResult:
    """Return what the check says."""
    result = calibration_is_recent(project=ProjectResource(home=str(project.home)))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_the_newest_file_of_a_camera_counts(project: Project) -> None:
    film(project, "phone/bright/a.tif", 400)
    film(project, "phone/dark/a.tif", 300)
    film(project, "stated.yaml", 20)
    ages = ages_days(project, time.time())
    assert list(ages) == ["phone", "stated"]
    assert ages["phone"] == pytest.approx(300, abs=0.01)
    assert ages["stated"] == pytest.approx(20, abs=0.01)


def test_an_old_camera_is_a_warning_with_its_age_and_a_remedy(project: Project) -> None:
    film(project, "old.yaml", 200)
    film(project, "new.yaml", 10)
    found = looked_at(project)
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    reason = str(found.metadata["reason"].value)
    assert reason.startswith("calibrated more than 180 days ago: old 200 days ago; film new series")
    project.settings_file.write_text("calibration_days: 365\n")
    assert looked_at(project).passed


def test_without_cameras_there_is_nothing_to_say(project: Project) -> None:
    assert looked_at(project).passed


def test_days_below_one_moment_are_refused(project: Project) -> None:
    project.settings_file.write_text("calibration_days: 0\n")
    with pytest.raises(dg.Failure, match="calibration_days must be above 0, got 0"):
        looked_at(project)
