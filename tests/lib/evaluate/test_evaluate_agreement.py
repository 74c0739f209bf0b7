"""Two tables compared without a truth give what the truth would say."""

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.evaluate.agreement import FAINT_PHOTONS, compare_tables
from cellstorm_lib.tables import FieldOfView, Localizations

FRAMES, SIDE_PX, PIXEL_NM = 2000, 128, 100.0


def field(side_px=SIDE_PX):
    return FieldOfView(
        width_px=side_px, height_px=side_px, pixel_size_nm=PIXEL_NM, frame_count=FRAMES
    )


def molecules(rng, *, blinks=4.0, count=1200, are_on_lines=True):
    """Return frame, x, y of every spot of molecules that blink now and then, (N, 3), pixels."""
    if are_on_lines:
        start, angle = rng.uniform(0, SIDE_PX, (12, 2)), rng.uniform(0, 2 * np.pi, 12)
        line = rng.integers(12, size=count)
        along = rng.uniform(-60, 60, count)
        places = (
            start[line] + along[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])[line]
        )
    else:
        places = rng.uniform(0, SIDE_PX, (count, 2))
    places = places[((places > 0) & (places < SIDE_PX)).all(axis=1)]
    rows = []
    for x, y in places:
        for _ in range(rng.poisson(blinks) if blinks > 0 else 1):
            first = rng.integers(FRAMES)
            last = min(first + rng.geometric(0.4), FRAMES)
            rows += [(frame, x, y) for frame in range(first, last)]
    return np.array(rows)


def table(rng, true, is_found, false_per_frame):
    """Return what a program found of the true spots, and false ones anywhere."""
    real = true[is_found].copy()
    real[:, 1:] += rng.normal(0, 0.2, (len(real), 2))
    count = rng.poisson(false_per_frame * FRAMES)
    false = np.column_stack([rng.integers(0, FRAMES, count), rng.uniform(0, SIDE_PX, (count, 2))])
    rows = np.concatenate([real, false])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    data = pd.DataFrame(
        {
            "frame": rows[:, 0].astype(np.int32),
            "x_nm": rows[:, 1] * PIXEL_NM,
            "y_nm": rows[:, 2] * PIXEL_NM,
        }
    )
    return Localizations(data=data, field=field()), count


def two_tables(seed, first, second, **sample):
    """Return tables of two programs with (recall, false a frame) each, and their true gain."""
    rng = np.random.default_rng(seed)
    true = molecules(rng, **sample)
    chance = rng.uniform(size=len(true))
    found = [chance < first[0], np.clip(chance + rng.normal(0, 0.1, len(true)), 0, 1) < second[0]]
    tables, indices = [], []
    for is_found, (_, false) in zip(found, (first, second), strict=True):
        made, count = table(rng, true, is_found, false)
        tables.append(made)
        indices.append(is_found.sum() / (len(true) + count))
    return tables, indices[1] - indices[0]


CASES = [
    ((0.80, 0.2), (0.85, 0.2)),
    ((0.80, 2.0), (0.85, 0.2)),
    ((0.90, 0.1), (0.80, 0.1)),
    ((0.80, 0.1), (0.85, 3.0)),
]


@pytest.mark.parametrize("are_on_lines", [True, False])
@pytest.mark.parametrize(("first", "second"), CASES)
def test_the_better_table_is_known_without_the_truth(first, second, are_on_lines):
    tables, gain = two_tables(1, first, second, are_on_lines=are_on_lines)
    found = compare_tables(*tables)
    assert np.sign(found.gain.low) == np.sign(found.gain.high) == np.sign(gain)
    # what neither table has is missing from the truth it assumes, a fifth here
    assert abs(found.gain.value) == pytest.approx(abs(gain), rel=0.45)


def test_tables_that_are_equally_good_differ_by_nothing():
    held = []
    for seed in range(20):
        tables, gain = two_tables(seed, (0.8, 0.3), (0.8, 0.3), count=500)
        found = compare_tables(*tables)
        held.append(found.gain.low <= gain <= found.gain.high)
        assert abs(found.gain.value) < 0.03
    assert sum(held) >= 14  # of 20 at 95 %: 4 standard deviations below


