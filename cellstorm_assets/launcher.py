"""Runs that lost their worker are noticed, also when nobody who started it is left to tell.

A run says which process works on it. Only one of this machine and container can be looked for; one
of elsewhere counts as lost when its run has said nothing for a day.
"""

import platform
import sys
import time

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import RETRY_STRATEGY_TAG

from cellstorm_lib.processes import ProcessMark, is_alive, is_gone, this_process

#: Which process works on a run: the run's first digits, its mark, and the machine's name.
PROCESS_TAG = "cellstorm/process"
#: A run of elsewhere that said nothing for so long is lost.
MOST_SILENT_S = 86400.0
#: Until when a run that has begun has told its process.
_TOLD_AFTER_S = 60.0
_RUN_DIGITS = 8
_HOUR_S = 3600


def tell_process(instance: dg.DagsterInstance, run_id: str) -> None:
    """Write on a run that this process works on it."""
    told = f"{run_id[:_RUN_DIGITS]} {this_process().text()} {platform.node()}"
    instance.add_run_tags(run_id, {PROCESS_TAG: told})


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
        found = _is_lost(run, event.pid, since=begun[-1].timestamp)
        if found is None:
            return self._of_elsewhere(run)
        if not found:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._lost(run, f"its process {event.pid} is gone")

    def _of_elsewhere(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return what is thought of a run whose process cannot be looked for."""
        place = run.tags[PROCESS_TAG].rpartition(" ")[2]
        where = f"its process is on another machine or in another container ({place})"
        limit = f"{MOST_SILENT_S / _HOUR_S:.0f} hours"
        events = self._instance.all_logs(run.run_id)
        own = [entry for entry in events if where not in entry.message]
        if time.time() - own[-1].timestamp > MOST_SILENT_S:
            return self._lost(run, f"{where}, and it has said nothing for {limit}")
        if len(own) == len(events):
            self._instance.report_engine_event(
                f"{where}, so it cannot be seen from here whether it lives; it counts as lost "
                f"when it says nothing for {limit}",
                run,
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _lost(self, run: dg.DagsterRun, why: str) -> CheckRunHealthResult:
        """Return that a run is lost."""
        # After a power cut what was written last is not trusted: the retry makes everything anew.
        self._instance.add_run_tags(run.run_id, {RETRY_STRATEGY_TAG: "ALL_STEPS"})
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"{why}; it is tried again")


def _is_lost(run: dg.DagsterRun, pid: int, *, since: float) -> bool | None:
    """Return whether the process that began a run is gone; None when that cannot be seen.

    One that does not say which process it is, as in an older version, is looked for by its number
    and its age.
    """
    told = run.tags.get(PROCESS_TAG, "").split(" ")
    mark = ProcessMark.parsed(told[1]) if len(told) > 1 else None
    if mark is None or mark.pid != pid or told[0] != run.run_id[:_RUN_DIGITS]:
        return time.time() - since > _TOLD_AFTER_S and not is_alive(pid, since=since)
    found = is_gone(mark)
    if found is False and not mark.began:  # a system that does not say when a process began
        return not is_alive(pid, since=since)
    return found
