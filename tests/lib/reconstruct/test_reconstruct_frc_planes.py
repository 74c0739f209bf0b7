"""The resolution of every slice is that of the closed form for its own precision."""

import numpy as np
import pandas as pd
import pytest
from made_tables import strewn, table

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.reconstruct.frc import FrcSettings
from cellstorm_lib.reconstruct.frc_planes import measure_frc_planes

SPLIT = FrcSettings(split="localizations")
SIDE_NM = 6000.0


def slices(precisions_nm, *, thickness_nm=200.0, seed=0, first=-1):
    """Return one table of slices of different precision, and the closed form of each."""
    rng = np.random.default_rng(seed)
    parts, expected_nm, count = [], [], 0
    for number, precision_nm in enumerate(precisions_nm):
        made, resolution_nm = strewn(
            seed + number, molecules=4000, side_nm=SIDE_NM, precision_nm=precision_nm,
            mean_size=12, in_a_row=False,
        )  # fmt: skip
        data = made.data.copy()
        low_nm = (first + number) * thickness_nm
        z_nm = rng.uniform(low_nm, low_nm + thickness_nm, data["molecule"].max() + 1)
        data["z_nm"] = z_nm[data["molecule"]]
        data["molecule"] += count
        count = data["molecule"].max() + 1
        parts.append(data)
        expected_nm.append(resolution_nm)
    return made.with_data(pd.concat(parts)), expected_nm


def test_each_slice_meets_its_closed_form():
    made, expected_nm = slices([10.0, 14.0, 20.0])
    found = measure_frc_planes(made, thickness_nm=200.0, settings=SPLIT)
    assert [(plane.z_from_nm, plane.z_to_nm) for plane in found] == [
        (-200.0, 0.0),
        (0.0, 200.0),
        (200.0, 400.0),
    ]
    ratios = [plane.report.resolution_nm / nm for plane, nm in zip(found, expected_nm, strict=True)]
    np.testing.assert_allclose(ratios, 1, atol=0.04)
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
    assert sum(plane.report.localizations for plane in found) == len(made)


def test_a_molecule_whose_height_is_noisy_is_not_torn_apart():
    made, (expected_nm,) = slices([12.0], first=0)
    rng = np.random.default_rng(1)
    noisy = made.with_columns(z_nm=100.0 + rng.normal(0, 40.0, len(made)))
    found = measure_frc_planes(noisy, thickness_nm=200.0, settings=SPLIT)
    within = [plane for plane in found if plane.z_from_nm == 0.0]
    assert within[0].report.localizations > 0.99 * len(made)
    assert within[0].report.resolution_nm == pytest.approx(expected_nm, rel=0.04)
    torn = measure_frc_planes(
        noisy.with_data(noisy.data.drop(columns="molecule")), thickness_nm=200.0, settings=SPLIT
    )
    assert max(plane.report.localizations for plane in torn) < 0.99 * len(made)


def test_slices_with_little_in_them_say_so():
    made, _ = slices([12.0], first=0)
    z_nm = made.column("z_nm").copy()
    z_nm[made.column("molecule") == 0] = 850.0
    found = measure_frc_planes(made.with_columns(z_nm=z_nm), thickness_nm=200.0, settings=SPLIT)
    assert len(found) == 5
    assert [plane.report.localizations for plane in found[1:4]] == [0, 0, 0]
    assert found[2].report.resolution_nm is None
    assert found[2].report.reason.startswith("no resolution: 0 localizations")


def test_tables_without_depth_and_impossible_slices_are_refused():
    flat = table(np.random.default_rng(2).uniform(0, 6000, (50, 2)))
    with pytest.raises(TableError, match="the table has no column 'z_nm'"):
        measure_frc_planes(flat, thickness_nm=100.0)
    deep = flat.with_columns(z_nm=np.linspace(-500, 500, 50))
    with pytest.raises(SettingsError, match="the thickness of a slice must be above 0 nm, got 0"):
        measure_frc_planes(deep, thickness_nm=0.0)
    with pytest.raises(SettingsError, match="slices of 1 nm make 1001 of a table .* 200 at most"):
        measure_frc_planes(deep, thickness_nm=1.0)
    nothing = flat.take(np.zeros(50, bool)).with_columns(z_nm=np.zeros(0))
    assert measure_frc_planes(nothing, thickness_nm=100.0) == ()
