"""Recordings an hour on Ray beside the local default: `python tests/scale/throughput_run.py`.

The same films through the daemon of a workstation, through a Ray node on the same machine, and
through one with PostgreSQL and a store beside it, as they are deployed, two recordings at a time
(or `--at-once` on Ray); from the first run that is asked for to the last end.
"""

import argparse
import os
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import dagster as dg
from scale_lab import Cluster, Lab, lab_on, missing_part
from scale_run import films, is_done

import cellstorm_assets
from cellstorm_lib.chunks import FAN_OUT_PX

_INSTANCE = Path(cellstorm_assets.__file__).with_name("instance.yaml")
_LOOKS_EACH_S = 5.0
_AS_DEPLOYED_S = 10


def seconds_of(lab: Lab, made: list[Path], *, limit_s: float) -> float:
    """Process films; return the seconds from the first request to the last end, by the clock."""
    keys = [lab.add(film) for film in made]
    ends = time.monotonic() + limit_s
    lab.start()
    try:
        while not is_done(lab, keys):
            if time.monotonic() > ends:
                raise TimeoutError(f"{lab.project.home}: not done after {limit_s:g} s")
            time.sleep(_LOOKS_EACH_S)
        with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
            wanted = dg.RunsFilter(job_name="process_recordings")
            records = instance.get_run_records(wanted)
    finally:
        lab.stop()
    began = min(record.create_timestamp.timestamp() for record in records)
    return max(record.end_time or 0.0 for record in records) - began


def local_seconds(folder: Path, made: list[Path], *, limit_s: float) -> float:
    """Return the time on this machine as `cellstorm ui` has it, nothing configured."""
    lab = Lab.at(folder / "local", instance=_INSTANCE.read_text(encoding="utf-8"))
    return seconds_of(lab, made, limit_s=limit_s)


def cluster_seconds(
    folder: Path, made: list[Path], *, chunks: str, has_servers: bool, at_once: int,
    limit_s: float,
) -> float:  # fmt: skip
    """Return the time on a cluster, without the start of its servers."""
    name = f"{chunks}-{int(has_servers)}"
    cluster = Cluster(
        folder=folder / f"on-{name}", chunks=chunks, piece_px=FAN_OUT_PX, nodes=1,
        runs_per_node=at_once, has_servers=has_servers,
    )  # fmt: skip
    home = folder / f"lab-{name}"
    home.mkdir()
    try:
        cluster.start(home)
        lab = lab_on(cluster, home, looks_each_s=_AS_DEPLOYED_S)
        return seconds_of(lab, made, limit_s=limit_s)
    finally:
        cluster.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--frames", type=int, default=6000)
    parser.add_argument("--side-px", type=int, default=256)
    parser.add_argument("--chunks", nargs="+", choices=("threads", "ray"), default=["threads"])
    parser.add_argument(
        "--servers", nargs="+", choices=("without", "with"), default=["without", "with"],
        help="Ray without, and with PostgreSQL and a store",
    )  # fmt: skip
    parser.add_argument("--at-once", type=int, default=2, help="recordings at a time on Ray")
    parser.add_argument("--limit", type=float, default=1500.0, help="seconds for each of the two")
    given = parser.parse_args()
    if missing := missing_part():
        print(f"cannot be tried here: {missing}")
        return 1
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as name:
        folder, before = Path(name), dict(os.environ)
        folder.chmod(0o755)
        made = films(folder / "films", given.recordings, frames=given.frames, side_px=given.side_px)
        local_s = local_seconds(folder, made, limit_s=given.limit)
        print(f"local: {local_s:.1f} s for {len(made)} recordings", flush=True)
        for servers, chunks in product(given.servers, given.chunks):
            os.environ.clear()
            os.environ.update(before)
            spent_s = cluster_seconds(
                folder, made, chunks=chunks, has_servers=servers == "with",
                at_once=given.at_once, limit_s=given.limit,
            )  # fmt: skip
            print(f"Ray {servers} servers, pieces on {chunks}: {spent_s:.1f} s, "
                  f"{spent_s / local_s:.3f} of local", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