def test_swapping_the_tables_turns_the_gain_round():
    tables, _ = two_tables(2, (0.8, 0.1), (0.85, 1.0))
    one, other = compare_tables(*tables), compare_tables(*tables[::-1])
    assert one.common == other.common
    np.testing.assert_array_equal(one.only_first, other.only_second)
    assert one.gain.value == pytest.approx(-other.gain.value, abs=0.01)


def test_spots_that_are_all_false_are_known_to_be():
    tables, _ = two_tables(3, (0.8, 0.0), (0.8, 0.0))
    rng = np.random.default_rng(4)
    false, _ = table(rng, np.zeros((0, 3)), np.zeros(0, bool), 2.0)
    rows = pd.concat([tables[0].data, false.data]).sort_values("frame", kind="stable")
    found = compare_tables(
        tables[0], Localizations(data=rows.reset_index(drop=True), field=field())
    )
    assert found.only_second.sum() == len(false)
    assert found.only_first.sum() == 0
    assert found.real_first is None
    assert found.real_second.value < 0.03
    assert found.gain.high < 0


def test_a_sample_that_shows_every_molecule_once_tells_nothing():
    tables, _ = two_tables(5, (0.8, 0.2), (0.85, 0.2), are_on_lines=False, blinks=0, count=600)
    found = compare_tables(*tables)
    assert found.gain is None
    assert "no structure that is seen again" in found.reason


def test_too_few_common_spots_tell_nothing():
    rng = np.random.default_rng(6)
    nothing = np.zeros((0, 3))
    tables = [table(rng, nothing, np.zeros(0, bool), 0.1)[0] for _ in range(2)]
    found = compare_tables(*tables)
    assert found.gain is None
    assert found.reason.startswith(f"only {found.common} spots are found in both")


def test_large_tables_are_sampled_and_say_the_same(monkeypatch):
    tables, _ = two_tables(7, (0.8, 2.0), (0.85, 0.2))
    whole = compare_tables(*tables)
    monkeypatch.setattr("cellstorm_lib.evaluate.support._MOST_ASKED", 1500)
    part = compare_tables(*tables)
    assert part.common == whole.common
    assert part.gain.value == pytest.approx(whole.gain.value, abs=0.03)


def with_rows(first, rows):
    """Return a table with further rows (frame, x, y in pixels), and which rows those are."""
    more = pd.DataFrame(
        {
            "frame": rows[:, 0].astype(np.int32),
            "x_nm": rows[:, 1] * PIXEL_NM,
            "y_nm": rows[:, 2] * PIXEL_NM,
        }
    )
    data = pd.concat([first.data, more], ignore_index=True)
    order = np.argsort(data["frame"].to_numpy(), kind="stable")
    made = Localizations(data=data.iloc[order].reset_index(drop=True), field=first.field)
    return made, order >= len(first)


def with_photons(one, photons):
    return Localizations(
        data=one.data.assign(photons=np.asarray(photons, np.float32)), field=one.field
    )


def test_made_up_spots_in_the_right_places_are_known_by_the_light_they_lack():
    rng = np.random.default_rng(9)
    true = molecules(rng)
    first, _ = table(rng, true, rng.uniform(size=len(true)) < 0.9, 0.1)
    echoes = true[rng.choice(len(true), 1000)]
    echoes[:, 0] = rng.integers(0, FRAMES, len(echoes))  # where molecules are, when none shines
    second, is_echo = with_rows(first, echoes)
    second = with_photons(second, np.full(len(second), 500.0))
    shown_e = np.where(is_echo, 0.0, 400.0) + rng.normal(0, 60, len(second))
    fooled = compare_tables(first, second)
    assert fooled.gain.low > 0  # their places alone speak for them
    assert fooled.shown_second is None
    found = compare_tables(first, second, shown_e=shown_e)
    error = 60 / 400 / np.sqrt(found.only_second.sum())
    assert found.shown_second.value == pytest.approx(0.0, abs=4 * error)
    assert found.real_second.high < 0.1
    assert found.gain.high < 0
    honest = compare_tables(first, second, shown_e=np.full(len(second), 400.0))
    assert honest.gain.value == pytest.approx(fooled.gain.value, abs=1e-9)


