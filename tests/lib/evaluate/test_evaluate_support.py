"""Spots that lie where others are seen at other times are told from those that lie by chance."""

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.evaluate.support import block_edges, count_echoes, count_supports, per_block
from cellstorm_lib.tables import FieldOfView, Localizations

FRAMES, SIDE_PX = 1000, 128


@pytest.fixture
def empty():
    field = FieldOfView(
        width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=100.0, frame_count=FRAMES
    )
    return Localizations(data=pd.DataFrame({"frame": [], "x_nm": [], "y_nm": []}), field=field)


def scattered(rng, count):
    return np.column_stack(
        [*rng.uniform(0, SIDE_PX, (2, count)), rng.integers(0, FRAMES, count).astype(float)]
    )


def test_spots_at_the_places_of_others_are_supported_and_scattered_ones_only_by_chance(empty):
    rng = np.random.default_rng(1)
    supporting = scattered(rng, 300)
    again = supporting.copy()
    again[:, 2] = (again[:, 2] + FRAMES / 2) % FRAMES
    chance = scattered(rng, 4000)
    there, anywhere = count_supports([again, chance], supporting, empty, 50, rng)
    assert there.count.sum() == there.supported.sum() == 300
    assert there.excess > 0.9
    share = anywhere.supported.sum() / 4000
    assert anywhere.excess == pytest.approx(0.0, abs=4 * np.sqrt(share / 4000) + 0.002)


def test_spots_of_nearly_the_same_time_do_not_support_each_other(empty):
    rng = np.random.default_rng(2)
    supporting = scattered(rng, 100)
    (found,) = count_supports([supporting], supporting, empty, 50, rng)
    close = supporting.copy()
    close[:, 2] += 20
    (later,) = count_supports([close], supporting, empty, 50, rng)
    assert later.supported.sum() == found.supported.sum()


def test_blocks_hold_every_spot_once_with_its_weight():
    edges = block_edges(FRAMES)
    frame = np.arange(FRAMES, dtype=float)
    assert len(edges) == 39
    np.testing.assert_array_equal(per_block(frame, edges), 25)
    np.testing.assert_allclose(per_block(frame, edges, 2 * np.ones(FRAMES)), 50)


def test_echoes_follow_and_beginnings_precede():
    shared = np.array([[10.0, 10.0, 100.0], [50.0, 50.0, 100.0], [90.0, 90.0, 100.0]])
    own = np.array(
        [
            [10.5, 10.0, 103.0],  # follows
            [50.0, 50.5, 99.0],  # precedes
            [90.0, 90.0, 109.0],  # too late
            [12.0, 10.0, 101.0],  # too far
            [30.0, 30.0, 101.0],  # alone
        ]
    )
    follow, precede = count_echoes(own, shared, block_edges(FRAMES))
    assert follow.sum() == precede.sum() == 1
    both = np.concatenate([shared, shared + np.array([0.0, 0.0, 2.0])])
    assert not any(
        of.any() for of in count_echoes(shared + np.array([0.0, 0.0, 1.0]), both, np.array([500.0]))
    )
