"""Runs that lost their worker are noticed, also when nobody who started it is left to tell."""

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import RETRY_STRATEGY_TAG

#: Between the start of a process and what it says first; clocks are set now and then.
_SLACK_S = 5.0
_DAY_S, _HOUR_S, _MINUTE_S = 86400, 3600, 60


class MindedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which also tells the daemon whether a run's worker still lives.

    Without that a run whose worker was killed together with the server that started it, by a
    power cut for instance, counts as working for ever, and holds its place in the queue.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether the daemon may ask."""
        return sys.platform != "win32"  # where a process cannot be asked without ending it

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process that began a run is still there."""
        begun = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
        event = begun[-1].dagster_event if begun else None
        if event is None or event.pid is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # it did not say yet who it is
        if is_alive(event.pid, since=begun[-1].timestamp):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        # After a power cut what was written last is not trusted: the retry makes everything anew.
        self._instance.add_run_tags(run.run_id, {RETRY_STRATEGY_TAG: "ALL_STEPS"})
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"its process {event.pid} is gone; it is tried again"
        )


def is_alive(pid: int, *, since: float) -> bool:
    """Return whether a process of this machine runs that ran at a time already.

    Parameters
    ----------
    pid : int
        Its number; numbers are given again after a while, and after every restart.
    since : float
        A time at which it ran, seconds since 1970.
    """
    age_s = _age_s(pid)
    return age_s is not None and time.time() - age_s <= since + _SLACK_S


def _age_s(pid: int) -> float | None:
    """Return how long ago a process began; None when there is none, or only its ashes."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _age_by_ps(pid)
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        up_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else up_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _age_by_ps(pid: int) -> float | None:
    """Return the same by the command that every Unix has."""
    told = subprocess.run(  # noqa: S603 - a number, and no shell
        ["ps", "-o", "stat=", "-o", "etime=", "-p", str(pid)],  # noqa: S607 - where it is differs
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if len(told) != 2 or told[0].startswith("Z"):
        return None
    days, _, clock = told[1].rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return float(int(days or 0) * _DAY_S + hours * _HOUR_S + minutes * _MINUTE_S + seconds)
