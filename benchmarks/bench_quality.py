"""Every measure of quality against what is known: recovery over seeds, controls, and CPU time."""

import time

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from benchmarks.bench_frc import filaments, sites
from cellstorm_lib.evaluate.checks import grid_test, subpixel_bias_test
from cellstorm_lib.evaluate.decorrelation import measure_decorrelation
from cellstorm_lib.evaluate.error_map import map_errors
from cellstorm_lib.evaluate.molecule_count import count_molecules
from cellstorm_lib.evaluate.nena import measure_precision
from cellstorm_lib.pipeline.quality import quality_of_table
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.reconstruct.frc_map import FrcMapSettings, map_frc
from cellstorm_lib.reconstruct.frc_repeats import correct_repeats
from cellstorm_lib.reconstruct.render import render
from cellstorm_lib.refine.merge import merge
from cellstorm_lib.tables import FieldOfView, Localizations

SEEDS, SIDE_NM, PIXEL_NM = 20, 12_800.0, 100.0
PRECISION_NM = 15.0


def blinkers(
    seed, *, molecules=2000, mean_blinks=4, dark_frames=60.0, frames=6000, on_lines=True,
    spread=0.0, claim_ratio=1.0, side_nm=SIDE_NM,
) -> tuple[Localizations, int, float]:  # fmt: skip
    """Return spots of molecules on lines, or anywhere; how many there are; and Q of their blinks.

    A blink lasts 3 frames on average; numbers of blinks and of frames are geometric, dark times
    exponential, the precision log-normal; the table states true errors over `claim_ratio`.
    """
    rng = np.random.default_rng(seed)
    centres_nm = rng.uniform(100, side_nm - 100, (molecules, 2))
    if on_lines:
        lines_nm = rng.uniform(0, side_nm, round(side_nm / 800))
        centres_nm[:, 1] = rng.choice(lines_nm, molecules) + rng.normal(0, 10, molecules)
    blinks = rng.geometric(1 / mean_blinks, molecules)
    molecule = np.repeat(np.arange(molecules), blinks)
    lasting = rng.geometric(1 / 3, len(molecule))
    after = np.cumsum(lasting + np.ceil(rng.exponential(dark_frames, len(molecule))))
    first_row = np.cumsum(blinks) - blinks
    before = after - after[first_row][molecule]
    start = (rng.integers(0, frames, molecules)[molecule] + before).astype(int)
    row = np.repeat(np.arange(len(molecule)), lasting)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(lasting) - lasting, lasting)
    sigma_nm = PRECISION_NM * np.exp(rng.normal(0, spread, len(row)))
    xy_nm = centres_nm[molecule[row]] + rng.normal(size=(len(row), 2)) * sigma_nm[:, None]
    frame, is_seen = start[row] + nth, start < frames
    data = pd.DataFrame(
        {
            "frame": frame, "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1],
            "uncertainty_nm": sigma_nm / claim_ratio,
        }
    )  # fmt: skip
    sizes = np.bincount(molecule[is_seen], minlength=molecules)
    side_px = round(side_nm / PIXEL_NM)
    field = FieldOfView(
        width_px=side_px, height_px=side_px, pixel_size_nm=PIXEL_NM, frame_count=frames
    )
    table = Localizations(data=data[frame < frames], field=field)
    return table, int((sizes > 0).sum()), float((sizes * (sizes - 1)).sum() / sizes.sum())


def line(name, values, *, unit="", inside=None) -> None:
    """Print mean and spread over the seeds, and how often the interval held the truth."""
    told = [value for value in values if value is not None]
    text = f"{np.mean(told):.3f} +- {np.std(told):.3f}{unit}" if told else "-"
    held = "" if inside is None else f", interval holds the truth in {np.mean(inside):.0%}"
    print(f"{name}: {text} ({len(told)} of {len(values)} told{held})")


def precision() -> None:
    """Measured over true precision; ratio of claims; molecules that shine in one frame."""
    for name, scene in {
        "": {}, ", crowded lines": {"molecules": 6000, "frames": 3000},
        ", 300 molecules": {"molecules": 300},
    }.items():  # fmt: skip
        found = [measure_precision(blinkers(s, **scene)[0]) for s in range(SEEDS)]
        line(
            f"NeNA{name}, measured / true", [f.precision_nm / PRECISION_NM for f in found],
            inside=[f.low_nm < PRECISION_NM < f.high_nm for f in found],
        )  # fmt: skip
    for claim_ratio in (0.8, 1.6):
        found = [
            measure_precision(blinkers(s, spread=0.4, claim_ratio=claim_ratio)[0])
            for s in range(SEEDS)
        ]
        line(
            f"NeNA, errors / stated {claim_ratio}", [f.claim_ratio for f in found],
            inside=[f.claim_ratio_low < claim_ratio < f.claim_ratio_high for f in found],
        )  # fmt: skip
    one_frame = [once(blinkers(s, molecules=8000, frames=1000)[0]) for s in range(SEEDS)]
    line(
        "NeNA control, each molecule in one frame",
        [measure_precision(t).precision_nm for t in one_frame],
    )


