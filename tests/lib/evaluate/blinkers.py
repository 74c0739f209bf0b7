"""Tables of molecules whose blinks, dark times and precision are known."""

import numpy as np
from truth_tables import field, found

SIDE_NM = 12_800.0


def scattered(rng, count, *, on_lines=False, side_nm=SIDE_NM):
    """Return molecules at random, or on lines 20 nm wide that are 1.6 um apart."""
    centres_nm = rng.uniform(50, side_nm - 50, (count, 2))
    if on_lines:
        centres_nm[:, 1] = np.round(centres_nm[:, 1] / 1600) * 1600 + rng.normal(0, 10, count)
    return np.clip(centres_nm, 1, side_nm - 1)


def shining_on(
    seed, *, molecules=2000, mean_frames=4, precision_nm=15.0, spread=0.0, claim_ratio=1.0,
    on_lines=False, frame_count=2000,
):  # fmt: skip
    """Localize every molecule in consecutive frames, a geometric number of them.

    `spread` makes the precision log-normal; the table states true errors over `claim_ratio`.
    """
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(1 / mean_frames, molecules), frame_count)
    molecule = np.repeat(np.arange(molecules), sizes)
    nth = np.arange(len(molecule)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    frame = rng.integers(0, frame_count, molecules)[molecule] + nth
    sigma_nm = precision_nm * np.exp(rng.normal(0, spread, len(molecule)))
    xy_nm = scattered(rng, molecules, on_lines=on_lines)[molecule]
    xy_nm = xy_nm + rng.normal(0, 1, xy_nm.shape) * sigma_nm[:, None]
    kept = (frame < frame_count) & ((xy_nm > 0) & (xy_nm < SIDE_NM)).all(axis=1)
    return found(
        xy_nm[kept],
        frame[kept],
        fov=field(round(SIDE_NM / 100), frame_count),
        uncertainty_nm=(sigma_nm / claim_ratio)[kept],
    )


def coming_back(
    seed, *, molecules=1500, mean_blinks=4, dark_frames=40.0, frame_count=5000, on_lines=False,
    fading=None, precision_nm=15.0,
):  # fmt: skip
    """Return a merged table, one row per blink, and the number of molecules seen.

    Blinks last 3 frames on average; dark times are exponential, the number of blinks geometric.
    First blinks fall evenly over the recording, or ever more seldom with a mean of `fading`.
    """
    rng = np.random.default_rng(seed)
    blinks = rng.geometric(1 / mean_blinks, molecules)
    molecule = np.repeat(np.arange(molecules), blinks)
    lasting = rng.geometric(1 / 3, len(molecule))
    dark = np.maximum(np.ceil(rng.exponential(dark_frames, len(molecule))), 1).astype(int)
    ends = np.cumsum(lasting + dark)
    first_row = np.repeat(np.cumsum(blinks) - blinks, blinks)
    since = ends - (lasting + dark) - (ends - lasting - dark)[first_row]
    first = rng.integers(0, frame_count, molecules)
    if fading is not None:
        first = rng.exponential(fading, molecules).astype(int)
    frame = first[molecule] + since
    sigma_nm = precision_nm / np.sqrt(lasting)
    xy_nm = scattered(rng, molecules, on_lines=on_lines)[molecule]
    xy_nm = xy_nm + rng.normal(0, 1, xy_nm.shape) * sigma_nm[:, None]
    kept = frame < frame_count
    table = found(
        np.clip(xy_nm, 0, SIDE_NM - 1)[kept],
        frame[kept],
        fov=field(round(SIDE_NM / 100), frame_count),
        uncertainty_nm=sigma_nm[kept],
        detections=lasting[kept],
    )
    return table, len(np.unique(molecule[kept]))
