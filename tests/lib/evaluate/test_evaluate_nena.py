"""The precision is that of the simulation, and none where no molecule shines on."""

import numpy as np
import pytest
from blinkers import shining_on
from truth_tables import field, found

from cellstorm_lib.evaluate.nena import measure_precision


@pytest.mark.parametrize("precision_nm", [6.0, 15.0, 40.0])
def test_the_precision_is_recovered(precision_nm):
    ratios = []
    for seed in range(4):
        table = shining_on(seed, precision_nm=precision_nm)
        report = measure_precision(table)
        ratios.append(report.precision_nm / precision_nm)
        assert report.low_nm < report.precision_nm < report.high_nm
        assert report.share == pytest.approx(0.75, abs=0.03)  # geometric with a mean of 4
    pairs = 0.75 * len(table)
    # each distance tells s with a relative error of 1/2; neighbouring distances share a position
    assert np.mean(ratios) == pytest.approx(1, abs=4 * 0.5 * np.sqrt(2 / pairs / 4))


def test_the_interval_holds_the_truth():
    inside = []
    for seed in range(40):
        report = measure_precision(shining_on(seed, molecules=400))
        inside.append(report.low_nm < 15 < report.high_nm)
    assert np.mean(inside) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 40)


@pytest.mark.parametrize("claim_ratio", [0.7, 1.0, 1.6])
def test_wrong_claims_are_told_by_their_ratio(claim_ratio):
    table = shining_on(3, spread=0.4, claim_ratio=claim_ratio)
    report = measure_precision(table)
    assert report.claim_ratio == pytest.approx(claim_ratio, rel=0.04)
    assert report.claim_ratio_low < claim_ratio < report.claim_ratio_high
    assert report.claimed_nm == pytest.approx(15 / claim_ratio, rel=0.05)
    assert "times what the table states" in report.reason


def test_spots_of_different_precision_give_one_between_median_and_rms():
    report = measure_precision(shining_on(4, spread=0.4))
    assert 15 < report.precision_nm < 1.02 * 15 * np.exp(0.4**2)


@pytest.mark.parametrize("on_lines", [False, True])
def test_molecules_that_shine_once_tell_nothing(on_lines):
    # crowded enough that the next frame has a neighbour within a few precisions by chance
    for seed in range(5):
        table = shining_on(
            seed, molecules=20_000, mean_frames=1, on_lines=on_lines, frame_count=300
        )
        report = measure_precision(table)
        assert (report.precision_nm, report.claim_ratio) == (None, None)
        assert report.reason.endswith("no molecule is seen to shine on")


def test_crowded_structure_does_not_spoil_it():
    table = shining_on(5, molecules=15_000, on_lines=True, frame_count=1000)
    assert measure_precision(table).precision_nm == pytest.approx(15, rel=0.02)


def test_copies_made_by_the_codec_are_left_out():
    table = shining_on(6)
    frame, xy_nm = table.column("frame"), table.xy_nm
    copied = np.concatenate([np.zeros(len(table), bool), np.ones(len(table), bool)])
    both = found(
        np.concatenate([xy_nm, xy_nm]),
        np.concatenate([frame, np.minimum(frame + 1, 1999)]),
        fov=table.field,
        is_copied=copied,
    )
    fresh = measure_precision(both)
    assert fresh.copied == len(table)
    assert fresh.precision_nm == pytest.approx(15, rel=0.05)
    trusting = measure_precision(both.with_columns(is_copied=np.zeros(len(both), bool)))
    assert trusting.precision_nm < 0.9 * 15


def test_a_table_without_claims_has_a_precision_and_no_ratio():
    table = shining_on(7)
    plain = found(table.xy_nm, table.column("frame"), fov=table.field)
    report = measure_precision(plain)
    assert report.precision_nm == pytest.approx(15, rel=0.05)
    assert (report.claimed_nm, report.claim_ratio) == (None, None)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (found([]), "0 localizations in 100 frames are too few"),
        (shining_on(0, molecules=30, mean_frames=2), "are too few; 100 in 60 are needed"),
        (shining_on(0, frame_count=50), "in 50 frames are too few"),
        (
            found(
                np.zeros((200, 2)), np.arange(200), fov=field(frame_count=200), detections=[2] * 200
            ),
            "the table is merged",
        ),
    ],
    ids=["empty", "few", "short", "merged"],
)
def test_too_little_is_said_to_be(table, reason):
    report = measure_precision(table)
    assert report.precision_nm is None
    assert reason in report.reason


def test_on_denoised_frames_it_is_a_lower_bound():
    table = shining_on(0)
    denoised = measure_precision(table.with_provenance(model_digest="cafe"))
    assert denoised.is_lower_bound
    assert "denoised frames share the noise" in denoised.reason
    assert not measure_precision(table).is_lower_bound


def test_one_bright_bead_in_every_frame_is_no_molecule():
    rng = np.random.default_rng(0)
    bead = found(5000 + rng.normal(0, 5, (500, 2)), np.arange(500), fov=field(frame_count=500))
    report = measure_precision(bead)
    assert report.precision_nm is None
