"""Repeats of molecules are measured, and what is left is the resolution of whole molecules."""

import numpy as np
import pytest
from made_tables import blinking, filaments, merged, strewn, table

from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.reconstruct.frc_repeats import correct_repeats


def repeats_in(made):
    """Return sum n (n - 1) / sum n over the molecules of a table."""
    sizes = np.bincount(made.column("molecule"))
    return (sizes * (sizes - 1)).sum() / sizes.sum()


def back_later(seed, *, precision_nm=15.0, molecules=6000, dark_frames=200.0, **structure):
    """Return filaments whose molecules blink three times on average, unlinked, and Q."""
    made = filaments(seed, molecules=molecules, mean_size=3, precision_nm=precision_nm, **structure)
    rng = np.random.default_rng(seed)
    first = made.data.groupby("molecule")["frame"].transform("min").to_numpy()
    later = np.rint((made.column("frame") - first) * rng.exponential(dark_frames, len(made)))
    frame = (first + later).astype(int)
    return made.with_columns(frame=np.minimum(frame, 18_000)), repeats_in(made)


def test_the_closed_form_case_is_repeats_alone():
    ratios = []
    for seed in range(4):
        made, expected_nm = strewn(
            seed, molecules=6000, side_nm=9000.0, precision_nm=12.0, mean_size=12, in_a_row=False
        )
        report = correct_repeats(made, is_measured=True)
        ratios.append(report.repeats / repeats_in(made))
        assert report.told_by == "frequency"
        assert report.uncorrected_nm == pytest.approx(expected_nm, rel=0.03)
        # the sites have no structure: everything they agreed on were repeats
        assert report.corrected_nm is None
        assert "without them the halves agree on no structure" in report.reason
        assert np.abs(report.corrected[10:]).max() < 0.15
    assert np.mean(ratios) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("size", [1, 10])
def test_molecules_without_structure_lose_their_resolution(size):
    made, _ = strewn(3, molecules=20_000 // size, side_nm=6400.0, precision_nm=25.0, size=size)
    report = correct_repeats(made)
    assert report.repeats == pytest.approx(size - 1, abs=0.1 * size)
    assert (report.uncorrected_nm is None) == (size == 1)
    assert report.corrected_nm is None


@pytest.mark.parametrize("seed", range(3))
def test_the_corrected_resolution_is_that_of_whole_molecules(seed):
    made, repeats = back_later(seed)
    whole_nm = measure_frc(made).resolution_nm  # knows the molecules, which the correction does not
    report = correct_repeats(made.with_data(made.data.drop(columns="molecule")))
    assert report.uncorrected_nm < 0.93 * whole_nm
    assert report.corrected_nm == pytest.approx(whole_nm, rel=0.06)
    assert report.repeats == pytest.approx(repeats, abs=max(4 * report.repeats_error, 0.15))
    assert report.corrected_low_nm < report.corrected_nm < report.corrected_high_nm


def test_filaments_without_repeats_are_left_alone():
    made = filaments(1, molecules=40_000, mean_size=1, side_nm=12_800.0, count=40)
    report = correct_repeats(made)
    assert report.repeats == pytest.approx(0, abs=max(3 * report.repeats_error, 0.15))
    assert report.corrected_nm == pytest.approx(report.uncorrected_nm, rel=0.04)


def test_merging_leaves_the_repeats_that_it_missed():
    made, _ = back_later(5)
    whole = merged(made)
    assert correct_repeats(whole).repeats < 0.3
    # every molecule in two, as of merging that lost it half way
    half = made.with_columns(molecule=2 * made.column("molecule") + np.arange(len(made)) % 2)
    assert correct_repeats(merged(half)).repeats > 0.3


def test_the_answer_does_not_hang_on_the_stated_uncertainty():
    made, _ = strewn(2, molecules=2000, side_nm=6400.0, precision_nm=25.0, size=10)
    bold = made.with_columns(uncertainty_nm=made.column("uncertainty_nm") / 2)
    assert correct_repeats(bold, claim_ratio=2.0).repeats == pytest.approx(9, abs=0.9)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (table(np.ones((500, 2))), "the table states no uncertainty"),
        (table(np.ones((20, 2)), uncertainty_nm=[10.0] * 20), "20 localizations are too few"),
        (table([], uncertainty_nm=[]), "0 localizations are too few"),
    ],
    ids=["no uncertainty", "few", "empty"],
)
def test_too_little_is_said_to_be(made, reason):
    report = correct_repeats(made)
    assert report.repeats is None
    assert reason in report.reason
    assert len(report.corrected) == 0


def test_a_table_of_one_frame_is_not_told_by_time():
    rng = np.random.default_rng(0)
    made = filaments(2, molecules=3000, mean_size=1)
    still = made.with_columns(frame=rng.integers(0, 5, len(made)))
    assert correct_repeats(still).told_by != "time"


def test_noise_alone_cannot_be_told():
    rng = np.random.default_rng(1)
    made = blinking(rng.uniform(0, 6400, (140, 2)), np.ones(140, int), 300.0, rng)
    report = correct_repeats(made)
    assert report.corrected_nm is None
