"""What bounds each stage of the localizer: its rate beside the machine's, and one and two threads.

The machine's own limits are measured first: a copy of far more than the caches hold, one that stays
in the second cache, and fused multiply-adds in registers. The bytes and operations of a stage are
counted from what its inner loops read, write and compute; what it does besides is not counted.
"""

import os
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.spots import expected_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.fit import fit_and_judge
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.prepare import prepare
from cellstorm_lib.video.array import ArraySource

SIDE, FRAMES, SPOTS, REPEATS, BLOCK = 256, 4000, 31, 5, 256
PHONE = CameraCalibration(
    name="phone", source="known", offset_adu=4.074, gain_e_per_adu=0.34, read_noise_e=1.23,
    bit_depth=8,
)  # fmt: skip
#: Of the search, for a pixel: the sums of 5 by rows and columns twice, their roundings, the
#: difference, the comparison with 8 neighbours; and the bytes of its buffers, read and written.
SEARCH_OPERATIONS, SEARCH_BYTES = 4 * 9 + 10, 1 + 2 * 2 * 6
#: Of one scoring step, for a pixel of the box: what it expects and its weights, 14 sums over a row.
STEP_OPERATIONS = 8 + 2 * 23


@njit(fastmath=True)
def multiply_add(count: int) -> np.float32:
    """Return the end of 128 sums, 16 to a vector: two operations each, `count` times."""
    sums = np.zeros(128, np.float32)
    for i in range(128):
        sums[i] = np.float32(i)
    factor, term = np.float32(0.999), np.float32(0.5)
    for _ in range(count):
        for i in range(128):
            sums[i] = sums[i] * factor + term
    return sums.sum()


def fastest(work: Callable[[], Any]) -> float:
    """Return the least CPU seconds of a few runs."""
    work()
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def machine() -> tuple[float, float, float]:
    """Return GB/s of memory and of the second cache, read and written, and GFLOP/s of one core."""
    rates = []
    for size, times in ((1 << 28, 1), (1 << 18, 1000)):
        source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)

        def copies(source=source, target=target, times=times) -> None:
            for _ in range(times):
                np.copyto(target, source)

        rates.append(2e-9 * size * times / fastest(copies))
    count = 2_000_000
    return rates[0], rates[1], 2e-9 * 128 * count / fastest(lambda: multiply_add(count))


def movie() -> np.ndarray:
    """Return frames of spots at random, as the phone of the paper sees them."""
    rng = np.random.default_rng(1)
    block = []
    for _ in range(FRAMES // BLOCK + 1):
        frame = np.repeat(np.arange(BLOCK), rng.poisson(SPOTS, BLOCK))
        x, y = rng.uniform(4, SIDE - 4, (2, len(frame)))
        mean = expected_frames(
            frame, x, y, rng.exponential(800, len(frame)), shape=(SIDE, SIDE), frames=BLOCK,
            sigma_px=1.3, background=7.5,
        )  # fmt: skip
        electrons = rng.poisson(mean) + rng.normal(0, PHONE.read_noise_e, mean.shape)
        adu = np.rint(electrons / PHONE.gain_e_per_adu + PHONE.offset_adu)
        block.append(adu.clip(0, 255).astype(np.uint8))
    return np.concatenate(block)[:FRAMES]


def stages(stack: np.ndarray, limits: tuple[float, float, float]) -> None:
    """Print what each stage takes of a frame, and how near it is to the limits."""
    _, cache, compute = limits
    source = ArraySource(stack)
    ready = prepare(source, PHONE, LocalizeSettings(), pixel_size_nm=100.0)
    part = stack[:BLOCK]
    found = ready.detector.candidates(part)
    per_frame = 1e3 / BLOCK
    search = fastest(lambda: ready.detector.candidates(part)) * per_frame
    judged = fit_and_judge(part, found, PHONE, ready.settings)
    alone = fastest(lambda: fit_and_judge(part, found, PHONE, ready.settings)) * per_frame
    both = fastest(lambda: ready.fit(part, found, PHONE, ready.settings, None)) * per_frame
    pixels = SIDE * SIDE
    gops = 1e-6 * SEARCH_OPERATIONS * pixels / search
    gbs = 1e-6 * SEARCH_BYTES * pixels / search
    steps = float(judged.spots["iterations"].sum()) / BLOCK
    gflops = 1e-6 * STEP_OPERATIONS * ready.settings.box_px**2 * steps / alone
    print(f"search       {search:.4f} ms a frame: {gbs:.0f} GB/s of cache traffic "
          f"({gbs / cache:.0%} of a copy there), {gops:.0f} integer Gop/s")  # fmt: skip
    print(f"fits alone   {alone:.4f} ms a frame, {len(found) / BLOCK / alone * 1e-3:.2f} million "
          f"spots a second, {gflops:.0f} GFLOP/s in sums ({gflops / compute:.0%})")  # fmt: skip
    print(f"fits together {both - alone:.4f} ms a frame more")


def seconds_of(stack: np.ndarray, settings: LocalizeSettings, threads: int) -> tuple[float, float]:
    """Return the least wall and CPU seconds of a few runs."""
    runs = []
    for _ in range(REPEATS):
        cpu, wall = time.process_time(), time.perf_counter()
        localize(ArraySource(stack), PHONE, pixel_size_nm=100.0, settings=settings, threads=threads)
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(run[0] for run in runs), min(run[1] for run in runs)


def scaling(stack: np.ndarray) -> None:
    """Print frames a second of one and two threads; the look at the sample comes once, before."""
    for name, settings in (
        ("together", LocalizeSettings()),
        ("alone", LocalizeSettings(fit=FitSettings(max_emitters=1))),
    ):
        few = stack[: FRAMES // 4]
        rows = []
        for threads in (1, 2):
            wall, cpu = seconds_of(stack, settings, threads)
            wall_few, cpu_few = seconds_of(few, settings, threads)
            more = len(stack) - len(few)
            rows.append((more / (wall - wall_few), 1e3 * (cpu - cpu_few) / more))
        print(f"{name:9s} one thread {rows[0][0]:.0f} further frames/s ({rows[0][1]:.4f} CPU ms "
              f"each), two {rows[1][0]:.0f} ({rows[1][1]:.4f}): {rows[1][0] / rows[0][0]:.2f} "
              "times as fast")  # fmt: skip


def main() -> None:
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before")
    limits = machine()
    print(f"one core: {limits[0]:.1f} GB/s of memory, {limits[1]:.0f} of the second cache, "
          f"{limits[2]:.0f} GFLOP/s")  # fmt: skip
    stack = movie()
    stages(stack, limits)
    scaling(stack)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
