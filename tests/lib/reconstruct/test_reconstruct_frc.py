"""The resolution is that of the closed form, and random molecules have none."""

from dataclasses import replace

import numpy as np
import pytest
from made_tables import blinking, filaments, merged, strewn, table
from scipy.special import j0

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.reconstruct.deal import SPLITS
from cellstorm_lib.reconstruct.frc import FrcSettings, measure_frc
from cellstorm_lib.reconstruct.rings import edge_mask


def measured(made, split="molecules", **settings):
    return measure_frc(made, FrcSettings(split=split, **settings))


@pytest.mark.parametrize("split", ["localizations", "blocks", "halves", "odd-even"])
def test_the_closed_form_is_met_within_two_percent(split):
    ratios = []
    for seed in range(3):
        made, expected_nm = strewn(
            seed, molecules=4000, side_nm=6000.0, precision_nm=12.0, mean_size=12, in_a_row=False
        )
        report = measured(made, split)
        assert report.low_nm < report.resolution_nm < report.high_nm
        ratios.append(report.resolution_nm / expected_nm)
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_other_thresholds_have_their_own_closed_form(threshold):
    made, at_a_seventh_nm = strewn(
        7, molecules=5000, side_nm=8000.0, precision_nm=12.0, mean_size=12, in_a_row=False
    )
    odds = (1 - threshold) / threshold  # at 1/7 these are 6
    log_6p = (2 * np.pi * 12 / at_a_seventh_nm) ** 2
    expected_nm = 2 * np.pi * 12 / np.sqrt(log_6p + np.log(odds / 6))
    report = measured(made, "localizations", threshold=threshold)
    assert report.resolution_nm == pytest.approx(expected_nm, rel=0.03)
    assert report.threshold == threshold


@pytest.mark.slow
def test_the_interval_holds_the_closed_form_in_more_than_half_of_the_tables():
    inside = []
    for seed in range(60):
        made, expected_nm = strewn(
            seed, molecules=1000, side_nm=5000.0, precision_nm=12.0, mean_size=4, in_a_row=False
        )
        report = measured(made, "localizations")
        inside.append(report.low_nm < expected_nm < report.high_nm)
    # 68 % is aimed at, 55 to 65 % reached: four standard errors of 60 tables around 0.6
    assert abs(np.mean(inside) - 0.6) < 4 * np.sqrt(0.6 * 0.4 / 60)


@pytest.mark.parametrize("size", [1, 10, 30])
@pytest.mark.parametrize("finish", [lambda made: made, merged], ids=["linked", "merged"])
def test_molecules_strewn_at_random_have_no_resolution(size, finish):
    made, _ = strewn(9, molecules=1600, side_nm=6400.0, precision_nm=25.0, size=size)
    report = measured(finish(made))
    assert (report.resolution_nm, report.low_nm, report.high_nm) == (None, None, None)
    assert report.reason.startswith("no resolution: the halves agree on no structure")


def test_the_same_molecules_torn_apart_get_one():
    made, expected_nm = strewn(9, molecules=1600, side_nm=6400.0, precision_nm=25.0, size=10)
    assert measured(made, "localizations").resolution_nm == pytest.approx(expected_nm, rel=0.05)


@pytest.mark.parametrize("finish", [lambda made: made, merged], ids=["linked", "merged"])
def test_tracks_that_broke_make_no_resolution(finish):
    made, _ = strewn(4, molecules=1600, side_nm=6400.0, precision_nm=25.0, size=10)
    rng = np.random.default_rng(0)
    # every other molecule lost in the middle of its track and found again as a new one
    number = made.column("molecule")
    first = np.full(1600, np.iinfo(np.int32).max)
    np.minimum.at(first, number, made.column("frame"))
    later = made.column("frame") - first[number] >= 5
    pieces = made.with_columns(molecule=2 * number + (later & (rng.random(1600) < 0.5)[number]))
    report = measured(finish(pieces))
    assert report.resolution_nm is None
    assert report.units < 1610


@pytest.mark.parametrize("seed", range(6))
def test_few_or_crowded_or_uneven_molecules_without_structure_have_no_fine_resolution(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.choice([30, 300, 1500]))
    spread_nm = float(rng.choice([500, 1500, 6400]))
    centres_nm = np.clip(rng.normal(3200, spread_nm, (count, 2)), 10, 6390)
    sizes = np.clip(rng.zipf(2.0, count), 1, 500)
    report = measured(blinking(centres_nm, sizes, 20.0, rng))
    assert report.resolution_nm is None or report.resolution_nm > 300


