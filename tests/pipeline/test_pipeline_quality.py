"""Every measure comes together, survives its file, and warns where molecules come back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.pipeline.quality import Quality, quality_of_table
from cellstorm_lib.pipeline.steps import check_repeats
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.tables import FieldOfView, Localizations

SIDE_NM, FRAMES, PRECISION_NM = 9600.0, 6000, 15.0


def lines_that_blink(seed: int, mean_blinks: int, *, structure: bool = True) -> Localizations:
    """Return molecules on lines 20 nm wide: blinks of 3 frames on average, 60 dark ones between."""
    rng = np.random.default_rng(seed)
    centres_nm = rng.uniform(0, SIDE_NM, (3000, 2))
    if structure:
        centres_nm[:, 1] = np.round(centres_nm[:, 1] / 640) * 640 + rng.normal(0, 10, 3000)
    blinks = rng.geometric(1 / mean_blinks, 3000)
    molecule = np.repeat(np.arange(3000), blinks)
    lasting, dark = rng.geometric(1 / 3, len(molecule)), np.ceil(rng.exponential(60, len(molecule)))
    start = np.cumsum(lasting + dark)
    start += (rng.integers(0, FRAMES, 3000) - start[np.cumsum(blinks) - blinks])[molecule]
    row = np.repeat(np.arange(len(molecule)), lasting)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(lasting) - lasting, lasting)
    xy_nm = centres_nm[molecule[row]] + rng.normal(0, PRECISION_NM, (len(row), 2))
    data = pd.DataFrame(
        {
            "frame": (start[row] + nth).astype(int), "x_nm": xy_nm[:, 0], "y_nm": xy_nm[:, 1],
            "uncertainty_nm": np.full(len(row), PRECISION_NM),
        }
    )  # fmt: skip
    inside = (data["frame"] < FRAMES) & data[["x_nm", "y_nm"]].gt(0).all(axis=1)
    inside &= data[["x_nm", "y_nm"]].lt(SIDE_NM).all(axis=1)
    field = FieldOfView(width_px=96, height_px=96, pixel_size_nm=100.0, frame_count=FRAMES)
    return Localizations(data=data[inside], field=field)


@pytest.fixture(scope="module")
def blinking() -> Quality:
    return quality_of_table(lines_that_blink(0, 4))


def test_every_measure_tells_what_is_known(blinking: Quality) -> None:
    assert blinking.precision.precision_nm == pytest.approx(PRECISION_NM, rel=0.03)
    assert blinking.precision.claim_ratio == pytest.approx(1, abs=0.03)
    assert blinking.molecules.molecules == pytest.approx(3000, rel=0.1)
    # merging joins what is seen in a row; of 4 blinks, 6 others are repeats (geometric: 2 (4 - 1))
    assert blinking.repeats.repeats == pytest.approx(6, rel=0.25)
    assert blinking.error_map.reason == "no widefield image was given"
    assert blinking.codec_grid.passed is not False
    assert np.isfinite(blinking.frc_map.resolution_nm).any()


def test_a_widefield_image_is_compared() -> None:
    table = lines_that_blink(1, 1)
    rows, columns = (table.column(name) // 100 for name in ("y_nm", "x_nm"))
    widefield = np.histogram2d(rows, columns, bins=96, range=((0, 96), (0, 96)))[0]
    found = quality_of_table(table, widefield=widefield.astype(np.float32)).error_map
    # blinks of unlike length weigh alike in the image, not in the film: 3 frames give or take 2.4
    assert found.rsp > 0.8
    assert found.blur_nm < 100


def test_molecules_that_come_back_are_warned_of(blinking: Quality) -> None:
    outcome = check_repeats(blinking)
    assert outcome.passed is False
    assert "flatter the resolution" in outcome.reason or "agree on nothing" in outcome.reason


def test_molecules_that_blink_once_pass() -> None:
    quality = quality_of_table(lines_that_blink(2, 1))
    assert quality.repeats.repeats == pytest.approx(0, abs=0.5)
    assert check_repeats(quality).passed is True
    assert "without molecules that blink again the resolution is" in check_repeats(quality).reason


def test_without_structure_the_resolution_is_said_to_be_of_molecules() -> None:
    quality = quality_of_table(lines_that_blink(3, 4, structure=False))
    assert quality.resolution_nm is not None
    assert check_repeats(quality).passed is False
    assert check_repeats(quality).reason.endswith("without repeats the halves agree on nothing")


def test_what_cannot_be_told_is_no_failure(blinking: Quality) -> None:
    assert check_repeats(replace(blinking, resolution_nm=None)).passed is None
    untold = replace(blinking.repeats, repeats=None, reason="too few")
    assert check_repeats(replace(blinking, repeats=untold)).reason == "too few"


def test_an_empty_table_is_measured_too() -> None:
    table = lines_that_blink(0, 1)
    quality = quality_of_table(table.take(np.zeros(len(table), bool)))
    reasons = [
        quality.precision.reason, quality.repeats.reason, quality.frc_map.reason,
        quality.decorrelation.reason, quality.molecules.reason, quality.codec_grid.reason,
    ]  # fmt: skip
    assert all(reasons)
    assert quality.resolution_nm is None


def test_it_survives_its_file(blinking: Quality, tmp_path: Path) -> None:
    write_records([blinking], tmp_path / "quality.parquet")
    stored = read_records(Quality, tmp_path / "quality.parquet")[0]
    assert stored.precision == blinking.precision
    assert stored.molecules == blinking.molecules
    np.testing.assert_array_equal(stored.frc_map.resolution_nm, blinking.frc_map.resolution_nm)
    np.testing.assert_array_equal(stored.repeats.corrected, blinking.repeats.corrected)
    assert stored.error_map.difference.shape == (0, 0)
