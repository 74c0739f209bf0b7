"""Jumps of the molecules' own drift are dated, smooth drifts get none; the claim is honest."""

import numpy as np
from drifting_tables import drifting, filaments, random_drift, residual_nm, smooth_drift

from cellstorm_lib.refine.drift import estimate_drift


def table_with(rng, drift_nm, *, per_frame=6.0):
    return drifting(
        rng, drift_nm, filaments(rng, side_nm=6400), per_frame=per_frame, precision_nm=15.0
    )


def test_a_jump_is_dated_to_a_few_frames_and_not_smeared():
    rng = np.random.default_rng(1)
    truth = np.where(np.arange(6000)[:, None] >= 2345, [150.0, -90.0], 0.0)
    drift = estimate_drift(table_with(rng, truth))
    assert len(drift.jump_frames) == 1
    # 6 localizations a frame, told apart at several standard deviations each
    assert abs(drift.jump_frames[0] - 2345) <= 3
    assert residual_nm(drift, truth) < 4
    assert np.abs(np.diff(drift.x_nm)).max() > 100


def test_a_smooth_drift_has_no_jumps():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        assert estimate_drift(table_with(rng, smooth_drift(6000))).jump_frames == ()


def test_two_thirds_of_the_segments_hold_what_they_claim():
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(200 + seed)
        truth = random_drift(("walk", "thermal", "waves")[seed % 3], 3000, rng)
        drift = estimate_drift(table_with(rng, truth, per_frame=3.0))
        if not drift.is_applied:
            continue
        left = np.column_stack([drift.x_nm, drift.y_nm]) - truth
        left -= left.mean(axis=0)
        middle = ((np.arange(drift.segments) + 0.5) * 3000 / drift.segments).astype(int)
        shares.append(np.mean(np.abs(left[middle]) < drift.uncertainty_nm[middle][:, None]))
    assert len(shares) >= 8
    assert 0.55 < np.mean(shares) < 0.8
