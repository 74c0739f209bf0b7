"""What happens by the clock: results that no longer fit the project are made anew.

So are those that are missing since a run failed, once what that run depended on has changed.
"""

import time
from collections.abc import Mapping
from itertools import takewhile

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG, WILL_RETRY_TAG

from cellstorm_assets.automation import PARTITION_TAG, new_recordings, process_recordings
from cellstorm_assets.lineage import Present, RecordingLineage, has_results, lineages
from cellstorm_assets.lineage_checks import tell_page
from cellstorm_assets.metadata import said_plainly
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.run_inputs import (
    INPUTS_TAG,
    changed_kinds,
    inputs_of_run,
    kinds_that_matter,
    missing_results,
    tag_of,
)
from cellstorm_assets.watching import Watch
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.lineage import STEPS, identity_of, results_after

#: Runs for stale results that wait or work at a time; new recordings go before them.
MOST_AT_A_TIME = 10
#: Runs for the same inputs, when what stopped them may pass.
MOST_ATTEMPTS = 5
#: Which inputs a run was asked for.
STALE_TAG = "cellstorm/stale"
#: Why, for the page.
REASON_TAG = "cellstorm/why"
_REASON_LENGTH = 200
#: The newest runs of a recording; of those before them nothing is asked.
_MOST_RUNS_LOOKED_AT = 50
_TAG_LENGTH = 16
#: Dagster tries a run again within seconds after its end, or soon after its daemon starts.
_OWN_RETRY_S = 600.0
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
#: Made by one step, so one is not made without the other.
_TOGETHER = {"frame_facts", "widefield"}


