"""Runs that ended for no fault of what they worked on are asked for again, until one succeeds.

Dagster retries a run that lost its worker from where it was. It does so once, though: when the
server with the code cannot be reached at that moment, or when nobody listened yet, it never
comes back to it. A step that met a full disk is given up after a few tries. And where a power cut
left half a result, whatever reads it fails: then the recording is made anew from the beginning.
"""

import json
import time
from collections.abc import Iterator
from itertools import takewhile

import dagster as dg
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import PRIORITY_TAG, RUN_FAILURE_REASON_TAG, WILL_RETRY_TAG

from cellstorm_assets.automation import (
    PARTITION_TAG,
    calibrate_cameras,
    make_training_pairs,
    process_recordings,
)
from cellstorm_assets.denoising import stack_of
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.schedules import may_have_passed

#: Failed runs of one partition, with no success between them, after which there is more and more
#: time between them: what ends its worker each time may be its own fault. It is never given up, for
#: the machine may be at fault, too.
EAGER_RUNS = 15
#: Runs of a partition that are counted; with so many the wait is the longest anyway.
_MOST_COUNTED = 40
#: Failed runs looked at in one tick, the newest of each job.
_MOST_LOOKED_AT = 200
#: Dagster's own retry comes within seconds.
_GRACE_S = 120.0
#: Wait after the first failure, and at most, for a disk to be emptied; it doubles each time.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 6 * 3600.0
_CANNOT_LOAD = "DagsterExecutionLoadInputError"
#: What a launcher was asked for may not be known everywhere at once.
_LAUNCH_S = 60.0
#: For looking at runs that start; a tick has a minute, and a cluster may answer late.
_LOOK_S = 20.0
_GONE = (WorkerStatus.FAILED, WorkerStatus.NOT_FOUND)
_JOBS = (process_recordings, calibrate_cameras, make_training_pairs)


@dg.sensor(
    jobs=_JOBS,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks again for runs that lost their worker and were not retried, and for those "
    "that met a full disk, after a while. A bad file is not asked for again.",
)
def lost_runs(
    context: dg.SensorEvaluationContext, project: ProjectResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask again for what failed for a reason that passes.

    The cursor holds the failed runs that are settled, so that each is judged once.
    """
    for run_id in lost_at_start(context.instance, now=time.time()):
        context.log.info(f"{run_id} lost its worker before it began")
    settled: set[str] = set(json.loads(context.cursor or "[]"))
    seen: set[str] = set()
    requests: list[dg.RunRequest] = []
    for job in _JOBS:
        for record in _failed(context.instance, job.name):
            run = record.dagster_run
            seen.add(run.run_id)
            if run.run_id in settled:
                continue
            request = again(context.instance, record, project.project(), now=time.time())
            if request is None:
                settled.add(run.run_id)
            elif isinstance(request, dg.RunRequest):
                # Dagster, should it come to it later, is not to try it again as well.
                context.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
                requests.append(request)
                settled.add(run.run_id)
    cursor = json.dumps(sorted(settled & seen))
    if not requests and cursor == context.cursor:
        return dg.SkipReason("no lost run")
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def lost_at_start(instance: dg.DagsterInstance, *, now: float) -> list[str]:
    """Let runs fail whose worker was lost before it began; Dagster then tries them again.

    Dagster asks for the workers of runs that have begun only. The others it gives up after a time
    that must be long where runs wait for a place in a cluster.

    Parameters
    ----------
    now : float
        Seconds since 1970.

    Returns
    -------
    list of str
        Their identifiers.
    """
    launcher, lost = instance.run_launcher, []
    if not launcher.supports_check_run_worker_health:
        return []
    starting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
    ends = time.monotonic() + _LOOK_S
    for run in instance.get_runs(starting, limit=_MOST_LOOKED_AT):
        if time.monotonic() > ends:
            break
        launched = instance.get_run_stats(run.run_id).launch_time
        if launched is None or now - launched < _LAUNCH_S:
            continue
        found = launcher.check_run_worker_health(run)
        still = instance.get_run_by_id(run.run_id)
        if found.status in _GONE and still is not None and still.status == run.status:
            instance.report_run_failed(still, f"lost its worker before it began: {found.msg}")
            lost.append(run.run_id)
    return lost


def _failed(instance: dg.DagsterInstance, job: str) -> Iterator[dg.RunRecord]:
    """Yield the newest failed runs of a job that worked on a partition."""
    wanted = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(wanted, limit=_MOST_LOOKED_AT):
        if PARTITION_TAG in record.dagster_run.tags:
            yield record


def again(
    instance: dg.DagsterInstance, record: dg.RunRecord, project: Project, *, now: float
) -> dg.RunRequest | float | None:
    """Return the request for a run in place of a failed one.

    Parameters
    ----------
    record : RunRecord
        The run that failed.
    project : Project
        Whose results it read.
    now : float
        Seconds since 1970.

    Returns
    -------
    RunRequest, float or None
        The request; or how many seconds are left until there may be one; or None when there is
        nothing to be asked for: a bad file, or a newer run.
    """
    run = record.dagster_run
    key = run.tags[PARTITION_TAG]
    wanted = dg.RunsFilter(job_name=run.job_name, tags={PARTITION_TAG: key})
    others = instance.get_runs(wanted, limit=_MOST_COUNTED)
    failures = len(list(takewhile(lambda it: it.status == dg.DagsterRunStatus.FAILURE, others)))
    if others[0].run_id != run.run_id:
        return None
    has_failed_step = run.tags.get(RUN_FAILURE_REASON_TAG) == "STEP_FAILURE"
    is_damaged = has_failed_step and has_read_damage(instance, run, project)
    if has_failed_step and not is_damaged and not may_have_passed(instance, run):
        return None
    if has_failed_step and not is_damaged:
        wait_s = _growing_wait_s(failures)
    else:
        grace_s = _GRACE_S if run.tags.get(WILL_RETRY_TAG) == "true" else 0.0
        wait_s = max(grace_s, _growing_wait_s(failures - EAGER_RUNS))
    left_s = (record.end_time or now) + wait_s - now
    if left_s > 0:
        return left_s
    return dg.RunRequest(
        run_key=f"{run.run_id}-again",
        partition_key=key,
        job_name=run.job_name,
        asset_selection=None
        if is_damaged or run.asset_selection is None
        else sorted(run.asset_selection),
        tags={name: value for name, value in run.tags.items() if _is_kept(name)},
        run_config=run.run_config,
    )


def _growing_wait_s(doublings: int) -> float:
    """Return a wait that doubles from one failure to the next; 0 when it has not begun."""
    return 0.0 if doublings < 0 else min(_FIRST_WAIT_S * 2.0**doublings, _LONGEST_WAIT_S)


def has_read_damage(instance: dg.DagsterInstance, run: dg.DagsterRun, project: Project) -> bool:
    """Return whether a step failed because a stored result it reads is damaged or gone.

    The step said so itself: to read a long stack once more would take longer than a tick may.
    """
    stack = stack_of(project, run.tags[PARTITION_TAG])
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = record.dagster_event
        error = None if event is None else event.step_failure_data.error
        if event is None or error is None:
            continue
        is_reader = event.step_key != stack.parent.name
        if error.cls_name == _CANNOT_LOAD or (is_reader and stack.name in error.message):
            return True
    return False


def _is_kept(tag: str) -> bool:
    """Return whether a tag of a run stays on the one in its place."""
    return tag.startswith("cellstorm/") or tag == PRIORITY_TAG
