"""Tables with a known drift: filaments or single sites, sparse or crowded, blinking or steady."""

import numpy as np
import pandas as pd

from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.tables import FieldOfView, Localizations


def table_of(xy_nm, frame, *, frame_count, side_px=64, uncertainty_nm=None, **columns):
    """Return a table sorted by frame."""
    order = np.argsort(frame, kind="stable")
    data = pd.DataFrame(
        {"frame": frame[order], "x_nm": xy_nm[order, 0], "y_nm": xy_nm[order, 1]}
        | {name: np.asarray(values)[order] for name, values in columns.items()}
    )
    if uncertainty_nm is not None:
        data["uncertainty_nm"] = uncertainty_nm
    field = FieldOfView(
        width_px=side_px, height_px=side_px, pixel_size_nm=100.0, frame_count=frame_count
    )
    return Localizations(data=data, field=field)


def filaments(rng, *, side_nm, count=12, per_um=120):
    """Return sites on gently curved lines of 20 nm radius, (N, 2)."""
    parts = []
    for _ in range(count):
        length = 1.2 * side_nm
        along = rng.uniform(0, length, rng.poisson(per_um * length / 1000))
        start, angle = rng.uniform(0.1, 0.9, 2) * side_nm, rng.uniform(0, 2 * np.pi)
        bend = rng.normal(0, 0.4) * (along - length / 2) ** 2 / length
        across = bend + 20 * np.cos(rng.uniform(0, np.pi, along.size))
        forward, sideways = (
            np.array([np.cos(angle), np.sin(angle)]),
            [-np.sin(angle), np.cos(angle)],
        )
        parts.append(start + np.outer(along - length / 2, forward) + np.outer(across, sideways))
    sites = np.concatenate(parts)
    return sites[((sites > 0) & (sites < side_nm)).all(axis=1)]


def blinks(rng, *, per_frame, frame_count, on_frames=1):
    """Return the frame of every localization and the number of its blink."""
    count = rng.poisson(per_frame * frame_count / on_frames)
    length = rng.geometric(1 / on_frames, count)
    blink = np.repeat(np.arange(count), length)
    first = rng.integers(0, frame_count, count)
    frame = first[blink] + np.arange(blink.size) - np.repeat(np.cumsum(length) - length, length)
    return frame[frame < frame_count], blink[frame < frame_count]


def drifting(rng, drift_nm, sites, *, per_frame, precision_nm, on_frames=1, side_px=64, strays=0.0):
    """Return a table of blinking sites that drift; `drift_nm` is (F, 2)."""
    frame_count = len(drift_nm)
    frame, blink = blinks(rng, per_frame=per_frame, frame_count=frame_count, on_frames=on_frames)
    place = sites[rng.integers(0, len(sites), blink.max(initial=-1) + 1)]
    xy_nm = place[blink] + drift_nm[frame] + rng.normal(0, precision_nm, (frame.size, 2))
    stray_count = rng.poisson(strays * frame.size)
    frame = np.concatenate([frame, rng.integers(0, frame_count, stray_count)])
    xy_nm = np.concatenate([xy_nm, rng.uniform(0, side_px * 100.0, (stray_count, 2))])
    return table_of(
        xy_nm, frame, frame_count=frame_count, side_px=side_px, uncertainty_nm=precision_nm
    )


def residual_nm(drift: Drift, truth_nm) -> float:
    """Return the RMS over frames and axes of what is left, each axis about its mean."""
    left = truth_nm - np.column_stack([drift.x_nm, drift.y_nm])
    return float(np.sqrt(np.mean((left - left.mean(axis=0)) ** 2)))


def rms_nm(truth_nm) -> float:
    """Return the RMS of a drift, each axis about its mean."""
    return float(np.sqrt(np.mean((truth_nm - truth_nm.mean(axis=0)) ** 2)))


def smooth_drift(frame_count):
    """Return 300 and -200 nm over the recording with slow waves, (F, 2)."""
    t = np.linspace(0, 1, frame_count)
    return np.column_stack(
        [
            300 * t + 125 * np.sin(2 * np.pi * 1.7 * t),
            -200 * t + 95 * np.sin(2 * np.pi * 2.3 * t + 1),
        ]
    )


def random_drift(kind, frame_count, rng):
    """Return steps, a slow random walk, a thermal exponential or waves, (F, 2)."""
    t = np.linspace(0, 1, frame_count)
    drift_nm = np.zeros((frame_count, 2))
    for axis in (0, 1):
        if kind == "steps":
            for _ in range(rng.integers(1, 4)):
                drift_nm[rng.integers(frame_count // 20, frame_count) :, axis] += rng.normal(0, 100)
        elif kind == "walk":
            scale = np.exp(rng.uniform(np.log(20), np.log(400)))
            drift_nm[:, axis] = np.cumsum(rng.normal(0, scale / np.sqrt(frame_count), frame_count))
        elif kind == "thermal":
            time = np.exp(rng.uniform(np.log(0.03), np.log(0.5)))
            drift_nm[:, axis] = rng.normal(0, 400) * (1 - np.exp(-t / time))
        else:
            drift_nm[:, axis] = rng.normal(0, 150) * t + sum(
                rng.normal(0, 60) * np.sin(2 * np.pi * rng.uniform(0.5, 6) * t + rng.uniform(0, 6))
                for _ in range(3)
            )
    return drift_nm
