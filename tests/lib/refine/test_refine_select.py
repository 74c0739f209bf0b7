import warnings

import numpy as np
import pandas as pd
import pytest
from drifting_tables import table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.refine.select import remove_duplicates, remove_sparse, select

RNG = np.random.default_rng(0)
TABLE = table_of(
    RNG.uniform(0, 6400, (200, 2)),
    RNG.integers(0, 50, 200),
    frame_count=50,
    uncertainty_nm=RNG.uniform(5, 40, 200),
    photons=RNG.exponential(500, 200),
    sigma_nm=RNG.uniform(90, 200, 200),
    is_copied=RNG.random(200) < 0.3,
)
COLUMNS = {name: TABLE.column(name) for name in TABLE.data.columns}


def kept(expression, table=TABLE):
    """Return which frames, photons the selection keeps, as a set of rows."""
    chosen, report = select(table, expression)
    assert report.kept == len(chosen)
    assert report.localizations == len(table)
    return chosen.column("photons")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("photons > 300 & uncertainty_nm < 30", "(photons > 300) & (uncertainty_nm < 30)"),
        ("photons > 300 and uncertainty_nm < 30", "(photons > 300) & (uncertainty_nm < 30)"),
        ("photons>300&uncertainty_nm<30|frame==7",
         "((photons > 300) & (uncertainty_nm < 30)) | (frame == 7)"),
        ("100 < sigma_nm <= 150", "(100 < sigma_nm) & (sigma_nm <= 150)"),
        ("not is_copied", "~is_copied"),
        ("~is_copied & ~(photons < 200)", "~is_copied & ~(photons < 200)"),
        ("is_copied == False", "~is_copied"),
        ("(photons / sigma_nm ** 2 > 0.02) or frame % 2 != 0",
         "(photons / sigma_nm ** 2 > 0.02) | (frame % 2 != 0)"),
        ("abs(x_nm - 3200) < 1000", "abs(x_nm - 3200) < 1000"),
        ("-photons + +5 < -2.5e2 * 2", "-photons + 5 < -500"),
        ("log10(photons) >= 2 and sqrt(photons) < 30",
         "(log10(photons) >= 2) & (sqrt(photons) < 30)"),
        ("exp(log(photons)) > 1\n  & True", "photons > 1"),
        ("False", "photons < 0"),
        ("", "photons >= 0"),
        ("   ", "photons >= 0"),
    ],
)  # fmt: skip
def test_expressions_mean_what_people_expect(expression, expected):
    functions = {"abs": np.abs, "log10": np.log10, "sqrt": np.sqrt}
    mask = eval(expected, {"__builtins__": {}}, {**COLUMNS, **functions})
    np.testing.assert_array_equal(kept(expression), COLUMNS["photons"][mask])


