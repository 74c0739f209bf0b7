"""Tables of localizations whose structure is known."""

import numpy as np
import pandas as pd

from cellstorm_lib.tables import FieldOfView, Localizations


def table(xy_nm, frame=None, *, side_nm=(6400.0, 6400.0), pixel_nm=100.0, **columns):
    """Return a table of positions in a field of the given width and height."""
    xy_nm = np.asarray(xy_nm, np.float64).reshape(-1, 2)
    frame = np.zeros(len(xy_nm), int) if frame is None else frame
    data = pd.DataFrame({"frame": frame, "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1], **columns})
    return Localizations(
        data=data,
        field=FieldOfView(
            width_px=round(side_nm[0] / pixel_nm),
            height_px=round(side_nm[1] / pixel_nm),
            pixel_size_nm=pixel_nm,
            frame_count=int(np.max(frame, initial=-1)) + 1,
        ),
    )


def blinking(centres_nm, sizes, precision_nm, rng, *, frames=18_000, in_a_row=True, **fov):
    """Localize molecules several times each, in consecutive frames or in any."""
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    xy_nm = centres_nm[molecule] + rng.normal(0, precision_nm, (len(molecule), 2))
    first = rng.integers(0, frames, len(sizes))
    nth = np.arange(len(molecule)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    frame = first[molecule] + nth if in_a_row else rng.integers(0, frames, len(molecule))
    return table(
        xy_nm,
        frame,
        molecule=molecule,
        uncertainty_nm=np.full(len(molecule), precision_nm),
        **fov,
    )


def strewn(seed, *, molecules, side_nm, precision_nm, mean_size=None, size=None, **how):
    """Strew molecules at random; return the table and its closed-form resolution.

    For halves dealt by localization FRC(q) = p w / (1 + p w), w = exp(-4 pi^2 s^2 q^2) and
    p = sum n (n - 1) / (2 sum n), which is 1/7 at q = sqrt(ln(6 p)) / (2 pi s).
    """
    rng = np.random.default_rng(seed)
    sizes = np.full(molecules, size) if size else 1 + rng.poisson(mean_size - 1, molecules)
    centres_nm = rng.uniform(0, side_nm, (molecules, 2))
    made = blinking(centres_nm, sizes, precision_nm, rng, side_nm=(side_nm, side_nm), **how)
    pairs = (sizes * (sizes - 1)).sum() / (2 * sizes.sum())
    return made, 2 * np.pi * precision_nm / np.sqrt(np.log(6 * pairs)) if pairs > 1 / 6 else None


def filaments(seed, *, molecules, mean_size, precision_nm=25.0, side_nm=6400.0, count=12):
    """Put molecules on gently bent filaments 9 nm wide, as in published comparisons of FRC."""
    rng = np.random.default_rng(seed)
    step_nm = 5.0
    paths = []
    for _ in range(count):
        turns = np.cumsum(rng.normal(0, np.sqrt(step_nm / 8000), int(1.2 * side_nm / step_nm)))
        angle = rng.uniform(0, 2 * np.pi) + turns
        steps_nm = step_nm * np.column_stack([np.cos(angle), np.sin(angle)])
        path_nm = rng.uniform(0, side_nm, 2) + np.cumsum(steps_nm, axis=0)
        paths.append(path_nm[((path_nm > 0) & (path_nm < side_nm)).all(axis=1)])
    points_nm = np.concatenate(paths)
    centres_nm = points_nm[rng.integers(0, len(points_nm), molecules)]
    centres_nm = centres_nm + rng.normal(0, 9.0, (molecules, 2))
    sizes = rng.geometric(1 / mean_size, molecules)
    return blinking(centres_nm, sizes, precision_nm, rng, side_nm=(side_nm, side_nm))


def merged(localizations):
    """Merge each molecule into one row, as linking and merging would."""
    rows = localizations.data.groupby("molecule")
    data = rows.agg(
        frame=("frame", "min"),
        x_nm=("x_nm", "mean"),
        y_nm=("y_nm", "mean"),
        detections=("frame", "size"),
        uncertainty_nm=("uncertainty_nm", "mean"),
    ).reset_index()
    data["uncertainty_nm"] /= np.sqrt(data["detections"])
    return localizations.with_data(data)
