"""Runs on a Ray cluster: they wait while its head does not answer, and lost ones are noticed."""

import logging
import time
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_ray import RayRunLauncher
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

_logger = logging.getLogger(__name__)
#: An overloaded head answers late; one that is gone never does.
_ANSWER_S = 20.0
#: A head that is silent for as long has lost its runs: its nodes end them within a minute or two.
_PATIENCE_S = 600.0
_UNKNOWN_JOB, _TWICE = "does not exist", "already exists"


class _Client(JobSubmissionClient):  # type: ignore[misc, unused-ignore]
    """Ray's own, which does not wait for ever."""

    def _do_request(self, method: str, endpoint: str, **given: Any) -> Any:
        """Send a request."""
        return super()._do_request(method, endpoint, **{"timeout": _ANSWER_S, **given})


class MindedRayRunLauncher(RayRunLauncher):  # type: ignore[misc, unused-ignore]
    """The launcher of dagster-ray, which copes with a head that is slow, away or new.

    A run is one process, so that what ends it ends all of it. A run for which the head cannot be
    reached goes back into the queue. A head that gives no answer says nothing of its runs, for a
    while; one that does not know a run has lost it.
    """

    _silent_since: float | None = None

    @cached_property
    def client(self) -> Any:
        """Ray's client."""
        return _Client(
            self.address, metadata=self.metadata, headers=self.headers, cookies=self.cookies
        )

    def _launch_ray_job(self, submission_id: str, entrypoint: str, run: dg.DagsterRun) -> None:
        """Hand a run to the head, once."""
        try:
            super()._launch_ray_job(submission_id, f"exec {entrypoint}", run)
        except AuthenticationError as error:
            raise DagsterUserCodeUnreachableError(f"{self._refusal}; the run waits") from error
        except (OSError, RuntimeError) as error:
            if _TWICE in str(error):  # its answer was lost the first time
                return
            if isinstance(error, OSError) or _is_of_the_head(error):
                raise DagsterUserCodeUnreachableError(
                    f"the Ray cluster at {self.address} does not answer; start its head with `ray "
                    "start --head`, or correct CELLSTORM_RAY_JOBS; the run waits in the queue"
                ) from error
            raise

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the run is still worked on, as far as the head tells."""
        try:
            found: CheckRunHealthResult = super().check_run_worker_health(run)
        except AuthenticationError:
            found = CheckRunHealthResult(WorkerStatus.UNKNOWN, self._refusal)
        except OSError as error:
            found = CheckRunHealthResult(WorkerStatus.UNKNOWN, str(error))
        if found.status != WorkerStatus.UNKNOWN:
            self._silent_since = None
            return found
        if _UNKNOWN_JOB in (found.msg or ""):
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND, "the Ray cluster does not know it; it is tried again"
            )
        return self._of_silent_head(found.msg or "", now=time.monotonic())

    @property
    def _refusal(self) -> str:
        """What to say when the cluster asks who we are."""
        return (
            f"the Ray cluster at {self.address} does not let us in; set RAY_AUTH_MODE=token and "
            "the cluster's RAY_AUTH_TOKEN for all services"
        )

    def _of_silent_head(self, said: str, *, now: float) -> CheckRunHealthResult:
        """Return what is thought of a run whose head does not answer."""
        if self._silent_since is None:
            self._silent_since = now
        silent_s = now - self._silent_since
        told = f"the Ray cluster at {self.address} gave no answer for {silent_s:.0f} s"
        if silent_s > _PATIENCE_S:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, f"{told}; it is tried again")
        _logger.warning("%s (%s); start its head, if it does not run", told, said[:200])
        return CheckRunHealthResult(WorkerStatus.RUNNING, told)


def _is_of_the_head(error: RuntimeError) -> bool:
    """Return whether an answer speaks of the head's own state, and not of what it was asked."""
    return any(f"status code {code}" in str(error) for code in (500, 502, 503, 504))
