"""FRC of tables with a known answer: closed form, filaments, and molecules without structure."""

import time

import numpy as np
import pandas as pd
from scipy.special import j0

from cellstorm_lib.reconstruct.frc import FrcReport, FrcSettings, measure_frc
from cellstorm_lib.reconstruct.rings import edge_mask
from cellstorm_lib.tables import FieldOfView, Localizations

PIXEL_NM = 100.0


def table(centres_nm, sizes, precision_nm, side_nm, rng, *, frames, in_a_row) -> Localizations:
    """Localize each molecule several times, in consecutive frames or in any."""
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    xy_nm = centres_nm[molecule] + rng.normal(0, precision_nm, (len(molecule), 2))
    nth = np.arange(len(molecule)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = rng.integers(0, frames, len(sizes))
    frame = first[molecule] + nth if in_a_row else rng.integers(0, frames, len(molecule))
    side_px = round(side_nm / PIXEL_NM)
    return Localizations(
        data=pd.DataFrame(
            {
                "frame": frame, "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1], "molecule": molecule,
                "uncertainty_nm": np.full(len(molecule), precision_nm),
            }
        ),
        field=FieldOfView(
            width_px=side_px, height_px=side_px, pixel_size_nm=PIXEL_NM,
            frame_count=int(frame.max()) + 1,
        ),
    )  # fmt: skip


def sites(rng, *, precision_nm=12.0, side_nm=10_000.0) -> tuple[Localizations, float]:
    """Strew 8000 sites, 1 + Poisson(11) localizations each; return the closed-form resolution."""
    sizes = 1 + rng.poisson(11, 8000)
    centres_nm = rng.uniform(500, side_nm - 500, (8000, 2))
    made = table(centres_nm, sizes, precision_nm, side_nm, rng, frames=4000, in_a_row=False)
    pairs = (sizes * (sizes - 1)).sum() / (2 * sizes.sum())
    return made, 2 * np.pi * precision_nm / np.sqrt(np.log(6 * pairs))


def filaments(
    rng, mean_size, *, side_nm=6400.0, precision_nm=25.0, count=12, rows=16_000
) -> Localizations:
    """Put molecules on filaments 9 nm wide, about 16,000 localizations."""
    paths = []
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.025, 1500))
        steps_nm = 5 * np.column_stack([np.cos(angle), np.sin(angle)])
        path_nm = rng.uniform(0, side_nm, 2) + np.cumsum(steps_nm, axis=0)
        paths.append(path_nm[((path_nm > 0) & (path_nm < side_nm)).all(axis=1)])
    points_nm = np.concatenate(paths)
    molecules = rows // mean_size
    centres_nm = points_nm[rng.integers(0, len(points_nm), molecules)]
    centres_nm = centres_nm + rng.normal(0, 9, (molecules, 2))
    sizes = rng.geometric(1 / mean_size, molecules)
    return table(centres_nm, sizes, precision_nm, side_nm, rng, frames=18_000, in_a_row=True)


def resolution_from_pairs_nm(made: Localizations, threshold: float = 1 / 7) -> float:
    """Return the resolution split by molecule from all pairs of positions, without pixels."""
    xy_nm, molecule, side_nm = made.xy_nm, made.column("molecule"), made.field.width_nm
    weight = edge_mask(xy_nm[:, 0] / side_nm) * edge_mask(xy_nm[:, 1] / side_nm)
    bins = int(1.5 * side_nm)
    others, same = np.zeros(bins), np.zeros(bins)
    for start in range(0, len(xy_nm), 500):
        part = slice(start, start + 500)
        distance = np.hypot(*(xy_nm[part, None] - xy_nm[None]).transpose(2, 0, 1)).astype(int)
        weights, is_same = weight[part, None] * weight, molecule[part, None] == molecule
        same += np.bincount(distance[is_same], weights[is_same], bins)
        others += np.bincount(distance.ravel(), (weights * ~is_same).ravel(), bins)
    frequency = np.geomspace(1 / 400, 1 / 50, 150)
    ring = j0(2 * np.pi * np.outer(frequency, np.arange(bins) + 0.5))
    curve = ring @ others / (ring @ others + 2 * (ring @ same))
    near = np.exp(-0.5 * (np.subtract.outer(np.log(frequency), np.log(frequency)) / 0.04) ** 2)
    curve = near @ curve / near.sum(axis=1)
    k = int(np.argmax(curve < threshold))
    return float(1 / np.interp(threshold, curve[[k, k - 1]], frequency[[k, k - 1]]))


