"""A close look at a film: distances, pairs and the part of a frame are those of the truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.evaluate.scores import nearest_true_nm
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.pipeline import benchmark_films as films
from cellstorm_lib.pipeline.film_look import SIDE_PX, look_closely
from cellstorm_lib.tables import Emitters, FieldOfView, Localizations

FIELD = FieldOfView(width_px=10, height_px=10, pixel_size_nm=100.0, frame_count=5)


def table(kind, rows, **columns):
    """Return a table of frame, x and y in nm."""
    data = pd.DataFrame(rows, columns=["frame", "x_nm", "y_nm"]).assign(photons=100.0, **columns)
    return kind(data=data, field=FIELD)


@pytest.fixture(scope="module")
def made():
    """Return a short film of filaments."""
    with pytest.MonkeyPatch.context() as patch:
        film = films.benchmark_films()["D"]
        short = replace(film, scene=replace(film.scene, frame_count=20))
        patch.setattr(films, "benchmark_films", lambda: {"D": short})
        with films.made_films(["D"]) as make:
            yield make("D")


def truth_as_found(made, *, moved_px=0.0, every=1):
    """Return every n-th molecule of the truth, moved along x, as localizations."""
    data = made.truth.data[["frame", "x_nm", "y_nm", "photons"]].iloc[::every].copy()
    data["x_nm"] += moved_px * made.film.scene.field.pixel_size_nm
    return Localizations(data=data.reset_index(drop=True), field=made.truth.field)


def test_the_nearest_molecule_is_looked_for_in_the_same_frame():
    true = table(
        Emitters, [(0, 100.0, 100.0), (0, 400.0, 500.0), (2, 300.0, 300.0)], emitter=[0, 1, 2]
    )
    found = table(
        Localizations,
        [(0, 130.0, 140.0), (0, 110.0, 100.0), (0, 400.0, 500.0), (1, 100.0, 100.0)],
    )
    np.testing.assert_allclose(nearest_true_nm(found, true), [50.0, 10.0, 0.0, np.inf])
    assert nearest_true_nm(found.take(np.zeros(4, bool)), true).shape == (0,)


def test_found_false_and_missed_are_those_of_the_pairs(made):
    moved = truth_as_found(made, moved_px=0.01, every=2)
    astray = truth_as_found(made, moved_px=500.0)
    look = look_closely(made, [("half", None, moved), ("astray", None, astray)], 200.0)
    half, lost = look.branches
    assert half.found.is_paired.all()
    assert half.true.is_paired.sum() == len(moved)
    np.testing.assert_allclose(half.nearest_nm, 0.01 * look.pixel_size_nm, atol=1e-6)
    assert not lost.found.is_paired.any()
    assert not lost.true.is_paired.any()
    assert len(lost.true.frame) == len(made.truth)
    assert look.of(["astray"]).branches == (lost,)


def test_the_part_that_is_shown_lies_in_the_frame_and_holds_its_molecules(made):
    denoiser = Denoiser(read_checkpoint(SHIPPED), device="cpu")
    exact = truth_as_found(made)
    look = look_closely(made, [("raw", None, exact), ("net", denoiser, exact)], 200.0)
    raw, net = look.branches
    assert look.light_e.shape == raw.image_e.shape == net.image_e.shape == (SIDE_PX, SIDE_PX)
    row, column = look.corner_px
    (chunk,) = made.source.part(look.frame, look.frame + 1).chunks(1)
    photons = made.calibration.photoelectrons(chunk.frames)[0]
    part = photons[row : row + SIDE_PX, column : column + SIDE_PX]
    np.testing.assert_allclose(raw.image_e, part, atol=1e-3)
    here = raw.true.frame == look.frame
    xy_px = raw.true.xy_px[here] - (column, row)
    inner = ((xy_px > 8) & (xy_px < SIDE_PX - 8)).all(axis=1)
    assert inner.any()
    for x_px, y_px in xy_px[inner]:
        around = look.light_e[int(y_px) - 1 : int(y_px) + 2, int(x_px) - 1 : int(x_px) + 2]
        assert around.max() > 5.0
    # light of molecules is where the network puts it: far more there than by chance
    assert np.corrcoef(look.light_e.ravel(), net.image_e.ravel())[0, 1] > 0.5
