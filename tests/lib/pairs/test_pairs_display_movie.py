"""The movie to show: everything in its place, the same every time, and its plan."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.barcode import read_barcodes
from cellstorm_lib.pairs.display_movie import make_display_movie
from cellstorm_lib.pairs.display_plan import (
    DisplaySettings,
    light_of,
    luma_of,
    molecule_light,
    read_plan,
    shown_luma,
)
from cellstorm_lib.video.read import open_recording

SETTINGS = DisplaySettings(
    screen_width_px=640, screen_height_px=320, cell_px=14, bead_pitch_px=24, repeats=2,
    start_frames=2, bead_frames=1, uniform_frames=1, uniform_levels=(0.0, 0.5, 1.0),
    magnification=2,
)  # fmt: skip
TRUTH = np.random.default_rng(1).gamma(0.3, 20, (4, 60, 80)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("display")
    return folder, make_display_movie(lambda: [TRUTH], folder, SETTINGS)


def pictures(folder):
    source = open_recording(folder / "display.mp4", roi="640x320+0+0")
    return source, np.concatenate([chunk.frames for chunk in source.chunks(64)])


def test_movie_shows_all_parts_in_order(made):
    folder, plan = made
    kinds = ["start", "beads", "uniform", "uniform", "uniform", "data", "last beads", "end"]
    assert [part.kind for part in plan.parts] == kinds
    source, frames = pictures(folder)
    assert len(frames) == 2 * plan.frame_count == 2 * (2 + 1 + 3 + 4 + 1 + 2)
    assert source.facts.frame_rate_hz == pytest.approx(30)
    assert source.facts.colour_range == "limited"
    np.testing.assert_allclose(frames[::2], frames[1::2], atol=2)


def test_every_picture_carries_its_number_twice(made):
    folder, plan = made
    _, frames = pictures(folder)
    points = np.floor(plan.layout.cell_points).astype(int)
    cells = frames[:, points[..., 1], points[..., 0]].mean(axis=-1) - 16.0
    reading = read_barcodes(cells, plan.mark)
    assert reading.number.tolist() == np.repeat(np.arange(plan.frame_count), 2).tolist()
    assert reading.overlap.max() < 0.01


def test_data_are_shown_as_the_stack_says(made):
    folder, plan = made
    _, frames = pictures(folder)
    shown = next(iter(open_recording(folder / "shown.ome.tif").chunks(99))).frames
    first, data = plan.part("data").first, plan.layout.data
    seen = frames[2 * first : 2 * (first + 4) : 2][:, *data.slices]
    assert np.abs(seen.astype(int) - shown.repeat(2, axis=1).repeat(2, axis=2)).max() <= 3
    share = SETTINGS.background_share
    relative = (1 - share) * TRUTH / plan.full_scale_photons
    # Half a step of luma, and as much of the background's: the slope of luma ** 2.2 in 219 steps.
    step = SETTINGS.gamma * (relative + share) ** (1 - 1 / SETTINGS.gamma) / 219
    assert (np.abs(molecule_light(shown, SETTINGS) - relative) <= 1.02 * step).all()


def test_brighter_than_full_scale_is_shown_as_full_scale(tmp_path):
    plan = make_display_movie(lambda: [TRUTH], tmp_path, replace(SETTINGS, full_scale_photons=10.0))
    shown = next(iter(open_recording(tmp_path / "shown.ome.tif").chunks(99))).frames
    assert plan.full_scale_photons == 10.0
    assert (shown[TRUTH >= 10] == 235).all()


def test_beads_lie_where_the_layout_says(made):
    folder, plan = made
    _, frames = pictures(folder)
    inner = plan.layout.inner
    light = light_of(frames[2 * plan.part("beads").first], SETTINGS.gamma).astype(np.float64)
    rows, columns = np.indices(light.shape)
    for x, y in plan.layout.beads[::7]:
        near = np.hypot(columns + 0.5 - x, rows + 0.5 - y) < 9
        weight = light[near] / light[near].sum()
        assert (weight * (columns[near] + 0.5)).sum() == pytest.approx(x, abs=0.02)
        assert (weight * (rows[near] + 0.5)).sum() == pytest.approx(y, abs=0.02)
    assert len(plan.layout.beads) == (inner.width_px // 24) * (inner.height_px // 24)
    assert 0.15 < plan.layout.is_held_out.mean() < 0.25


def test_beads_are_as_wide_as_asked(tmp_path):
    wide = replace(SETTINGS, bead_sigma_px=3.0, bead_pitch_px=32, screen_height_px=400)
    plan = make_display_movie(lambda: [TRUTH], tmp_path, wide)
    source = open_recording(tmp_path / "display.mp4", roi="640x400+0+0")
    first = 2 * plan.part("beads").first
    (frame,) = next(iter(source.part(first, first + 1).chunks(1))).frames
    light = light_of(frame, wide.gamma).astype(np.float64)
    rows, columns = np.indices(light.shape)
    for x, y in plan.layout.beads[::11]:
        away = np.stack([columns + 0.5 - x, rows + 0.5 - y])
        near = np.hypot(*away) < 15
        variance = (light * away**2)[:, near].sum(axis=1) / light[near].sum()
        np.testing.assert_allclose(np.sqrt(variance), 3.0, rtol=0.02)


def test_movie_is_compressed_as_much_as_asked(tmp_path):
    worst, sizes = [], []
    for qp in (0, 20):
        folder = tmp_path / str(qp)
        plan = make_display_movie(lambda: [TRUTH], folder, replace(SETTINGS, qp=qp))
        shown = next(iter(open_recording(folder / "shown.ome.tif").chunks(99))).frames
        first = 2 * plan.part("data").first
        seen = pictures(folder)[1][first : first + 8 : 2][:, *plan.layout.data.slices]
        asked = shown.repeat(2, axis=1).repeat(2, axis=2)
        worst.append(int(np.abs(seen.astype(int) - asked).max()))
        sizes.append((folder / plan.movie).stat().st_size)
    assert worst[0] == 0 < worst[1]
    assert sizes[1] < sizes[0]


def test_same_frames_give_the_same_files_and_others_another_mark(made, tmp_path):
    folder, plan = made
    other = make_display_movie(lambda: [np.rint(TRUTH)], tmp_path / "a", SETTINGS)
    assert other.mark != plan.mark
    repeat = make_display_movie(lambda: iter([TRUTH[:1], TRUTH[1:]]), tmp_path / "b", SETTINGS)
    assert repeat == plan
    for name in ("display.mp4", "shown.ome.tif", "display.json"):
        assert (tmp_path / "b" / name).read_bytes() == (folder / name).read_bytes()


def test_plan_comes_back_from_its_file(made):
    folder, plan = made
    assert read_plan(folder / "display.json") == plan


def test_progress_reaches_the_end(tmp_path):
    seen = []
    plan = make_display_movie(
        lambda: [TRUTH], tmp_path, SETTINGS, progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (plan.frame_count, plan.frame_count)


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_light_and_luma_are_inverse(gamma):
    luma = np.arange(16, 236, dtype=np.uint8)
    np.testing.assert_array_equal(luma_of(light_of(luma, gamma), gamma), luma)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.2])
def test_background_is_no_part_of_the_truth(share):
    settings = DisplaySettings(background_share=share)
    luma = shown_luma(np.array([0.0, 0.3, 1.0, 2.0]), settings)
    assert luma[-1] == luma[-2] == 235
    light = molecule_light(luma, settings)
    assert light[0] == 0
    np.testing.assert_allclose(light, (1 - share) * np.array([0, 0.3, 1, 1]), atol=0.008)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (np.zeros((3, 60, 80)), "hold no light at all"),
        (np.full((3, 60, 80), np.nan), "finite photon numbers of at least 0"),
        (np.full((3, 60, 80), -1.0), "finite photon numbers of at least 0"),
        (np.ones((60, 80)), r"must come in stacks \(N, Y, X\) with frames, got \(60, 80\)"),
        (
            np.ones((1, 400, 80)),
            "need 616 x 912 pixels with their barcodes, but the screen",
        ),
    ],
)
def test_frames_that_cannot_be_shown_are_refused(tmp_path, truth, message):
    with pytest.raises(SettingsError, match=message):
        make_display_movie(lambda: [truth], tmp_path, SETTINGS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stacks", [[], [np.ones((1, 60, 80)), np.ones((1, 60, 82))]])
def test_frames_of_no_or_several_sizes_are_refused(tmp_path, stacks):
    with pytest.raises(SettingsError, match="must be of one size"):
        make_display_movie(lambda: stacks, tmp_path, SETTINGS)


def test_more_frames_than_numbers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cellstorm_lib.pairs.display_movie.NUMBER_COUNT", 10)
    with pytest.raises(SettingsError, match=r"numbers up to 10 frames, got 4 frames of data"):
        make_display_movie(lambda: [TRUTH], tmp_path, SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uniform_levels": (0.0,)}, "at least two rising numbers"),
        ({"uniform_levels": (0.0, 0.7, 0.5, 1.0)}, "at least two rising numbers"),
        ({"uniform_levels": (0.1, 1.0)}, "must begin with 0 and end with 1"),
        ({"screen_width_px": 641}, "must be even, got 641 x 1080"),
        ({"repeats": 0}, "repeats must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        DisplaySettings(**change)


def test_files_that_are_no_plan_are_refused(made, tmp_path):
    folder, _ = made
    path = tmp_path / "display.json"
    with pytest.raises(SettingsError, match="does not exist; give the display.json"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(SettingsError, match="cannot be read as a plan"):
        read_plan(path)
    path.write_text("{}")
    with pytest.raises(SettingsError, match="is no plan of a display movie"):
        read_plan(path)
    content = json.loads((folder / "display.json").read_text())
    for change in ({"mark": "x"}, {"unknown": 1}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(SettingsError, match="no whole plan of a display movie"):
            read_plan(path)
    del content["mark"]
    path.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="no whole plan of a display movie"):
        read_plan(path)
