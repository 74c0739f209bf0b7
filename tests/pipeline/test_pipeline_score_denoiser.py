"""Scores are exact where the answer is known, and the shipped network earns its place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.recipe import recipe_named
from cellstorm_lib.pipeline import benchmark_films as films
from cellstorm_lib.pipeline import score_denoiser as module
from cellstorm_lib.pipeline.score_denoiser import localized_film, score_denoisers, score_film
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.refine.merge import link
from cellstorm_lib.tables import Localizations


@pytest.fixture
def short_films(monkeypatch):
    """Let all films have few frames."""
    made = {
        name: replace(film, scene=replace(film.scene, frame_count=30))
        for name, film in films.benchmark_films().items()
    }
    monkeypatch.setattr(films, "benchmark_films", lambda: made)


def found(made, *, x_px=0.0, photons=1.0, every=1):
    """Return the truth as a table of localizations, moved and dimmed, every n-th row."""
    data = pd.DataFrame(
        {name: np.asarray(made.truth.column(name))[::every] for name in ("frame", "y_nm")}
    )
    data["x_nm"] = np.asarray(made.truth.column("x_nm"))[::every] + 100.0 * x_px
    data["photons"] = photons * np.asarray(made.truth.column("photons"))[::every]
    return Localizations(data=data, field=made.truth.field)


def test_scores_of_known_tables(monkeypatch, short_films):
    answers = {"exact": {}, "moved": {"x_px": 0.1}, "half": {"every": 2, "photons": 0.8}}
    names = iter(answers)
    monkeypatch.setattr(
        module, "localized_film", lambda made, _: found(made, **answers[next(names)])
    )
    scores = score_denoisers(dict.fromkeys(answers), ["D"]).set_index("name")
    assert (scores.film == "D").all()
    exact, moved, half = (scores.loc[name] for name in answers)
    assert exact.f1 == exact.recall == exact.precision == exact.jaccard == 1.0
    assert exact.f1_error == exact.rmse_nm == exact.false_per_frame == 0.0
    assert moved.bias_x_px == pytest.approx(0.1)
    assert moved.bias_y_px == pytest.approx(0.0, abs=1e-9)
    # a few molecules are so near to each other that the wrong ones are paired
    assert moved.rmse_nm == pytest.approx(10.0, rel=0.1)
    assert half.recall == pytest.approx(0.5, abs=0.01)
    assert half.precision == 1.0
    assert half.count_over_truth == pytest.approx(0.5, abs=0.01)
    assert half.photons_ratio == pytest.approx(0.8)
    assert half.photons_slope == pytest.approx(0.8)
    assert half.photons_correlation == pytest.approx(1.0)
    assert 0.0 < half.f1_error < 0.05
    assert {"frc_nm", "frc_low_nm", "frc_high_nm"} <= set(scores.columns)


def test_the_resolution_is_that_of_the_linked_table(short_films):
    with films.made_films(["D"]) as make:
        made = make("D")
        row = score_film(made, {"raw": None})[0]
        told = measure_frc(link(localized_film(made, None)))
        unlabelled = replace(made.truth, data=made.truth.data.iloc[:0])
        nothing = score_film(replace(made, truth=unlabelled), {"raw": None})[0]
    expected = (told.resolution_nm, told.low_nm, told.high_nm)
    got = [row[name] for name in ("frc_nm", "frc_low_nm", "frc_high_nm")]
    np.testing.assert_equal(got, [np.nan if value is None else value for value in expected])
    assert np.isnan(nothing["frc_nm"])


def test_films_with_molecules_are_looked_at(monkeypatch, short_films):
    monkeypatch.setattr(module, "localized_film", lambda made, _: found(made))
    looks = []
    score_denoisers({"raw": None}, ["D", "empty"], look=looks.append)
    (look,) = looks
    assert look.film == "D"
    assert [branch.name for branch in look.branches] == ["raw"]
    assert look.branches[0].found.is_paired.all()


def test_the_error_of_f1_is_that_of_the_scatter(monkeypatch, short_films):
    rng, seen = np.random.default_rng(5), []

    def at_random(made, _):
        table = found(made)
        return table.take(np.flatnonzero(rng.uniform(size=len(table)) < 0.7))

    monkeypatch.setattr(module, "localized_film", at_random)
    scores = score_denoisers(dict.fromkeys(map(str, range(40))), ["D"])
    seen = scores.f1.std()
    # 40 draws know a standard deviation to 11 %, 20 blocks to 16 %
    assert scores.f1_error.mean() == pytest.approx(seen, rel=4 * np.hypot(0.11, 0.16 / 40**0.5))


def test_a_film_without_molecules_has_false_spots_only(monkeypatch, short_films):
    def one_per_frame(made, _):
        frames = np.arange(made.film.scene.frame_count)
        data = pd.DataFrame({"frame": frames, "x_nm": 100.0, "y_nm": 100.0, "photons": 1.0})
        return Localizations(data=data, field=made.truth.field)

    monkeypatch.setattr(module, "localized_film", one_per_frame)
    calls = []
    row = score_denoisers(
        {"raw": None}, ["empty"], progress=lambda done, total: calls.append((done, total))
    ).iloc[0]
    assert row.false_per_frame == 1.0
    assert row[["f1", "recall", "precision", "photons_ratio", "f1_error"]].isna().all()
    assert calls == [(1, 1)]


def test_a_denoised_film_goes_through_the_same_localizer(short_films):
    torch.manual_seed(1)
    denoiser = Denoiser(read_checkpoint(SHIPPED), device="cpu")
    with films.made_films(["D"]) as make:
        made = make("D")
        raw, denoised = localized_film(made, None), localized_film(made, denoiser)
    assert len(raw) > 100
    assert len(denoised) > 100
    assert not np.array_equal(raw.column("x_nm")[:50], denoised.column("x_nm")[:50])


def test_the_shipped_network_is_small_and_of_the_default_recipe():
    assert SHIPPED.stat().st_size < 1_000_000
    checkpoint = read_checkpoint(SHIPPED)
    assert checkpoint.recipe == recipe_named("default")
    assert checkpoint.facts.threads == 2
    assert checkpoint.domain.cameras > 100


@pytest.mark.slow
def test_the_shipped_network_is_better_than_none():
    denoisers = {"raw": None, "shipped": Denoiser(read_checkpoint(SHIPPED), device="cpu")}
    scores = score_denoisers(denoisers, films.QUICK_FILMS).set_index(["film", "name"])
    f1, error = scores.f1.unstack(), scores.f1_error.unstack()
    for film, gain in (("D", 0.02), ("L", 0.06), ("E", 0.0)):
        allowed = 2 * np.hypot(error.loc[film, "raw"], error.loc[film, "shipped"])
        assert f1.loc[film, "shipped"] - f1.loc[film, "raw"] > gain - allowed
    assert scores.loc[("D", "shipped"), "photons_ratio"] == pytest.approx(1.0, abs=0.05)
    assert abs(scores.loc[("D", "shipped"), "bias_x_px"]) < 0.02
    assert scores.loc[("empty-bright", "shipped"), "false_per_frame"] < 0.05
