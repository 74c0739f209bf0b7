import numpy as np
import pytest
from drifting_tables import (
    blinks,
    drifting,
    filaments,
    random_drift,
    residual_nm,
    rms_nm,
    smooth_drift,
    table_of,
)

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.refine.drift import Drift, DriftSettings, apply_drift, estimate_drift


def sparse_filaments(seed=0, frame_count=18_000, per_frame=0.5):
    rng = np.random.default_rng(seed)
    drift_nm = smooth_drift(frame_count)
    sites = filaments(rng, side_nm=6400)
    return drift_nm, drifting(rng, drift_nm, sites, per_frame=per_frame, precision_nm=20.0)


@pytest.fixture(scope="module")
def sparse():
    """Half a localization per frame: truth, table and estimate."""
    truth_nm, table = sparse_filaments()
    return truth_nm, table, estimate_drift(table)


def test_sparse_filaments_are_followed_to_a_few_nanometres(sparse):
    truth_nm, _, drift = sparse
    assert drift.is_applied
    assert rms_nm(truth_nm) > 90
    assert residual_nm(drift, truth_nm) < 6


def test_the_claimed_uncertainty_is_that_of_the_trace(sparse):
    truth_nm, _, drift = sparse
    claimed_nm = np.sqrt(np.mean(drift.uncertainty_nm**2))
    assert 0.4 < claimed_nm / residual_nm(drift, truth_nm) < 2
    assert len(drift.segment_uncertainty_nm) == drift.segments


def test_the_trace_covers_all_frames_and_has_no_mean(sparse):
    _, table, drift = sparse
    assert drift.x_nm.shape == drift.y_nm.shape == (table.field.frame_count,)
    assert abs(drift.x_nm.mean()) < 1e-9
    assert drift.rms_nm == pytest.approx(
        np.sqrt(np.mean(np.concatenate([drift.x_nm, drift.y_nm]) ** 2))
    )


def test_undoing_the_drift_sharpens_the_table(sparse):
    truth_nm, table, drift = sparse
    corrected = apply_drift(table, drift)
    frame = table.column("frame")
    error_nm = corrected.xy_nm - (table.xy_nm - truth_nm[frame])
    assert (error_nm - error_nm.mean(axis=0)).std() < 6
    np.testing.assert_array_equal(corrected.column("frame"), frame)


def test_a_corrected_table_shows_no_more_drift_worth_correcting(sparse):
    _, table, drift = sparse
    again = estimate_drift(apply_drift(table, drift))
    assert again.rms_nm < 6


def test_the_same_table_gives_the_same_drift_twice(sparse):
    _, table, drift = sparse
    again = estimate_drift(table)
    np.testing.assert_array_equal(again.x_nm, drift.x_nm)
    np.testing.assert_array_equal(again.uncertainty_nm, drift.uncertainty_nm)


def test_moving_the_whole_table_by_whole_squares_moves_no_trace(sparse):
    _, table, drift = sparse
    # the chessboard of the halves has squares of 800 nm; two of them leave it as it is
    moved = table.with_columns(
        x_nm=table.column("x_nm") + 1600.0, y_nm=table.column("y_nm") - 3200.0
    )
    again = estimate_drift(moved)
    np.testing.assert_allclose(again.x_nm, drift.x_nm, atol=0.3)


def test_shuffling_rows_within_frames_changes_next_to_nothing():
    _, table = sparse_filaments(frame_count=2000, per_frame=6)
    frame = table.column("frame")
    order = np.lexsort((np.random.default_rng(5).random(len(frame)), frame))
    one, two = estimate_drift(table), estimate_drift(table.take(order))
    assert one.is_applied
    assert two.is_applied
    np.testing.assert_allclose(two.x_nm, one.x_nm, atol=3.0)


@pytest.mark.parametrize(("x_nm", "y_nm"), [(3000.0, -1000.0), (-500.0, 2500.0)])
def test_a_drift_of_many_pixels_is_found(x_nm, y_nm):
    rng = np.random.default_rng(3)
    drift_nm = np.linspace(0, 1, 4000)[:, None] * [x_nm, y_nm]
    sites = filaments(rng, side_nm=12_800)
    table = drifting(rng, drift_nm, sites, per_frame=2, precision_nm=15.0, side_px=128)
    assert residual_nm(estimate_drift(table), drift_nm) < 8


