import numpy as np
import pytest
from astigmatic_beads import pixel_shares

from cellstorm_lib.calibrate.bead_places import find_beads

BOX = 15


def picture(places, *, side=128, light=3000.0, sigma_px=2.0, level=20.0, seed=0):
    """Return beads at (row, column) or (row, column, times the light) on a noisy background."""
    image = np.full((side, side), level)
    for row, column, *times in places:
        down = pixel_shares([row + 0.5], side, sigma_px)[0]
        across = pixel_shares([column + 0.5], side, sigma_px)[0]
        image += light * (times[0] if times else 1.0) * np.outer(down, across)
    return np.random.default_rng(seed).poisson(image).astype(np.float64)


def test_single_beads_are_found_where_they_are():
    places = [(20, 30), (20, 70), (60, 50), (100, 100)]
    found = find_beads(picture(places), box_px=BOX)
    np.testing.assert_allclose(np.column_stack([found.row, found.column]), places, atol=1)
    assert found.left_out == {"edge": 0, "neighbours": 0, "clumps": 0}


def test_edges_neighbours_and_clumps_are_left_out_and_counted():
    singles = [(20, 30), (20, 70), (60, 50)]
    others = [(3, 100), (100, 60), (100, 70), (60, 100, 4.0)]
    found = find_beads(picture([*singles, *others]), box_px=BOX)
    np.testing.assert_allclose(np.column_stack([found.row, found.column]), singles, atol=1)
    assert found.left_out == {"edge": 1, "neighbours": 2, "clumps": 1}


@pytest.mark.parametrize("seed", range(5))
def test_noise_holds_no_beads(seed):
    assert len(find_beads(picture([], seed=seed), box_px=BOX)) == 0


def test_a_frame_of_one_value_holds_no_beads():
    assert len(find_beads(np.full((64, 65), 7.0), box_px=BOX)) == 0


def test_an_uneven_background_is_no_bead():
    glow = 200.0 * np.exp(-((np.indices((128, 128)) - 64) ** 2).sum(0) / (2 * 40.0**2))
    image = picture([(30, 30)]) + np.random.default_rng(1).poisson(glow)
    found = find_beads(image, box_px=BOX)
    np.testing.assert_allclose([found.row[0], found.column[0]], [30, 30], atol=1)
    assert len(found) == 1
