"""Whole recordings as other programs localize them, and their settings."""

import numpy as np
import pytest
from like_references import UNIT_CAMERA
from localize_scenes import expected_frame, exposed

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.localize.like.run import localize_like
from cellstorm_lib.localize.like.settings import (
    PicassoSettings,
    RapidstormSettings,
    ThunderstormSettings,
    program_of,
    settings_like,
)
from cellstorm_lib.tables import COLUMNS
from cellstorm_lib.video.array import ArraySource

EACH = (
    ThunderstormSettings(threshold="2*std(Wave.F1)"),
    PicassoSettings(min_net_gradient=600),
    RapidstormSettings(fwhm_nm=306.0, amplitude_adu=700),
)
each_program = pytest.mark.parametrize("settings", EACH, ids=program_of)
TRUE = [(12.3, 14.6, 2000.0), (40.1, 25.5, 1500.0), (20.7, 38.2, 1800.0)]


def film(count=30):
    rng = np.random.default_rng(1)
    mean = expected_frame((50, 60), TRUE)
    return np.stack([exposed(mean, UNIT_CAMERA, rng) for _ in range(count)])


@each_program
def test_molecules_are_found_where_they_are(settings):
    table, report = localize_like(
        ArraySource(film()), UNIT_CAMERA, pixel_size_nm=100.0, settings=settings
    )
    assert len(table) == report.localizations == 90
    assert report.frames == 30
    assert report.threshold_mode == f"like {program_of(settings)}"
    assert report.candidates == len(table) + sum(report.rejected.values())
    for x, y, photons in TRUE:
        near = np.hypot(table.column("x_nm") - 100 * x, table.column("y_nm") - 100 * y) < 100
        assert near.sum() == 30
        pulls = (table.column("x_nm")[near] - 100 * x) / table.column("uncertainty_x_nm")[near]
        assert abs(pulls.mean()) < 5 / np.sqrt(30)
        assert np.median(table.column("photons")[near]) == pytest.approx(photons, rel=0.06)
        assert np.median(table.column("sigma_nm")[near]) == pytest.approx(130, rel=0.05)
    field = table.field
    assert (field.width_px, field.height_px, field.frame_count) == (60, 50, 30)


@each_program
def test_neither_threads_nor_pixel_size_change_what_is_found(settings, monkeypatch):
    one, _ = localize_like(
        ArraySource(film()), UNIT_CAMERA, pixel_size_nm=100.0, settings=settings, threads=1
    )
    monkeypatch.setattr("cellstorm_lib.localize.like.run._CHUNK_PX", 7 * 50 * 60)
    seen = []
    other, _ = localize_like(
        ArraySource(film()),
        UNIT_CAMERA,
        pixel_size_nm=100.0,
        settings=settings,
        threads=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert one.data.equals(other.data)
    assert seen == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]


@each_program
@pytest.mark.parametrize("level", [0, 100, 255])
def test_frames_of_one_value_hold_nothing_or_nothing_broken(settings, level):
    frames = np.full((2, 40, 40), level, np.uint8)
    table, _ = localize_like(
        ArraySource(frames), UNIT_CAMERA, pixel_size_nm=100.0, settings=settings
    )
    assert len(table) == 0 or program_of(settings) == "thunderstorm"
    known = {name for name in map(str, table.data.columns) if name in COLUMNS}
    assert {"frame", "x_nm", "y_nm", "sigma_nm", "photons", "uncertainty_nm"} <= known


@each_program
def test_a_recording_without_frames_gives_an_empty_table(settings):
    source = ArraySource(film(3)).part(2, 2)
    table, report = localize_like(source, UNIT_CAMERA, pixel_size_nm=100.0, settings=settings)
    assert len(table) == report.frames == 0
    assert "uncertainty_nm" in table


@each_program
def test_frames_too_small_to_fit_are_refused(settings):
    with pytest.raises(RecordingError, match="5 x 40 pixels, smaller than the"):
        localize_like(
            ArraySource(np.zeros((2, 40, 5), np.uint8)),
            UNIT_CAMERA,
            pixel_size_nm=100.0,
            settings=settings,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"pixel_size_nm": 0.0}, "pixel_size_nm must be above 0"), ({"threads": 0}, "threads must")],
)
def test_impossible_calls_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        localize_like(
            ArraySource(film(1)),
            UNIT_CAMERA,
            **{"pixel_size_nm": 100.0, "settings": EACH[0], **changes},
        )


def test_settings_are_the_programs_own_unless_given():
    assert settings_like("thunderstorm") == ThunderstormSettings()
    assert settings_like("picasso", ["min_net_gradient=400", "box_px = 9"]) == PicassoSettings(
        min_net_gradient=400, box_px=9
    )
    given = ["is_width_fitted=true", "amplitude_adu=1.5e3"]
    assert settings_like("rapidstorm", given) == RapidstormSettings(
        is_width_fitted=True, amplitude_adu=1500
    )
    assert settings_like("thunderstorm", ["threshold=3*std(Wave.F1)"]).threshold == (
        "3*std(Wave.F1)"
    )
    start = ThunderstormSettings(sigma_px=1.2)
    changed = settings_like("thunderstorm", ["uncertainty=later"], start=start)
    assert changed == ThunderstormSettings(sigma_px=1.2, uncertainty="later")


@pytest.mark.parametrize(
    ("program", "given", "message"),
    [
        ("imagej", [], "must be one of"),
        ("picasso", ["min_net_gradient"], "NAME=VALUE, got 'min_net_gradient'"),
        ("picasso", ["=3"], "NAME=VALUE"),
        ("picasso", ["gradient=3"], "--like picasso: unknown setting gradient"),
        ("picasso", ["box_px=8"], "box_px must be odd"),
        ("picasso", ["min_net_gradient=-1"], "min_net_gradient must be 0 or more"),
        ("picasso", ["min_net_gradient=high"], "min_net_gradient must be float"),
        ("picasso", ["estimator=avg"], "estimator must be one of"),
        ("picasso", ["box_px=[7"], "box_px must be int"),
        ("thunderstorm", ["threshold=std(Box.F)"], "uses 'Box.F'"),
        ("thunderstorm", ["uncertainty=2.0"], "uncertainty must be one of"),
        ("thunderstorm", ["fit_radius_px=0"], "fit_radius_px must be 1 to 15"),
        ("thunderstorm", ["sigma_px=0"], "sigma_px must be above 0 and at most 10"),
        ("rapidstorm", [], "give fwhm_nm, their full width at half"),
        ("rapidstorm", ["fwhm_nm=0"], "fwhm_nm must be above 0"),
        ("rapidstorm", ["fwhm_nm=300", "smoothing_px=4"], "smoothing_px must be odd"),
        ("rapidstorm", ["fwhm_nm=300", "motivation=0"], "motivation must be 1 or more"),
        ("rapidstorm", ["fwhm_nm=300", "amplitude_adu=-1"], "amplitude_adu must be 0 or more"),
        ("rapidstorm", ["fwhm_nm=300", "max_move_nm=0"], "max_move_nm must be above 0"),
        ("rapidstorm", ["fwhm_nm=300", "least_fwhm_nm=9", "most_fwhm_nm=5"], "widths must obey"),
    ],
)
def test_impossible_settings_are_refused(program, given, message):
    with pytest.raises(SettingsError, match=message):
        settings_like(program, given)
