"""A display movie filmed with every fault at once comes back as right pairs, or is refused."""

from dataclasses import replace

import numpy as np
import pytest
from filmed_displays import CAMERA, displayed, filmed
from scipy import ndimage

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.pairs.displayed import DisplayedSettings, read_displayed
from cellstorm_lib.pairs.filming import Filming
from cellstorm_lib.pairs.filming_light import FilmingSettings
from cellstorm_lib.pairs.pairing import PairingSettings
from cellstorm_lib.video.array import ArraySource


def all_levels(source):
    return np.concatenate([chunk.frames for chunk in source.chunks(64)])


def test_registration_is_as_good_as_it_claims(shown, film, read):
    report = read.report
    assert report.held_out_rms_px <= 0.02
    assert report.last_rms_px <= 0.02
    assert report.held_out_count > 20
    inner = shown[1].layout.inner.corners
    share = np.stack(np.meshgrid(*[np.linspace(0.05, 0.95, 12)] * 2), -1).reshape(-1, 2)
    points = inner[0] + share * (inner[2] - inner[0])
    miss = read.registration.lens.to_camera(points) - film[0].lens.to_camera(points)
    assert np.sqrt((miss**2).sum(axis=1).mean()) <= 0.02


def test_no_number_is_wrong_and_hardly_a_whole_frame_is_missed(film, read):
    number, purity = film[1].T
    found = read.table["number"].to_numpy()
    assert len(found) == len(number)
    assert (found[found >= 0] == number[found >= 0]).all()
    is_whole = (purity > 0.99) & (number >= 0)
    assert (found[is_whole] >= 0).mean() >= 0.98
    assert (found[(purity < 0.6) & (number > 0)] < 0).all()  # before 0 is darkness, nothing else


def test_pairs_show_one_frame_each_and_nearly_all_frames_have_one(film, read):
    purity = film[1][:, 1]
    kept = read.table["is_kept"].to_numpy()
    assert purity[kept].min() > 0.85
    assert read.report.paired_truth_frames >= 0.9 * read.report.shown_truth_frames
    assert read.report.kept_frames == kept.sum()
    assert read.report.dropped["not the n-th"] > 0
    assert sum(read.report.dropped.values()) + kept.sum() == len(kept)


def test_black_level_and_flat_field_are_found(film, read):
    chosen, report = CAMERA, read.report
    assert report.black_adu == pytest.approx(
        chosen.offset_adu + chosen.leak_share * chosen.white_adu, abs=0.5
    )
    assert report.nonlinearity < 0.01
    roi = read.roi
    rows, columns = np.indices((roi.height_px, roi.width_px))
    x = (columns + roi.x_px + 0.5) / 640 - 0.5
    y = (rows + roi.y_px + 0.5) / 352 - 0.5
    slope_adu = read.response.slope_adu[roi.slices]
    fall = 1 - (1 - chosen.corner_share) * (x**2 + y**2) / 0.5
    pixels = np.stack([columns + roi.x_px, rows + roi.y_px], axis=-1) + 0.5
    waves = np.cos(2 * np.pi * film[0].lens.to_screen(pixels)) @ (1.0, 0.5)
    moire = 1 + chosen.moire_share * waves
    np.testing.assert_allclose(slope_adu / (chosen.white_adu * fall * moire), 1, atol=0.06)
    assert report.adu_at_full_scale == pytest.approx(chosen.white_adu * fall.mean(), rel=0.02)


def test_reading_again_gives_the_same(shown, film, read):
    again = read_displayed(film[2], shown[1], shown[0])
    assert again.report == read.report
    assert again.table.equals(read.table)


def test_camera_turned_upside_down_or_film_mirrored_is_read_as_well(shown):
    folder, plan = shown
    chosen = replace(CAMERA, rotation_deg=181.5, drop_share=0.0)
    frames = np.stack([frame.levels for frame in Filming(plan, folder, chosen).frames()])
    for turned in (frames, frames[:, :, ::-1]):
        found = read_displayed(ArraySource(np.ascontiguousarray(turned)), plan, folder)
        assert found.report.held_out_rms_px <= 0.02
        assert found.report.paired_truth_frames == plan.truth_count


