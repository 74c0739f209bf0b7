"""Which camera frames become pairs: the rules, on films written down by hand."""

import numpy as np
import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.display_plan import DisplayPlan, DisplaySettings
from cellstorm_lib.pairs.pairing import (
    FilmedFrames,
    PairingSettings,
    pair_frames,
    whole_frames,
)

PLAN = DisplayPlan(
    settings=DisplaySettings(), truth_width_px=64, truth_height_px=64, truth_count=20,
    full_scale_photons=1.0, mark=1, digest="", movie="", shown="", shown_digest="",
)  # fmt: skip
FIRST = PLAN.part("data").first


def film(numbers, **changes):
    """Return frames that show data frames 0, 1, ...; None where nothing was read."""
    number = np.array([-1 if value is None else FIRST + value for value in numbers])
    count = len(number)
    columns = {
        "frame": np.arange(count),
        "time_s": np.arange(count) / 20,
        "is_tainted": np.zeros(count, bool),
        "number": number,
        "is_torn": np.zeros(count, bool),
        "weakest_cell": np.where(number < 0, 0.3, 1.0),
        "overlap": np.where(number < 0, 0.35, 0.0),
        "brightness": np.ones(count),
        "difference_adu": np.ones(count),
    }
    for name, values in changes.items():
        for row, value in values.items():
            columns[name][row] = value
    return FilmedFrames(**columns)


def kept(numbers, keep_nth=3, **changes):
    table = pair_frames(film(numbers, **changes), PLAN, PairingSettings(keep_nth=keep_nth))
    assert (table["is_kept"] == (table["reason"] == "")).all()
    return table.index[table["is_kept"]].tolist()


def test_every_third_frame_after_a_change_is_kept():
    assert kept([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]) == [2, 6, 10]
    assert kept([0] * 7 + [1] * 6) == [2, 5, 9, 12]


def test_with_one_all_whole_frames_are_kept():
    assert kept([0, 0, None, 1, 1, 1], keep_nth=1) == [0, 1, 3, 4, 5]


def test_mixed_exposure_at_the_change_takes_the_first_place():
    assert kept([0, 0, 0, None, 1, 1, 1, None, 2, 2, 2]) == [2, 5, 9]
    assert kept([0, 0, 0, 1, 1, 1, 1], overlap={3: 0.2}) == [2, 5]


def test_without_a_whole_frame_at_the_place_the_nearest_is_kept():
    assert kept([0, 0, 1, 1, 2]) == [1, 3, 4]
    assert kept([0, 0, 0, 0], overlap={2: 0.2}) == [3]
    assert kept([0, 0, 0, 0], overlap={2: 0.2, 3: 0.2}) == [1]
    assert kept([0, 0, 0], overlap={0: 0.1, 1: 0.1, 2: 0.1}) == []


def test_an_overlap_that_is_accepted_is_no_reason():
    mixed = film([0, 0, 0, 0], overlap={2: 0.2})
    table = pair_frames(mixed, PLAN, PairingSettings(max_overlap=0.21))
    assert table.index[table["is_kept"]].tolist() == [2]
    assert whole_frames(table).all()
    assert whole_frames(pair_frames(mixed, PLAN)).tolist() == [True, True, False, True]


def test_copies_take_no_place_and_are_not_kept():
    assert kept([0, 0, 0, 0, 0, 1, 1, 1], difference_adu={1: 0.0}) == [3, 7]
    table = pair_frames(film([0, 0, 0, 0], difference_adu={2: 0.01}), PLAN)
    assert table["reason"].tolist()[2] == "copy"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_tainted": {2: True}}, "damaged"),
        ({"brightness": {2: 0.5}}, "dim"),
        ({"overlap": {2: 0.06}}, "mixed"),
    ],
)
def test_reasons_are_named(change, reason):
    table = pair_frames(film([0, 0, 0, 0], **change), PLAN)
    assert table["reason"].tolist() == ["not the n-th", "not the n-th", reason, ""]


def test_unread_frames_say_why():
    table = pair_frames(film([None] * 3, is_torn={0: True}, weakest_cell={0: 1.0, 2: 0.0}), PLAN)
    assert table["reason"].tolist() == ["torn", "mixed", "no barcode"]
    assert table["truth_frame"].tolist() == [-1] * 3
    assert table["part"].tolist() == [""] * 3


def test_only_data_become_pairs():
    numbers = [part.first - FIRST for part in PLAN.parts for _ in range(4)]
    table = pair_frames(film(numbers), PLAN)
    assert table.loc[table["is_kept"], "part"].tolist() == ["data"]
    assert table["part"].tolist()[::4] == [part.kind for part in PLAN.parts]
    assert table.loc[table["is_kept"], "truth_frame"].tolist() == [0]


def test_movie_shown_twice_gives_each_frame_twice():
    table = pair_frames(film([0, 0, 0, 1, 1, 1, 0, 0, 0]), PLAN)
    assert table.loc[table["is_kept"], "truth_frame"].tolist() == [0, 1, 0]


def test_film_in_which_nothing_was_read_gives_no_pairs():
    assert kept([None] * 4) == []


def test_number_beyond_the_plan_is_refused():
    with pytest.raises(SettingsError, match=r"shows frame \d+, but the plan ends at \d+"):
        pair_frames(film([1000]), PLAN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"keep_nth": 0}, "keep_nth must be at least 1"), ({"max_overlap": 0.4}, "at most 0.225")],
)
def test_pairing_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        PairingSettings(**settings)
