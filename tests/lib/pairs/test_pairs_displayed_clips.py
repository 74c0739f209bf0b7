"""Clips of a filmed display movie: the film itself, and the light that really was there."""

from dataclasses import replace

import numpy as np
import pytest
from filmed_displays import CAMERA, displayed

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.pairs.display_plan import molecule_light
from cellstorm_lib.pairs.displayed import read_displayed
from cellstorm_lib.pairs.displayed_clips import ClipSettings, clips_of_film
from cellstorm_lib.pairs.filming import Filming
from cellstorm_lib.pairs.pair_set import read_pairs, write_pairs
from cellstorm_lib.video.array import ArraySource

CLIPS = ClipSettings(side_px=48, frames=6, clips=1000)
GAIN = CAMERA.gain_e_per_adu


@pytest.fixture(scope="module")
def pairs(read):
    return clips_of_film(read, CLIPS, gain_e_per_adu=GAIN)


def fitted(pairs, *terms):
    """Return how much of each term the film holds besides the light itself and a constant."""
    light = pairs.light_e[pairs.is_usable].astype(np.float64) / GAIN
    seen = pairs.filmed[pairs.is_usable] - pairs.offset_adu[0].astype(np.float64)
    model = [light, *(term(light) for term in terms), np.ones_like(light)]
    inside = np.stack(model)[..., 4:-4, 4:-4].reshape(len(model), -1)
    return np.linalg.lstsq(inside.T, seen[:, 4:-4, 4:-4].ravel(), rcond=None)[0]


def lower(light):
    return -np.gradient(light, axis=1)


def further_right(light):
    return -np.gradient(light, axis=2)


def wider(light):
    return sum(np.gradient(np.gradient(light, axis=axis), axis=axis) for axis in (1, 2)) / 2