def plain_nm(made: Localizations, pixel_nm: float = 4.0) -> float:
    """Measure once as in a plain implementation: 4 nm pixels, one random split, nine rings."""
    rng, side_nm = np.random.default_rng(0), made.field.width_nm
    count = int(side_nm / pixel_nm)
    half = rng.random(len(made)) < 0.5
    one, two = (
        np.fft.rfft2(np.histogram2d(*made.xy_nm[h].T, bins=count, range=[[0, side_nm]] * 2)[0])
        for h in (half, ~half)
    )
    ky, kx = np.fft.fftfreq(count)[:, None], np.fft.rfftfreq(count)[None]
    ring = np.rint(np.hypot(ky, kx) * count).astype(int).ravel()
    shared = np.bincount(ring, (one * two.conj()).real.ravel())
    size = np.sqrt(np.prod([np.bincount(ring, (abs(g) ** 2).ravel()) for g in (one, two)], axis=0))
    curve = np.convolve((shared / size)[: count // 2], np.ones(9) / 9, "same")
    k = int(np.argmax(curve[5:] < 1 / 7)) + 5
    return side_nm / (k - 1 + (curve[k - 1] - 1 / 7) / (curve[k - 1] - curve[k]))


def shown(report: FrcReport) -> str:
    """Write a resolution and its interval, or that there is none."""
    if report.resolution_nm is None:
        return "none"
    return f"{report.resolution_nm:.1f} ({report.low_nm:.1f} to {report.high_nm:.1f}) nm"


def closed_form() -> None:
    """Compare with the closed form, and the time with a plain implementation."""
    how = FrcSettings(split="localizations")
    measure_frc(sites(np.random.default_rng(0))[0], how)  # compiles
    ratios, plain_ratios, seconds = [], [], np.zeros(2)
    for seed in range(5):
        made, expected_nm = sites(np.random.default_rng(seed))
        begin = time.process_time()
        report = measure_frc(made, how)
        middle = time.process_time()
        plain_ratios.append(plain_nm(made) / expected_nm)
        seconds += [middle - begin, time.process_time() - middle]
        ratios.append(report.resolution_nm / expected_nm)
    print(f"closed form {expected_nm:.2f} nm, last {shown(report)}, {report.repeats} splits each")
    print(f"measured / closed form {np.mean(ratios):.4f} +- {np.std(ratios):.4f} (5 tables)")
    print(f"plain / closed form {np.mean(plain_ratios):.4f} +- {np.std(plain_ratios):.4f}")
    print(
        f"CPU seconds a table: {seconds[0] / 5:.2f} for {report.repeats} splits, "
        f"plain {seconds[1] / 5:.2f} for one"
    )


def known_filaments() -> None:
    """Compare filaments with the sum over all pairs of positions."""
    for mean_size in (1, 3, 10):
        made = filaments(np.random.default_rng(mean_size), mean_size)
        expected_nm = resolution_from_pairs_nm(made)
        report = measure_frc(made)
        torn = measure_frc(made, FrcSettings(split="localizations"))
        print(
            f"filaments, {mean_size} localizations each: from all pairs {expected_nm:.1f} nm, "
            f"molecules {shown(report)}, ratio {report.resolution_nm / expected_nm:.3f}, "
            f"localizations {shown(torn)}"
        )


def no_structure() -> None:
    """Measure molecules strewn at random, 10 localizations each in consecutive frames."""
    for split in ("molecules", "blocks", "halves", "localizations", "odd-even"):
        found = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            made = table(
                rng.uniform(0, 6400, (1600, 2)), np.full(1600, 10), 25.0, 6400.0, rng,
                frames=17_000, in_a_row=True,
            )  # fmt: skip
            found.append(shown(measure_frc(made, FrcSettings(split=split))))
        print(f"no structure, split by {split}: {', '.join(found)}")


if __name__ == "__main__":
    closed_form()
    known_filaments()
    no_structure()
