"""Runs that ended for no fault of what they worked on are noticed, and asked for again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml
from dagster._core.events import JobFailureData, RunFailureReason, StepFailureData
from dagster._core.storage.tags import RETRY_STRATEGY_TAG
from dagster._utils.error import SerializableErrorInfo
from watched_folder import FAILURE, WAITING, Folder

from cellstorm_assets import launcher
from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.launcher import MindedRunLauncher, is_alive
from cellstorm_assets.lost_runs import MOST_RUNS, again, lost_runs
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_denoised_spots
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


def test_what_ends_every_worker_is_given_up(folder: Folder) -> None:
    records = [fail(folder) for _ in range(MOST_RUNS)]
    assert isinstance(asked(folder, records[-1]), type(None))
    assert isinstance(asked(folder, fail(folder, "other-01234567")), dg.RunRequest)


def test_runs_before_a_success_are_forgiven(folder: Folder) -> None:
    for _ in range(MOST_RUNS):
        fail(folder)
    folder.run_of(KEY, WAITING)
    folder.end(KEY, is_success=True)
    assert isinstance(asked(folder, fail(folder)), dg.RunRequest)


def test_the_sensor_asks_once_for_each_lost_run(folder: Folder) -> None:
    first, second = fail(folder), fail(folder, "other-01234567")
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
    assert 0 < retries["max_retries"] < MOST_RUNS


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


@unix
def test_a_run_whose_process_is_gone_is_lost_and_made_anew_from_the_start(folder: Folder) -> None:
    minder = minder_of(folder)
    assert minder.supports_check_run_worker_health
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = begun(folder, process.pid)
    assert minder.check_run_worker_health(run).status.value == "RUNNING"
    process.kill()
    process.wait()
    lost = minder.check_run_worker_health(run)
    assert lost.status.value == "NOT_FOUND"
    assert str(process.pid) in str(lost.msg)
    (run,) = folder.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
    assert run.tags[RETRY_STRATEGY_TAG] == "ALL_STEPS"


def test_a_run_that_nobody_began_yet_is_left_alone(folder: Folder) -> None:
    run = folder.run_of(KEY, WAITING)
    assert minder_of(folder).check_run_worker_health(run).status.value == "RUNNING"


@unix
def test_a_process_that_has_the_number_of_another_is_not_it() -> None:
    now = time.time()
    assert is_alive(os.getpid(), since=now)
    assert not is_alive(os.getpid(), since=now - 30 * 86400)
    assert not is_alive(2**22 + 1, since=now)


@unix
def test_other_systems_are_asked_by_their_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"S 01-02:03:04": 93784.0, "S 03:04": 184.0, "Z 00:01": None, "": None}
    for text, age_s in told.items():
        answer = subprocess.CompletedProcess([], 0, stdout=text)
        monkeypatch.setattr(launcher.subprocess, "run", lambda *_, a=answer, **__: a)
        assert launcher._age_by_ps(1) == age_s