def test_a_table_without_uncertainties_is_enough():
    truth_nm, table = sparse_filaments(frame_count=4000, per_frame=3)
    bare = table.with_data(table.data[["frame", "x_nm", "y_nm"]])
    assert residual_nm(estimate_drift(bare), truth_nm) < 5


def test_a_single_bead_shows_the_drift_of_its_stage():
    rng = np.random.default_rng(4)
    drift_nm = smooth_drift(4000)
    frame = np.arange(4000)
    xy_nm = 3000.0 + drift_nm + rng.normal(0, 5, (4000, 2))
    table = table_of(xy_nm, frame, frame_count=4000, uncertainty_nm=5.0)
    drift = estimate_drift(table)
    assert drift.is_applied
    assert residual_nm(drift, drift_nm) < 10


def test_molecules_that_stay_on_do_not_pass_for_a_sample_at_rest():
    rng = np.random.default_rng(6)
    drift_nm = smooth_drift(6000)
    sites = rng.uniform(0, 12_800, (1200, 2))
    table = drifting(
        rng, drift_nm, sites, per_frame=4, precision_nm=20.0, on_frames=10, side_px=128, strays=0.1
    )
    drift = estimate_drift(table)
    assert drift.events < len(table) / 3
    assert residual_nm(drift, drift_nm) < 0.15 * rms_nm(drift_nm)


def test_copied_localizations_are_no_measurements():
    truth_nm, table = sparse_filaments(frame_count=3000, per_frame=3)
    rng = np.random.default_rng(7)
    # each localization is repeated where it was for 20 frames: the codec froze it
    data = table.data.loc[table.data.index.repeat(20)]
    frame = data["frame"].to_numpy() + np.tile(np.arange(20), len(table))
    is_copied = np.tile(np.arange(20) > 0, len(table))
    inside = frame < 3000
    frozen = table_of(
        data[["x_nm", "y_nm"]].to_numpy()[inside] + rng.normal(0, 0.1, (inside.sum(), 2)),
        frame[inside],
        frame_count=3000,
        uncertainty_nm=20.0,
        is_copied=is_copied[inside],
    )
    drift = estimate_drift(frozen)
    plain = estimate_drift(table)
    assert drift.events == plain.events
    assert residual_nm(drift, truth_nm) < 5


def test_a_sample_at_rest_is_left_alone():
    rng = np.random.default_rng(8)
    still_nm = np.zeros((6000, 2))
    table = drifting(
        rng, still_nm, filaments(rng, side_nm=6400), per_frame=1.5, precision_nm=20.0, on_frames=3
    )
    drift = estimate_drift(table)
    assert not drift.is_applied
    assert drift.rms_nm == 0
    assert apply_drift(table, drift) is table


@pytest.mark.parametrize("count", [150, 1000, 8000])
def test_points_without_structure_have_no_drift(count):
    rng = np.random.default_rng(count)
    xy_nm = rng.uniform(0, 12_800, (count, 2))
    table = table_of(xy_nm, rng.integers(0, 5000, count), frame_count=5000, side_px=128)
    drift = estimate_drift(table)
    assert not drift.is_applied
    assert "may be chance" in drift.reason


@pytest.mark.parametrize(
    ("count", "frame_count", "why"),
    [
        (0, 0, "0 sightings of molecules are too few, 100 are needed"),
        (0, 5000, "0 sightings of molecules are too few"),
        (1, 5000, "1 sightings of molecules are too few"),
        (50, 5000, "50 sightings of molecules are too few"),
        (900, 3, "3 frames are too few, 20 are needed"),
    ],
)
def test_too_little_data_gives_no_drift_and_says_so(count, frame_count, why):
    rng = np.random.default_rng(1)
    frame = rng.integers(0, max(frame_count, 1), count)
    table = table_of(rng.uniform(0, 6400, (count, 2)), frame, frame_count=frame_count)
    drift = estimate_drift(table)
    assert not drift.is_applied
    assert drift.x_nm.shape == (frame_count,)
    assert drift.rms_nm == 0
    assert why in drift.reason


