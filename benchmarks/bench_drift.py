"""Drift with a known answer: what is left, how honest the claim is, and how long it takes.

What is left is the root mean square over frames and both axes after each axis' mean is removed,
which no estimator can know. CPU seconds include all threads.
"""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cellstorm_lib.refine.drift import Drift, estimate_drift
from cellstorm_lib.refine.merge import merge
from cellstorm_lib.tables import FieldOfView, Localizations

PIXEL_NM = 100.0
KINDS = ("steps", "walk", "thermal", "waves")


@dataclass(frozen=True)
class Outcome:
    drift: Drift
    before_nm: float
    left_nm: float
    worst_nm: float
    cpu_s: float


def filaments(rng, side_nm, count, per_um=120.0):
    """Return sites on curves of 15 um persistence length and 20 nm radius, (N, 2)."""
    step, parts = 20.0, []
    for _ in range(count):
        x, y = rng.uniform(0, side_nm), rng.uniform(0, side_nm)
        angle = rng.uniform(0, 2 * np.pi)
        n = int(1.2 * side_nm / step)
        turn = np.cumsum(rng.normal(0, np.sqrt(step / 15000.0), n)) + angle
        cx = np.cumsum(np.cos(turn)) * step + x - 0.5 * n * step * np.cos(angle)
        cy = np.cumsum(np.sin(turn)) * step + y - 0.5 * n * step * np.sin(angle)
        m = rng.poisson(per_um * n * step / 1000.0)
        k = rng.integers(0, n, m)
        r = 20.0 * np.cos(rng.uniform(0, np.pi, m)) + rng.normal(0, 4.0, m)
        along = rng.uniform(-0.5, 0.5, m) * step
        across = np.column_stack([-np.sin(turn[k]), np.cos(turn[k])])
        ahead = np.column_stack([np.cos(turn[k]), np.sin(turn[k])])
        parts.append(np.column_stack([cx[k], cy[k]]) + along[:, None] * ahead + r[:, None] * across)
    sites = np.concatenate(parts)
    return sites[((sites > 0) & (sites < side_nm)).all(axis=1)]


def walking_drift(rng, frames, size_nm):
    """Return a smooth drift with a random walk on it, (F, 2), `size_nm` from end to end."""
    t = np.linspace(0, 1, frames)
    walk = np.cumsum(rng.normal(0, 1, (frames, 2)), 0) / np.sqrt(frames)
    drift = np.column_stack(
        [
            t + 0.25 * np.sin(2 * np.pi * 1.3 * t),
            0.6 * t**2 - 0.3 * np.cos(2 * np.pi * 0.9 * t),
        ]
    )
    drift += 0.15 * walk
    drift -= drift[0]
    return drift * (size_nm / np.ptp(drift, 0).max())


def wavy_drift(frames):
    """Return 300 and -200 nm over the recording with slow waves, (F, 2)."""
    t = np.linspace(0, 1, frames)
    return np.column_stack(
        [
            300 * t + 125 * np.sin(2 * np.pi * 1.7 * t),
            -200 * t + 95 * np.sin(2 * np.pi * 2.3 * t + 1),
        ]
    )


