"""Hundreds of recordings through the real servers: `python tests/chaos/soak_run.py --help`.

The recordings arrive at once. At the end each must be there once, made by one run, with the same
numbers as when its film is processed by itself, and the servers may not have grown: memory and
open files are fitted over the recordings done, after a warm-up. With too little time the rest of
the queue is left, and said so.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG as FAILURE_TAG

sys.path.insert(0, str(Path(__file__).parent))
from chaos_lab import Lab, Process, films
from soak_watch import Scales, wait_until

import cellstorm_assets
from cellstorm_assets.access import token_of
from cellstorm_assets.automation import process_recordings
from cellstorm_assets.serve import commands_of
from cellstorm_lib.video.tiff import read_image

#: Films that really differ; the others are these with other bytes after the last box.
BASES = 4
FRAMES, SIDE_PX = 60, 64
#: Fewer say nothing of a thousand: caches fill, and the queue is written.
LEAST_DONE = 50
#: Growth that is surely there and more than this, in 1,000 recordings, is a fault.
MOST_MB, MOST_FILES = 100.0, 20.0
#: As every project has it.
INSTANCE = Path(cellstorm_assets.__file__).parent / "instance.yaml"
TABLES = ("frame_facts", "raw/spots", "raw/localizations")
IMAGES = ("widefield", "raw/super_resolution")
_QUERY = "{ runsOrError(limit: 25) { ... on Runs { results { runId status } } } }"


@dataclass(kw_only=True)
class Soaked:
    """What came of it; `faults` should be empty."""

    asked: int
    done: int
    seconds: float
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Page:
    """The Dagster page of a lab, asked again and again as a browser does."""

    def __init__(self, lab: Lab) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}/graphql"
        self._headers = {
            "Authorization": f"Bearer {token_of(lab.project)}",
            "Content-Type": "application/json",
        }
        with (lab.project.home / "server-logs" / "page.log").open("wb") as log:
            self.process = subprocess.Popen(
                commands_of(port, 0)["dagster page"], env=lab.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def asked(self, query: str = _QUERY) -> Any:
        """Return what the page answers; None while it cannot."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(self._url, data=body, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None