def exact_resolution_nm(made, threshold=1 / 7):
    """Return the resolution from all pairs of positions: no pixels, no random halves.

    Over all ways to deal molecules into halves, sum Re(F1 F2*) is on average a quarter of the
    pairs of different molecules, and sum |F1|^2 half of those of the same (with itself) more.
    """
    xy_nm, molecule = made.xy_nm, made.column("molecule")
    side_nm = made.field.width_nm
    weight = edge_mask(xy_nm[:, 0] / side_nm) * edge_mask(xy_nm[:, 1] / side_nm)
    bins = int(1.5 * side_nm)
    others, same = np.zeros(bins), np.zeros(bins)
    for start in range(0, len(xy_nm), 500):
        part = slice(start, start + 500)
        distance = np.hypot(*(xy_nm[part, None] - xy_nm[None]).transpose(2, 0, 1)).astype(int)
        weights = weight[part, None] * weight
        is_same = molecule[part, None] == molecule
        same += np.bincount(distance[is_same], weights[is_same], bins)
        others += np.bincount(distance.ravel(), (weights * ~is_same).ravel(), bins)
    frequency = np.geomspace(1 / 400, 1 / 50, 150)
    ring = j0(2 * np.pi * np.outer(frequency, np.arange(bins) + 0.5))
    shared, own = ring @ others, ring @ same
    nearness = np.exp(-0.5 * (np.subtract.outer(np.log(frequency), np.log(frequency)) / 0.04) ** 2)
    curve = nearness @ (shared / (shared + 2 * own)) / nearness.sum(axis=1)
    below = int(np.argmax(curve < threshold))
    return float(1 / np.interp(threshold, curve[[below, below - 1]], frequency[[below, below - 1]]))


@pytest.mark.parametrize("mean_size", [2, 4])
def test_filaments_agree_with_the_sum_over_all_pairs_within_ten_percent(mean_size):
    made = filaments(
        mean_size, molecules=9000 // mean_size, mean_size=mean_size, side_nm=4800.0, count=8
    )
    assert measured(made).resolution_nm == pytest.approx(exact_resolution_nm(made), rel=0.1)


def test_filaments_torn_apart_look_finer_than_they_are():
    made = filaments(1, molecules=1600, mean_size=10)
    whole, torn = measured(made), measured(made, "localizations")
    assert torn.high_nm < whole.low_nm


def test_turning_the_table_changes_nothing():
    made = filaments(2, molecules=2000, mean_size=3)
    side_nm = made.field.width_nm
    turned = made.with_columns(x_nm=side_nm - made.column("y_nm"), y_nm=made.column("x_nm"))
    one, two = measured(made), measured(turned)
    assert two.resolution_nm == pytest.approx(one.resolution_nm, rel=1e-4)
    np.testing.assert_allclose(two.curve, one.curve, atol=1e-4)


def test_shifting_the_structure_within_the_mask_changes_next_to_nothing():
    rng = np.random.default_rng(0)
    made = filaments(3, molecules=2000, mean_size=3, side_nm=4000.0)
    wide = [
        table(
            made.xy_nm + shift_nm,
            made.column("frame"),
            side_nm=(6400.0, 6400.0),
            molecule=made.column("molecule"),
            uncertainty_nm=made.column("uncertainty_nm"),
        )
        for shift_nm in (np.array([1000.0, 1000.0]), 1000 + rng.uniform(0, 500, 2))
    ]
    one, two = (measured(w) for w in wide)
    assert two.resolution_nm == pytest.approx(one.resolution_nm, rel=0.01)


def test_renaming_molecules_changes_only_the_dealing():
    made = filaments(5, molecules=3000, mean_size=3)
    names = np.random.default_rng(1).permutation(3000) * 7 - 500
    one, two = measured(made), measured(made.with_columns(molecule=names[made.column("molecule")]))
    spread = one.high_nm - one.low_nm
    assert abs(one.resolution_nm - two.resolution_nm) < spread


def test_the_same_seed_gives_the_same_report_and_another_one_nearly_so():
    made = filaments(6, molecules=2000, mean_size=3)
    one, two, three = measured(made), measured(made), measured(made, seed=1)
    np.testing.assert_array_equal(one.curve, two.curve)
    assert one.resolution_nm == two.resolution_nm
    assert one.resolution_nm != three.resolution_nm
    assert abs(one.resolution_nm - three.resolution_nm) < one.high_nm - one.low_nm


def test_a_field_that_is_not_square_has_the_same_resolution():
    rng = np.random.default_rng(8)
    sizes = 1 + rng.poisson(11, 4000)
    centres_nm = rng.uniform(0, 1, (4000, 2)) * [12_000, 4000]
    made = blinking(centres_nm, sizes, 12.0, rng, in_a_row=False, side_nm=(12_000.0, 4000.0))
    pairs = (sizes * (sizes - 1)).sum() / (2 * sizes.sum())
    expected_nm = 2 * np.pi * 12 / np.sqrt(np.log(6 * pairs))
    assert measured(made, "localizations").resolution_nm == pytest.approx(expected_nm, rel=0.03)


