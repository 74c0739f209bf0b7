import numpy as np
import pytest

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.appraiser_training import AppraiserSettings, Lesson, train_appraiser

SETTINGS = AppraiserSettings(steps=1200, batch=512)


def lessons_of(seed=0, films=6, count=1500):
    """Return spots whose first trait decides their odds, the second error, the third light."""
    rng = np.random.default_rng(seed)
    lessons = []
    for _ in range(films):
        traits = rng.normal(size=(count, 4)).astype(np.float32)
        is_molecule = rng.uniform(size=count) < odds_of(traits)
        error = rng.normal(size=(count, 2)) * factor_of(traits)[:, None]
        log_photons = 0.2 * traits[:, 2] + rng.normal(0, 0.1, count)
        error[~is_molecule] = np.nan
        log_photons[~is_molecule] = np.nan
        lessons.append(
            Lesson(
                traits=traits,
                is_molecule=is_molecule,
                error=error.astype(np.float32),
                log_photons=log_photons.astype(np.float32),
            )
        )
    return lessons


def odds_of(traits):
    return 1 / (1 + np.exp(-2.0 * traits[:, 0]))


def factor_of(traits):
    return np.exp(0.4 + 0.3 * traits[:, 1])


def test_probability_error_and_light_are_learned_as_they_were_drawn():
    appraiser = train_appraiser(lessons_of(), SETTINGS)
    other = lessons_of(seed=9, films=1)[0]
    found = appraiser.appraise(other.traits)
    inside = np.abs(other.traits).max(axis=1) < 2
    assert np.abs(found.probability - odds_of(other.traits))[inside].mean() < 0.04
    ratio = found.error_factor / factor_of(other.traits)
    assert np.abs(np.log(ratio[inside])).mean() < 0.1
    light = np.log(found.photon_factor) - 0.2 * other.traits[:, 2]
    assert np.abs(light[inside]).mean() < 0.04


def test_the_same_lessons_give_the_same_network():
    short = AppraiserSettings(steps=20, batch=64)
    one, other = (train_appraiser(lessons_of(films=2), short) for _ in range(2))
    for (weight, bias), (again, again_bias) in zip(one.layers, other.layers, strict=True):
        np.testing.assert_array_equal(weight, again)
        np.testing.assert_array_equal(bias, again_bias)


def test_the_network_tells_where_it_comes_from():
    told = []
    appraiser = train_appraiser(
        lessons_of(films=2, count=200),
        AppraiserSettings(steps=500, batch=32),
        origin={"frames": "film"},
        report=lambda step, loss: told.append((step, loss)),
    )
    assert appraiser.origin["frames"] == "film"
    assert appraiser.origin["films"] == 2
    assert appraiser.origin["spots"] == 400
    assert appraiser.origin["program"].startswith("cellstorm ")
    assert [step for step, _ in told] == [500]
    assert np.isfinite(told[0][1])


@pytest.mark.parametrize("is_molecule", [True, False])
def test_films_of_one_kind_teach_nothing(is_molecule):
    lesson = lessons_of(films=1, count=30)[0]
    same = Lesson(
        traits=lesson.traits,
        is_molecule=np.full(30, is_molecule),
        error=np.zeros((30, 2), np.float32),
        log_photons=np.zeros(30, np.float32),
    )
    with pytest.raises(CheckpointError, match="cannot be appraised"):
        train_appraiser([same])
    with pytest.raises(CheckpointError, match="cannot be appraised"):
        train_appraiser([])