COMPARED = st.builds(
    lambda left, sign, right: f"{left} {sign} {right}",
    st.sampled_from(["photons", "sigma_nm", "uncertainty_nm", "(photons - 9)"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.sampled_from(["photons", "sigma_nm", "300", "25.5", "2 * sigma_nm"]),
)
CONDITIONS = st.recursive(
    COMPARED | st.just("is_copied"),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} & {b})", inner, inner),
        st.builds(lambda a, b: f"({a} | {b})", inner, inner),
        st.builds(lambda a: f"~({a})", inner),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(condition=CONDITIONS)
def test_expressions_agree_with_pandas(condition):
    exact = {n: v if v.dtype == bool else v.astype(float) for n, v in COLUMNS.items()}
    mask = pd.DataFrame(exact).eval(condition, engine="python").to_numpy(bool)
    np.testing.assert_array_equal(kept(condition), COLUMNS["photons"][mask])


def test_every_clause_says_how_many_it_rejects():
    _, report = select(TABLE, "photons > 300 & (uncertainty_nm < 30 | frame > 40) & not is_copied")
    assert report.rejected == {
        "photons > 300": int((COLUMNS["photons"] <= 300).sum()),
        "uncertainty_nm < 30 or frame > 40": int(
            ((COLUMNS["uncertainty_nm"] >= 30) & (COLUMNS["frame"] <= 40)).sum()
        ),
        "not is_copied": int(COLUMNS["is_copied"].sum()),
    }


def test_undefined_values_are_rejected_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(kept("log(photons - 1e9) > 0")) == 0
        assert len(kept("photons / 0 < 5")) == 0
        assert len(kept("9 ** 9 ** 9 > photons")) == len(TABLE)


def test_a_selection_of_nothing_is_a_table_of_nothing():
    chosen, report = select(TABLE.take(np.zeros(200, bool)), "photons > 300")
    assert len(chosen) == 0
    assert report.rejected == {"photons > 300": 0}


def test_an_unknown_column_is_named_with_those_there_are():
    with pytest.raises(TableError, match="no column 'photon'; it has frame, is_copied, photons,"):
        select(TABLE, "photon > 300")
    with pytest.raises(
        TableError, match="no column 'Intensity'; what others call Intensity is photons; it"
    ):
        select(TABLE, "Intensity > 300")


def test_a_column_of_words_cannot_be_compared():
    table = TABLE.with_columns(label=np.full(200, "a"))
    with pytest.raises(TableError, match="column 'label' holds no numbers"):
        select(table, "label == 3")


@pytest.mark.parametrize(
    "expression",
    [
        "photons >", "photons > 300 &", "(photons > 3", "a b", "1 =< 2", "photons = 300", "'",
        "\\", "lambda", "photons > 300; frame > 2", "]",
    ],
)  # fmt: skip
def test_unreadable_expressions_are_refused(expression):
    with pytest.raises(SettingsError, match="cannot read the expression"):
        select(TABLE, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')", "photons.max() > 3", "[photons] == 3", "photons[0] > 3",
        "(lambda: True)()", "'a' == 'a'", "open", "max(photons, 3) > 1", "photons @ photons > 1",
        "photons // 2 > 1", "None", "f'{photons}' > 1", "(x := photons) > 1", "abs(photons, 2) > 1",
        "abs(x=photons) > 1", "photons if is_copied else 3", "1j > 0", "~(photons > 1) ^ is_copied",
    ],
)  # fmt: skip
def test_nothing_but_the_grammar_runs(expression):
    with pytest.raises((SettingsError, TableError)):
        select(TABLE, expression)


def test_what_is_not_in_the_grammar_is_named():
    with pytest.raises(SettingsError, match=r"'photons.max\(\)' is not allowed in an expression"):
        select(TABLE, "photons.max() > 3")
    with pytest.raises(SettingsError, match="compares in a way that is not known here"):
        select(TABLE, "photons in frame")


@pytest.mark.parametrize("expression", ["photons", "300", "photons + 1", "photons & frame",
                                        "is_copied and photons", "not photons"])  # fmt: skip
def test_a_number_is_no_condition(expression):
    with pytest.raises(SettingsError, match="is a number, not a condition"):
        select(TABLE, expression)


@pytest.mark.parametrize("expression", ["is_copied + 1 > 0", "-is_copied", "abs(is_copied) > 0",
                                        "(photons > 3) * 2 > 1"])  # fmt: skip
def test_a_condition_is_no_number(expression):
    with pytest.raises(SettingsError, match="is true or false, not a number"):
        select(TABLE, expression)


def test_excess_is_refused():
    with pytest.raises(SettingsError, match="may have 2000 characters, got"):
        select(TABLE, "photons > 1 & " * 300 + "frame > 2")
    with pytest.raises(SettingsError, match="too large to compute with"):
        select(TABLE, "photons < 1" + "0" * 400)
    with pytest.raises(SettingsError, match="cannot read the expression"):
        select(TABLE, "(" * 900 + "1" + ")" * 900)


def spots(xy_nm, frame, **columns):
    return table_of(np.asarray(xy_nm, float), np.asarray(frame), frame_count=100, **columns)


