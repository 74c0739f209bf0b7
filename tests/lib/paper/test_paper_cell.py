"""One cell for two cameras: the same molecules, and figures that say what was seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellstorm_lib.paper.cell import EMCCD, PHONE, cell_figure, cell_scene, view_cell
from cellstorm_lib.paper.settings import PaperSettings
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.progress import silently
from cellstorm_lib.tables import read_emitters


def test_both_cameras_look_at_the_same_field_and_light() -> None:
    phone, emccd = (cell_scene(camera, frame_count=100) for camera in (PHONE, EMCCD))
    assert phone.field.width_nm == emccd.field.width_nm
    assert (phone.structure, phone.blinking, phone.seed) == (
        emccd.structure,
        emccd.blinking,
        emccd.seed,
    )
    for scene in (phone, emccd):
        pixel_nm = scene.field.pixel_size_nm
        assert scene.spot.sigma_px * pixel_nm == pytest.approx(130.0)
        assert scene.background.photons / pixel_nm**2 == pytest.approx(10.0 / 80.0**2)


def test_both_films_hold_the_same_molecules(tmp_path: Path) -> None:
    truths = []
    for camera in (PHONE, EMCCD):
        film_scene(cell_scene(camera, frame_count=20), tmp_path / camera.name, stacks=())
        truths.append(read_emitters(tmp_path / camera.name / "truth.parquet"))
    phone, emccd = truths
    for column in ("frame", "emitter", "x_nm", "y_nm"):
        np.testing.assert_allclose(phone.column(column), emccd.column(column))
    np.testing.assert_allclose(
        emccd.column("photons") / phone.column("photons"), 0.9 / 0.75, rtol=1e-6
    )


def test_a_film_of_any_length_is_as_full() -> None:
    full, short = (cell_scene(PHONE, frame_count=count) for count in (18_000, 900))
    assert short.structure.labels_per_um == pytest.approx(full.structure.labels_per_um / 20)
    assert short.blinking.dark_s == pytest.approx(full.blinking.dark_s / 20)


def test_the_figure_tells_both_cameras_beside_the_paper(tmp_path: Path) -> None:
    views = [
        view_cell(camera, tmp_path / camera.name, frame_count=120, announce=silently)
        for camera in (replace(PHONE, side_px=128), replace(EMCCD, side_px=64))
    ]
    figure = cell_figure(*views)
    said = {row.what: row for row in figure.rows}
    assert said["Resolution, emCCD"].theirs == "45 nm"
    for view in views:
        row = said[f"Spots found, {view.camera.name}"]
        assert row.ours == f"{len(view.branch.spots):,}"
        assert view.scores.precision > 0.9
    assert len({panel.shot.address for panel in figure.panels}) == len(figure.panels) >= 5


def test_amounts_too_small_are_refused() -> None:
    with pytest.raises(Exception, match="dark_frames must be at least 200, got 10"):
        PaperSettings(dark_frames=10)
