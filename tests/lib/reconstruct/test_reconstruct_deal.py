"""Units stay whole, halves are equal, and a track that broke is one molecule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import merged, strewn, table

from cellstorm_lib.errors import TableError
from cellstorm_lib.reconstruct.deal import SPLITS, Units, deal, halves, units_of


@given(
    unit=st.lists(st.integers(0, 30), min_size=1, max_size=200),
    group_count=st.sampled_from([2, 8]),
    seed=st.integers(0, 100),
)
def test_every_unit_lands_in_one_group_and_groups_are_of_equal_size(unit, group_count, seed):
    units = Units(unit=np.unique(unit, return_inverse=True)[1], names="", is_random=True)
    group, count = deal(units, np.random.default_rng(seed), group_count=group_count)
    assert count == group_count
    owners = {(int(u), int(g)) for u, g in zip(units.unit, group, strict=True)}
    assert len(owners) == units.unit.max() + 1
    sizes = np.bincount([g for _, g in owners], minlength=count)
    assert sizes.max() - sizes.min() <= 1


@given(wanted=st.integers(1, 50), seed=st.integers(0, 100))
def test_halves_are_different_splits_into_equal_parts(wanted, seed):
    sides = halves(8, wanted, np.random.default_rng(seed))
    assert len(sides) == min(wanted, 35)
    assert (sides.sum(axis=1) == 4).all()
    both = {tuple(row) for row in sides} | {tuple(1 - row) for row in sides}
    assert len(both) == 2 * len(sides)


def test_two_groups_are_one_split():
    np.testing.assert_array_equal(halves(2, 20, np.random.default_rng(0)), [[1, 0]])


def test_an_unbroken_molecule_is_one_unit():
    made, _ = strewn(1, molecules=100, side_nm=6400.0, precision_nm=20.0, size=5)
    assert units_of(made, "molecules").effective_count > 95  # a few neighbours are joined


def broken(made, rng, share):
    """Cut a share of the molecules in two somewhere along their track."""
    molecule = made.column("molecule")
    nth = np.zeros(len(molecule), int)
    for number in range(molecule.max() + 1):
        nth[molecule == number] = np.arange((molecule == number).sum())
    cut = np.where(
        rng.random(molecule.max() + 1) < share, rng.integers(1, 9, molecule.max() + 1), 99
    )
    return made.with_columns(molecule=molecule * 2 + (nth >= cut[molecule]))


@pytest.mark.parametrize("finish", [lambda made: made, merged], ids=["linked", "merged"])
def test_broken_tracks_are_joined_again(finish):
    made, _ = strewn(2, molecules=200, side_nm=6400.0, precision_nm=20.0, size=10)
    whole = units_of(finish(made), "molecules")
    pieces = finish(broken(made, np.random.default_rng(0), 0.5))
    assert len(np.unique(pieces.column("molecule"))) > 280
    assert units_of(pieces, "molecules").unit.max() == whole.unit.max()


def test_uncertainty_is_seen_in_the_molecules_when_it_is_not_claimed():
    made, _ = strewn(2, molecules=200, side_nm=6400.0, precision_nm=20.0, size=10)
    pieces = broken(made, np.random.default_rng(0), 0.5)
    bare = pieces.with_data(pieces.data.drop(columns="uncertainty_nm"))
    expected = units_of(made, "molecules").unit.max()
    assert units_of(bare, "molecules").unit.max() == pytest.approx(expected, abs=2)


def test_molecules_that_blink_all_along_are_not_joined():
    made, _ = strewn(3, molecules=500, side_nm=2000.0, precision_nm=20.0, size=5, in_a_row=False)
    assert units_of(made, "molecules").unit.max() == 499


def test_single_localizations_without_uncertainty_stay_single():
    made = table(np.zeros((5, 2)), np.arange(5), molecule=np.arange(5))
    assert units_of(made, "molecules").unit.max() == 4


def test_rows_of_a_merged_table_are_molecules():
    made = table(np.arange(10.0).reshape(5, 2) * 900, np.arange(5) * 50, detections=[1, 2, 3, 1, 1])
    np.testing.assert_array_equal(units_of(made, "molecules").unit, np.arange(5))


def test_blocks_are_consecutive_frames_and_at_least_forty():
    frame = np.arange(30_000)
    units = units_of(table(np.zeros((30_000, 2)), frame), "blocks")
    np.testing.assert_array_equal(units.unit, frame // 500)
    short = units_of(table(np.zeros((400, 2)), np.arange(400)), "blocks")
    np.testing.assert_array_equal(short.unit, np.arange(400) // 10)
    assert short.names == "blocks of 10 frames"


def test_frames_without_localizations_make_no_blocks():
    units = units_of(table(np.zeros((4, 2)), [0, 1, 9000, 9001]), "blocks")
    np.testing.assert_array_equal(units.unit, [0, 0, 1, 1])


def test_halves_and_odd_even_are_not_dealt_at_random():
    made = table(np.zeros((6, 2)), [0, 1, 2, 3, 8, 9])
    later, _ = deal(units_of(made, "halves"), np.random.default_rng(0))
    odd, count = deal(units_of(made, "odd-even"), np.random.default_rng(0))
    np.testing.assert_array_equal(later, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(odd, [0, 1, 0, 1, 0, 1])
    assert count == 2


def test_localizations_are_units_of_their_own():
    np.testing.assert_array_equal(
        units_of(table(np.zeros((3, 2))), "localizations").unit, np.arange(3)
    )


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=50))
def test_the_effective_count_lies_between_one_and_the_number_of_units(sizes):
    units = Units(unit=np.repeat(np.arange(len(sizes)), sizes), names="", is_random=True)
    assert 1 - 1e-9 <= units.effective_count <= len(sizes) + 1e-9


def test_equal_units_count_in_full():
    units = Units(unit=np.repeat(np.arange(7), 3), names="", is_random=True)
    assert units.effective_count == pytest.approx(7)


@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_table_has_no_units(split):
    empty = table([]).with_columns(molecule=np.zeros(0, np.int64))
    assert units_of(empty, split).effective_count == 0


def test_a_table_that_does_not_tell_molecules_is_refused():
    with pytest.raises(TableError, match="needs the column 'molecule'.*link the table first"):
        units_of(table(np.zeros((3, 2))), "molecules")
