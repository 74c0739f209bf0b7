"""A disk that is full or read-only for a while, and two who work on the same recording."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import numpy as np
from chaos_kills import Outcome, judge
from chaos_lab import Lab, digest
from chaos_watch import Watcher

_DISK = "160m"
_RUNNING = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of 160 MB at a folder; False where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    is_mounted = _mounted("-t", "tmpfs", "-o", f"size={_DISK}", "none", str(folder))
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Make a folder read-only, for the owner of the machine too."""
    is_bound = _mounted("--bind", str(folder), str(folder))
    try:
        yield is_bound and _mounted("-o", "remount,bind,ro", str(folder))
    finally:
        if is_bound:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def _mounted(*words: str) -> bool:
    return subprocess.run(["mount", *words], check=False, capture_output=True).returncode == 0


def full_disk(
    lab: Lab, films: list[Path], reference: Lab, *, times: int, rng: np.random.Generator
) -> Outcome:
    """Fill the disk to a random rest at random moments, and empty it again after a while."""

    def disturb(number: int) -> str:
        ballast, rest = lab.project.home / "ballast", int(rng.integers(0, 1 << 20))
        written = _fill(ballast)
        with ballast.open("r+b") as stream:
            stream.truncate(max(0, written - rest))
        time.sleep(float(rng.uniform(8, 25)))
        ballast.unlink()
        return f"full disk, {rest >> 10} kB left"

    return _disturbed(lab, films, reference, disturb, kind="full disk", times=times, rng=rng)


def _fill(path: Path) -> int:
    """Write until there is no space; return how much was written."""
    written = 0
    try:
        with path.open("wb", buffering=0) as stream:
            while True:
                written += stream.write(bytes(1 << 20))
    except OSError:
        return written


def read_only_folders(
    lab: Lab, films: list[Path], reference: Lab, *, times: int, rng: np.random.Generator
) -> Outcome:
    """Make a folder read-only at random moments, and writable again after a while."""
    project = lab.project
    folders = (project.assets_folder, project.recordings_folder, project.home / "mlruns")

    def disturb(number: int) -> str:
        folder = folders[number % len(folders)]
        with read_only(folder) as is_so:
            time.sleep(float(rng.uniform(10, 20)) if is_so else 0.0)
        return f"{folder.name} read-only" if is_so else "read-only folders are not allowed here"

    return _disturbed(lab, films, reference, disturb, kind="read-only folder", times=times, rng=rng)


def two_at_once(
    lab: Lab, films: list[Path], reference: Lab, *, times: int, rng: np.random.Generator
) -> Outcome:
    """Let another process materialize the recording that the daemon works on."""

    def disturb(number: int) -> str:
        key = lab.add(films[number % len(films)])
        command = [
            *(sys.executable, "-m", "dagster", "asset", "materialize"),
            *("--select", "group:recordings", "--partition", key),
            *("-m", "cellstorm_assets.definitions"),
        ]
        done = subprocess.run(
            command, env=lab.environment, check=False, capture_output=True, text=True
        )
        return f"{key} twice, the other process ended with {done.returncode}"

    return _disturbed(
        lab,
        films,
        reference,
        disturb,
        kind="two on one recording",
        times=times,
        rng=rng,
        twice=True,
    )


def _disturbed(
    lab: Lab,
    films: list[Path],
    reference: Lab,
    disturb: Callable[[int], str],
    *,
    kind: str,
    times: int,
    rng: np.random.Generator,
    twice: bool = False,
) -> Outcome:
    """Process a film per trial, disturbed at a random moment; then wait until all are done."""
    outcome, keys = Outcome(), []
    inputs = {path.name: digest(path) for path in films}
    lab.start()
    began = time.monotonic()
    with Watcher(lab.project.assets_folder) as watcher:
        for number in range(min(times, len(films))):
            keys.append(lab.add(films[number]))
            _wait_for_work(lab, keys[-1])
            time.sleep(float(rng.uniform(0, 8)))
            outcome.trials[kind] += 1
            print(f"{time.monotonic() - began:7.1f} s  {kind}: {disturb(number)}", flush=True)
        if not lab.wait(keys, seconds=420):
            outcome.lost += [key for key in keys if not lab.is_done([key])]
    lab.stop()
    watcher.look()
    outcome.half_written += watcher.faults
    judge(lab, films[: len(keys)], keys, inputs, reference, outcome)
    if twice:
        outcome.duplicated = [text for text in outcome.duplicated if "2 runs succeeded" not in text]
    return outcome


def _wait_for_work(lab: Lab, key: str) -> None:
    """Wait until the daemon works on a recording."""
    ends = time.monotonic() + 90
    while time.monotonic() < ends:
        runs = lab.runs(key)
        if runs and (runs[0].status in _RUNNING or runs[0].is_finished):
            return
        if not lab.is_up():
            lab.start()
        time.sleep(0.5)