def test_affine_map_is_refused_under_a_lens_and_taken_when_allowed(shown, tmp_path):
    folder, plan = shown
    mild = {"tilt_x": 0.002, "tilt_y": 0.001, "k1": -0.008, "k2": 0.0}
    _, _, film = filmed(plan, folder, tmp_path / "film.mp4", **mild)
    with pytest.raises(RecordingError, match=r"misses the beads kept out of it by [\d.]+ px RMS"):
        read_displayed(film, plan, folder, DisplayedSettings(model="affine"))
    loose = DisplayedSettings(model="affine", max_rms_px=1.0)
    found = read_displayed(film, plan, folder, loose)
    assert 0.13 < found.report.held_out_rms_px < 1
    assert found.registration.lens.k1 == 0
    assert read_displayed(film, plan, folder).report.held_out_rms_px < 0.02


def test_affine_map_that_misses_the_barcodes_is_refused(shown, film):
    folder, plan = shown
    loose = DisplayedSettings(model="affine", max_rms_px=9.0)
    with pytest.raises(RecordingError, match="are not where the registration expects them"):
        read_displayed(film[2], plan, folder, loose)


def test_all_whole_frames_are_kept_where_wanted(shown, film, read):
    folder, plan = shown
    settings = DisplayedSettings(pairing=PairingSettings(keep_nth=1))
    found = read_displayed(film[2], plan, folder, settings)
    assert found.report.kept_frames == read.report.whole_frames


def test_film_of_something_else_is_refused(shown):
    folder, plan = shown
    rng = np.random.default_rng(1)
    noise = ArraySource(rng.integers(0, 90, (40, 200, 300)).astype(np.uint8), name="cells.mp4")
    with pytest.raises(RecordingError, match=r"cells.mp4 shows no display movie of this plan"):
        read_displayed(noise, plan, folder)
    black = ArraySource(np.zeros((5, 200, 300), np.uint8))
    with pytest.raises(RecordingError, match="four round corner marks"):
        read_displayed(black, plan, folder)


def test_film_of_another_display_movie_is_refused(shown, film, tmp_path):
    _, plan = shown
    other = displayed(tmp_path, gamma=2.0)
    message = f"shows another display movie: its barcodes have the mark {plan.mark:04x}"
    with pytest.raises(RecordingError, match=message):
        read_displayed(film[2], other, tmp_path)


def test_too_small_a_picture_is_refused(shown):
    folder, plan = shown
    chosen = replace(CAMERA, camera_px_per_screen_px=0.8, lead_s=0.0)
    frames = np.stack([frame.levels for frame in Filming(plan, folder, chosen).frames()])
    with pytest.raises(
        RecordingError,
        match=r"too small: the cells of its barcodes measure 1[01]\.\d camera pixels",
    ):
        read_displayed(ArraySource(frames), plan, folder)


def test_screen_that_is_cut_off_is_refused(shown, film):
    folder, plan = shown
    frames = all_levels(film[2])[60:72]
    with pytest.raises(RecordingError, match="shows no display movie|does not show the whole"):
        read_displayed(ArraySource(frames[:, :, :560].copy()), plan, folder)


def test_saturated_film_is_refused(shown, film):
    folder, plan = shown
    frames = np.minimum(all_levels(film[2]).astype(int) * 2, 255).astype(np.uint8)
    with pytest.raises(RecordingError, match=r"is saturated: \d+\.\d% of the pixels"):
        read_displayed(ArraySource(frames), plan, folder)