def once(table: Localizations) -> Localizations:
    """Return every fourth localization, its frame at random: nobody is seen to shine on."""
    kept = table.take(np.arange(0, len(table), 4))
    rng = np.random.default_rng(len(table))
    return kept.with_columns(frame=rng.integers(0, table.field.frame_count, len(kept)))


def repeats() -> None:
    """Q and the corrected resolution: closed form, filaments with known molecules, no structure."""
    ratios, none = [], []
    for seed in range(SEEDS):
        made, _ = sites(np.random.default_rng(seed))
        sizes = np.bincount(made.column("molecule"))
        found = correct_repeats(made, is_measured=True)
        ratios.append(found.repeats / ((sizes * (sizes - 1)).sum() / sizes.sum()))
        none.append(found.corrected_nm)
    line("FRC, closed form (sites, no structure): Q measured / true", ratios)
    line("FRC, closed form (sites, no structure): resolution without repeats", none, unit=" nm")
    for size in (1, 3, 10):
        q, corrected, raw = [], [], []
        for seed in range(SEEDS):
            made = filaments(np.random.default_rng(seed), size)
            sizes = np.bincount(made.column("molecule"))
            found = correct_repeats(made, is_measured=True)
            whole_nm = measure_frc(made).resolution_nm
            true_q = (sizes * (sizes - 1)).sum() / sizes.sum()
            q.append(None if found.repeats is None else found.repeats - true_q)
            corrected.append(None if found.corrected_nm is None else found.corrected_nm / whole_nm)
            raw.append(found.uncorrected_nm / whole_nm)
        line(f"FRC, filaments, {size} localizations each: Q - true ({true_q:.1f})", q)
        line(f"FRC, filaments, {size} each: with repeats / whole molecules", raw)
        line(f"FRC, filaments, {size} each: corrected / whole molecules", corrected)


def resolution_map() -> None:
    """Two halves of a field, 10 and 35 nm: medians of the map over each half measured alone."""
    left_ratio, right_ratio, apart = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        scene = {"side_nm": SIDE_NM, "count": 60, "rows": 60_000}
        left, right = (filaments(rng, 2, precision_nm=nm, **scene) for nm in (10.0, 35.0))
        left = left.take(left.column("x_nm") < SIDE_NM / 2)
        right = right.take(right.column("x_nm") >= SIDE_NM / 2)
        right = right.with_columns(molecule=right.column("molecule") + 1_000_000)
        both = left.with_data(pd.concat([left.data, right.data]))
        alone = [measure_frc(part).resolution_nm for part in (left, right)]
        found = map_frc(
            both, typical_nm=measure_frc(both).resolution_nm,
            settings=FrcMapSettings(block_molecules=1000),
        ).resolution_nm  # fmt: skip
        middle = found.shape[1] // 2
        sides = found[:, : middle - 1], found[:, middle + 1 :]
        left_ratio.append(np.nanmedian(sides[0]) / alone[0])
        right_ratio.append(np.nanmedian(sides[1]) / alone[1])
        apart.append(float(np.nanmax(sides[0]) < np.nanmin(sides[1])))
    line("FRC map, half localized to 10 nm: median of blocks / half alone", left_ratio)
    line("FRC map, half localized to 35 nm: median of blocks / half alone", right_ratio)
    line("FRC map, share of seeds in which no block is on the wrong side", apart)
    strewn = [
        map_frc(as_molecules(blinkers(s, on_lines=False, molecules=12_000, mean_blinks=1)[0]),
                typical_nm=80.0, settings=FrcMapSettings(block_molecules=1000)).resolution_nm
        for s in range(8)
    ]  # fmt: skip
    line("FRC map control, no structure: share of blocks with a resolution",
         [float(np.isfinite(each).mean()) for each in strewn])  # fmt: skip


def as_molecules(table: Localizations) -> Localizations:
    """Take every row for a molecule."""
    return table.with_columns(molecule=np.arange(len(table)))


