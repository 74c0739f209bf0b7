"""One long recording over many workers, denoised and localized: what pieces cost, and what is won.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.chunks import LocalProcesses, MapChunks
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.gate import GateSettings
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.video.read import open_recording

#: A fan-out of one long recording: 15 min at 20 frames/s.
LONG_FRAMES, SIDE_PX = 18_000, 512
#: Between two tasks on a worker: handed over, begun, its result fetched.
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


def measured(work: Callable[[MapChunks | None], Any]) -> Costs:
    """Measure some work on a recording, first without and then with pieces."""
    began = time.process_time()
    work(None)
    alone_s = time.process_time() - began
    timed = Timed()
    began = time.process_time()
    work(timed)
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


def works(folder: Path, frames: int) -> dict[str, Callable[[MapChunks | None], Any]]:
    """Return what is done with so many frames of a recording, given what works on their pieces."""
    source = open_recording(folder / "movie.mp4").part(0, frames)
    calibration = read_calibration(folder / "camera.json")
    denoiser = Denoiser(read_checkpoint(SHIPPED), device="cpu", engine="auto", gate=GateSettings())
    network = Network(denoiser=denoiser, label="champion")

    def denoised(others: MapChunks | None) -> None:
        denoise_recording(source, calibration, network, folder / "denoised.ome.tif",
                          pixel_size_nm=100.0, map_chunks=others)  # fmt: skip

    def localized(others: MapChunks | None) -> None:
        localize(source, calibration, pixel_size_nm=100.0, threads=1, map_chunks=others)

    localize(source.part(0, 64), calibration, pixel_size_nm=100.0)  # compiled once
    return {"denoised": denoised, "localized": localized}


def by_the_clock_s(work: Callable[[MapChunks | None], Any], count: int) -> float:
    """Return the wall time of some work with so many processes, whose start counts."""
    began = time.perf_counter()
    work(LocalProcesses(count=count))
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
        for done, work in works(folder, given.frames).items():
            whole, half = measured(work), measured(works(folder, given.frames // 2)[done])
            told(done, whole, half, given.frames)
            if given.processes:
                one_s, two_s = by_the_clock_s(work, 1), by_the_clock_s(work, 2)
                print(f"processes: 1 in {one_s:.1f} s, 2 in {two_s:.1f} s", flush=True)


def told(name: str, costs: Costs, half: Costs, frames: int) -> None:
    """Print what was measured of a film and of half of it, and what it would be on more workers."""
    count = len(costs.piece_s)
    extra = sum(costs.piece_s) + costs.serial_s - costs.alone_s
    print(f"{name}, {frames} frames of {SIDE_PX} x {SIDE_PX} in {count} pieces: as a whole "
          f"{costs.alone_s:.1f} CPU s, by pieces {100 * extra / costs.alone_s:+.1f} %; not shared "
          f"{costs.serial_s:.2f} CPU s; a piece {np.mean(costs.piece_s):.2f} CPU s, "
          f"{costs.result_bytes / 1e6:.2f} MB to fetch; a new process "
          f"{costs.start_s:.1f} s")  # fmt: skip
    longer = LONG_FRAMES / frames
    serial_s = costs.serial_s + (longer - 1) * max(2 * (costs.serial_s - half.serial_s), 0.0)
    pieces = np.random.default_rng(1).choice(costs.piece_s, round(count * longer))
    print(f"{LONG_FRAMES} frames, {len(pieces)} pieces, not shared {serial_s:.1f} s:")
    for workers in WORKERS:
        shared_s = simulated_s(pieces, workers, start_s=costs.start_s, handover_s=HANDOVER_S)
        wall_s = serial_s + shared_s
        gain = longer * costs.alone_s / wall_s
        print(f"  {workers:3d} workers: {wall_s:6.1f} s, {gain:5.1f} times as fast, "
              f"efficiency {gain / workers:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