def test_the_pixel_is_a_quarter_of_the_resolution_and_a_given_one_does_not_change_it():
    made, _ = strewn(
        2, molecules=5000, side_nm=8000.0, precision_nm=12.0, mean_size=12, in_a_row=False
    )
    chosen = measured(made, "localizations")
    assert chosen.render_pixel_nm == pytest.approx(chosen.resolution_nm / 4, rel=0.1)
    assert chosen.frequency_per_nm[-1] == pytest.approx(0.5 / chosen.render_pixel_nm, rel=0.01)
    given = measured(made, "localizations", render_pixel_nm=5.0)
    assert given.render_pixel_nm == 5.0
    assert given.resolution_nm == pytest.approx(chosen.resolution_nm, rel=0.01)


def test_positions_that_repeat_exactly_are_never_crossed():
    rng = np.random.default_rng(1)
    sites = np.repeat(rng.uniform(0, 800, (300, 2)), 8, axis=0)
    report = measured(table(sites, np.arange(2400), side_nm=(800.0, 800.0)), "localizations")
    assert report.resolution_nm is None
    assert "still above 0.143 at the finest detail that pixels of 0.5 nm show" in report.reason


def test_a_pixel_too_coarse_for_the_detail_is_told():
    made, _ = strewn(2, molecules=3000, side_nm=6400.0, precision_nm=12.0, mean_size=12)
    report = measured(made, "localizations", render_pixel_nm=50.0)
    assert report.resolution_nm is None
    assert "a smaller render_pixel_nm is needed" in report.reason


def test_structure_as_coarse_as_the_field_is_no_resolution():
    rng = np.random.default_rng(0)
    centres_nm = rng.uniform(0, 6400, (40_000, 2))
    bright = 0.5 + 0.25 * np.cos(2 * np.pi * centres_nm / 2000).sum(axis=1)
    centres_nm = centres_nm[rng.random(40_000) < bright]
    report = measured(blinking(centres_nm, np.ones(len(centres_nm), int), 10.0, rng))
    assert report.resolution_nm is None
    assert "only on detail coarser than 800 nm, an eighth of the field" in report.reason


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("count", [0, 1, 15])
def test_too_few_are_no_resolution_and_no_error(split, count):
    made = table(np.full((count, 2), 50.0), np.arange(count), molecule=np.arange(count))
    report = measured(made, split)
    assert report.resolution_nm is None
    assert "are too few" in report.reason
    assert report.repeats == len(report.curve) == 0
    assert report.localizations == count


def test_two_huge_molecules_do_not_count_for_many():
    rng = np.random.default_rng(0)
    sizes = np.array([5000, 5000, *[1] * 100])
    report = measured(blinking(rng.uniform(0, 6400, (102, 2)), sizes, 10.0, rng))
    assert "which count for 2 equal ones, are too few" in report.reason


def test_positions_on_the_very_edge_of_the_field_are_no_resolution():
    report = measured(table(np.zeros((50, 2)), np.arange(50)), "localizations")
    assert "the halves agree on no structure" in report.reason


def test_the_report_states_its_circumstances():
    made = filaments(6, molecules=2000, mean_size=3)
    report = measured(made, repeats=40)
    assert (report.repeats, report.repeats_crossed) == (40, 40)
    assert report.reason == "40 of 40 splits crossed"
    assert (report.split, report.localizations) == ("molecules", len(made))
    assert 1900 < report.units <= 2000
    assert (report.curve_low <= report.curve).all()
    assert (report.curve <= report.curve_high).all()
    assert measured(made, "halves").repeats == 1


def test_a_table_without_molecules_needs_another_split():
    bare = table(np.zeros((50, 2)), np.arange(50))
    with pytest.raises(TableError, match="link the table first, or choose another split"):
        measure_frc(bare)
    assert measured(bare, "blocks").resolution_nm is None


@pytest.mark.parametrize("pixel_nm", [0.1, 200.0])
def test_a_pixel_that_cannot_be_is_refused(pixel_nm):
    with pytest.raises(
        SettingsError, match="must lie between 0.195 and 100 nm for a field of 6400"
    ):
        measured(table(np.zeros((50, 2)), np.arange(50)), "blocks", render_pixel_nm=pixel_nm)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "random"}, "split must be one of"),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"threshold": 1.0}, "threshold must lie between 0 and 1, got 1.0"),
        ({"block_frames": 0}, "block_frames must be at least 1, got 0"),
        ({"render_pixel_nm": -1.0}, "render_pixel_nm must be above 0, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(SettingsError, match=message):
        replace(FrcSettings(), **wrong)
