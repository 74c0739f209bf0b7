"""A recording whose run failed is asked for again once what it lacked is there, and only then."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import WILL_RETRY_TAG
from watched_folder import FAILURE, Folder

from cellstorm_assets import run_inputs
from cellstorm_assets.project import Project, find_project, partition_key
from cellstorm_assets.run_inputs import INPUTS_TAG, changed_kinds, kinds_that_matter, tags_of_runs
from cellstorm_assets.schedules import MOST_AT_A_TIME, REASON_TAG
from cellstorm_lib.camera import CAMERA_PRESETS, write_calibration
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.choice import RecordingChoice, write_choice
from cellstorm_lib.pipeline.lineage import STEPS


class FirstRuns:
    """A watched folder in which first runs fail."""

    def __init__(self, folder: Folder, project: Project) -> None:
        self.folder, self.project = folder, project

    def fail(self, name: str = "cell.mp4", camera: str | None = "phone") -> str:
        """Put a film there with the choice of its camera, and let its first run fail."""
        path = self.folder.recordings / name
        write_choice(RecordingChoice(camera=camera, pixel_size_nm=100.0), path)
        path.write_bytes(name.encode())
        key = partition_key(name, digest_of_file(path))
        assert self.folder.ticks(2) == [key]
        self.folder.end(key, is_success=False)
        return key

    def calibrate(self, name: str = "phone") -> None:
        camera = self.project.cameras_folder / f"{name}.json"
        write_calibration(CAMERA_PRESETS["huawei-p9-raw"], camera)

    def newest(self, key: str) -> dg.DagsterRun:
        wanted = dg.RunsFilter(tags={"dagster/partition": key})
        return self.folder.instance.get_runs(wanted, limit=1)[0]


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirstRuns]:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        yield FirstRuns(Folder(tmp_path, instance), find_project())


def test_once_its_camera_is_there_it_is_asked_for_again_once(first: FirstRuns) -> None:
    key = first.fail()
    assert [first.folder.schedule_tick() for _ in range(3)] == [[], [], []]
    first.calibrate("another")
    assert first.folder.schedule_tick() == []
    first.calibrate("phone")
    assert first.folder.schedule_tick() == [key]
    assert first.newest(key).tags[REASON_TAG].endswith("since then changed: calibration")
    assert first.folder.schedule_tick() == []  # it is under way
    first.folder.end(key, is_success=False)
    assert [first.folder.schedule_tick() for _ in range(3)] == [[], [], []]
    assert first.folder.ticks(3) == []


def test_a_bad_film_has_nothing_to_do_with_champion_and_settings(
    first: FirstRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = first.fail(camera=None)
    first.project.settings_file.write_text("keep: photons > 300\n")
    monkeypatch.setattr("cellstorm_assets.lineage.champion_input", lambda _: "another #1")
    assert first.folder.schedule_tick() == []
    monkeypatch.setattr(run_inputs, "__version__", "that of tomorrow")
    assert first.folder.schedule_tick() == [key]


def test_many_are_asked_for_a_few_at_a_time(first: FirstRuns) -> None:
    keys = {first.fail(f"cell {number}.mp4") for number in range(MOST_AT_A_TIME + 2)}
    first.calibrate()
    asked = first.folder.schedule_tick()
    assert len(asked) == MOST_AT_A_TIME
    assert first.folder.schedule_tick() == []
    for key in asked:
        first.folder.end(key, is_success=True)
    assert {*asked, *first.folder.schedule_tick()} == keys


def test_one_that_dagster_tries_again_or_whose_film_is_gone_is_left_alone(first: FirstRuns) -> None:
    key = first.fail()
    first.calibrate()
    first.folder.instance.add_run_tags(first.newest(key).run_id, {WILL_RETRY_TAG: "true"})
    assert first.folder.schedule_tick() == []
    first.folder.instance.add_run_tags(first.newest(key).run_id, {WILL_RETRY_TAG: "false"})
    (first.folder.recordings / "cell.mp4").unlink()
    first.folder.ticks(1)
    assert first.folder.schedule_tick() == []


def test_runs_that_do_not_say_their_inputs_are_asked_for_once(first: FirstRuns) -> None:
    key = first.fail()
    first.folder.instance.delete_run(first.newest(key).run_id)
    first.folder.run_of(key, FAILURE)  # of an older version
    assert first.folder.schedule_tick() == [key]
    first.folder.end(key, is_success=False)
    assert first.folder.schedule_tick() == []
    first.folder.run_of(key, FAILURE)  # by a person, who sees it
    assert first.folder.schedule_tick() == []


def test_a_run_asked_for_while_the_settings_cannot_be_read_is_asked_for_once_they_can(
    first: FirstRuns,
) -> None:
    first.project.settings_file.write_text("no_such_section: 1\n")
    key = first.fail()
    with pytest.raises(dg.Failure, match="no_such_section"):
        first.folder.schedule_tick()
    first.project.settings_file.unlink()
    assert first.folder.schedule_tick() == [key]
    assert "=" in first.newest(key).tags[INPUTS_TAG]


def test_what_matters_is_what_the_first_missing_results_are_made_from() -> None:
    assert kinds_that_matter(STEPS) == ("calibration", "film", "program")
    after_denoising = [name for name in STEPS if name.startswith(("denoised", "verdict"))]
    assert kinds_that_matter(after_denoising) == ("calibration", "film", "model", "program")
    late = kinds_that_matter(["recording_report"])
    assert set(late) == {"calibration", "depth", "film", "model", "program", "settings"}


def test_what_changed_is_told_by_kind(first: FirstRuns) -> None:
    key = first.fail()
    tag = first.newest(key).tags[INPUTS_TAG]
    then = dict(part.split("=") for part in tag.split())
    assert changed_kinds(tag, then) == ()
    first.project.settings_file.write_text("keep: photons > 300\n")
    first.calibrate()
    (now,) = tags_of_runs(first.project, {key: "cell.mp4"}).values()
    assert changed_kinds(tag, dict(part.split("=") for part in now[INPUTS_TAG].split())) == (
        "calibration",
        "settings",
    )
