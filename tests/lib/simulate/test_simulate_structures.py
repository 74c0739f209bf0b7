"""Sites lie where the structure says, in the stated numbers."""

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.filaments import FilamentSettings, filament_sites, worm_like_chain
from cellstorm_lib.simulate.pictures import MaskSettings, TextSettings
from cellstorm_lib.simulate.scatter import GridSettings, RandomSettings
from cellstorm_lib.simulate.structures import MARGIN_NM, STRUCTURES, draw_sites

FIELD = {"width_nm": 20_000.0, "height_nm": 10_000.0}


def test_a_chain_keeps_its_direction_over_its_persistence_length():
    rng = np.random.default_rng(1)
    directions = []
    for _ in range(1500):
        steps = np.diff(worm_like_chain(length_um=20.0, persistence_length_um=8.0, rng=rng), axis=0)
        directions.append(np.arctan2(steps[:, 1], steps[:, 0]))
    angle = np.array(directions)
    for distance_um in (1.0, 4.0, 8.0, 16.0):
        cosines = np.cos(angle[:, 100 + round(100 * distance_um)] - angle[:, 100])
        expected = np.exp(-distance_um / (2 * 8.0))
        assert abs(cosines.mean() - expected) < 4 * cosines.std() / np.sqrt(len(cosines))


def test_a_chain_has_its_length_and_its_middle_at_the_origin():
    chain = worm_like_chain(length_um=5.0, persistence_length_um=20.0, rng=np.random.default_rng(2))
    np.testing.assert_allclose(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum(), 5000.0)
    np.testing.assert_array_equal(chain[250], (0.0, 0.0))


def test_dyes_sit_on_a_ring_around_a_straight_filament_in_the_stated_number():
    structure = FilamentSettings(
        count=1, length_um=5.0, persistence_length_um=1e6, labels_per_um=4000.0, ring_radius_nm=20.0
    )
    sites = filament_sites(structure, 20_000.0, 20_000.0, np.random.default_rng(4))
    assert abs(len(sites) - 20_000) < 4 * np.sqrt(20_000)
    along = np.linalg.svd(sites - sites.mean(axis=0), full_matrices=False)[2]
    sideways = (sites - sites.mean(axis=0)) @ along[1]
    # the projection of a ring: at most the radius, with variance radius^2 / 2
    assert np.abs(sideways).max() < 22.0
    assert abs(sideways.var() / 200.0 - 1) < 0.05


def test_every_filament_has_its_middle_in_the_field():
    structure = FilamentSettings(count=50, length_um=0.2, labels_per_um=1000.0, ring_radius_nm=0.0)
    sites = draw_sites(structure, **FIELD, rng=np.random.default_rng(3))
    assert sites.min() > -100.0
    assert (sites.max(axis=0) < (20_100.0, 10_100.0)).all()
    assert abs(len(sites) - 10_000) < 4 * np.sqrt(10_000)


def test_filaments_lie_independently_and_cross_as_often_as_straight_lines_do():
    # two straight lines of length L with middles spread evenly over an area A cross with
    # probability 2 L^2 / (pi A), a little less at its edges: there, middles lie on one side only
    structure = FilamentSettings(
        count=40, length_um=2.0, persistence_length_um=1e6, labels_per_um=100.0, ring_radius_nm=0.0
    )
    crossings = []
    for seed in range(30):
        sites = filament_sites(structure, 40_000.0, 40_000.0, np.random.default_rng(seed))
        ends = np.array([(line[0], line[-1]) for line in lines_of(sites)])
        crossings.append(count_crossings(ends))
    expected = 40 * 39 / 2 * 2 * 2.0**2 / (np.pi * 40.0**2)
    assert abs(np.mean(crossings) - expected) < 4 * np.sqrt(expected / 30) + 0.1 * expected


def lines_of(sites):
    """Split sites of long straight filaments, each sorted along itself."""
    far = np.linalg.norm(np.diff(sites, axis=0), axis=1) > 2100.0
    for line in np.split(sites, np.flatnonzero(far) + 1):
        along = np.linalg.svd(line - line.mean(axis=0), full_matrices=False)[2][0]
        yield line[np.argsort(line @ along)]


def count_crossings(ends):
    start, step = ends[:, 0], ends[:, 1] - ends[:, 0]
    count = 0
    for one in range(len(ends)):
        for other in range(one):
            matrix = np.column_stack([step[one], -step[other]])
            along = np.linalg.solve(matrix, start[other] - start[one])
            count += ((along > 0) & (along < 1)).all()
    return count


def test_random_sites_fill_the_field_and_its_margin_evenly():
    sites = draw_sites(RandomSettings(sites_per_um2=100.0), **FIELD, rng=np.random.default_rng(5))
    is_inside = ((sites > 0) & (sites < (20_000.0, 10_000.0))).all(axis=1)
    assert abs(is_inside.sum() - 20_000) < 4 * np.sqrt(20_000)
    assert sites.min() < -0.9 * MARGIN_NM
    assert (sites >= -MARGIN_NM).all()
    assert (sites <= np.array([20_000.0, 10_000.0]) + MARGIN_NM).all()
    quarters = np.histogram2d(*sites[is_inside].T, bins=2)[0]
    assert np.abs(quarters - is_inside.sum() / 4).max() < 4 * np.sqrt(is_inside.sum() / 4)