def copies(bases: list[Path], folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Return films with content of their own, each with the one whose frames it has.

    A box that readers skip is put at the end: other bytes, the same film.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        base, target = bases[number % len(bases)], folder / f"soak {number:04}.mp4"
        filler = number.to_bytes(8, "big")
        box = (8 + len(filler)).to_bytes(4, "big") + b"free" + filler
        target.write_bytes(base.read_bytes() + box)
        made.append((target, base))
    return made


def soak(folder: Path, *, recordings: int, seconds: float) -> Soaked:
    """Put all recordings into the watched folder, wait until the queue is empty, and judge."""
    bases = films(folder / "films", min(BASES, recordings), frames=FRAMES, side_px=SIDE_PX)
    reference = Lab.at(folder / "undisturbed")
    reference.undisturbed(bases)
    wanted = {base: reference.add(base) for base in bases}
    lab = Lab.at(folder / "lab", instance=INSTANCE.read_text(encoding="utf-8"))
    made = copies(bases, folder / "copies", recordings)
    keys = {lab.add(path): wanted[base] for path, base in made}
    began = time.monotonic()
    lab.start()
    page = Page(lab)
    lab.sessions.append(page.process.pid)
    done = 0

    def is_drained() -> bool:
        nonlocal done
        page.asked()
        done = sum(run.status == dg.DagsterRunStatus.SUCCESS for run in _runs(lab))
        print(f"{time.monotonic() - began:7.0f} s  {done} of {recordings} done", flush=True)
        return done >= recordings

    try:
        with Scales(servers=lambda: _servers(lab, page), done=lambda: done) as scales:
            is_drained_in_time = wait_until(is_drained, seconds=seconds, every_s=5.0)
    finally:
        lab.stop()
    outcome = Soaked(asked=recordings, done=done, seconds=time.monotonic() - began)
    if not is_drained_in_time:
        outcome.remarks.append(f"no time for {recordings - done} of {recordings} recordings")
    judge_recordings(lab, reference, keys, outcome, is_over=is_drained_in_time)
    judge_servers(scales, outcome)
    return outcome


def _runs(lab: Lab) -> list[dg.DagsterRun]:
    with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
        return list(instance.get_runs(dg.RunsFilter(job_name=process_recordings.name)))


def _servers(lab: Lab, page: Page) -> list[Process]:
    """Return the processes that stay, each by what it is; those of runs come and go."""
    named = []
    for process in lab.processes():
        session = Path(f"/proc/{process.pid}/stat")
        try:
            is_of_page = int(session.read_text().rpartition(")")[2].split()[3]) == page.process.pid
        except (OSError, IndexError, ValueError):
            continue
        if process.pid == page.process.pid:
            named.append(Process(pid=process.pid, kind="page"))
        elif process.kind == "daemon" and not is_of_page:
            named.append(process)
        elif process.kind == "code server":
            name = "code server of the page" if is_of_page else "code server of the daemon"
            named.append(Process(pid=process.pid, kind=name))
    return named


def judge_recordings(
    lab: Lab, reference: Lab, keys: dict[str, str], outcome: Soaked, *, is_over: bool
) -> None:
    """Look at every recording: there once, made once, with the right numbers."""
    with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
        known = instance.get_dynamic_partitions("recording")
    outcome.faults += [f"{key} came from nowhere" for key in known if key not in keys]
    runs: dict[str, list[dg.DagsterRun]] = {}
    for run in _runs(lab):
        runs.setdefault(run.tags["dagster/partition"], []).append(run)
    compared = 0
    for key, like in keys.items():
        own = [run.status for run in runs.get(key, [])]
        is_done = dg.DagsterRunStatus.SUCCESS in own
        late = [run for run in runs.get(key, []) if run.tags.get(FAILURE_TAG) == "START_TIMEOUT"]
        outcome.remarks += [f"{key}: a run began too late and was asked for again" for _ in late]
        if len(own) - len(late) > 1 or (is_over and not is_done):
            outcome.faults.append(f"{key} has {len(own)} runs: {[each.name for each in own]}")
        if is_done:
            compared += 1
            outcome.faults += _differences(lab, reference, key, like)
    outcome.remarks.append(f"{compared} recordings compared with their film processed by itself")


def _differences(lab: Lab, reference: Lab, key: str, like: str) -> list[str]:
    """Return which results of a recording have other numbers than those of the same film."""
    ours, theirs = lab.project.assets_folder, reference.project.assets_folder
    wrong = []
    for name in TABLES:
        one, two = (
            pd.read_parquet(folder / name / f"{each}.parquet")
            for folder, each in ((ours, key), (theirs, like))
        )
        if not one.equals(two):
            wrong.append(f"{key}: {name} differs")
    for name in IMAGES:
        one_image, _ = read_image(ours / name / f"{key}.tif")
        two_image, _ = read_image(theirs / name / f"{like}.tif")
        if not np.array_equal(one_image, two_image):
            wrong.append(f"{key}: {name} differs")
    if not (ours / "recording_report" / f"{key}.html").is_file():
        wrong.append(f"{key}: no report")
    return wrong


def judge_servers(scales: Scales, outcome: Soaked) -> None:
    """Tell how the servers grew; growth that is surely more than allowed is a fault."""
    if outcome.done < LEAST_DONE:
        outcome.remarks.append(f"{outcome.done} recordings are too few to judge growth by")
    for kind in sorted(scales.samples):
        memory, files = scales.growth(kind)
        outcome.remarks.append(
            f"{kind}: {memory.first:.0f} -> {memory.last:.0f} MB (most {memory.most:.0f}), "
            f"{memory.per_1000:+.0f} +- {memory.error:.0f} MB in 1,000 recordings; "
            f"{files.first:.0f} -> {files.last:.0f} open files, "
            f"{files.per_1000:+.1f} +- {files.error:.1f} in 1,000"
        )
        if outcome.done < LEAST_DONE:
            continue
        if memory.at_least > MOST_MB:
            outcome.faults.append(f"the {kind} grows by {memory.per_1000:.0f} MB in 1,000")
        if files.at_least > MOST_FILES:
            outcome.faults.append(f"the {kind} opens {files.per_1000:.0f} files more in 1,000")


def main() -> int:
    """Soak; return 1 when a recording is wrong or a server grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--keep", help="folder to work in, kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cellstorm-soak-") as name:
        outcome = soak(
            Path(options.keep or name),
            recordings=options.recordings,
            seconds=60.0 * options.minutes,
        )
    print(f"\n{outcome.done} of {outcome.asked} recordings in {outcome.seconds:.0f} s")
    for line in (*outcome.remarks, *(f"FAULT {fault}" for fault in outcome.faults)):
        print(f"  {line}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