def test_film_that_starts_late_or_stops_early_is_refused(shown, film):
    folder, plan = shown
    number = film[1][:, 0]
    data = plan.part("data").first
    source = film[2]
    late = source.part(int(np.argmax(number >= data)), len(number))
    with pytest.raises(
        RecordingError, match="too short: it has 0 whole frames of the part 'beads'"
    ):
        read_displayed(late, plan, folder)
    early = source.part(0, int(np.argmax(number > data + 8)))
    with pytest.raises(RecordingError, match="0 whole frames of the part 'last beads'"):
        read_displayed(early, plan, folder)
    nearly = source.part(0, int(np.argmax(number >= plan.part("end").first)))
    with pytest.raises(RecordingError, match="stops before the end of the display movie"):
        read_displayed(nearly, plan, folder)


def test_moved_camera_is_refused(shown, film):
    folder, plan = shown
    frames = all_levels(film[2])
    half = np.argmax(film[1][:, 0] >= plan.part("data").first + 8)
    frames[half:] = ndimage.shift(frames[half:], (0, 0.2, 0.3), order=1, mode="nearest")
    with pytest.raises(RecordingError, match=r"camera or screen moved .* lie 0\.3\d\d px RMS"):
        read_displayed(ArraySource(frames), plan, folder)


def test_beads_that_shake_are_refused(shown, film):
    folder, plan = shown
    frames = all_levels(film[2]).astype(np.float32)
    rows, columns = np.indices(frames.shape[1:]).astype(np.float64)
    bent = [rows + 0.2 * np.sin(columns / 17), columns + 0.2 * np.cos(rows / 13)]
    warped = [ndimage.map_coordinates(frame, bent, order=1, mode="nearest") for frame in frames]
    source = ArraySource(np.rint(warped).astype(np.uint8))
    with pytest.raises(RecordingError, match=r"RMS, at most 0\.05 px is accepted; fix camera"):
        read_displayed(source, plan, folder)


def test_hidden_beads_are_refused(shown, film):
    folder, plan = shown
    frames = all_levels(film[2])
    frames[:, 90:260, 60:300] = 4
    with pytest.raises(RecordingError, match=r"only \d+ of 168 beads of the display movie"):
        read_displayed(ArraySource(frames), plan, folder)


def test_screen_that_stays_dark_inside_is_refused(shown, film):
    folder, plan = shown
    frames = all_levels(film[2])
    frames[:, 78:275, 40:600] = 4
    with pytest.raises(RecordingError, match="uniform frames in array do not get brighter"):
        read_displayed(ArraySource(frames), plan, folder)


def test_frames_that_are_always_mixed_are_refused(shown, film):
    folder, plan = shown
    number = film[1][:, 0]
    frames = all_levels(film[2]).copy()
    first = plan.part("data").first
    is_data = (number >= first) & (number < first + plan.truth_count)
    frames[is_data] = frames[0]
    with pytest.raises(
        RecordingError, match=r"no frame of array shows a whole frame of the data \("
    ):
        read_displayed(ArraySource(frames), plan, folder)


def test_data_that_do_not_belong_to_the_plan_are_refused(shown, film, tmp_path):
    _, plan = shown
    with pytest.raises(SettingsError, match=r"shown.ome.tif does not exist; keep it beside"):
        read_displayed(film[2], plan, tmp_path)
    (tmp_path / "shown.ome.tif").write_bytes(b"else")
    with pytest.raises(SettingsError, match="does not belong to the plan of the display movie"):
        read_displayed(film[2], plan, tmp_path)


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="model must be lens or affine, got 'spline'"):
        DisplayedSettings(model="spline")
    with pytest.raises(SettingsError, match="max_rms_px must be above 0"):
        DisplayedSettings(max_rms_px=0.0)
    with pytest.raises(SettingsError, match="must be even, got 641 x 512"):
        FilmingSettings(frame_width_px=641)


def test_progress_reaches_the_end(shown, film):
    folder, plan = shown
    seen = []
    read_displayed(film[2], plan, folder, progress=lambda *at: seen.append(at))
    count = len(film[2].frame_range)
    assert seen[-1] == (count, count)
