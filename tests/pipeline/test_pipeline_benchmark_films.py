"""Benchmark films are always the same, hold what they say, and are made again when they change."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pipeline import benchmark_films as module
from cellstorm_lib.pipeline.benchmark_films import (
    LEAST_PHOTONS,
    QUICK_FILMS,
    benchmark_films,
    made_films,
)
from cellstorm_lib.simulate.pictures import TextSettings

FRAMES = 12


@pytest.fixture
def short_films(monkeypatch):
    """Return all films with few frames."""
    films = {
        name: replace(film, scene=replace(film.scene, frame_count=FRAMES))
        for name, film in benchmark_films().items()
    }
    monkeypatch.setattr(module, "benchmark_films", lambda: films)
    return films


def frames_of(made):
    return np.concatenate([chunk.frames for chunk in made.source.chunks(8)])


def test_films_cover_domains_codecs_and_empty_frames_of_other_cameras():
    films = benchmark_films()
    assert all(film.name == name == film.scene.name for name, film in films.items())
    assert set(QUICK_FILMS) <= set(films)
    assert {"D", "E", "H", "L", "fig7", "dense", "dim", "pixel", "uncompressed"} <= set(films)
    empty = [film for film in films.values() if film.is_empty]
    assert len({film.scene.camera for film in empty}) >= 5
    assert isinstance(films["fig7"].scene.structure, TextSettings)
    assert films["fig7"].scene.codec.tune == "grain"
    assert films["fig7"].scene.codec.crf == 38


def test_a_film_again_is_another_sample_by_the_same_camera_and_codec(tmp_path, short_films):
    film = short_films["D"]
    other = film.again(3)
    assert replace(other.scene, name="D", seed=film.scene.seed) == film.scene
    assert other.name == other.scene.name == "D-3"
    one, again = (module.made_film(each, tmp_path / each.name) for each in (film, other))
    assert not np.array_equal(frames_of(one), frames_of(again))
    assert one.calibration == again.calibration


@pytest.mark.parametrize("name", ["D", "uncompressed"])
def test_a_film_is_what_its_scene_says_and_the_same_again(tmp_path, short_films, name):
    with made_films([name]) as make:
        made = make(name)
        frames = frames_of(made)
        assert frames.shape == (FRAMES, 256, 256)
        assert made.source.facts.is_video == (name == "D")
        assert (made.truth.column("photons") >= LEAST_PHOTONS).all()
        assert len(made.truth) > 0
    with made_films([name], folder=tmp_path) as make:
        np.testing.assert_array_equal(frames_of(make(name)), frames)
        assert make(name).truth.data.equals(made.truth.data)


def test_films_without_molecules_have_none(short_films):
    with made_films(["empty"]) as make:
        assert len(make("empty").truth) == 0


def test_a_kept_film_is_made_again_when_its_scene_has_changed(tmp_path, short_films):
    with made_films(["empty"], folder=tmp_path) as make:
        make("empty")
        before = (tmp_path / "empty" / "movie.mp4").stat().st_mtime_ns
        make("empty")
        assert (tmp_path / "empty" / "movie.mp4").stat().st_mtime_ns == before
    film = short_films["empty"]
    short_films["empty"] = replace(film, scene=replace(film.scene, seed=99))
    with made_films(["empty"], folder=tmp_path) as make:
        make("empty")
    assert (tmp_path / "empty" / "movie.mp4").stat().st_mtime_ns > before


def test_unknown_films_are_refused():
    with (
        pytest.raises(SettingsError, match=r"no benchmark film 'Z'; there are \['D', 'E'"),
        made_films(["D", "Z"]),
    ):
        pass