def test_grid_sites_are_isolated_and_near_their_crossings():
    sites = draw_sites(
        GridSettings(spacing_nm=2000.0, jitter_nm=50.0), **FIELD, rng=np.random.default_rng(6)
    )
    assert len(sites) == 10 * 5
    off_crossing = (sites - 1000.0 + 1000.0) % 2000.0 - 1000.0
    assert np.abs(off_crossing).max() <= 50.0


@pytest.mark.parametrize("kind", sorted(set(STRUCTURES) - {"mask", "table", "text"}))
def test_every_structure_reaches_beyond_the_field_and_no_further_than_the_margin(kind):
    sites = draw_sites(STRUCTURES[kind](), **FIELD, rng=np.random.default_rng(11))
    assert sites.shape[1] == 2
    assert (sites > -MARGIN_NM).all()
    assert (sites < np.array([20_000.0, 10_000.0]) + MARGIN_NM).all()
    if kind != "grid":
        is_outside = ((sites < 0) | (sites > (20_000.0, 10_000.0))).any(axis=1)
        assert 0.005 < is_outside.mean() < 0.5


def test_no_structure_gives_no_sites():
    assert draw_sites(None, **FIELD, rng=np.random.default_rng(0)).shape == (0, 2)


def test_letters_fill_the_stated_share_of_the_field():
    structure = TextSettings(text="HI", sites=4000, field_share=0.5)
    sites = draw_sites(structure, **FIELD, rng=np.random.default_rng(7))
    assert len(sites) == 4000
    extent = np.ptp(sites, axis=0)
    assert max(extent / (20_000.0, 10_000.0)) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose((sites.max(axis=0) + sites.min(axis=0)) / 2, (10_000, 5000), atol=99)
    # between the strokes of the H, left of its bar and above it, there is nothing
    left, top = sites.min(axis=0)
    width, height = extent
    hollow = (
        (sites[:, 0] > left + 0.25 * width)
        & (sites[:, 0] < left + 0.45 * width)
        & (sites[:, 1] < top + 0.3 * height)
    )
    assert not hollow.any()


def test_a_line_break_starts_a_new_line():
    one = draw_sites(TextSettings(text="OO"), **FIELD, rng=np.random.default_rng(8))
    two = draw_sites(TextSettings(text="O\nO"), **FIELD, rng=np.random.default_rng(8))
    assert np.ptp(one[:, 0]) > np.ptp(one[:, 1])
    assert np.ptp(two[:, 0]) < np.ptp(two[:, 1])


def test_mask_sites_follow_the_brightness(tmp_path):
    picture = np.zeros((10, 20), np.uint8)
    picture[:, :10], picture[:5, 10:] = 50, 200
    Image.fromarray(picture).save(tmp_path / "mask.png")
    structure = MaskSettings(image=str(tmp_path / "mask.png"), sites=30_000)
    sites = draw_sites(structure, **FIELD, rng=np.random.default_rng(9))
    is_left = sites[:, 0] < 10_000.0
    assert abs(is_left.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 30_000)
    assert (sites[~is_left, 1] < 5000.0).all()


def test_a_mask_that_cannot_be_used_is_named(tmp_path):
    def sites(path):
        return draw_sites(MaskSettings(image=str(path)), **FIELD, rng=np.random.default_rng(0))

    with pytest.raises(SettingsError, match="nowhere.png does not exist"):
        sites(tmp_path / "nowhere.png")
    (tmp_path / "note.png").write_text("not an image")
    with pytest.raises(SettingsError, match=r"note.png is not an image that can be read"):
        sites(tmp_path / "note.png")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(SettingsError, match=r"black.png is black"):
        sites(tmp_path / "black.png")


def test_absurd_structures_are_refused():
    with pytest.raises(SettingsError, match="text must hold at least one letter"):
        TextSettings(text=" \n")
    with pytest.raises(SettingsError, match=r"at most 2e\+07 dyes, got 4e\+07"):
        FilamentSettings(count=100, length_um=40.0, labels_per_um=10_000.0)
    with pytest.raises(SettingsError, match="persistence_length_um must be above 0"):
        FilamentSettings(persistence_length_um=0.0)
    with pytest.raises(SettingsError, match="spacing_nm must be above 0"):
        GridSettings(spacing_nm=-1.0)
    with pytest.raises(SettingsError, match="spacing_nm must be at most the field, 10000 nm"):
        draw_sites(GridSettings(spacing_nm=12_000.0), **FIELD, rng=np.random.default_rng(0))
    with pytest.raises(SettingsError, match="sites_per_um2 must be above 0"):
        RandomSettings(sites_per_um2=float("nan"))