def test_afterimages_are_known_by_following_only():
    rng = np.random.default_rng(14)
    true = molecules(rng)
    first, _ = table(rng, true, np.ones(len(true), bool), 0.0)
    ends = first.data.groupby(["x_nm", "y_nm"], sort=False)["frame"].max()  # errors: all differ
    rows = np.column_stack([ends, *np.array(ends.index.tolist()).T / PIXEL_NM])[::3]
    gains = []
    for later in (np.ones(len(rows)), rng.choice([-1, 1], len(rows))):
        copies = rows.copy()
        copies[:, 0] = np.clip(copies[:, 0] + later, 0, FRAMES - 1)
        gains.append(compare_tables(first, with_rows(first, copies)[0]).gain.value)
    assert gains[0] < 0.5 * gains[1]


def test_displacement_and_brightness_of_common_spots_are_measured():
    rng = np.random.default_rng(10)
    true = molecules(rng)
    first, _ = table(rng, true, np.ones(len(true), bool), 0.0)
    places = first.data[["x_nm", "y_nm"]].to_numpy() + rng.normal(0, 20.0, (len(first), 2))
    second = Localizations(
        data=first.data.assign(x_nm=places[:, 0] + 30.0, y_nm=places[:, 1]), field=field()
    )
    photons = rng.uniform(300, 900, len(first))
    moved = compare_tables(with_photons(first, photons), with_photons(second, photons / 2))
    shift = moved.displacement
    assert shift.error_px == pytest.approx(0.2 * np.sqrt(np.pi / 2 / len(first)), rel=0.05)
    assert shift.x_px == pytest.approx(0.3, abs=4 * shift.error_px)
    assert shift.y_px == pytest.approx(0.0, abs=4 * shift.error_px)
    assert shift.photons_ratio == pytest.approx(0.5, abs=1e-6)
    assert compare_tables(first, second).displacement.photons_ratio is None


@pytest.mark.parametrize(("photons", "counts"), [(0.8, False), (3.0, True)])
def test_faint_real_spots_speak_for_nobody(photons, counts):
    rng = np.random.default_rng(11)
    true = molecules(rng)
    first, _ = table(rng, true, np.ones(len(true), bool), 0.0)
    is_seen = rng.uniform(size=len(first)) < 0.7
    brightness = np.where(is_seen, 500.0, photons * FAINT_PHOTONS)
    second = with_photons(first.take(np.flatnonzero(is_seen)), np.full(is_seen.sum(), 500.0))
    gain = compare_tables(with_photons(first, brightness), second).gain
    if counts:
        assert gain.value == pytest.approx(-0.3, abs=0.05)
    else:
        assert -0.03 < gain.value <= 0.03


def test_what_only_one_table_has_at_the_edge_does_not_count():
    rng = np.random.default_rng(12)
    true = molecules(rng)
    first, _ = table(rng, true, np.ones(len(true), bool), 0.0)
    edge = np.column_stack(
        [rng.integers(0, FRAMES, 500), rng.uniform(0, 3.9, 500), rng.uniform(0, SIDE_PX, 500)]
    )
    second, _ = with_rows(first, edge)
    found = compare_tables(first, second)
    assert found.only_second.sum() > 400
    assert found.real_second is None
    assert found.gain.value == pytest.approx(0.0, abs=1e-9)


def test_a_table_that_has_lost_nearly_everything_is_known_to_be_worse():
    rng = np.random.default_rng(13)
    true = molecules(rng)
    first, _ = table(rng, true, rng.uniform(size=len(true)) < 0.9, 0.1)
    found = compare_tables(first, first.take(np.arange(0, len(first), 50)))
    assert found.common < 0.03 * len(first)
    assert found.gain.high < -0.8


def test_tables_of_different_fields_are_refused():
    rng = np.random.default_rng(8)
    one, _ = table(rng, np.zeros((0, 3)), np.zeros(0, bool), 1.0)
    other = Localizations(data=one.data, field=field(side_px=256))
    with pytest.raises(TableError, match="128 x 128 and 256 x 256 pixels"):
        compare_tables(one, other)
