"""The schedule asks for what is stale: a few at a time, once, and not again what cannot work."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.execution.plan.objects import StepFailureData, StepRetryData
from dagster._core.storage.tags import PRIORITY_TAG, WILL_RETRY_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._utils.error import SerializableErrorInfo
from dagster._utils.tags import TagConcurrencyLimitsCounter

from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.lineage import result_file
from cellstorm_assets.project import Project, find_project, partition_key
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.schedules import (
    MOST_AT_A_TIME,
    MOST_ATTEMPTS,
    STALE_TAG,
    films_there,
    is_tried_again,
    may_have_passed,
    reprocess_stale,
    stale_requests,
)
from cellstorm_assets.watching import Watch, WatchedFile
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.ledger import Ledger
from cellstorm_lib.pipeline.lineage import (
    STEPS,
    calibration_input,
    film_input,
    model_input,
    settings_inputs,
)
from cellstorm_lib.pipeline.lineage_files import page_with
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.store import write_records
from cellstorm_lib.video.tiff import write_image

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


class Store:
    """Recordings with results that hold nothing but what they were made from: stale ones."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance

    def add(self, name: str, *, model: str = "old") -> str:
        """Write the results of a recording, as a champion of long ago made them."""
        digest = digest_of(name)
        key = partition_key(name, digest)
        (self.project.recordings_folder / name).write_bytes(b"a film")
        inputs = {
            "film": film_input(name, digest),
            "calibration": calibration_input(None, RecordingChoice()),
            "model": model_input("an older champion", model),
            **settings_inputs(PipelineSettings()),
        }
        ledger = Ledger(recording=name, inputs=inputs)
        for result in STEPS:
            note, path = ledger.note(result), result_file(self.project, result, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".tif":
                image = [[1.0, 2.0], [3.0, 4.0]]
                write_image(
                    path, np.array(image), pixel_size_nm=1.0, details={LINEAGE: note.plain()}
                )
            elif path.suffix == ".html":
                path.write_text(page_with("<html><head></head></html>", note))
            else:
                write_records([], path, lineage=note.plain())
        self.instance.add_dynamic_partitions("recording", [key])
        return key

    def tick(self, films: dict[str, str] | None = None) -> list[str]:
        """Evaluate the schedule, create the runs it asks for, and return their recordings."""
        told = stale_requests(self.instance, self.project, films)
        if not isinstance(told, list):
            return []
        for request in told:
            tags = {PARTITION_TAG: str(request.partition_key), **request.tags}
            create_run_for_test(self.instance, job_name="process_recordings", tags=tags)
        return [str(request.partition_key) for request in told]

    def runs(self, key: str) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: key})))

    def end(self, key: str, status: dg.DagsterRunStatus, *, events: tuple[str, ...] = ()) -> None:
        """End the newest run of a recording."""
        run = self.runs(key)[0]
        kinds = {SUCCESS: "PIPELINE_SUCCESS", FAILURE: "PIPELINE_FAILURE"}
        for kind in (*events, kinds[status]):
            event = dg.DagsterEvent(
                event_type_value=kind,
                job_name=run.job_name,
                event_specific_data=_step_data(kind),
                step_key="spots" if kind.startswith("STEP") else None,
            )
            self.instance.report_dagster_event(event, run.run_id)


def _step_data(kind: str) -> Any:
    """Return what the event of a step carries."""
    if kind == "STEP_FAILURE":
        return StepFailureData(error=None, user_failure_data=None)
    return (
        StepRetryData(error=SerializableErrorInfo("no space", [], None))
        if kind == "STEP_UP_FOR_RETRY"
        else None
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    project = find_project()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Store(project, instance)


def test_what_dagster_is_about_to_try_again_is_left_to_it_for_a_while(store: Store) -> None:
    key = store.add("cell.mp4")
    assert not is_tried_again(store.instance, key, now=0.0)  # it had no run
    assert store.tick() == [key]
    store.end(key, FAILURE)
    store.instance.add_run_tags(store.runs(key)[0].run_id, {WILL_RETRY_TAG: "true"})
    (ended,) = store.instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: key}))
    assert ended.end_time is not None
    assert store.tick() == []
    assert is_tried_again(store.instance, key, now=ended.end_time + 599.0)
    assert not is_tried_again(store.instance, key, now=ended.end_time + 601.0)
    store.instance.add_run_tags(store.runs(key)[0].run_id, {WILL_RETRY_TAG: "false"})
    assert store.tick() == [key]


def test_a_few_are_asked_for_at_a_time_and_each_once(store: Store) -> None:
    keys = {store.add(f"cell {number}.mp4") for number in range(MOST_AT_A_TIME + 2)}
    first = store.tick()
    assert len(first) == MOST_AT_A_TIME
    assert store.tick() == []  # as long as these are under way
    for key in first:
        store.end(key, SUCCESS)
    rest = store.tick()
    assert set(first) | set(rest) == keys
    assert len(rest) == 2
    for key in rest:
        store.end(key, SUCCESS)
    assert store.tick() == []  # still stale, but for nothing that another run would change


