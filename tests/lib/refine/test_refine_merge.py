import numpy as np
import pandas as pd
import pytest
from drifting_tables import drifting, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.refine.merge import MergeSettings, link, merge
from cellstorm_lib.refine.tracks import Reach, number_tracks
from cellstorm_lib.refine.uncertainty import SMALLEST_UNCERTAINTY_NM, stated_uncertainty_nm
from cellstorm_lib.tables import Localizations


def grid_sites(side_px=128):
    """Return sites 1 um apart: no two molecules can be mistaken for one."""
    ticks = np.arange(500, side_px * 100, 1000.0)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def blinking(seed=0, *, uncertainty_nm=12.0, frame_count=4000, on_frames=8):
    rng = np.random.default_rng(seed)
    return drifting(
        rng, np.zeros((frame_count, 2)), grid_sites(), per_frame=3, precision_nm=uncertainty_nm,
        on_frames=on_frames, side_px=128,
    )  # fmt: skip


def small(frame, x_nm, **columns):
    """Return a table of localizations along one line."""
    frame, x_nm = np.asarray(frame), np.asarray(x_nm, float)
    xy_nm = np.column_stack([x_nm, np.full(len(x_nm), 500.0)])
    return table_of(xy_nm, frame, frame_count=1000, **columns)


class SlowTrack:
    """One track of the obvious loop."""

    def __init__(self, now, xy_nm, weight):
        self.first = self.last = now
        self.mean, self.weight = xy_nm.copy(), weight

    def limit_nm(self, now, variance_nm2, reach):
        if now - self.last > reach.dark_frames + 1 or now - self.first >= reach.longest_frames:
            return -1.0
        combined = np.sqrt(2 * (variance_nm2 + 1 / self.weight))
        return min(reach.radius_nm, reach.uncertainties * combined or np.inf)

    def add(self, now, xy_nm, weight):
        self.last, self.weight = now, self.weight + weight
        self.mean += (xy_nm - self.mean) * weight / self.weight


def slow_tracks(frame, xy_nm, variance_nm2, reach):
    """Link by comparing everything with everything, one frame after the other."""
    track = np.full(len(frame), -1)
    tracks = []
    for now in np.unique(frame):
        rows = np.flatnonzero(frame == now)
        apart = [[np.hypot(*(xy_nm[row] - one.mean)) for one in tracks] for row in rows]
        pairs = [
            (apart[k][number], row, number)
            for k, row in enumerate(rows)
            for number, one in enumerate(tracks)
            if apart[k][number] <= one.limit_nm(now, variance_nm2[row], reach)
        ]
        taken = set()
        for _, row, number in sorted(pairs):
            if track[row] < 0 and number not in taken:
                track[row] = number
                taken.add(number)
        for row in rows:
            if track[row] < 0:
                track[row] = len(tracks)
                tracks.append(SlowTrack(now, xy_nm[row], 1 / variance_nm2[row]))
            else:
                tracks[track[row]].add(now, xy_nm[row], 1 / variance_nm2[row])
    return track


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), count=st.integers(0, 120), frames=st.integers(1, 40),
    uncertainties=st.sampled_from([0.0, 1.0, 3.0]), radius_nm=st.floats(10, 300),
    dark_frames=st.integers(0, 4), longest_frames=st.sampled_from([1, 3, 10**9]),
)  # fmt: skip
def test_tracks_are_those_of_the_obvious_loop(
    seed, count, frames, uncertainties, radius_nm, dark_frames, longest_frames
):
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, frames, count))
    xy_nm, variance_nm2 = rng.uniform(0, 600, (count, 2)), rng.uniform(5, 60, count) ** 2
    reach = Reach(uncertainties, radius_nm, dark_frames, longest_frames)
    found = number_tracks(frame, xy_nm, variance_nm2, reach)
    np.testing.assert_array_equal(found, slow_tracks(frame, xy_nm, variance_nm2, reach))


def test_every_localization_belongs_to_one_molecule_numbered_by_first_appearance():
    table = link(blinking())
    molecule = table.column("molecule")
    assert molecule.dtype == np.int64
    _, first = np.unique(molecule, return_index=True)
    np.testing.assert_array_equal(molecule[np.sort(first)], np.arange(len(first)))


def test_no_molecule_is_twice_in_a_frame():
    table = link(blinking(), MergeSettings(radius_uncertainties=50, largest_radius_nm=5000))
    seen = pd.DataFrame({"molecule": table.column("molecule"), "frame": table.column("frame")})
    assert not seen.duplicated().any()


