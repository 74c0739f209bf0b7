"""Columns that only the film can fill, for spots found in frames made from it."""

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.localize.film_columns import with_columns_of_film
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.tables import Localizations
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

NAMES = ["is_copied", "copy_age", "frames_since_key", "is_tainted", "temporal_difference"]


@pytest.fixture(scope="module")
def spots(film):
    from cellstorm_lib.camera import read_calibration

    table, _ = localize(
        open_recording(film.movie), read_calibration(film.camera), pixel_size_nm=100.0
    )
    return table


def test_the_film_gives_the_columns_that_its_own_spots_have(film, spots):
    bare = Localizations(
        data=spots.data.assign(
            **{name: np.zeros(len(spots), spots.data[name].dtype) for name in NAMES}
        ),
        field=spots.field,
        provenance={"source": "denoised"},
    )
    found = with_columns_of_film(bare, open_recording(film.movie))
    assert spots.data["is_copied"].any()
    assert found.provenance == {"source": "denoised"}
    # the pixel of the maximum and that of the fit may differ
    pd.testing.assert_frame_equal(found.data[NAMES[:4]], spots.data[NAMES[:4]])
    same = np.isclose(found.data[NAMES[4]], spots.data[NAMES[4]])
    assert same.mean() > 0.5
    assert list(found.data.columns) == list(spots.data.columns)


def test_reading_in_small_chunks_changes_nothing(film, spots, monkeypatch):
    whole = with_columns_of_film(spots, open_recording(film.movie))
    monkeypatch.setattr("cellstorm_lib.localize.film_columns._CHUNK_PX", 1)
    pd.testing.assert_frame_equal(
        with_columns_of_film(spots, open_recording(film.movie)).data, whole.data
    )


def test_spots_of_frames_that_the_film_lacks_keep_what_they_have(film, spots):
    source = open_recording(film.movie).part(100, 200)
    found = with_columns_of_film(spots, source)
    outside = (spots.data["frame"] < 100) | (spots.data["frame"] >= 200)
    pd.testing.assert_frame_equal(found.data[outside], spots.data[outside])


def test_a_stack_has_no_copies_and_no_spots_need_no_columns(spots):
    field = spots.field
    stack = ArraySource(np.zeros((field.frame_count, field.height_px, field.width_px), np.uint8))
    found = with_columns_of_film(spots, stack)
    assert not found.data["frames_since_key"].any()
    nothing = spots.take(np.zeros(0, np.int64))
    assert len(with_columns_of_film(nothing, stack)) == 0
