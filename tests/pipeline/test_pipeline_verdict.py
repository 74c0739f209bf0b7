"""Raw or denoised: the verdict is right where the tables differ, and open where nobody can tell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.evaluate.agreement import compare_tables
from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.pipeline.result import CheckOutcome, Verdict
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.pipeline.verdict import BranchFindings, judge
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.tables import FieldOfView, Localizations

FRAMES, SIDE_PX, PIXEL_NM = 2000, 96, 100.0
FINE = (
    CheckOutcome(name="codec_grid", passed=True, reason="no preference"),
    CheckOutcome(name="subpixel_bias", passed=True, reason="no preference"),
)


def frc(resolution_nm: float | None) -> FrcReport:
    nothing = np.zeros(0)
    return FrcReport(
        resolution_nm=resolution_nm,
        low_nm=None if resolution_nm is None else resolution_nm - 1.0,
        high_nm=None if resolution_nm is None else resolution_nm + 1.0,
        reason="", split="molecules", threshold=1 / 7, render_pixel_nm=10.0, localizations=1,
        units=1, repeats=1, repeats_crossed=1, frequency_per_nm=nothing, curve=nothing,
        curve_low=nothing, curve_high=nothing, noise=nothing,
    )  # fmt: skip


def branch(recall: float, false_per_frame: float, *, blinks: int = 6, seed: int = 0):
    """Return the findings of a program that sees so much of the same molecules on lines."""
    sample, own = np.random.default_rng(1), np.random.default_rng(seed)
    place_x = sample.uniform(5, SIDE_PX - 5, 400)
    place_y = 12 * np.arange(400) // 60 % 8 * 12.0 + 6
    molecule = np.repeat(np.arange(400), blinks)
    frame = sample.integers(0, FRAMES, len(molecule))
    is_found = sample.uniform(size=len(molecule)) < recall
    count = own.poisson(false_per_frame * FRAMES)
    data = pd.DataFrame(
        {
            "frame": np.concatenate([frame[is_found], own.integers(0, FRAMES, count)]),
            "x_nm": PIXEL_NM
            * np.concatenate(
                [
                    place_x[molecule][is_found] + own.normal(0, 0.2, is_found.sum()),
                    own.uniform(0, SIDE_PX, count),
                ]
            ),
            "y_nm": PIXEL_NM
            * np.concatenate(
                [
                    place_y[molecule][is_found] + own.normal(0, 0.2, is_found.sum()),
                    own.uniform(0, SIDE_PX, count),
                ]
            ),
        }
    ).sort_values("frame", kind="stable")
    data["photons"], data["sigma_nm"] = np.float32(500.0), np.float32(130.0)
    field = FieldOfView(
        width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=PIXEL_NM, frame_count=FRAMES
    )
    spots = Localizations(data=data.reset_index(drop=True), field=field)
    return BranchFindings(spots=spots, frc=frc(60.0), checks=FINE)


GOOD, POOR, DIRTY = branch(0.9, 0.01), branch(0.75, 0.01, seed=2), branch(0.9, 1.0, seed=3)


@pytest.mark.parametrize(
    ("raw", "denoised", "use"),
    [
        (POOR, GOOD, "denoised"),
        (DIRTY, GOOD, "denoised"),
        (GOOD, POOR, "raw"),
        (GOOD, DIRTY, "raw"),
        (GOOD, branch(0.9, 0.01, seed=4), "raw"),
    ],
    ids=["finds more", "adds less", "loses", "adds", "changes nothing"],
)
def test_the_better_branch_is_named(raw: BranchFindings, denoised: BranchFindings, use: str):
    verdict = judge(raw, denoised, model="champion")
    assert verdict.use == use
    assert verdict.model == "champion"
    rows = {row.question: row for row in verdict.evidence}
    assert rows["Spots found"].raw == f"{len(raw.spots):,}"
    assert rows["Photons per spot"].denoised == "500 photoelectrons"
    assert verdict.common + verdict.only_raw == len(raw.spots)
    assert verdict.common + verdict.only_denoised == len(denoised.spots)


@pytest.mark.parametrize(
    ("name", "said"),
    [("codec_grid", "follow the codec's blocks"), ("subpixel_bias", "lean to a place within")],
)
def test_positions_that_gather_speak_against_a_branch_whatever_it_finds(name, said):
    failed = CheckOutcome(name=name, passed=False, reason="prefers the edges")
    fine = tuple(check for check in FINE if check.name != name)
    bad = replace(GOOD, checks=(failed, *fine))
    verdict = judge(POOR, bad)
    assert verdict.use == "cannot tell"  # it has more real spots nevertheless
    assert said in verdict.reason
    same = replace(branch(0.9, 0.01, seed=4), checks=bad.checks)
    assert judge(GOOD, same).use == "raw"
    assert judge(bad, POOR).use == "raw"  # the network must still find what is real


@pytest.mark.parametrize(
    ("raw_nm", "denoised_nm", "use"),
    [(60.0, 50.0, "denoised"), (60.0, 80.0, "raw"), (None, 60.0, "denoised"), (60.0, 61.0, "raw")],
)
def test_of_branches_with_the_same_spots_the_sharper_one_is_used(raw_nm, denoised_nm, use):
    same = branch(0.9, 0.01, seed=4)
    verdict = judge(replace(GOOD, frc=frc(raw_nm)), replace(same, frc=frc(denoised_nm)))
    assert verdict.use == use


def test_more_real_spots_and_a_worse_resolution_contradict_each_other():
    verdict = judge(POOR, replace(GOOD, frc=frc(90.0)))
    assert verdict.use == "cannot tell"
    assert "resolved worse" in verdict.reason
    assert judge(GOOD, replace(POOR, frc=frc(40.0))).use == "cannot tell"


def test_where_nothing_is_seen_twice_nobody_can_tell_and_the_reason_is_given():
    once, other = branch(0.9, 0.05, blinks=0), branch(0.95, 0.05, blinks=0, seed=5)
    verdict = judge(once, other)
    assert verdict.gain is None
    assert verdict.use == "cannot tell"
    assert "found in both" in verdict.reason
    foreign = judge(once, other, remarks=("gain 3 e- lies outside",))
    assert foreign.use == "cannot tell"
    assert "the network was trained on other film" in foreign.reason
    assert judge(once, replace(other, frc=frc(99.0))).use == "raw"


def test_a_network_that_moves_all_molecules_is_not_used_whatever_it_finds():
    moved = GOOD.spots.data.assign(x_nm=GOOD.spots.column("x_nm") + 0.3 * PIXEL_NM)
    there = replace(GOOD, spots=replace(GOOD.spots, data=moved))
    verdict = judge(POOR, there)
    assert verdict.use == "raw"
    assert verdict.reason == "the network moves spots as a whole"
    row = next(row for row in verdict.evidence if row.question == "Spots are moved as a whole")
    assert row.denoised.startswith("+0.3")
    slight = GOOD.spots.data.assign(x_nm=GOOD.spots.column("x_nm") + 0.02 * PIXEL_NM)
    assert judge(POOR, replace(GOOD, spots=replace(GOOD.spots, data=slight))).use == "denoised"


def test_spots_without_light_in_the_recording_speak_against_a_network_when_nothing_else_tells():
    once, more = branch(0.9, 0.05, blinks=1), branch(0.9, 0.5, blinks=1, seed=5)
    dark = np.ones(len(more.spots), bool)
    dark[match_localizations(once.spots, more.spots).emitter] = False
    for light_e, use in ((0.0, "raw"), (450.0, "cannot tell")):
        agreement = compare_tables(
            once.spots, more.spots, shown_e=np.where(dark, light_e, 450.0), apart_frames=FRAMES
        )
        assert agreement.gain is None
        assert judge(once, more, agreement=agreement).use == use
        sharp = replace(more, frc=frc(40.0))  # made-up spots may be resolved well
        assert judge(once, sharp, agreement=agreement).use == use


def test_unlike_film_is_reported_and_does_not_outweigh_what_is_seen():
    remark = "0.004 bit/px lies outside the 0.005 to 0.8 it was trained on"
    verdict = judge(POOR, GOOD, remarks=(remark,))
    assert verdict.use == "denoised"
    assert any(row.favours == "raw" and row.about == remark for row in verdict.evidence)


def test_a_network_that_darkens_is_found_out_by_the_spots_both_branches_have():
    dark = replace(GOOD.spots, data=GOOD.spots.data.assign(photons=np.float32(300.0)))
    rows = {row.question: row for row in judge(POOR, replace(GOOD, spots=dark)).evidence}
    assert rows["Photons per spot"].denoised == "300 photoelectrons"
    assert "keeps 60% of its photons" in rows["Photons per spot"].about


def test_spots_that_one_branch_has_at_the_edge_are_said_to_be_there():
    edge = GOOD.spots.take(np.arange(20))
    edge = replace(edge, data=edge.data.assign(x_nm=np.float64(150.0)))
    data = pd.concat([GOOD.spots.data, edge.data]).sort_values("frame", kind="stable")
    more = replace(GOOD, spots=replace(GOOD.spots, data=data.reset_index(drop=True)))
    rows = {row.question: row for row in judge(GOOD, more).evidence}
    row = rows["Real spots found, false ones avoided"]
    assert (row.raw, row.favours) == ("0 spots of its own", "both alike")
    assert row.denoised == "20 spots of its own, all at the edge"


def test_a_verdict_is_stored_and_read_as_it_was(tmp_path):
    for verdict in (judge(POOR, GOOD), judge(branch(0.9, 0.05, blinks=0), GOOD)):
        write_records([verdict], tmp_path / "verdict.parquet")
        assert read_records(Verdict, tmp_path / "verdict.parquet") == [verdict]
