"""What is thought of runs on a cluster whose head is slow, away, or a new one."""

import pytest

pytest.importorskip("dagster_ray", reason="pip install 'cellstorm[scale]'")

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import WorkerStatus
from dagster_ray import RayRunLauncher
from ray.exceptions import AuthenticationError

from cellstorm_assets import ray_launcher
from cellstorm_assets.ray_launcher import MindedRayRunLauncher

RUN = dg.DagsterRun(job_name="process_recordings", status=dg.DagsterRunStatus.STARTED)
ADDRESS = "http://127.0.0.1:9"


@pytest.fixture
def launcher() -> MindedRayRunLauncher:
    return MindedRayRunLauncher(address=ADDRESS)


def saying(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> list[str]:
    """Let Ray's client answer with an error; return the commands that were handed to it."""
    told: list[str] = []

    def submit(_: object, __: str, entrypoint: str, ___: dg.DagsterRun) -> None:
        told.append(entrypoint)
        if error is not None:
            raise error

    def status(*_: object) -> str:
        if error is not None:
            raise error
        return "RUNNING"

    class Client:
        get_job_status = status

    class Instance:
        def count_resume_run_attempts(self, _: str) -> int:
            return 0

    monkeypatch.setattr(RayRunLauncher, "_launch_ray_job", submit)
    monkeypatch.setattr(MindedRayRunLauncher, "client", Client())
    monkeypatch.setattr(MindedRayRunLauncher, "_instance", Instance())
    return told


def test_a_run_is_one_process(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = saying(monkeypatch, None)
    launcher._launch_ray_job("id", "dagster api execute_run '{}'", RUN)
    assert told == ["exec dagster api execute_run '{}'"]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Failed to connect to Ray"),
        TimeoutError("timed out"),
        RuntimeError("Request failed with status code 503: busy."),
    ],
)
def test_a_run_waits_in_the_queue_while_the_head_is_away(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    saying(monkeypatch, error)
    expected = f"the Ray cluster at {ADDRESS} does not answer; start its head with `ray start"
    with pytest.raises(DagsterUserCodeUnreachableError, match=expected):
        launcher._launch_ray_job("id", "dagster", RUN)


def test_what_was_asked_wrongly_fails_and_what_was_asked_twice_does_not(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    saying(monkeypatch, RuntimeError("Request failed with status code 400: bad runtime_env."))
    with pytest.raises(RuntimeError, match="bad runtime_env"):
        launcher._launch_ray_job("id", "dagster", RUN)
    saying(monkeypatch, RuntimeError("status code 500: submission_id id already exists."))
    launcher._launch_ray_job("id", "dagster", RUN)


def test_a_run_that_the_head_does_not_know_is_lost(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    saying(monkeypatch, RuntimeError("status code 404: Job dagster-run-1 does not exist."))
    assert launcher.check_run_worker_health(RUN).status == WorkerStatus.NOT_FOUND


@pytest.mark.parametrize("error", [ConnectionError("refused"), RuntimeError("status code 500")])
def test_a_silent_head_is_trusted_for_a_while(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    saying(monkeypatch, error)
    now = [0.0]
    monkeypatch.setattr(ray_launcher.time, "monotonic", lambda: now[0])
    assert launcher.check_run_worker_health(RUN).status == WorkerStatus.RUNNING
    now[0] = 599.0
    assert launcher.check_run_worker_health(RUN).status == WorkerStatus.RUNNING
    now[0] = 601.0
    found = launcher.check_run_worker_health(RUN)
    assert found.status == WorkerStatus.UNKNOWN
    assert found.msg == f"the Ray cluster at {ADDRESS} gave no answer for 601 s; it is tried again"


def test_a_cluster_that_asks_who_we_are(
    launcher: MindedRayRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    saying(monkeypatch, AuthenticationError("Unauthorized: Missing authentication token"))
    with pytest.raises(DagsterUserCodeUnreachableError, match="does not let us in; set RAY_AUTH_M"):
        launcher._launch_ray_job("id", "dagster", RUN)
    assert launcher.check_run_worker_health(RUN).status == WorkerStatus.RUNNING


def test_requests_end(launcher: MindedRayRunLauncher) -> None:
    with pytest.raises(ConnectionError):
        launcher.client.get_job_status("id")