@dg.schedule(
    job=process_recordings,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Makes anew what no longer fits: results of recordings whose camera, region, "
    "settings, champion or code changed, and what a run that failed could not make, once what it "
    "lacked is there. A few at a time; each is asked for once.",
)
def reprocess_stale(
    context: dg.ScheduleEvaluationContext, project: ProjectResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a run of every recording with stale results, and write the checks of the page."""
    told = stale_requests(context.instance, project.project(), films_there(context.instance))
    for request in [] if isinstance(told, dg.SkipReason) else told:
        context.log.info(f"{request.partition_key}: {request.tags[REASON_TAG]}")
    return told


def stale_requests(
    instance: dg.DagsterInstance, project: Project, films: Mapping[str, str] | None
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return requests for the recordings with stale results that nothing stands against.

    `films`: the file of each recording whose film is there, by its key; None when that is not
    known.
    """
    with said_plainly():
        known = sorted(instance.get_dynamic_partitions("recording"))
        present = Present(project)
        found = list(lineages(present, known))
    tell_page(instance, found)
    running = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    busy = {run.tags.get(PARTITION_TAG, "") for run in running}
    room = MOST_AT_A_TIME - sum(STALE_TAG in run.tags for run in running)
    requests: list[dg.RunRequest] = []
    for each in sorted(found, key=lambda one: bool(one.standings)):  # what has no result yet first
        if len(requests) >= room:
            break
        is_there = films is None or each.key in films
        if each.key in busy or not is_there or not _first_wanted(each):
            continue
        inputs = inputs_of_run(present, each.key, films[each.key]) if films else {}
        why = _why_again(instance, each, inputs)
        if why and not is_tried_again(instance, each.key, now=time.time()):
            requests.append(request_for(project, each, why, inputs))
    if requests:
        return requests
    count = sum(bool(each.stale(with_deliberate=False)) for each in found)
    left = f"the {count} stale ones are under way, failed for good, or lack their film"
    return dg.SkipReason(f"{len(found)} recordings: {left if count else 'none is stale'}")


def films_there(instance: dg.DagsterInstance) -> dict[str, str] | None:
    """Return the films the sensor saw, by the keys of their recordings; None if it never looked."""
    for state in instance.all_instigator_state():
        if state.instigator_name == new_recordings.name and state.instigator_data is not None:
            seen = Watch.parsed(getattr(state.instigator_data, "cursor", None))
            if seen.files:
                return seen.names_by_key()
    return None


def _first_wanted(lineage: RecordingLineage) -> list[str]:
    """Return the results that are stale, else those that are missing, in the order of the work."""
    return lineage.stale(with_deliberate=False) or missing_results(lineage)


def _why_again(
    instance: dg.DagsterInstance, lineage: RecordingLineage, inputs: Mapping[str, str]
) -> str:
    """Return why a recording is to be run again; nothing where it is not."""
    stale = lineage.stale(with_deliberate=False)
    if stale:
        return "" if was_asked(instance, lineage) else lineage.standings[stale[0]].reason
    if not inputs:  # which file it is is not known
        return ""
    return _why_after_failure(instance, lineage.key, missing_results(lineage), inputs)


def _why_after_failure(
    instance: dg.DagsterInstance, key: str, missing: list[str], inputs: Mapping[str, str]
) -> str:
    """Return what changed since a run failed that may have kept it from making what is missing.

    Nothing when it did not fail. Of a run that someone else asked for, the inputs are not known:
    those of the last one that tells count; without any, the recording is asked for once.
    """
    wanted = dg.RunsFilter(job_name=process_recordings.name, tags={PARTITION_TAG: key})
    runs = instance.get_runs(wanted, limit=_MOST_RUNS_LOOKED_AT)
    if not runs or runs[0].status != dg.DagsterRunStatus.FAILURE:
        return ""
    told = next((run.tags[INPUTS_TAG] for run in runs if INPUTS_TAG in run.tags), None)
    if told is None:
        return "its run failed, and it is not known with which inputs"
    changed = changed_kinds(told, inputs, kinds_that_matter(missing))
    return f"its run failed, and since then changed: {', '.join(changed)}" if changed else ""


def is_tried_again(instance: dg.DagsterInstance, key: str, *, now: float) -> bool:
    """Return whether Dagster is about to try the newest run of a recording again by itself.

    It marks the run so when it fails. Where no other came of it after a while, none will.

    Parameters
    ----------
    now : float
        Seconds since 1970.
    """
    wanted = dg.RunsFilter(job_name=process_recordings.name, tags={PARTITION_TAG: key})
    for newest in instance.get_run_records(wanted, limit=1):
        is_marked = newest.dagster_run.tags.get(WILL_RETRY_TAG) == "true"
        return is_marked and now - (newest.end_time or now) < _OWN_RETRY_S
    return False


def inputs_tag(lineage: RecordingLineage) -> str:
    """Return what is the same as long as nothing changes that a run could do differently.

    First the inputs as they are now, then what is stale.
    """
    now = {name: identity_of(value) for name, value in lineage.now.items()}
    stale = lineage.stale(with_deliberate=False)
    return f"{digest_of(now)[:_TAG_LENGTH]}-{digest_of(stale)[:_TAG_LENGTH]}"


def was_asked(instance: dg.DagsterInstance, lineage: RecordingLineage) -> bool:
    """Return whether a run for these very inputs was asked for, and another would do no better.

    What was asked for before other inputs came between says nothing: they may have come back.
    """
    tags = {PARTITION_TAG: lineage.key}
    runs = instance.get_runs(dg.RunsFilter(job_name=process_recordings.name, tags=tags))
    asked, wanted = [run for run in runs if STALE_TAG in run.tags], inputs_tag(lineage)
    if not asked:
        return False
    newest, has_failed = asked[0].tags[STALE_TAG], asked[0].status == dg.DagsterRunStatus.FAILURE
    if has_failed and not may_have_passed(instance, asked[0]):  # also when it did half of it
        return newest.partition("-")[0] == wanted.partition("-")[0]
    attempts = len(list(takewhile(lambda run: run.tags[STALE_TAG] == wanted, asked)))
    return attempts >= (MOST_ATTEMPTS if has_failed else 1)


def may_have_passed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a run failed by what may pass: its step was tried again, or its worker died.

    A step that fails for a bad file is not tried again, see `said_plainly`.
    """
    kinds = {
        record.dagster_event.event_type
        for record in instance.all_logs(
            run.run_id,
            of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY},
        )
        if record.dagster_event is not None
    }
    return (
        dg.DagsterEventType.STEP_FAILURE not in kinds
        or dg.DagsterEventType.STEP_UP_FOR_RETRY in kinds
    )


def request_for(
    project: Project, lineage: RecordingLineage, why: str, inputs: Mapping[str, str]
) -> dg.RunRequest:
    """Return the request for a run that makes what is stale or missing of a recording anew.

    The others stay, unless one that is needed is gone.
    """
    names = set(results_after(_first_wanted(lineage)))
    if names & _TOGETHER:
        names |= _TOGETHER
    needed = {source for name in names for source in STEPS[name].results} - names
    selected = [dg.AssetKey(name.split("/")) for name in STEPS if name in names]
    is_whole = has_results(project, needed, lineage.key)
    return dg.RunRequest(
        partition_key=lineage.key,
        run_key=f"{lineage.key}-{inputs_tag(lineage)}",
        tags={
            STALE_TAG: inputs_tag(lineage),
            REASON_TAG: why[:_REASON_LENGTH],
            PRIORITY_TAG: "-1",
            **(tag_of(inputs) if inputs else {}),
        },
        asset_selection=selected if is_whole and len(names) < len(STEPS) else None,
    )