def test_every_kept_frame_is_usable_once_in_every_tile(read, pairs):
    roi = read.roi
    tiles = (roi.width_px // 48) * (roi.height_px // 48)
    assert tiles == 4
    assert pairs.is_usable.sum() == tiles * read.report.kept_frames
    assert not pairs.is_usable[:, [0, -1]].any()
    assert set(pairs.split.tolist()) == {"train"}
    assert set(pairs.method.tolist()) == {"displayed"}
    assert set(pairs.origin.tolist()) == {f"film.mp4 {read.film.facts.digest[:12]}"}
    np.testing.assert_allclose(pairs.offset_adu, read.report.black_adu, rtol=1e-6)
    assert (pairs.gain_e_per_adu == np.float32(GAIN)).all()
    assert pairs.bits_per_px[0] == pytest.approx(read.film.facts.bits_per_px)


def test_clips_are_consecutive_frames_of_the_film(read, film, pairs):
    chunks = list(film[2].chunks(64))
    frames = np.concatenate([chunk.frames for chunk in chunks])
    first = np.flatnonzero(read.table["is_kept"])[0] - 1
    roi = read.roi
    corner = frames[first : first + 6, roi.y_px : roi.y_px + 48, roi.x_px : roi.x_px + 48]
    np.testing.assert_array_equal(pairs.filmed[0], corner)
    is_key = np.concatenate([chunk.is_key for chunk in chunks])
    np.testing.assert_array_equal(pairs.is_key[0], is_key[first : first + 6])
    assert roi.x_px % 16 == roi.y_px % 16 == 0


def test_light_lies_on_what_was_filmed_as_bright_and_as_wide(shown):
    folder, plan = shown
    # Without codec, whose loss of faint light would be measured, too.
    frames = np.stack([frame.levels for frame in Filming(plan, folder, CAMERA).frames()])
    read = read_displayed(ArraySource(frames), plan, folder)
    assert read.report.blur_px == pytest.approx(np.hypot(1.2, np.sqrt(1 / 12)), abs=0.05)
    pairs = clips_of_film(read, CLIPS, gain_e_per_adu=GAIN)
    scale, y_px, x_px, variance_px2, background = fitted(pairs, lower, further_right, wider)
    assert scale == pytest.approx(1, abs=0.02)
    assert abs(y_px) < 0.02
    assert abs(x_px) < 0.02
    assert abs(variance_px2) < 0.15
    share = plan.settings.background_share
    assert background == pytest.approx(share * read.report.adu_at_full_scale, rel=0.1)


def test_light_of_magnified_frames_is_as_wide_as_filmed(tmp_path):
    plan = displayed(tmp_path, magnification=2, side_px=80, sigma_px=1.0)
    frames = np.stack([frame.levels for frame in Filming(plan, tmp_path, CAMERA).frames()])
    read = read_displayed(ArraySource(frames), plan, tmp_path)
    assert read.report.camera_px_per_truth_px == pytest.approx(2.0, rel=0.03)
    pairs = clips_of_film(read, CLIPS, gain_e_per_adu=GAIN)
    scale, variance_px2, _ = fitted(pairs, wider)
    assert scale == pytest.approx(1, abs=0.03)
    assert abs(variance_px2) < 0.2


def test_frames_of_unknown_number_have_no_light(read, pairs):
    first = np.flatnonzero(read.table["is_kept"])[0] - 1
    known = read.table["truth_frame"].to_numpy()[first : first + 6] >= 0
    np.testing.assert_array_equal(pairs.light_e[0].max(axis=(1, 2)) > 0, known)


def test_light_is_that_of_the_molecules_alone(read, pairs):
    luma = next(iter(read.shown.chunks(99))).frames
    light = molecule_light(luma, read.plan.settings)
    assert pairs.light_e.min() == 0
    share = pairs.light_e.astype(np.float64).max() / (GAIN * read.report.adu_at_full_scale)
    assert 0.3 * light.max() < share < light.max()  # blurred, so below


def test_chance_chooses_among_more_clips_than_wanted(read, pairs):
    few = replace(CLIPS, clips=5, seed=3)
    chosen = clips_of_film(read, few, gain_e_per_adu=GAIN)
    assert len(chosen) == 5 < len(pairs)
    assert chosen.digest == clips_of_film(read, few, gain_e_per_adu=GAIN).digest
    assert chosen.digest != clips_of_film(read, replace(few, seed=4), gain_e_per_adu=GAIN).digest


def test_offset_of_a_known_camera_and_split_are_taken(read):
    one = replace(CLIPS, clips=1)
    pairs = clips_of_film(read, one, gain_e_per_adu=GAIN, offset_adu=3.5, split="test")
    assert pairs.offset_adu.tolist() == [3.5]
    assert pairs.split.tolist() == ["test"]


def test_lost_frames_part_the_neighbours(read, pairs):
    table = read.table.copy()
    kept = np.flatnonzero(table["is_kept"])
    table.loc[kept[3] + 1 :, "frame"] += 5
    torn = clips_of_film(replace(read, table=table), CLIPS, gain_e_per_adu=GAIN)
    tiles = pairs.is_usable.sum() // read.report.kept_frames
    assert torn.is_usable.sum() == tiles * (read.report.kept_frames - 1)


def test_pairs_come_back_from_disk(pairs, tmp_path):
    write_pairs(pairs, tmp_path / "pairs")
    assert read_pairs(tmp_path / "pairs").digest == pairs.digest


def test_progress_of_cutting_reaches_the_end(read):
    seen = []
    clips_of_film(read, CLIPS, gain_e_per_adu=GAIN, progress=lambda *at: seen.append(at))
    assert seen[-1] == (len(read.table), len(read.table))


@pytest.mark.parametrize("change", [{"side_px": 512}, {"frames": 1000}])
def test_clips_that_do_not_fit_are_refused(read, change):
    with pytest.raises(RecordingError, match=r"the data in film.mp4 fill \d+ x \d+ pixels of"):
        clips_of_film(read, replace(CLIPS, **change), gain_e_per_adu=GAIN)


def test_clip_settings_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="side_px must be a multiple of 16, got 50"):
        ClipSettings(side_px=50)
    with pytest.raises(SettingsError, match="frames must be at least 3"):
        ClipSettings(frames=2)