def test_gaps_up_to_the_dark_frames_are_bridged():
    table = small([0, 1, 3, 6], [100, 100, 100, 100], uncertainty_nm=10.0)
    for dark_frames, expected in ((0, [0, 0, 1, 2]), (1, [0, 0, 0, 1]), (2, [0, 0, 0, 0])):
        linked = link(table, MergeSettings(dark_frames=dark_frames))
        np.testing.assert_array_equal(linked.column("molecule"), expected)


def test_the_nearest_is_taken_and_the_other_starts_anew():
    table = small([0, 1, 1], [100, 130, 110], uncertainty_nm=20.0)
    np.testing.assert_array_equal(link(table).column("molecule"), [0, 1, 0])


def test_distance_counts_in_combined_uncertainties():
    # 3 x sqrt(4 x 10^2) = 60 nm
    for apart_nm, expected in ((59.9, [0, 0]), (60.1, [0, 1])):
        table = small([0, 1], [100, 100 + apart_nm], uncertainty_nm=10.0)
        np.testing.assert_array_equal(link(table).column("molecule"), expected)


def test_without_uncertainties_the_radius_is_fixed():
    table = small([0, 1, 2], [100, 149, 210])
    np.testing.assert_array_equal(link(table).column("molecule"), [0, 0, 1])
    wider = link(table, MergeSettings(radius_nm=90))
    np.testing.assert_array_equal(wider.column("molecule"), [0, 0, 0])
    assert merge(table)[1].is_radius_fixed


def test_a_fixed_radius_can_be_asked_for():
    table = small([0, 1], [100, 140], uncertainty_nm=5.0)
    fixed = MergeSettings(radius_uncertainties=0)
    np.testing.assert_array_equal(link(table).column("molecule"), [0, 1])
    np.testing.assert_array_equal(link(table, fixed).column("molecule"), [0, 0])
    assert merge(table, fixed)[1].is_radius_fixed
    assert not merge(table)[1].is_radius_fixed


def test_uncertain_localizations_do_not_link_across_the_field():
    table = small([0, 1], [100, 400], uncertainty_nm=500.0)
    np.testing.assert_array_equal(link(table).column("molecule"), [0, 1])


@settings(max_examples=20, deadline=None)
@given(dx_nm=st.floats(-1e4, 1e4), dy_nm=st.floats(-1e4, 1e4), seed=st.integers(0, 1000))
def test_linking_moves_with_the_table_and_ignores_the_order_in_a_frame(dx_nm, dy_nm, seed):
    table = blinking(frame_count=300)
    frame = table.column("frame")
    order = np.lexsort((np.random.default_rng(seed).random(len(table)), frame))
    moved = table.take(order)
    moved = moved.with_columns(x_nm=moved.column("x_nm") + dx_nm, y_nm=moved.column("y_nm") + dy_nm)
    one, two = link(table).column("molecule")[order], link(moved).column("molecule")
    assert len(set(zip(one, two, strict=True))) == len(set(one)) == len(set(two))


def test_merged_positions_scatter_as_their_uncertainty_says():
    table, sites = blinking(seed=1), grid_sites()
    merged, report = merge(table)
    nearest = np.rint((merged.xy_nm - 500) / 1000) * 1000 + 500
    errors = (merged.xy_nm - nearest).ravel()
    claimed = np.repeat(merged.column("uncertainty_nm"), 2)
    pulls = errors / claimed
    assert len(merged) > 1000
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * len(pulls))
    assert report.molecules == len(merged)
    assert len(sites) < report.molecules < report.localizations == len(table)


def test_a_merged_row_is_the_weighted_mean_with_its_own_uncertainty():
    table = small(
        [3, 4, 5], [100, 106, 98], uncertainty_nm=np.array([10.0, 5.0, 20.0]),
        photons=np.array([400.0, 900.0, 100.0]), background_photons=np.array([10.0, 12.0, 14.0]),
        sigma_nm=np.array([130.0, 120.0, 140.0]),
    )  # fmt: skip
    merged, report = merge(table)
    weight = np.array([1 / 100, 1 / 25, 1 / 400])
    row = merged.data.iloc[0]
    assert len(merged) == 1
    assert row["x_nm"] == pytest.approx((weight * [100, 106, 98]).sum() / weight.sum())
    assert row["uncertainty_nm"] == pytest.approx(1 / np.sqrt(weight.sum()), rel=1e-6)
    assert (row["photons"], row["background_photons"], row["sigma_nm"]) == (1400, 12, 130)
    assert (row["frame"], row["molecule"], row["detections"]) == (3, 0, 3)
    assert row["independent_detections"] == 3
    assert (report.most_detections, report.seen_once, report.mean_detections) == (3, 0, 3.0)