def test_everything_at_one_place_and_moment_gives_no_drift():
    rng = np.random.default_rng(2)
    xy_nm = 500.0 + rng.normal(0, 3, (2000, 2))
    table = table_of(xy_nm, rng.integers(100, 104, 2000), frame_count=5000)
    assert "nothing to compare with" in estimate_drift(table).reason


def test_identical_positions_are_no_error():
    frame = np.sort(np.random.default_rng(3).integers(0, 5000, 3000))
    table = table_of(np.full((3000, 2), 500.0), frame, frame_count=5000)
    assert not estimate_drift(table).is_applied


def test_it_can_be_switched_off(sparse):
    _, table, _ = sparse
    drift = estimate_drift(table, DriftSettings(is_enabled=False))
    assert (drift.is_applied, drift.reason) == (False, "switched off")


def test_settings_are_checked():
    with pytest.raises(SettingsError, match="largest_drift_nm must be above 0, got -1"):
        DriftSettings(largest_drift_nm=-1)
    with pytest.raises(SettingsError, match="fewest_events must be 2 or more, got 1"):
        DriftSettings(fewest_events=1)


def test_a_drift_of_another_recording_is_refused(sparse):
    _, table, drift = sparse
    short = Drift(
        x_nm=drift.x_nm[:100], y_nm=drift.y_nm[:100], uncertainty_nm=drift.uncertainty_nm[:100],
        is_applied=True, reason="",
    )  # fmt: skip
    with pytest.raises(
        TableError, match=r"holds frame 17\d+, but the recording has frames 0 to 99"
    ):
        apply_drift(table, short)


def test_frames_beyond_the_recording_are_refused():
    table = table_of(np.zeros((2, 2)), np.array([3, 7]), frame_count=5)
    with pytest.raises(TableError, match="holds frame 7, but the recording has frames 0 to 4"):
        estimate_drift(table)


def never_worse(seed):
    """Estimate a random drift in a random scene; return what is left and what there was."""
    rng = np.random.default_rng(seed)
    kind = ("steps", "walk", "thermal", "waves")[seed % 4]
    frame_count = int(rng.integers(1500, 8000))
    drift_nm = random_drift(kind, frame_count, rng)
    side_px = int(rng.choice([64, 128]))
    sites = filaments(rng, side_nm=side_px * 100, count=int(rng.integers(4, 20)))
    if rng.random() < 0.5:
        sites = rng.uniform(0, side_px * 100, (1500, 2))
    table = drifting(
        rng, drift_nm, sites, per_frame=float(np.exp(rng.uniform(np.log(0.5), np.log(4)))),
        precision_nm=float(rng.uniform(10, 30)), on_frames=int(rng.choice([1, 3, 10])),
        side_px=side_px, strays=0.1,
    )  # fmt: skip
    return residual_nm(estimate_drift(table), drift_nm), rms_nm(drift_nm)


@pytest.mark.parametrize("seed", range(4))
def test_correction_is_never_worse_than_none(seed):
    left_nm, before_nm = never_worse(seed)
    assert left_nm <= before_nm


@pytest.mark.slow
def test_twenty_random_drifts_are_never_made_worse_and_mostly_far_better():
    pairs = np.array([never_worse(seed) for seed in range(100, 120)])
    assert (pairs[:, 0] <= pairs[:, 1]).all()
    assert np.median(pairs[:, 0] / pairs[:, 1]) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize(("per_frame", "limit_nm"), [(0.5, 6.0), (2, 1.8), (8, 1.3)])
def test_the_bars_of_the_reference_scene(per_frame, limit_nm):
    truth_nm, table = sparse_filaments(seed=11, per_frame=per_frame)
    assert residual_nm(estimate_drift(table), truth_nm) <= limit_nm


def test_blinks_of_the_test_tables_last_as_long_as_asked():
    frame, blink = blinks(np.random.default_rng(0), per_frame=5, frame_count=4000, on_frames=10)
    assert np.bincount(blink).mean() == pytest.approx(10, rel=0.1)
    assert len(frame) / 4000 == pytest.approx(5, rel=0.1)