def error_map() -> None:
    """RSP of a faithful image, of one with a hole, and of another structure."""
    good, holed, other, blur = [], [], [], []
    for seed in range(8):
        table, _, _ = blinkers(seed, molecules=10_000, mean_blinks=1)
        image = render(table)
        side = round(SIDE_NM / PIXEL_NM)
        fine = np.histogram2d(*table.xy_nm[:, ::-1].T, bins=side * 4, range=[[0, SIDE_NM]] * 2)[0]
        seen = gaussian_filter(fine, 130 / 25, mode="nearest").reshape(side, 4, side, 4).sum((1, 3))
        seen += np.random.default_rng(seed).normal(0, 0.05 * seen.std(), seen.shape)
        how = {"widefield": seen, "pixel_size_nm": PIXEL_NM, "pixel_nm": image.pixel_nm}
        found = map_errors(image.image, **how)
        good.append(found.rsp)
        blur.append(found.blur_nm / np.sqrt(130**2 - PRECISION_NM**2))
        lost = image.image.copy()
        edge = len(lost) // 3
        lost[edge : 2 * edge, edge : 2 * edge] = 0
        holed.append(map_errors(lost, **how).rsp)
        other.append(map_errors(image.image.T, **how).rsp)
    line("error map, faithful image: RSP", good)
    line("error map, faithful image: blur / true", blur)
    line("error map, a ninth of the field lost: RSP", holed)
    line("error map control, the image turned: RSP", other)


def decorrelation() -> None:
    """Cut-off found over true, for band-limited images with noise; white noise."""
    for noise in (0.01, 0.1, 0.5):
        found = []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            cutoff = rng.uniform(0.1, 0.6)
            radius = 2 * np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
            spectrum = np.fft.rfft2(rng.normal(size=(512, 512))) / np.maximum(radius, 0.02)
            image = np.fft.irfft2(spectrum * (radius <= cutoff))
            image = image / image.std() + noise * rng.normal(size=image.shape)
            resolution = measure_decorrelation(image, 1.0).resolution_nm
            found.append(None if resolution is None else 2 / resolution / cutoff)
        line(f"decorrelation, noise {noise} of the signal: cut-off found / true", found)
    white = [
        measure_decorrelation(np.random.default_rng(s).normal(size=(512, 512)), 1.0).resolution_nm
        for s in range(SEEDS)
    ]
    line("decorrelation control, white noise", white)


def counts() -> None:
    """Molecules counted over true."""
    scenes = {
        "on lines": {},
        "anywhere": {"on_lines": False},
        "8 blinks each": {"mean_blinks": 8, "frames": 12_000},
        "6000 molecules": {"molecules": 6000, "side_nm": 2 * SIDE_NM},
        "control, one blink each": {"mean_blinks": 1},
    }
    for name, scene in scenes.items():
        ratios, inside = [], []
        for seed in range(SEEDS):
            table, true_count, _ = blinkers(seed, **scene)
            found = count_molecules(merge(table)[0], rng=np.random.default_rng(0))
            ratios.append(None if found.molecules is None else found.molecules / true_count)
            inside.append(found.molecules is not None and found.low <= true_count <= found.high)
        line(f"molecules, {name}: counted / true", ratios, inside=inside)
    table, _, _ = blinkers(0, dark_frames=2000.0)
    found = count_molecules(merge(table)[0], rng=np.random.default_rng(0))
    print(f"molecules, dark for a third of the film: {found.molecules}, {found.reason}")


def grids() -> None:
    """False alarms on lines that blink, and the share on a grid found."""
    tables = [blinkers(s)[0] for s in range(40)]
    alarms = [test(t).passed is False for t in tables for test in (grid_test, subpixel_bias_test)]
    line("grid tests control, blinking lines: share of false alarms", [float(a) for a in alarms])
    shares, inside = [], []
    for seed in range(SEEDS):
        table, _, _ = blinkers(seed, on_lines=False)
        rng = np.random.default_rng(seed)
        xy_nm, caught = table.xy_nm, rng.random(len(table)) < 0.25
        xy_nm[caught] = np.round(xy_nm[caught] / 800) * 800
        xy_nm = np.clip(xy_nm, 0, SIDE_NM - 1)
        found = grid_test(table.with_columns(x_nm=xy_nm[:, 0], y_nm=xy_nm[:, 1]))
        shares.append(found.effect)
        inside.append(found.effect_low < 0.25 < found.effect_high)
    line("grid test, a quarter on blocks of 8 px: share found", shares, inside=inside)


def cost() -> None:
    """CPU seconds of everything for 100,000 localizations in 512 x 512 pixels."""
    side_nm = 51_200.0
    table, _, _ = blinkers(0, molecules=8500, frames=18_000, side_nm=side_nm)
    widefield = np.histogram2d(*table.xy_nm[:, ::-1].T, bins=512, range=[[0, side_nm]] * 2)[0]
    quality_of_table(table, widefield=widefield.astype(np.float32))  # compiles
    begin = time.process_time()
    quality_of_table(table, widefield=widefield.astype(np.float32))
    everything = time.process_time() - begin
    print(
        f"{len(table)} localizations, 512 x 512 pixels: {everything:.1f} CPU s with merging, the "
        "image and its FRC"
    )


if __name__ == "__main__":
    precision()
    repeats()
    resolution_map()
    error_map()
    decorrelation()
    counts()
    grids()
    cost()