def test_each_axis_has_its_own_weights():
    data = pd.DataFrame(
        {
            "frame": [0, 1], "x_nm": [100.0, 110.0], "y_nm": [200.0, 210.0],
            "z_nm": [0.0, 8.0], "uncertainty_x_nm": [5.0, 10.0], "uncertainty_y_nm": [10.0, 5.0],
            "uncertainty_z_nm": [30.0, 30.0], "uncertainty_nm": [7.9, 7.9],
            "crlb_x_nm": [4.0, 4.0], "crlb_y_nm": [4.0, 4.0],
        }
    )  # fmt: skip
    merged, _ = merge(Localizations(data=data, field=small([0], [0]).field))
    row = merged.data.iloc[0]
    assert row["x_nm"] == pytest.approx(102)
    assert row["y_nm"] == pytest.approx(208)
    assert row["z_nm"] == pytest.approx(4)
    assert row["uncertainty_x_nm"] == pytest.approx(np.sqrt(20), rel=1e-6)
    assert row["uncertainty_z_nm"] == pytest.approx(30 / np.sqrt(2), rel=1e-6)
    assert row["uncertainty_nm"] == pytest.approx(np.sqrt(20), rel=1e-6)
    assert row["crlb_x_nm"] == pytest.approx(4 / np.sqrt(2), rel=1e-6)


def test_copies_do_not_count_as_measurements():
    is_copied = np.array([True, True, True, False])
    table = small(
        [0, 1, 2, 3], [100, 130, 130, 110], uncertainty_nm=20.0, is_copied=is_copied,
        photons=np.full(4, 100.0),
    )  # fmt: skip
    merged, report = merge(table)
    row = merged.data.iloc[0]
    # the first always counts, and the one that is no copy
    assert (row["detections"], row["independent_detections"]) == (4, 2)
    assert row["x_nm"] == pytest.approx(105)
    assert row["uncertainty_nm"] == pytest.approx(20 / np.sqrt(2), rel=1e-6)
    assert row["photons"] == 400
    assert not row["is_copied"]
    assert report.copied == 2


def test_what_the_other_columns_become():
    table = small(
        [0, 1], [100, 100], uncertainty_nm=20.0, is_tainted=np.array([False, True]),
        is_copied=np.array([False, True]), molecule_probability=np.array([0.3, 0.8]),
        log_likelihood_ratio=np.array([40.0, 60.0]), temporal_difference=np.array([2.0, 1.0]),
        frames_since_key=np.array([5, 6]), copy_age=np.array([1, 2]), batch=np.array([7, 8]),
        label=np.array(["a", "b"]), out_of_range_px=np.array([3, 2]),
        relative_sensitivity=np.array([0.5, 1.0]),
    )  # fmt: skip
    row = merge(table)[0].data.iloc[0]
    assert row["is_tainted"]
    assert (row["out_of_range_px"], row["relative_sensitivity"]) == (5, 0.75)
    assert not row["is_copied"]
    assert row["molecule_probability"] == pytest.approx(0.8)
    assert (row["log_likelihood_ratio"], row["temporal_difference"]) == (50, 1.5)
    assert (row["frames_since_key"], row["copy_age"], row["batch"], row["label"]) == (5, 1, 7, "a")


def test_the_dtypes_of_the_table_stay():
    table = blinking(frame_count=200)
    merged, _ = merge(table)
    expected = {
        "frame": "int32", "x_nm": "float64", "uncertainty_nm": "float32",
        "molecule": "int64", "detections": "int32", "independent_detections": "int32",
    }  # fmt: skip
    assert {name: str(merged.data[name].dtype) for name in expected} == expected


def test_an_existing_molecule_column_is_taken_as_it_is():
    table = small([0, 5, 5], [100, 900, 100], uncertainty_nm=10.0, molecule=np.array([7, 3, 7]))
    merged, report = merge(table)
    np.testing.assert_array_equal(merged.column("molecule"), [7, 3])
    np.testing.assert_array_equal(merged.column("detections"), [2, 1])
    assert report.was_linked
    assert not merge(blinking(frame_count=50))[1].was_linked


