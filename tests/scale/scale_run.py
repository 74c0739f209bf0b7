"""Trials of a cluster that loses a worker: `python tests/scale/scale_run.py --trials 10`."""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
from scale_lab import Cluster, Lab, lab_on, missing_part

from cellstorm_assets.automation import PARTITION_TAG

from chaos_lab import films  # isort: skip - found by scale_lab

#: A worker is killed within this time after the first one begins.
_KILLED_WITHIN_S = 45.0
#: A piece is a matter of a second; for as long one is waited for, then any worker is taken.
_WAITED_FOR_S = 60.0
#: A look at the database costs as much as a step of a run.
_LOOKS_EACH_S = 10.0
#: What an undisturbed run may take, and how many times as long one that lost a worker.
_UNDISTURBED_S, _TIMES_UNDISTURBED = 900.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of the recordings of one trial.

    `killed` is ``run`` or ``piece``, empty in the undisturbed one; `is_done` whether all
    recordings ended right, and `different` the files that are not those of the local run.
    `told` holds what became of the runs of each recording that did not, or was run again.
    """

    killed: str
    killed_at_s: float
    seconds: float
    is_done: bool
    compared: int
    different: tuple[str, ...]
    told: tuple[str, ...]


def local_results(folder: Path, made: list[Path]) -> dict[str, str]:
    """Return the digests of the results of a run on this machine alone."""
    return Lab.at(folder / "local").undisturbed(made)


def trial(
    folder: Path, made: list[Path], expected: dict[str, str], *, seed: int, limit_s: float,
    kills: bool = True,
) -> Trial:  # fmt: skip
    """Process films on a cluster, kill a worker at a random moment, and compare."""
    rng, before = np.random.default_rng(seed), dict(os.environ)
    cluster = Cluster(folder=folder / f"cluster-{seed}")
    home = folder / f"lab-{seed}"
    home.mkdir(parents=True)
    lab: Lab | None = None
    try:
        cluster.start(home)
        lab = lab_on(cluster, home)
        keys = [lab.add(film) for film in made]
        began, killed, killed_at_s = time.monotonic(), "", 0.0
        lab.start()
        wait_s = float(rng.uniform(0, _KILLED_WITHIN_S)) if kills else np.inf
        wanted = str(rng.choice(("run", "piece")))
        begun_at, looks_at = None, began
        while time.monotonic() - began < limit_s:
            if begun_at is None and cluster.workers():
                begun_at = time.monotonic()
            late_s = -np.inf if begun_at is None else time.monotonic() - begun_at - wait_s
            if not killed and late_s > 0:
                killed = cluster.kill_a_worker(rng, wanted if late_s < _WAITED_FOR_S else "")
                killed_at_s = time.monotonic() - began
            if time.monotonic() > looks_at:
                if is_done(lab, keys):
                    break
                looks_at = time.monotonic() + _LOOKS_EACH_S
            time.sleep(0.1 if not killed and late_s > 0 else 1.0)
        seconds = time.monotonic() - began
        found = {**lab.results(), **cluster.results()}
        different = sorted(name for name in expected if found.get(name) != expected[name])
        return Trial(
            killed=killed, killed_at_s=killed_at_s, seconds=seconds, is_done=is_done(lab, keys),
            compared=len(expected), different=tuple(different), told=told_of(lab, keys),
        )  # fmt: skip
    finally:
        if lab is not None:
            lab.stop()
        cluster.stop()
        os.environ.clear()
        os.environ.update(before)


def is_done(lab: Lab, keys: list[str]) -> bool:
    """Return whether the newest run of every recording succeeded, with one look at the database."""
    with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="process_recordings"))
    newest: dict[str, dg.DagsterRun] = {}
    for run in runs:
        newest.setdefault(run.tags.get(PARTITION_TAG, ""), run)
    return all(key in newest and newest[key].status == dg.DagsterRunStatus.SUCCESS for key in keys)


def undisturbed_limit(folder: Path, made: list[Path], expected: dict[str, str]) -> float | None:
    """Return the seconds a trial may take; None when nothing is right undisturbed."""
    calm = trial(folder, made, expected, seed=0, limit_s=_UNDISTURBED_S, kills=False)
    print(json.dumps({"undisturbed": vars(calm)}), flush=True)
    is_right = calm.is_done and not calm.different
    return _TIMES_UNDISTURBED * calm.seconds if is_right else None


def told_of(lab: Lab, keys: list[str]) -> tuple[str, ...]:
    """Return the runs of each recording that was not right at once, and why they failed."""
    told = []
    with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
        for key in keys:
            runs = lab.runs(key)
            if len(runs) == 1 and runs[0].status == dg.DagsterRunStatus.SUCCESS:
                continue
            for run in reversed(runs):
                events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
                why = " ".join(event.dagster_event.message or "" for event in events)
                told.append(f"{key} {run.status.value} {' '.join(why.split())[:300]}".strip())
    return tuple(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, help="seconds; by default 3 x an undisturbed run")
    parser.add_argument("--minutes", type=float, default=60, help="no trial begins later")
    parser.add_argument("--folder", type=Path, help="keeps films and local results")
    given = parser.parse_args()
    if missing := missing_part():
        print(f"cannot be tried here: {missing}")
        return 1
    ends, bad, done = time.monotonic() + 60 * given.minutes, 0, 0
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        kept = given.folder or folder
        made = films(kept / "films", given.recordings, frames=320)
        before = dict(os.environ)
        expected = local_results(kept, made)
        os.environ.clear()
        os.environ.update(before)
        limit_s = given.limit or undisturbed_limit(folder, made, expected)
        if limit_s is None:
            print("the undisturbed recordings did not end right, so no worker is killed")
            return 1
        while done < given.trials and time.monotonic() < ends:
            told = trial(folder, made, expected, seed=given.seed + done, limit_s=limit_s)
            is_right = told.is_done and not told.different and bool(told.killed)
            done, bad = done + 1, bad + (not is_right)
            print(json.dumps({**vars(told), "right": is_right}), flush=True)
    print(f"{done - bad} of {done} trials ended right")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
