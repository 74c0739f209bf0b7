"""A champion is replaced only by a network that is better by more than the error."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.evaluate.championship import ChampionshipSettings, decide_championship

FILMS = ("D", "E", "H", "L")


def scores(
    f1: list[float], error: float | list[float] = 0.01, *, false: float = 0.0
) -> pd.DataFrame:
    """Return scores on films with molecules and on one without."""
    errors = error if isinstance(error, list) else [error] * len(f1)
    return pd.DataFrame(
        {
            "film": [*FILMS[: len(f1)], "empty"],
            "recall": [*f1, np.nan],
            "f1": [*f1, np.nan],
            "f1_error": [*errors, np.nan],
            "false_per_frame": [*[0.4] * len(f1), false],
        }
    )


some_f1 = st.lists(st.floats(0, 1), min_size=4, max_size=4)
some_errors = st.lists(st.floats(0, 0.1), min_size=4, max_size=4)


def test_a_clear_gain_on_all_films_makes_a_champion() -> None:
    decision = decide_championship(scores([0.9, 0.95, 0.6, 0.8]), scores([0.85, 0.94, 0.5, 0.7]))
    assert decision.is_better
    assert decision.gain == pytest.approx((0.05 + 0.01 + 0.1 + 0.1) / 4)
    assert decision.gain_error == pytest.approx(np.sqrt(4 * (2 * 0.01**2)) / 4)
    assert "better by more than the error" in decision.reason
    assert "+0.0650 +- 0.0071 on 4 films" in decision.reason


def test_a_gain_within_the_error_is_not_enough() -> None:
    error = float(np.sqrt(4 * (2 * 0.01**2)) / 4)
    for share, is_better in ((0.99, False), (1.01, True)):
        new = scores([0.8 + share * error] * 4)
        assert decide_championship(new, scores([0.8] * 4)).is_better is is_better


def test_one_film_that_gets_clearly_worse_refuses_it() -> None:
    decision = decide_championship(scores([0.99, 0.99, 0.99, 0.6]), scores([0.8, 0.8, 0.8, 0.7]))
    assert not decision.is_better
    assert "clearly worse on L (-0.1000 +- 0.0141)" in decision.reason


def test_spots_where_there_are_none_refuse_it() -> None:
    decision = decide_championship(scores([0.99] * 4, false=0.06), scores([0.8] * 4))
    assert not decision.is_better
    assert "0.06 spots per frame in empty, where there is none" in decision.reason
    assert decide_championship(scores([0.99] * 4, false=0.05), scores([0.8] * 4)).is_better


def test_false_spots_that_were_not_counted_refuse_it() -> None:
    decision = decide_championship(scores([0.99] * 4, false=np.nan), scores([0.8] * 4))
    assert not decision.is_better


def test_what_must_be_shown_is_a_setting() -> None:
    new, old = scores([0.82] * 4), scores([0.8] * 4)
    assert decide_championship(new, old).is_better
    assert not decide_championship(new, old, ChampionshipSettings(gain_errors=4.0)).is_better
    with pytest.raises(SettingsError, match="loss_errors must be from 0 to 1000, got -1"):
        ChampionshipSettings(loss_errors=-1)


@given(new=some_f1, error=some_errors)
def test_nobody_replaces_an_equal(new: list[float], error: list[float]) -> None:
    assert not decide_championship(scores(new, error), scores(new, error)).is_better


@given(one=some_f1, other=some_f1, error=some_errors)
def test_two_networks_never_replace_each_other(
    one: list[float], other: list[float], error: list[float]
) -> None:
    first, second = scores(one, error), scores(other, error)
    there, back = decide_championship(first, second), decide_championship(second, first)
    assert not (there.is_better and back.is_better)
    assert there.gain == pytest.approx(-back.gain)


@given(new=some_f1, old=some_f1, error=some_errors, more=st.floats(0, 1))
def test_doing_better_on_a_film_never_costs_the_place(
    new: list[float], old: list[float], error: list[float], more: float
) -> None:
    assume(decide_championship(scores(new, error), scores(old, error)).is_better)
    better = [new[0] + more, *new[1:]]
    assert decide_championship(scores(better, error), scores(old, error)).is_better


@given(new=some_f1, old=some_f1, error=some_errors, seed=st.integers(0, 99))
def test_the_order_of_the_films_does_not_matter(
    new: list[float], old: list[float], error: list[float], seed: int
) -> None:
    first, second = scores(new, error), scores(old, error)
    shuffled = first.sample(frac=1.0, random_state=seed)
    assert decide_championship(shuffled, second) == decide_championship(first, second)


@pytest.mark.parametrize(
    ("challenger", "message"),
    [
        (scores([0.9] * 3), "scored on different films .only one has L.*score both again"),
        (scores([0.9] * 4).drop(columns="f1"), "scores of the challenger have no column f1"),
        (pd.concat([scores([0.9] * 4)] * 2), "challenger need one row per film"),
        (scores([0.9] * 4).iloc[:0], "challenger need one row per film"),
        (scores([0.9] * 4, [0.1, 0.1, np.nan, 0.1]), "H has no F1 with an error"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(challenger: pd.DataFrame, message: str) -> None:
    with pytest.raises(TableError, match=message):
        decide_championship(challenger, scores([0.8] * 4))


def test_films_without_molecules_alone_decide_nothing() -> None:
    empty = scores([])
    with pytest.raises(TableError, match="no film with molecules was scored"):
        decide_championship(empty, empty)
