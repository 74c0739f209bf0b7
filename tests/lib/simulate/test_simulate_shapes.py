"""Vesicles, networks, clusters and tables have the sizes and densities they state."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial import cKDTree

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.network import NetworkSettings, network_sites, tubules
from cellstorm_lib.simulate.positions import PositionSettings
from cellstorm_lib.simulate.scatter import ClusterSettings, cluster_sites
from cellstorm_lib.simulate.structures import draw_sites
from cellstorm_lib.simulate.tubes import tube_sites
from cellstorm_lib.simulate.vesicles import VesicleSettings, vesicle_sites

FIELD = {"width_nm": 20_000.0, "height_nm": 10_000.0}
LEAST_P = 1e-4


def test_the_dyes_of_a_vesicle_lie_on_a_sphere_seen_from_above():
    structure = VesicleSettings(count=1, radius_nm=300.0, radius_cv=0.0, labels_per_um2=20_000.0)
    sites = vesicle_sites(structure, 5000.0, 5000.0, np.random.default_rng(1))
    expected = 4 * np.pi * 0.3**2 * 20_000
    assert abs(len(sites) - expected) < 4 * np.sqrt(expected)
    middle = np.random.default_rng(1).uniform(0.0, 5000.0, 2)
    distance = np.linalg.norm(sites - middle, axis=1)
    assert distance.max() <= 300.0
    # the share of a sphere farther than d from the line of sight is sqrt(1 - d^2 / R^2)
    height = np.sqrt(1 - (distance / 300.0) ** 2)
    assert stats.kstest(height, "uniform").pvalue > LEAST_P
    angle = np.arctan2(*(sites - middle).T)
    assert stats.kstest(angle, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > LEAST_P


def test_vesicles_have_their_radii_number_and_dyes():
    structure = VesicleSettings(count=4000, radius_nm=100.0, radius_cv=0.3, labels_per_um2=500.0)
    sites = vesicle_sites(structure, 1e8, 1e8, np.random.default_rng(2))
    # a lone vesicle is what lies within 1 um of one of its dyes
    groups = lone_groups(sites, 1000.0)
    assert len(groups) > 3990
    # seen from above the mean square distance from the axis is 2/3 of R^2; dyes count with R^2
    spread = np.array([((group - group.mean(axis=0)) ** 2).sum() for group in groups])
    dyes = np.array([len(group) for group in groups])
    mean_square = (spread[dyes > 1] / (dyes[dyes > 1] - 1)) * 1.5
    fourth_over_second = 100.0**2 * (1 + 0.3**2) ** 5  # of a log-normal number
    weighted = np.average(mean_square, weights=dyes[dyes > 1])
    assert weighted == pytest.approx(fourth_over_second, rel=0.05)
    assert abs(len(sites) / 4000 / structure.mean_dyes - 1) < 4 * 0.7 / np.sqrt(4000)


def lone_groups(sites, reach_nm):
    tree = cKDTree(sites)
    seen = np.zeros(len(sites), bool)
    groups = []
    for index in range(len(sites)):
        if not seen[index]:
            members = tree.query_ball_point(sites[index], reach_nm)
            seen[members] = True
            groups.append(sites[members])
    return groups


def test_tubules_meet_three_at_a_time_at_wide_angles():
    structure = NetworkSettings(mesh_um2=1.0, missing_share=0.0)
    starts, ends = tubules(structure, 30_000.0, 30_000.0, 1000.0, np.random.default_rng(3))
    joints, index = np.unique(np.round(np.concatenate([starts, ends])), axis=0, return_inverse=True)
    degree = np.bincount(index)
    is_inner = ((joints > 0) & (joints < 30_000.0)).all(axis=1)
    assert (degree[is_inner] == 3).mean() > 0.97
    direction = np.concatenate([ends - starts, starts - ends])
    angle = np.arctan2(direction[:, 1], direction[:, 0])
    for joint in np.flatnonzero(is_inner & (degree == 3))[:200]:
        around = np.sort(angle[index == joint])
        gaps = np.degrees(np.diff(np.append(around, around[0] + 2 * np.pi)))
        assert gaps.max() < 200, "three tubules leave a junction on one side"


def test_meshes_have_their_mean_area_and_the_network_its_dyes():
    structure = NetworkSettings(mesh_um2=2.0, missing_share=0.0, bend=0.0, ring_radius_nm=0.0)
    starts, ends = tubules(structure, 60_000.0, 60_000.0, 0.0, np.random.default_rng(4))
    # a network of three-way junctions has three tubules, and two junctions, per mesh
    middles = (starts + ends) / 2
    inside = ((middles > 0) & (middles < 60_000.0)).all(axis=1).sum()
    assert inside / 3 == pytest.approx(60.0**2 / 2.0, rel=0.03)
    sites = network_sites(structure, 60_000.0, 60_000.0, 0.0, np.random.default_rng(4))
    length_um = np.linalg.norm(ends - starts, axis=1).sum() / 1000.0
    assert abs(len(sites) - 100.0 * length_um) < 5 * np.sqrt(100.0 * length_um)


def test_missing_and_bent_tubules_are_as_stated():
    whole = NetworkSettings(missing_share=0.0)
    gappy = NetworkSettings(missing_share=0.3)
    counts = [
        len(tubules(structure, 60_000.0, 60_000.0, 0.0, np.random.default_rng(5))[0])
        for structure in (whole, gappy)
    ]
    assert abs(counts[1] / counts[0] - 0.7) < 4 * np.sqrt(0.21 / counts[0]) + 0.02
    sites = [
        network_sites(
            NetworkSettings(bend=bend, ring_radius_nm=0.0),
            30_000.0,
            30_000.0,
            0.0,
            np.random.default_rng(6),
        )
        for bend in (0.0, 0.1)
    ]
    # a bow of height h lengthens a tubule by about pi^2 h^2 / 4 (and the half wave as much again)
    longer = 1 + np.pi**2 / 4 * 0.1**2 * 2
    assert len(sites[1]) / len(sites[0]) == pytest.approx(longer, rel=0.03)


def test_sites_around_a_bent_line_are_even_along_it():
    starts = np.array([[0.0, 0.0], [1000.0, 0.0]])
    steps = np.array([[1000.0, 0.0], [0.0, 3000.0]])
    sites = tube_sites(
        starts, steps, labels_per_um=5000.0, ring_radius_nm=10.0, rng=np.random.default_rng(7)
    )
    assert abs(len(sites) - 20_000) < 4 * np.sqrt(20_000)
    is_on_first = sites[:, 0] < 989.0
    assert abs(is_on_first.mean() - 0.989 / 4) < 4 * np.sqrt(0.19 / 20_000)
    assert np.abs(sites[is_on_first, 1]).max() <= 10.0
    nothing = tube_sites(
        starts[:0], steps[:0], labels_per_um=1.0, ring_radius_nm=1.0, rng=np.random.default_rng(7)
    )
    assert nothing.shape == (0, 2)


def test_clusters_have_the_pair_correlation_of_their_process():
    structure = ClusterSettings(clusters_per_um2=2.0, radius_nm=60.0, sites_per_cluster=15.0)
    sites = cluster_sites(structure, 40_000.0, 40_000.0, 0.0, np.random.default_rng(8))
    is_inside = ((sites > 0) & (sites < 40_000.0)).all(axis=1)
    density = 2.0 * 15.0
    spread = np.sqrt(1600.0 * 2.0 * (15.0 + 15.0**2))  # of a compound Poisson number
    assert abs(is_inside.sum() - 1600.0 * density) < 4 * spread
    inner = sites[((sites > 1000) & (sites < 39_000)).all(axis=1)]
    tree, inner_tree = cKDTree(sites), cKDTree(inner)
    for radius_nm in (30.0, 60.0, 120.0, 300.0):
        neighbours = inner_tree.count_neighbors(tree, radius_nm) / len(inner) - 1
        # the integral of the pair correlation over a disc
        expected = density * np.pi * (radius_nm / 1000) ** 2
        expected += 15.0 * -np.expm1(-(radius_nm**2) / (4 * 60.0**2))
        assert neighbours == pytest.approx(expected, rel=0.04)


def table_sites(path):
    return draw_sites(PositionSettings(table=str(path)), **FIELD, rng=np.random.default_rng(0))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_gives_its_positions(tmp_path, ending):
    table = pd.DataFrame(
        {"frame": [0, 1, 2], "x_nm": [10.5, 19_000.0, -5000.0], "y_nm": [20.0, 30.0, 40.0]}
    )
    path = tmp_path / f"sites.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    np.testing.assert_array_equal(table_sites(path), [[10.5, 20.0], [19_000.0, 30.0]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.csv", None, r"the table .*none\.csv does not exist"),
        ("a.xlsx", "x", r"a\.xlsx must end in \.csv or \.parquet"),
        ("a.csv", "", r"a\.csv is not a table that can be read: No columns"),
        ("a.csv", "\xff\xfe", r"a\.csv is not a table that can be read: .*decode"),
        (
            "a.csv",
            "x_nm,y_nm\n" + "," * 100_000,
            r"a\.csv is not .*: a line of it is longer than 16384",
        ),
        ("a.parquet", "PAR", r"a\.parquet is not a table that can be read"),
        ("a.csv", "x,y\n1,2\n", r"a\.csv has no column x_nm; its columns are x, y, and"),
        ("a.csv", "x_nm,y_nm\n1,2\n3,up\n", r"a\.csv holds .*'up'.* in row 2, where two numbers"),
        ("a.csv", "x_nm,y_nm\n1,\n", r"a\.csv holds .* in row 1, where two numbers"),
        ("a.csv", "x_nm,y_nm\n-1,2\n", r"a\.csv has no position in the field of 20000 x 10000 nm"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=message):
        table_sites(tmp_path / name)


def test_absurd_shapes_are_refused():
    with pytest.raises(SettingsError, match="radius_nm must be above 0"):
        VesicleSettings(radius_nm=0.0)
    with pytest.raises(SettingsError, match=r"may hold 2e\+07 dyes, got .*per square micrometre"):
        VesicleSettings(radius_nm=15_000.0, count=1000)
    with pytest.raises(SettingsError, match="missing_share must be at least 0 and at most 0.9"):
        NetworkSettings(missing_share=1.0)
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match=r"mesh_um2 must be large enough for .* with 1e-06"):
        draw_sites(NetworkSettings(mesh_um2=1e-6), **FIELD, rng=rng)
    crowd = ClusterSettings(clusters_per_um2=10_000.0, sites_per_cluster=1e5)
    with pytest.raises(SettingsError, match=r"may give 2e\+07 dyes in the field, got 3e\+11"):
        draw_sites(crowd, **FIELD, rng=rng)
