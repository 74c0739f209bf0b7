"""Trials of a cluster that loses a worker: `python tests/scale/scale_run.py --trials 10`."""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scale_lab import Cluster, Lab, lab_on, missing_part

from chaos_lab import films  # isort: skip - found by scale_lab


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of the recordings of one trial.

    `killed` is ``run`` or ``piece``; `is_done` whether all recordings ended right, and
    `different` the files that are not those of the local run.
    """

    killed: str
    seconds: float
    is_done: bool
    compared: int
    different: tuple[str, ...]


def local_results(folder: Path, made: list[Path]) -> dict[str, str]:
    """Return the digests of the results of a run on this machine alone."""
    return Lab.at(folder / "local").undisturbed(made)


def trial(folder: Path, made: list[Path], expected: dict[str, str], *, seed: int) -> Trial:
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
        began, killed = time.monotonic(), ""
        lab.start()
        wait_s = float(rng.uniform(0, 45))
        begun_at = None
        while time.monotonic() - began < 420:
            if begun_at is None and cluster.workers():
                begun_at = time.monotonic()
            if not killed and begun_at is not None and time.monotonic() - begun_at > wait_s:
                killed = cluster.kill_a_worker(rng)
            if lab.is_done(keys):
                break
            time.sleep(1)
        found = {**lab.results(), **cluster.results()}
        # A report tells what its results were made from; that is read in the project's folder only.
        names = {name for name in expected if not name.startswith("recording_report/")}
        different = sorted(name for name in names if found.get(name) != expected[name])
        return Trial(
            killed=killed, seconds=time.monotonic() - began, is_done=lab.is_done(keys),
            compared=len(names), different=tuple(different),
        )  # fmt: skip
    finally:
        if lab is not None:
            lab.stop()
        cluster.stop()
        os.environ.clear()
        os.environ.update(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if missing := missing_part():
        print(f"cannot be tried here: {missing}")
        return 1
    bad = 0
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = films(folder / "films", given.recordings, frames=320)
        before = dict(os.environ)
        expected = local_results(folder, made)
        os.environ.clear()
        os.environ.update(before)
        for number in range(given.trials):
            told = trial(folder, made, expected, seed=given.seed + number)
            is_right = told.is_done and not told.different and bool(told.killed)
            bad += not is_right
            print(json.dumps({**vars(told), "right": is_right}), flush=True)
    print(f"{given.trials - bad} of {given.trials} trials ended right")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