def test_merging_again_adds_up_what_was_merged():
    table = blinking(seed=2)
    once, _ = merge(table)
    unlinked = once.with_data(once.data.drop(columns="molecule"))
    twice, _ = merge(unlinked, MergeSettings(dark_frames=50))
    assert len(twice) < len(once)
    assert twice.column("detections").sum() == len(table)
    assert twice.column("independent_detections").sum() == len(table)


def test_nothing_is_lost_and_rows_come_by_first_frame():
    table = blinking(seed=3)
    merged, report = merge(table)
    assert merged.column("detections").sum() == len(table)
    assert (np.diff(merged.column("frame")) >= 0).all()
    assert report.mean_detections == pytest.approx(len(table) / len(merged))
    assert merged.field == table.field


def test_molecules_that_stay_on_for_long_stay_one():
    rng = np.random.default_rng(8)
    sites, count = grid_sites(64), 500
    number = np.tile(np.arange(len(sites)), count)
    xy_nm = sites[number] + rng.normal(0, 10.0, (len(number), 2))
    frame = np.repeat(np.arange(count), len(sites))
    spots = table_of(xy_nm, frame, frame_count=count, uncertainty_nm=10.0)
    merged, report = merge(spots)
    # one localization in 8000 lies further than 3 combined uncertainties away by chance
    assert report.seen_once <= 10
    assert report.molecules == len(sites) + report.seen_once
    long = merged.data[merged.data["detections"] > 1]
    assert long["detections"].min() >= count - 3
    away_nm = np.abs(long[["x_nm", "y_nm"]].to_numpy()[:, None] - sites[None])
    nearest_nm = away_nm.max(axis=2).min(axis=1)
    assert nearest_nm.max() < 5 * 10.0 / np.sqrt(count)


def test_an_empty_table_stays_empty():
    table = small([], [], photons=np.array([], float), is_copied=np.array([], bool))
    merged, report = merge(table)
    assert len(merged) == report.molecules == report.most_detections == 0
    assert {"molecule", "detections", "independent_detections"} <= set(merged.data.columns)


def test_the_input_is_not_touched():
    table = blinking(frame_count=100)
    before = table.data.copy()
    merge(table)
    pd.testing.assert_frame_equal(table.data, before)


def test_stated_uncertainty_takes_what_there_is():
    plain = small([0, 0], [1, 2])
    assert stated_uncertainty_nm(plain) is None
    axes = plain.with_columns(
        uncertainty_x_nm=np.array([3.0, 0.0]), uncertainty_y_nm=np.array([4.0, 0.0])
    )
    both = np.hypot(3, 4) / np.sqrt(2)
    np.testing.assert_allclose(stated_uncertainty_nm(axes), [both, SMALLEST_UNCERTAINTY_NM])
    np.testing.assert_allclose(stated_uncertainty_nm(axes, "y"), [4, SMALLEST_UNCERTAINTY_NM])
    assert stated_uncertainty_nm(axes, "z") is None
    common = plain.with_columns(uncertainty_nm=np.array([9.0, 9.0]))
    np.testing.assert_allclose(stated_uncertainty_nm(common, "x"), [9, 9])


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("radius_uncertainties", -1.0, "0 or more"),
        ("dark_frames", -1, "0 or more"),
        ("radius_nm", 0.0, "above 0"),
        ("largest_radius_nm", float("inf"), "above 0"),
    ],
)
def test_settings_out_of_range_are_refused(name, value, rule):
    with pytest.raises(SettingsError, match=f"{name} must be {rule}, got {value}"):
        MergeSettings(**{name: value})


def test_heights_are_merged_by_their_own_uncertainties_and_widths_by_their_means():
    merged, _ = merge(
        small(
            [0, 1],
            [100.0, 101.0],
            z_nm=[10.0, 40.0],
            uncertainty_z_nm=[10.0, 20.0],
            crlb_z_nm=[8.0, 6.0],
            sigma_x_nm=[120.0, 140.0],
            sigma_y_nm=[150.0, 160.0],
        )
    )
    assert len(merged) == 1
    found = merged.data.iloc[0]
    assert found["z_nm"] == pytest.approx((10 / 100 + 40 / 400) / (1 / 100 + 1 / 400))
    assert found["uncertainty_z_nm"] == pytest.approx((1 / 100 + 1 / 400) ** -0.5)
    assert found["crlb_z_nm"] == pytest.approx((1 / 64 + 1 / 36) ** -0.5)
    assert (found["sigma_x_nm"], found["sigma_y_nm"]) == (130.0, 155.0)
