"""Molecules are counted once however often they blink, and those that blink once are left alone."""

import numpy as np
import pytest
from blinkers import coming_back, shining_on
from truth_tables import field, found

from cellstorm_lib.evaluate.molecule_count import count_molecules


def counted(table, **how):
    return count_molecules(table, rng=np.random.default_rng(0), **how)


@pytest.mark.parametrize(
    "scene",
    [
        {},
        {"mean_blinks": 2},
        {"mean_blinks": 8, "frame_count": 10_000},
        {"on_lines": True, "molecules": 3000},
        {"fading": 1500.0},
        {"dark_frames": 200.0, "frame_count": 12_000},
    ],
    ids=["scattered", "few blinks", "many blinks", "on lines", "fading", "long dark"],
)
def test_the_number_of_molecules_is_recovered(scene):
    ratios, inside = [], []
    for seed in range(6):
        table, true_count = coming_back(seed, **scene)
        report = counted(table)
        ratios.append(report.molecules / true_count)
        inside.append(report.low <= true_count <= report.high)
        assert report.blinks == len(table)
        assert report.dark_frames == pytest.approx(scene.get("dark_frames", 40), rel=0.15)
    assert np.mean(ratios) == pytest.approx(1, abs=0.04)
    assert sum(inside) >= 3


@pytest.mark.parametrize(
    "scene", [{}, {"on_lines": True, "molecules": 4000}], ids=["scattered", "on lines"]
)
def test_molecules_that_blink_once_are_all_counted(scene):
    for seed in range(5):
        table, true_count = coming_back(seed, mean_blinks=1, **scene)
        report = counted(table)
        assert report.molecules == pytest.approx(true_count, rel=0.03)
        assert report.high >= true_count
        assert report.low > 0.9 * true_count
    assert report.dark_frames is None
    assert "than chance brings" in report.reason


def test_understated_uncertainties_are_made_up_for():
    table, true_count = coming_back(1)
    bold = table.with_columns(uncertainty_nm=table.column("uncertainty_nm") / 2.5)
    assert counted(bold).molecules > 1.1 * true_count
    assert counted(bold, claim_ratio=2.5).molecules == pytest.approx(true_count, rel=0.07)


def test_molecules_that_come_back_over_the_whole_recording_cannot_be_told():
    table, _ = coming_back(0, dark_frames=600.0)
    report = counted(table)
    assert report.molecules is None
    assert report.reason.endswith("film longer")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (found([], uncertainty_nm=[]), "0 blinks in 100 frames are too few"),
        (coming_back(0, molecules=10)[0], "are too few; 100 in 100 are needed"),
        (found(np.ones((200, 2))), "states no uncertainty"),
        (
            found(
                np.random.default_rng(0).uniform(0, 300, (1500, 2)),
                np.random.default_rng(1).integers(0, 1000, 1500),
                fov=field(3, 1000),
                uncertainty_nm=np.full(1500, 30.0),
            ),
            "of the places are lit by another molecule",
        ),
    ],
    ids=["empty", "few", "no uncertainty", "crowded"],
)
def test_too_little_is_said_to_be(table, reason):
    report = counted(table)
    assert (report.molecules, report.low, report.high) == (None, None, None)
    assert reason in report.reason


def test_too_many_pairs_are_refused_and_not_computed():
    rng = np.random.default_rng(0)
    table = found(
        rng.uniform(0, 2000, (20_000, 2)),
        rng.integers(0, 1000, 20_000),
        fov=field(20, 1000),
        uncertainty_nm=np.full(20_000, 100.0),
    )
    assert counted(table).reason == "the blinks lie so densely that every place is another's too"


def test_a_single_bead_does_not_crash():
    assert counted(shining_on(0, molecules=1, mean_frames=4)).molecules is None
