"""Regions of different precision are told apart, and where nothing can be told there is nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_tables import filaments, strewn, table

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.reconstruct.frc_map import FrcMapSettings, map_frc

SIDE_NM = 9600.0
#: Blocks small enough that there are many in a small field.
SMALL = FrcMapSettings(block_molecules=600)


def two_halves(seed):
    """Return filaments localized to 10 nm in the left half of the field and 35 nm in the right."""
    scene = {"molecules": 15_000, "mean_size": 2, "side_nm": SIDE_NM, "count": 50}
    fine = filaments(seed, precision_nm=10.0, **scene)
    coarse = filaments(seed + 100, precision_nm=35.0, **scene)
    coarse = coarse.with_columns(molecule=coarse.column("molecule") + 100_000)
    left = fine.data[fine.data["x_nm"] < SIDE_NM / 2]
    return fine.with_data(
        pd.concat([left, coarse.data[coarse.data["x_nm"] >= SIDE_NM / 2]], ignore_index=True)
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_two_regions_are_told_apart(seed):
    made = two_halves(seed)
    is_left = made.column("x_nm") < SIDE_NM / 2
    whole_nm, left_nm, right_nm = (
        measure_frc(part).resolution_nm for part in (made, made.take(is_left), made.take(~is_left))
    )
    found = map_frc(made, typical_nm=whole_nm, settings=SMALL)
    middle = found.resolution_nm.shape[1] // 2
    left, right = found.resolution_nm[:, : middle - 1], found.resolution_nm[:, middle + 1 :]
    assert np.nanmedian(left) == pytest.approx(left_nm, rel=0.12)
    assert np.nanmedian(right) == pytest.approx(right_nm, rel=0.12)
    assert np.nanmax(left) < np.nanmin(right)
    assert found.finest_nm < found.median_nm < found.coarsest_nm


def test_molecules_that_come_back_are_taken_off():
    made = filaments(7, molecules=24_000, mean_size=4, precision_nm=15.0, side_nm=SIDE_NM, count=50)
    whole_nm = measure_frc(made).resolution_nm
    sizes = np.bincount(made.column("molecule"))
    repeats = (sizes * (sizes - 1)).sum() / sizes.sum()
    one_by_one = replace(SMALL, split="localizations")
    flattered = map_frc(made, typical_nm=whole_nm, settings=one_by_one)
    corrected = map_frc(made, typical_nm=whole_nm, repeats=repeats, settings=one_by_one)
    by_molecule = map_frc(made, typical_nm=whole_nm, settings=SMALL)
    assert flattered.median_nm < 0.85 * by_molecule.median_nm
    ratio = corrected.resolution_nm / by_molecule.resolution_nm
    count = np.isfinite(ratio).sum()
    assert count > 20
    assert np.nanmedian(ratio) == pytest.approx(1, abs=4 * 0.12 / np.sqrt(count))


def test_empty_regions_are_nan_and_counted():
    made = two_halves(2)
    kept = made.take(made.column("y_nm") < SIDE_NM / 2)
    found = map_frc(kept, typical_nm=90.0, settings=SMALL)
    rows = found.resolution_nm.shape[0]
    assert np.isnan(found.resolution_nm[rows // 2 + 1 :]).all()
    assert not found.is_crowded[rows // 2 + 1 :].any()
    told = np.isfinite(found.resolution_nm).sum()
    assert found.reason.startswith(f"{told} of {found.resolution_nm.size} blocks of")
    assert f"{(~found.is_crowded).sum()} hold too few molecules" in found.reason


def test_molecules_without_structure_have_no_map():
    made, _ = strewn(1, molecules=6000, side_nm=SIDE_NM, precision_nm=25.0, size=4)
    found = map_frc(made, typical_nm=80.0, settings=SMALL)
    assert found.is_crowded.all()
    # each block has a chance of about 1 in 200 to rise above its noise somewhere
    assert np.isfinite(found.resolution_nm).mean() < 0.04


def test_blocks_cover_the_field_and_no_more():
    made = filaments(3, molecules=5000, mean_size=1)
    found = map_frc(made, typical_nm=90.0, settings=SMALL)
    rows, columns = found.resolution_nm.shape
    assert found.block_nm == 2 * found.step_nm
    for count, length_nm in ((rows, made.field.height_nm), (columns, made.field.width_nm)):
        assert (count + 1) * found.step_nm == pytest.approx(length_nm, abs=found.step_nm / 2)


def test_a_wide_field_is_cut_into_no_more_blocks_than_asked_for():
    made = filaments(4, molecules=3000, mean_size=1, side_nm=30_000.0)
    found = map_frc(made, typical_nm=90.0, settings=replace(SMALL, blocks=5))
    assert found.resolution_nm.shape == (5, 5)


@pytest.mark.parametrize(
    ("typical_nm", "reason"),
    [
        (None, "the whole table has no resolution to choose the blocks by"),
        (2000.0, "the field is too small to be cut into blocks"),
    ],
)
def test_without_a_map_there_is_a_reason(typical_nm, reason):
    found = map_frc(filaments(5, molecules=500, mean_size=1), typical_nm=typical_nm)
    assert found.reason == reason
    assert found.resolution_nm.shape == (0, 0)
    assert found.median_nm is None


def test_an_empty_table_has_an_empty_map():
    empty = table([], molecule=np.zeros(0, int), uncertainty_nm=[])
    found = map_frc(empty, typical_nm=90.0)
    assert (found.reason, found.median_nm) == ("the table is empty", None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"block_resolutions": 2.0}, "block_resolutions must be at least 8, got 2.0"),
        ({"split": "halves"}, r"split must be one of \['molecules', 'blocks', 'localizations'\]"),
        ({"blocks": 1}, "blocks must be at least 2, got 1"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(SettingsError, match=message):
        FrcMapSettings(**wrong)
