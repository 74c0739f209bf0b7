"""One recording over many workers: what pieces cost, one and two processes, and up to 100 workers.

The cost of a piece is measured in CPU time, and how long a process takes that was not there before,
by the clock; the simulation hands pieces out in order, a bounded number at a time, as the platform
does. `--frames` chooses the length of the film that is measured.
"""

import argparse
import heapq
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.chunks import FAN_OUT_PX, LocalProcesses, pieces_of
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.video.read import open_recording

#: A fan-out of one long recording: 15 min at 20 frames/s.
LONG_FRAMES, SIDE_PX = 18_000, 512
#: Between two tasks on a worker: handed over, begun, its result fetched (`--ray` measures it).
HANDOVER_S = 0.010
WORKERS = (1, 2, 4, 8, 16, 32, 64, 100)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured: CPU seconds of each piece, of what no worker shares, and of one thread.

    `start_s` is the time by the clock until a new process can work.
    """

    piece_s: tuple[float, ...]
    start_s: float
    alone_s: float
    serial_s: float
    result_bytes: float


class Timed:
    """Pieces worked on here, one after the other, with what each of them cost."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.sizes: list[int] = []

    def __call__(self, work, items):
        for item in items:
            began = time.process_time()
            made = work(item)
            self.seconds.append(time.process_time() - began)
            self.sizes.append(len(pickle.dumps(made)))
            yield made


def measured(folder: Path) -> Costs:
    source = open_recording(folder / "movie.mp4")
    calibration = read_calibration(folder / "camera.json")
    common = {"pixel_size_nm": 100.0}
    localize(source.part(0, 64), calibration, **common)  # compiled once
    began = time.process_time()
    localize(source, calibration, threads=1, **common)
    alone_s = time.process_time() - began
    timed = Timed()
    began = time.process_time()
    localize(source, calibration, map_chunks=timed, **common)
    serial_s = time.process_time() - began - sum(timed.seconds)
    return Costs(
        piece_s=tuple(timed.seconds), start_s=start_s(), alone_s=alone_s, serial_s=serial_s,
        result_bytes=float(np.mean(timed.sizes)),
    )  # fmt: skip


def start_s() -> float:
    """Return how long a new process takes to import what pieces need, by the clock."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import cellstorm_lib.localize.localize"], check=True)
    return time.perf_counter() - began


def simulated_s(
    piece_s: Sequence[float], workers: int, *, start_s: float, handover_s: float
) -> float:
    """Return when the last result is taken; results are taken in order, 2 pieces a worker ahead."""
    free = [start_s] * workers
    ends: list[float] = []
    taken = 0.0
    for number, seconds in enumerate(piece_s):
        if number >= 2 * workers:  # an earlier result is taken before the next is handed out
            taken = max(taken, ends[number - 2 * workers])
        begin = max(heapq.heappop(free), taken)
        ends.append(begin + handover_s + seconds)
        heapq.heappush(free, ends[-1])
    return max(ends, default=0.0)


def processes_s(folder: Path, count: int) -> float:
    """Return the wall time of localizing with some processes, started already."""
    source = open_recording(folder / "movie.mp4")
    calibration = read_calibration(folder / "camera.json")
    began = time.perf_counter()
    localize(source, calibration, pixel_size_nm=100.0, map_chunks=LocalProcesses(count=count))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=3072)
    parser.add_argument("--processes", action="store_true", help="time 1 and 2 processes too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, demo = Path(name), read_preset("demo")
        film_scene(
            replace(
                demo, frame_count=given.frames,
                field=replace(demo.field, width_px=SIDE_PX, height_px=SIDE_PX),
                codec=replace(demo.codec, bits_per_px=0.1),
            ),
            folder, stacks=(),
        )  # fmt: skip
        count = len(pieces_of(open_recording(folder / "movie.mp4"), FAN_OUT_PX))
        costs = measured(folder)
        extra = sum(costs.piece_s) + costs.serial_s - costs.alone_s
        print(f"{given.frames} frames of {SIDE_PX} x {SIDE_PX} in {count} pieces: one thread "
              f"{costs.alone_s:.1f} CPU s, by pieces {100 * extra / costs.alone_s:+.1f} %; not "
              f"shared {costs.serial_s:.2f} CPU s; a piece {np.mean(costs.piece_s):.2f} CPU s, "
              f"{costs.result_bytes / 1e6:.2f} MB to fetch; a new process "
              f"{costs.start_s:.1f} s")  # fmt: skip
        rng = np.random.default_rng(1)
        pieces = rng.choice(costs.piece_s, round(LONG_FRAMES * count / given.frames))
        ratio = (costs.alone_s - costs.serial_s) / sum(costs.piece_s)
        alone_s = costs.serial_s + ratio * pieces.sum()
        print(f"{LONG_FRAMES} frames, {len(pieces)} pieces:")
        for workers in WORKERS:
            shared_s = simulated_s(pieces, workers, start_s=costs.start_s, handover_s=HANDOVER_S)
            wall_s = costs.serial_s + shared_s
            gain = alone_s / wall_s
            print(f"  {workers:3d} workers: {wall_s:6.1f} s, {gain:5.1f} times as fast, "
                  f"efficiency {gain / workers:.2f}")  # fmt: skip
        if given.processes:
            one_s, two_s = processes_s(folder, 1), processes_s(folder, 2)
            print(f"processes: 1 in {one_s:.1f} s, 2 in {two_s:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
