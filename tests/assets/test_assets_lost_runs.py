"""Runs that ended for no fault of what they worked on are noticed, and asked for again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import yaml
from dagster._core.events import JobFailureData, RunFailureReason, StepFailureData
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import RETRY_STRATEGY_TAG
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry
from dagster._utils.error import SerializableErrorInfo
from watched_folder import FAILURE, WAITING, Folder

from cellstorm_assets import launcher
from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.launcher import MOST_SILENT_S, PROCESS_TAG, MindedRunLauncher
from cellstorm_assets.lost_runs import EAGER_RUNS, again, lost_at_start, lost_runs
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_denoised_spots
from cellstorm_lib.processes import ProcessMark, this_process
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack

INSTANCE = Path(launcher.__file__).with_name("instance.yaml")
KEY = "cell-01234567"
unix = pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked there")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Folder(tmp_path / "lab", instance)


def fail(
    folder: Folder,
    key: str = KEY,
    *,
    step_by: str | None = None,
    saying: str = "so",
    step: str = "denoised__spots",
) -> dg.RunRecord:
    """Let a run of a recording fail, by an error in a step or without one."""
    run = folder.run_of(key, WAITING)
    if step_by is not None:
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.STEP_FAILURE.value,
            job_name=run.job_name,
            step_key=step,
            event_specific_data=StepFailureData(
                error=SerializableErrorInfo(saying, [], step_by), user_failure_data=None
            ),
        )
        folder.instance.report_dagster_event(event, run.run_id)
    reason = None if step_by is None else RunFailureReason.STEP_FAILURE
    data = JobFailureData(error=None, failure_reason=reason)
    folder.instance.report_run_failed(run, "failed", data)
    return record_of(folder, run.run_id)


def record_of(folder: Folder, run_id: str) -> dg.RunRecord:
    """Return a failed run as it is now."""
    (record,) = folder.instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
    assert record.dagster_run.status == FAILURE
    return record


def asked(folder: Folder, record: dg.RunRecord, *, after_s: float = 0.0) -> object:
    """Return what is said of a failed run some time after it failed."""
    now = (record.end_time or time.time()) + after_s
    return again(folder.instance, record, Project(home=folder.recordings.parent.parent), now=now)


def test_a_lost_worker_that_nobody_retries_is_asked_for_at_once(folder: Folder) -> None:
    request = asked(folder, fail(folder))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == KEY
    assert request.job_name == "process_recordings"


def test_dagsters_own_retry_goes_first(folder: Folder) -> None:
    record = fail(folder)
    run_id = record.dagster_run.run_id
    folder.instance.add_run_tags(run_id, {"dagster/will_retry": "true"})
    record = record_of(folder, run_id)
    assert asked(folder, record) == pytest.approx(120.0, abs=1.0)
    assert isinstance(asked(folder, record, after_s=121.0), dg.RunRequest)
    folder.run_of(KEY, WAITING)
    assert asked(folder, record, after_s=121.0) is None


def test_a_bad_file_is_not_asked_for_again(folder: Folder) -> None:
    assert asked(folder, fail(folder, step_by="Failure")) is None


def test_what_cannot_be_loaded_is_made_anew_with_all_it_comes_from(folder: Folder) -> None:
    request = asked(folder, fail(folder, step_by="DagsterExecutionLoadInputError"))
    assert isinstance(request, dg.RunRequest)
    assert request.asset_selection is None


def test_what_ends_every_worker_is_tried_ever_more_seldom(folder: Folder) -> None:
    waits_s = [asked(folder, fail(folder)) for _ in range(EAGER_RUNS + 30)]
    assert all(isinstance(request, dg.RunRequest) for request in waits_s[: EAGER_RUNS - 1])
    expected_s = [min(30.0 * 2**count, 6 * 3600.0) for count in range(31)]
    assert waits_s[EAGER_RUNS - 1 :] == pytest.approx(expected_s)
    assert isinstance(asked(folder, fail(folder, "other-01234567")), dg.RunRequest)


def test_runs_before_a_success_are_forgiven(folder: Folder) -> None:
    for _ in range(EAGER_RUNS):
        fail(folder)
    folder.run_of(KEY, WAITING)
    folder.end(KEY, is_success=True)
    assert isinstance(asked(folder, fail(folder)), dg.RunRequest)


def test_the_sensor_asks_once_for_each_lost_run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = fail(folder), fail(folder, "other-01234567")
    folder.instance.add_run_tags(first.dagster_run.run_id, {"dagster/will_retry": "true"})
    failed_at = first.end_time or time.time()
    monkeypatch.setattr(time, "time", lambda: failed_at + 121.0)
    bad = fail(folder, "bad-01234567", step_by="Failure")
    project = ProjectResource(home=str(folder.recordings.parent.parent))

    def tick(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=folder.instance, cursor=cursor)
        told = lost_runs(context, project=project)
        assert isinstance(told, dg.SensorResult | dg.SkipReason)
        return told

    told = tick(None)
    assert isinstance(told, dg.SensorResult)
    keys = {request.partition_key for request in told.run_requests or []}
    assert keys == {KEY, "other-01234567"}
    assert all(record.dagster_run.run_id in str(told.cursor) for record in (first, second, bad))
    assert isinstance(tick(told.cursor), dg.SkipReason)
    run = folder.instance.get_run_by_id(first.dagster_run.run_id)
    assert run is not None
    assert not should_retry(run, folder.instance)  # by Dagster, late, as well


class Asked:
    """A launcher that says of every worker the same."""

    supports_check_run_worker_health = True

    def __init__(self, status: WorkerStatus, meanwhile: Callable[[], object]) -> None:
        self.status, self.meanwhile = status, meanwhile

    def check_run_worker_health(self, _: dg.DagsterRun) -> CheckRunHealthResult:
        self.meanwhile()
        return CheckRunHealthResult(self.status, "its job failed")


@pytest.mark.parametrize(
    ("status", "after_s", "has_begun", "is_lost"),
    [
        (WorkerStatus.FAILED, 61.0, False, True),
        (WorkerStatus.NOT_FOUND, 61.0, False, True),
        (WorkerStatus.FAILED, 59.0, False, False),
        (WorkerStatus.FAILED, 61.0, True, False),
        (WorkerStatus.RUNNING, 61.0, False, False),
        (WorkerStatus.UNKNOWN, 61.0, False, False),
    ],
)
def test_a_worker_lost_before_it_began_is_noticed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch,
    status: WorkerStatus, after_s: float, has_begun: bool, is_lost: bool,
) -> None:  # fmt: skip
    run, instance = folder.run_of(KEY, WAITING), folder.instance
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name), run.run_id
    )
    launched = instance.get_run_stats(run.run_id).launch_time
    assert launched is not None

    def begin() -> None:
        if has_begun:
            event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
            instance.report_dagster_event(event, run.run_id)

    launcher = Asked(status, begin)
    monkeypatch.setattr(type(instance), "run_launcher", property(lambda _: launcher))
    assert lost_at_start(instance, now=launched + after_s) == ([run.run_id] if is_lost else [])
    now = instance.get_run_by_id(run.run_id)
    assert now is not None
    assert (now.status == FAILURE) == is_lost


@pytest.mark.parametrize("harm", ["gone", "cut", "zeros", "none"])
def test_a_stack_that_a_power_cut_damaged_is_made_anew(folder: Folder, harm: str) -> None:
    project = Project(home=folder.recordings.parent.parent)
    stack = project.assets_folder / "denoised_stack" / f"{KEY}.ome.tif"
    frames = np.random.default_rng(1).poisson(9, (12, 32, 32)).astype(np.uint16)
    write_stack(
        stack, [frames], pixel_size_nm=100.0, photons_per_adu=1.0, is_denoised=True,
        details={"model_digest": "d"},
    )  # fmt: skip
    report = DenoiseReport(
        frames=12, model="m", model_digest="d", engine="e", remarks=(), active_share=0.5,
        frames_per_second=0.0,
    )  # fmt: skip
    content = stack.read_bytes()
    film = stack.with_name("film.ome.tif")
    film.write_bytes(content)
    half = len(content) // 2
    if harm == "gone":
        stack.unlink()
    elif harm == "cut":
        stack.write_bytes(content[:half])
    elif harm == "zeros":
        stack.write_bytes(content[:half] + bytes(len(content) - half))
    told = "another fault"
    if harm != "none":
        with pytest.raises(RecordingError) as raised:
            find_denoised_spots(open_recording(film), stack, report, 100.0, PipelineSettings())
        told = str(raised.value)
    request = asked(folder, fail(folder, step_by="Failure", saying=told))
    assert isinstance(request, dg.RunRequest) == (harm != "none")
    written = fail(folder, step_by="Failure", saying=told, step="denoised_stack")
    assert asked(folder, written) is None


def minder_of(folder: Folder) -> MindedRunLauncher:
    """Return the launcher of a project."""
    minder = MindedRunLauncher()
    minder.register_instance(folder.instance)
    return minder


def test_projects_use_the_launcher_that_minds_and_retry_lost_workers_only() -> None:
    entries = yaml.safe_load(INSTANCE.read_text(encoding="utf-8"))
    named = entries["run_launcher"]
    assert getattr(import_module(named["module"]), named["class"]) is MindedRunLauncher
    assert entries["run_monitoring"]["enabled"]
    retries = entries["run_retries"]
    assert (retries["enabled"], retries["retry_on_asset_or_op_failure"]) == (True, False)
    assert 0 < retries["max_retries"] < EAGER_RUNS


def begun(folder: Folder, pid: int) -> dg.DagsterRun:
    """Return a run that a process began."""
    run = folder.run_of(KEY, WAITING)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.PIPELINE_START.value, job_name=run.job_name, pid=pid
    )
    folder.instance.report_dagster_event(event, run.run_id)
    (run,) = folder.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
    assert run.status == dg.DagsterRunStatus.STARTED
    assert run.tags[PARTITION_TAG] == KEY
    return run


def told(folder: Folder, run: dg.DagsterRun, mark: ProcessMark, of: str = "") -> dg.DagsterRun:
    """Let a run say which process works on it."""
    text = f"{(of or run.run_id)[:8]} {mark.text()} the-lab"
    folder.instance.add_run_tags(run.run_id, {PROCESS_TAG: text})
    (run,) = folder.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
    return run


def said_of(folder: Folder, run: dg.DagsterRun) -> list[str]:
    return [entry.message for entry in folder.instance.all_logs(run.run_id)]


@unix
def test_a_number_that_another_process_has_now_is_not_the_one_that_began(folder: Folder) -> None:
    minder, here = minder_of(folder), this_process()
    run = told(folder, begun(folder, os.getpid()), here)
    assert minder.check_run_worker_health(run).status.value == "RUNNING"
    if here.began:
        run = told(folder, run, replace(here, began=here.began - 1))
        assert minder.check_run_worker_health(run).status.value == "NOT_FOUND"
        run = told(folder, run, replace(here, boot="0" * 8))  # before the machine was restarted
        assert minder.check_run_worker_health(run).status.value == "NOT_FOUND"


@unix
@pytest.mark.parametrize(
    "elsewhere", [{"host": "0" * 8}, {"space": "1" * 8}], ids=["machine", "container"]
)
def test_a_run_of_elsewhere_is_left_alone_for_a_day_and_that_is_said_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, Any]
) -> None:
    minder = minder_of(folder)
    mark = replace(this_process(), pid=2**22, **elsewhere)
    run = told(folder, begun(folder, mark.pid), mark)
    for _ in range(3):
        assert minder.check_run_worker_health(run).status.value == "RUNNING"
    remarks = [text for text in said_of(folder, run) if "another machine" in text]
    assert len(remarks) == 1
    assert "(the-lab)" in remarks[0]
    assert "lost when it says nothing for 24 hours" in remarks[0]
    now = time.time()
    monkeypatch.setattr("cellstorm_assets.launcher.time.time", lambda: now + MOST_SILENT_S + 5)
    lost = minder.check_run_worker_health(run)
    assert lost.status.value == "NOT_FOUND"
    assert "has said nothing for 24 hours" in str(lost.msg)


@unix
def test_what_a_run_says_that_was_copied_from_another_does_not_count(folder: Folder) -> None:
    gone = replace(this_process(), pid=2**22)
    run = told(folder, begun(folder, 2**22), gone, of="another-run")
    assert minder_of(folder).check_run_worker_health(run).status.value == "RUNNING"


def test_a_run_says_which_process_works_on_it() -> None:
    @dg.op
    def work(project: ProjectResource) -> None:
        pass

    @dg.job(resource_defs={"project": ProjectResource(home="somewhere")})
    def job() -> None:
        work()

    with dg.DagsterInstance.ephemeral() as instance:
        run_id = job.execute_in_process(instance=instance).run_id
        tags = instance.get_runs(dg.RunsFilter(run_ids=[run_id]))[0].tags
    assert tags[PROCESS_TAG].startswith(f"{run_id[:8]} {this_process().text()} ")


@unix
def test_a_run_whose_process_is_gone_is_lost_and_made_anew_from_the_start(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    minder = minder_of(folder)
    assert minder.supports_check_run_worker_health
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = begun(folder, process.pid)
    assert minder.check_run_worker_health(run).status.value == "RUNNING"
    process.kill()
    process.wait()
    assert minder.check_run_worker_health(run).status.value == "RUNNING"  # it may say who it is
    monkeypatch.setattr(launcher, "_TOLD_AFTER_S", 0.0)
    lost = minder.check_run_worker_health(run)
    assert lost.status.value == "NOT_FOUND"
    assert str(process.pid) in str(lost.msg)
    (run,) = folder.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
    assert run.tags[RETRY_STRATEGY_TAG] == "ALL_STEPS"


def test_a_run_that_nobody_began_yet_is_left_alone(folder: Folder) -> None:
    run = folder.run_of(KEY, WAITING)
    assert minder_of(folder).check_run_worker_health(run).status.value == "RUNNING"
