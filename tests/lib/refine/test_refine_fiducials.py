"""Fiducials are found where there are some, never where there are none, and never do harm."""

from dataclasses import replace

import numpy as np
import pytest
from drifting_tables import blinks, filaments, residual_nm, rms_nm, smooth_drift, table_of

from cellstorm_lib.refine.drift import apply_drift, estimate_drift
from cellstorm_lib.refine.fiducials import find_fiducial_rows

FRAMES = 3000


def scene(rng, drift_nm, *, per_frame=2.0, beads=(), on_frames=2):
    """Return a table of blinking filaments and beads; a bead is (last frame, own motion (F, 2))."""
    frame, blink = blinks(rng, per_frame=per_frame, frame_count=FRAMES, on_frames=on_frames)
    sites = filaments(rng, side_nm=6400)
    place = sites[rng.integers(0, len(sites), blink.max() + 1)][blink]
    bright = 1000 * rng.lognormal(0, 0.4, blink.max() + 1)[blink]
    frames, places = [frame], [place]
    photons, precision = [bright], [600.0 / np.sqrt(bright)]
    for last, own_nm in beads:
        seen = np.flatnonzero((rng.random(FRAMES) < 0.97) & (np.arange(FRAMES) <= last))
        frames.append(seen)
        places.append(rng.uniform(800, 5600, 2) + own_nm[seen])
        photons.append(np.full(len(seen), 10_000.0))
        precision.append(np.full(len(seen), 6.0))
    frame, precision = np.concatenate(frames), np.concatenate(precision)
    xy_nm = (
        np.concatenate(places)
        + drift_nm[frame]
        + rng.normal(0, precision[:, None], (len(frame), 2))
    )
    order = np.argsort(frame, kind="stable")
    return table_of(
        xy_nm, frame, frame_count=FRAMES, uncertainty_nm=precision[order],
        photons=np.concatenate(photons), is_bead=np.arange(len(frame)) >= len(frames[0]),
    )  # fmt: skip


STILL = np.zeros((FRAMES, 2))


def test_beads_give_the_drift_of_every_frame_and_their_rows_are_marked():
    rng = np.random.default_rng(1)
    truth = smooth_drift(FRAMES)
    table = scene(rng, truth, beads=[(FRAMES, STILL)] * 3)
    drift = estimate_drift(table)
    assert [one.is_used for one in drift.fiducials] == [True] * 3
    assert drift.method == "fiducials (3)"
    assert residual_nm(drift, truth) < 3
    assert max(one.residual_nm for one in drift.fiducials) < 3
    corrected = apply_drift(table, drift)
    is_bead, marked = corrected.column("is_bead"), corrected.column("is_fiducial")
    assert marked[is_bead].mean() > 0.97
    assert marked[~is_bead].mean() < 0.02


@pytest.mark.parametrize("what", ["bleaches", "jumps"])
def test_one_bead_that_bleaches_or_comes_loose_does_no_harm(what):
    rng = np.random.default_rng(2)
    truth = smooth_drift(FRAMES)
    loose_nm = np.where(np.arange(FRAMES)[:, None] > 1500, [150.0, -80.0], 0.0)
    odd = (1900, STILL) if what == "bleaches" else (FRAMES, loose_nm)
    drift = estimate_drift(scene(rng, truth, beads=[(FRAMES, STILL)] * 2 + [odd]))
    assert sum(one.is_used for one in drift.fiducials) >= 2
    assert residual_nm(drift, truth) < 3
    if what == "jumps":
        assert sorted(one.is_used for one in drift.fiducials) == [False, True, True]
        assert max(one.residual_nm for one in drift.fiducials if not one.is_used) > 40


def test_a_single_bead_that_comes_loose_is_overruled_by_the_molecules():
    rng = np.random.default_rng(3)
    truth = smooth_drift(FRAMES)
    loose_nm = np.linspace(0, 1, FRAMES)[:, None] * [400.0, 300.0]
    table = scene(rng, truth, per_frame=4, beads=[(FRAMES, loose_nm)])
    drift = estimate_drift(table)
    assert "are not used" in drift.reason
    assert residual_nm(drift, truth) < 6


def test_a_jump_of_the_stage_is_not_smeared():
    rng = np.random.default_rng(4)
    truth = np.where(np.arange(FRAMES)[:, None] >= 1234, [120.0, 60.0], 0.0)
    drift = estimate_drift(scene(rng, truth, beads=[(FRAMES, STILL)] * 2))
    assert rms_nm(truth) > 30
    assert residual_nm(drift, truth) < 3
    step = np.abs(np.diff(drift.x_nm))
    assert np.argmax(step) in range(1230, 1237)
    assert step.max() > 80


@pytest.mark.parametrize("on_frames", [2, 30])
@pytest.mark.parametrize("per_frame", [2, 20])
def test_blinking_structure_holds_no_fiducial(per_frame, on_frames):
    rng = np.random.default_rng(per_frame)
    table = scene(rng, smooth_drift(FRAMES), per_frame=per_frame, on_frames=on_frames)
    assert find_fiducial_rows(table) == ()


def test_a_dye_that_lives_long_is_no_fiducial():
    rng = np.random.default_rng(5)
    table = scene(rng, STILL, beads=[(1100, STILL)])
    assert find_fiducial_rows(table) == ()
    whole = scene(rng, STILL, beads=[(FRAMES, STILL)])
    faint = whole.with_columns(
        photons=np.where(whole.column("is_bead"), 1200.0, whole.column("photons"))
    )
    assert find_fiducial_rows(faint) == ()
    assert len(find_fiducial_rows(whole)) == 1


def test_without_photons_nothing_is_called_a_fiducial():
    table = scene(np.random.default_rng(6), STILL, beads=[(FRAMES, STILL)])
    assert find_fiducial_rows(table.with_data(table.data[["frame", "x_nm", "y_nm"]])) == ()


def test_heights_are_kept_as_they_are():
    rng = np.random.default_rng(7)
    table = scene(rng, smooth_drift(FRAMES), beads=[(FRAMES, STILL)] * 2)
    z_nm = rng.normal(0, 300, len(table))
    table = table.with_columns(z_nm=z_nm)
    np.testing.assert_array_equal(apply_drift(table, estimate_drift(table)).column("z_nm"), z_nm)


def test_a_drift_that_is_not_applied_marks_nothing():
    table = scene(np.random.default_rng(8), STILL, beads=[(FRAMES, STILL)])
    drift = replace(estimate_drift(table), is_applied=False)
    assert apply_drift(table, drift) is table