def test_what_is_under_way_is_not_asked_for(store: Store) -> None:
    key = store.add("cell.mp4")
    create_run_for_test(
        store.instance, job_name="process_recordings", tags={PARTITION_TAG: key},
        status=dg.DagsterRunStatus.STARTED,
    )  # fmt: skip
    assert store.tick() == []


def test_a_failure_for_good_is_not_asked_for_again_until_something_changes(store: Store) -> None:
    key = store.add("cell.mp4")
    assert store.tick() == [key]
    store.end(key, FAILURE, events=("STEP_FAILURE",))
    assert not may_have_passed(store.instance, store.runs(key)[0])
    assert store.tick() == []
    store.project.settings_file.write_text("keep: photons > 300\n")
    assert store.tick() == [key]
    assert len({run.tags[STALE_TAG] for run in store.runs(key)}) == 2


@pytest.mark.parametrize("events", [(), ("STEP_UP_FOR_RETRY", "STEP_FAILURE")])
def test_a_failure_that_may_have_passed_is_asked_for_again_a_few_times(
    store: Store, events: tuple[str, ...]
) -> None:
    key = store.add("cell.mp4")
    for _ in range(MOST_ATTEMPTS):
        assert store.tick() == [key]
        store.end(key, FAILURE, events=events)
    assert store.tick() == []


def test_what_a_run_for_good_failed_half_way_through_is_not_asked_for_again(store: Store) -> None:
    key = store.add("cell.mp4")
    assert store.tick() == [key]
    store.end(key, FAILURE, events=("STEP_FAILURE",))
    result_file(store.project, "recording_report", key).unlink()  # as if it were fresh
    assert store.tick() == []


def test_inputs_that_come_back_are_asked_for_again(store: Store) -> None:
    key = store.add("cell.mp4")
    for threshold in (300, 400, 300):
        store.project.settings_file.write_text(f"keep: photons > {threshold}\n")
        assert store.tick() == [key], threshold
        store.end(key, SUCCESS)
        assert store.tick() == []


def test_new_recordings_go_before_stale_ones(store: Store) -> None:
    key = store.add("cell.mp4")
    store.tick()
    assert int(store.runs(key)[0].tags[PRIORITY_TAG]) < 0  # of those without one it is 0


def test_a_recording_whose_film_is_gone_is_left_alone(store: Store) -> None:
    here, gone = store.add("here.mp4"), store.add("gone.mp4")
    assert store.tick({here: "here.mp4"}) == [here]
    assert gone not in store.tick({here: "here.mp4"})


def test_which_films_are_there_is_known_from_the_sensor() -> None:
    seen = Watch(
        files={
            "here.mp4": WatchedFile(look=(1,), digest=digest_of("content")),
            "still growing.mp4": WatchedFile(look=(1,)),
        }
    )

    def instance(name: str) -> Any:
        data = SimpleNamespace(cursor=seen.text())
        state = SimpleNamespace(instigator_name=name, instigator_data=data)
        return SimpleNamespace(all_instigator_state=lambda: [state])

    assert films_there(instance("new_recordings")) == {
        partition_key("here.mp4", digest_of("content")): "here.mp4"
    }
    assert films_there(instance("new_cameras")) is None


def test_recordings_are_looked_at_without_reading_their_films(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [store.add(f"cell {number}.mp4") for number in range(3)]

    def refuse(path: Path) -> str:
        if path.parent == store.project.recordings_folder:
            raise AssertionError(f"{path} was read")
        return digest_of(str(path))

    monkeypatch.setattr("cellstorm_assets.lineage.digest_of_file", refuse)
    monkeypatch.setattr("cellstorm_assets.project.digest_of_file", refuse)
    assert sorted(store.tick()) == sorted(keys)


def test_two_runs_of_one_recording_never_go_at_a_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = (
        create_run_for_test(store.instance, tags={PARTITION_TAG: key}) for key in ("one", "two")
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "lab"))
    with dg.DagsterInstance.get() as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    counter = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, [first])
    assert counter.is_blocked(create_run_for_test(store.instance, tags={PARTITION_TAG: "one"}))
    assert not counter.is_blocked(other)


def test_the_schedule_of_the_daemon_asks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CELLSTORM_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "lab"))
    project = find_project()
    with dg.DagsterInstance.get() as instance:
        key = Store(project, instance).add("cell.mp4")
        # A resource given by name would open a second instance that nobody closes.
        resources = {"project": ProjectResource(home=str(project.home))}
        with dg.build_schedule_context(instance=instance, resources=resources) as context:
            told = reprocess_stale(context)
    assert isinstance(told, list)
    assert [request.partition_key for request in told] == [key]
    assert str(told[0].tags["cellstorm/why"]).startswith("the champion changed from an older")