def random_drift(rng, kind, frames):
    """Return steps, a slow walk, a thermal exponential or waves, (F, 2)."""
    t, drift = np.linspace(0, 1, frames), np.zeros((frames, 2))
    for axis in (0, 1):
        if kind == "steps":
            for _ in range(rng.integers(1, 4)):
                drift[rng.integers(frames // 20, frames) :, axis] += rng.normal(0, 100)
        elif kind == "walk":
            scale = np.exp(rng.uniform(np.log(20), np.log(400)))
            drift[:, axis] = np.cumsum(rng.normal(0, scale / np.sqrt(frames), frames))
        elif kind == "thermal":
            decay = np.exp(rng.uniform(np.log(0.03), np.log(0.5)))
            drift[:, axis] = rng.normal(0, 400) * (1 - np.exp(-t / decay))
        else:
            drift[:, axis] = rng.normal(0, 150) * t + sum(
                rng.normal(0, 60) * np.sin(2 * np.pi * rng.uniform(0.5, 6) * t + rng.uniform(0, 6))
                for _ in range(3)
            )
    return drift


def scene(rng, drift, sites, *, side_px, per_frame, precision_nm, on_frames=1, strays=0.0):
    """Return a table of blinking sites that drift, without uncertainties."""
    frames = len(drift)
    if on_frames == 1:
        frame = np.repeat(np.arange(frames), rng.poisson(per_frame, frames))
        place = sites[rng.integers(0, len(sites), frame.size)]
    else:
        count = rng.poisson(per_frame * frames / on_frames)
        length = rng.geometric(1 / on_frames, count)
        blink = np.repeat(np.arange(count), length)
        frame = rng.integers(0, frames, count)[blink] + np.arange(blink.size)
        frame -= np.repeat(np.cumsum(length) - length, length)
        place = sites[rng.integers(0, len(sites), count)][blink][frame < frames]
        frame = frame[frame < frames]
    xy_nm = place + rng.normal(0, precision_nm, (frame.size, 2)) + drift[frame]
    lost = rng.poisson(strays * frame.size)
    frame = np.concatenate([frame, rng.integers(0, frames, lost)])
    xy_nm = np.concatenate([xy_nm, rng.uniform(0, side_px * PIXEL_NM, (lost, 2))])
    order = np.argsort(frame, kind="stable")
    return Localizations(
        data=pd.DataFrame(
            {"frame": frame[order], "x_nm": xy_nm[order, 0], "y_nm": xy_nm[order, 1]}
        ),
        field=FieldOfView(
            width_px=side_px, height_px=side_px, pixel_size_nm=PIXEL_NM, frame_count=frames
        ),
    )


def measured(table, truth):
    """Estimate, and compare with the truth."""
    start = time.process_time()
    drift = estimate_drift(table)
    cpu_s = time.process_time() - start
    left = np.column_stack([drift.x_nm, drift.y_nm]) - truth
    left -= left.mean(0)
    before = truth - truth.mean(0)
    return Outcome(
        drift=drift,
        before_nm=float(np.sqrt(np.mean(before**2))),
        left_nm=float(np.sqrt(np.mean(left**2))),
        worst_nm=float(np.abs(left).max()),
        cpu_s=cpu_s,
    )


def walking_case(seed):
    """Return 25 filaments in 25.6 um, 15 localizations of 12 nm a frame, 6,000 frames."""
    rng = np.random.default_rng(seed)
    sites = filaments(rng, 25_600, 25)
    drift = walking_drift(rng, 6000, 250.0)
    counts = rng.poisson(15.0, 6000)
    frame = np.repeat(np.arange(6000), counts)
    place = sites[rng.integers(0, len(sites), frame.size)]
    xy_nm = place + rng.normal(0, 12.0, (frame.size, 2)) + drift[frame]
    data = pd.DataFrame({"frame": frame, "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1]})
    field = FieldOfView(width_px=256, height_px=256, pixel_size_nm=PIXEL_NM, frame_count=6000)
    return Localizations(data=data, field=field), drift


def random_case(seed, *, is_still=False):
    """Return a random scene with a random drift, or with none."""
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(1500, 12_000))
    drift = random_drift(rng, KINDS[seed % 4], frames) * (not is_still)
    side_px = int(rng.choice([64, 128, 256]))
    sites = filaments(rng, side_px * PIXEL_NM, int(rng.integers(4, 20)))
    if rng.random() < 0.4:
        sites = rng.uniform(0, side_px * PIXEL_NM, (1500, 2))
    table = scene(
        rng, drift, sites, side_px=side_px, strays=0.1,
        per_frame=float(np.exp(rng.uniform(np.log(0.5), np.log(5)))),
        precision_nm=float(rng.uniform(10, 30)), on_frames=int(rng.choice([1, 3, 10, 30])),
    )  # fmt: skip
    return table, drift


def text(side_nm, height_nm=1600.0):
    """Return sites on the strokes of the letters of "CELL" repeated over the field, (N, 2)."""
    strokes = {
        "C": [(0.6, 0, 0, 0), (0, 0, 0, 1), (0, 1, 0.6, 1)],
        "E": [(0.6, 0, 0, 0), (0, 0, 0, 1), (0, 1, 0.6, 1), (0, 0.5, 0.5, 0.5)],
        "L": [(0, 0, 0, 1), (0, 1, 0.6, 1)],
    }
    along, parts = np.linspace(0, 1, 120)[:, None], []
    places = np.arange(300.0, side_nm - height_nm, 1.3 * height_nm)
    for row in places:
        for number, column in enumerate(places):
            for x0, y0, x1, y1 in strokes["CELL"[number % 4]]:
                start, stop = np.array([x0, y0]), np.array([x1, y1])
                corner = np.array([column, row])
                parts.append(corner + height_nm * (start + along * (stop - start)))
    return np.concatenate(parts)


MOTIONS = ("steps", "walk", "thermal", "vibration", "none")
SAMPLES = ("filaments", "text", "sparse", "filaments")


def any_case(seed):
    """Return the name, table and truth of one of 20: five motions on four samples."""
    rng = np.random.default_rng(1000 + seed)
    motion, sample = MOTIONS[seed % 5], SAMPLES[seed // 5]
    frames = int(rng.integers(3000, 10_000))
    if motion in KINDS:
        drift = random_drift(rng, motion, frames)
    else:
        turns = frames * rng.uniform(0.02, 0.3, 2)
        angle = 2 * np.pi * np.linspace(0, 1, frames)[:, None] * turns
        drift = rng.uniform(5, 25, 2) * np.sin(angle) * (motion == "vibration")
    sites = text(12_800.0) if sample == "text" else filaments(rng, 12_800.0, 12)
    per_frame = 0.4 if sample == "sparse" else float(rng.uniform(1, 4))
    table = scene(
        rng, drift, sites, side_px=128, per_frame=per_frame, on_frames=int(rng.choice([1, 3])),
        precision_nm=float(rng.uniform(10, 25)), strays=0.05,
    )  # fmt: skip
    return f"{sample}, {motion}", table, drift


def covered(drift, truth):
    """Return the share of segments whose true drift lies within one standard deviation."""
    left = np.column_stack([drift.x_nm, drift.y_nm]) - truth
    left -= left.mean(0)
    count = drift.segments
    middle = ((np.arange(count) + 0.5) * len(truth) / count).astype(int)
    return float((np.abs(left[middle]) < drift.uncertainty_nm[middle][:, None]).mean())


def random_twenty():
    """Print what is left of 20 random drifts, and how many segments hold what they claim."""
    print("\n| sample, drift | localizations | before, nm | left, nm | | worst frame | claimed "
          "| CPU s | |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    worse, shares = 0, []
    for seed in range(20):
        name, table, truth = any_case(seed)
        outcome = measured(table, truth)
        line(name, table, outcome)
        worse += outcome.left_nm > outcome.before_nm + 1e-9
        if outcome.drift.is_applied:
            shares.append(covered(outcome.drift, truth))
    print(f"20 random drifts: {worse} made worse; {np.mean(shares):.0%} of segments within one "
          f"standard deviation (recordings: {min(shares):.0%} to {max(shares):.0%})")  # fmt: skip


def line(name, table, outcome, bar=""):
    """Print one row."""
    claim = np.sqrt(np.mean(outcome.drift.uncertainty_nm**2))
    print(
        f"| {name} | {len(table):,} | {outcome.before_nm:.1f} | {outcome.left_nm:.2f} | {bar} | "
        f"{outcome.worst_nm:.1f} | {claim:.2f} | {outcome.cpu_s:.2f} | "
        f"{outcome.drift.method if outcome.drift.is_applied else 'not applied'} |",
        flush=True,
    )


def main() -> None:
    measured(*random_case(0))  # compile
    print(
        "| scene | localizations | before, nm | left, nm | bar | worst frame | claimed | CPU s | |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for side_px in (64, 256):
        for per_frame, bar in ((0.5, "6"), (2, "1.8"), (8, "1.3")):
            rng = np.random.default_rng(0)
            truth = wavy_drift(18_000)
            sites = filaments(rng, side_px * PIXEL_NM, 12)
            table = scene(
                rng, truth, sites, side_px=side_px, per_frame=per_frame, precision_nm=20.0
            )
            name = f"{per_frame} a frame, 18,000 frames, {side_px} px, 20 nm"
            line(name, table, measured(table, truth), bar)
    for seed in range(4, 10):
        table, truth = walking_case(seed)
        line(f"15 a frame, 6,000 frames, 12 nm, walk {seed}", table, measured(table, truth), "1.5")
    random_twenty()
    rng = np.random.default_rng(1)
    truth = wavy_drift(20_000)
    million = scene(
        rng, truth, filaments(rng, 25_600, 40), side_px=256, per_frame=50, precision_nm=20.0
    )
    line("50 a frame, 20,000 frames", million, measured(million, truth))

    for is_still in (False, True):
        cases = [random_case(seed, is_still=is_still) for seed in range(100, 140)]
        outcomes = [measured(*case) for case in cases]
        shares = [
            covered(outcome.drift, truth)
            for outcome, (_, truth) in zip(outcomes, cases, strict=True)
            if outcome.drift.is_applied
        ]
        ratio = np.array([o.left_nm / o.before_nm if o.before_nm else 1.0 for o in outcomes])
        used = np.array([o.drift.is_applied for o in outcomes])
        worse = sum(o.left_nm > o.before_nm for o in outcomes)
        what = "40 samples at rest" if is_still else "40 random drifts (10 of each kind)"
        print(f"\n{what}: {used.sum()} corrected, {worse} made worse", end="")
        if not is_still:
            print(f"; left / before where corrected: median {np.median(ratio[used]):.3f}, "
                  f"largest {ratio[used].max():.3f}; {np.mean(shares):.0%} of segments within one "
                  f"standard deviation", end="")  # fmt: skip
    print()
    start = time.process_time()
    _, report = merge(million)
    cpu_s = time.process_time() - start
    print(f"\nlinking and merging {len(million):,} localizations into {report.molecules:,} "
          f"molecules: {cpu_s:.2f} CPU s")  # fmt: skip


if __name__ == "__main__":
    main()