def test_of_two_in_one_place_the_more_certain_stays():
    table = spots(
        [[100, 100], [110, 100], [110, 100], [500, 100]], [0, 0, 1, 0],
        uncertainty_nm=np.array([12.0, 10.0, 10.0, 10.0]),
    )  # fmt: skip
    thinned, report = remove_duplicates(table)
    np.testing.assert_array_equal(thinned.column("x_nm"), [110, 500, 110])
    assert report.rejected == {"duplicate": 1}


def test_of_two_as_certain_the_brighter_stays():
    table = spots(
        [[100, 100], [110, 100]], [0, 0], uncertainty_nm=20.0, photons=np.array([300.0, 900.0])
    )
    np.testing.assert_array_equal(remove_duplicates(table)[0].column("photons"), [900])


def test_a_removed_duplicate_removes_no_other():
    # a chain: the best in the middle removes both ends, which are no duplicates of each other
    table = spots([[100, 0], [140, 0], [180, 0], [220, 0]], [0] * 4,
                  uncertainty_nm=np.array([31.0, 30.0, 32.0, 33.0]))  # fmt: skip
    np.testing.assert_array_equal(remove_duplicates(table)[0].column("x_nm"), [140, 220])


def test_duplicates_by_a_fixed_radius():
    table = spots([[100, 0], [140, 0], [300, 0]], [0] * 3)
    np.testing.assert_array_equal(remove_duplicates(table)[0].column("x_nm"), [100, 300])
    wide, _ = remove_duplicates(table, radius_nm=250)
    np.testing.assert_array_equal(wide.column("x_nm"), [100])
    uncertain = table.with_columns(uncertainty_nm=np.full(3, 5.0))
    assert len(remove_duplicates(uncertain)[0]) == 3
    assert len(remove_duplicates(uncertain, radius_uncertainties=0)[0]) == 2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 60))
def test_no_two_of_a_frame_are_left_within_reach(seed, count):
    rng = np.random.default_rng(seed)
    table = spots(rng.uniform(0, 500, (count, 2)), rng.integers(0, 3, count))
    thinned, _ = remove_duplicates(table)
    for frame in range(3):
        xy_nm = thinned.xy_nm[thinned.column("frame") == frame]
        apart_nm = cdist(xy_nm, xy_nm)[np.triu_indices(len(xy_nm), 1)]
        assert (apart_nm > 50).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 80), neighbours=st.integers(0, 6))
def test_sparse_localizations_are_those_with_too_few_others_around(seed, count, neighbours):
    rng = np.random.default_rng(seed)
    table = spots(rng.uniform(0, 400, (count, 2)), rng.integers(0, 90, count))
    around = (cdist(table.xy_nm, table.xy_nm) <= 60).sum(axis=1) - 1
    dense, report = remove_sparse(table, neighbours=neighbours, radius_nm=60)
    np.testing.assert_array_equal(dense.xy_nm, table.xy_nm[around >= neighbours])
    assert report.rejected == {"sparse": int((around < neighbours).sum())}


def test_the_border_of_the_neighbourhood_belongs_to_it():
    table = spots([[0, 0], [50, 0]], [0, 40])
    assert len(remove_sparse(table, neighbours=1, radius_nm=50)[0]) == 2
    assert len(remove_sparse(table, neighbours=1, radius_nm=49)[0]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: remove_sparse(TABLE, neighbours=-1), "neighbours must be 0 or more, got -1"),
        (lambda: remove_sparse(TABLE, radius_nm=0), "radius_nm must be above 0, got 0"),
        (lambda: remove_duplicates(TABLE, radius_nm=-2), "radius_nm must be above 0, got -2"),
        (lambda: remove_duplicates(TABLE, radius_uncertainties=-1),
         "radius_uncertainties must be 0 or more, got -1"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(call, message):
    with pytest.raises(SettingsError, match=message):
        call()
