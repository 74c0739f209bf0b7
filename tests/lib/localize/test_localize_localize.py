import numpy as np
import pytest
from localize_scenes import PHONE, SCIENTIFIC, Recording, expected_frame, exposed

from cellstorm_lib.errors import CalibrationError, RecordingError, SettingsError
from cellstorm_lib.localize import localize as module
from cellstorm_lib.localize.appraised import APPRAISED
from cellstorm_lib.localize.columns import WRITTEN
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.overlap import SPOTS_TOGETHER
from cellstorm_lib.tables import COLUMNS


def scene(rng, frames=60, shape=(64, 80), spots=4, photons=800.0, camera=PHONE, **facts):
    """Return a recording and the true frame, x and y of its spots, far from each other."""
    true, images = [], []
    cells = [
        (row, column)
        for row in range(12, shape[0] - 6, 16)
        for column in range(12, shape[1] - 6, 16)
    ]
    for frame in range(frames):
        chosen = rng.choice(len(cells), min(spots, len(cells)), replace=False)
        here = [
            (cells[cell][1] + rng.uniform(-2, 2), cells[cell][0] + rng.uniform(-2, 2), photons)
            for cell in chosen
        ]
        true += [(frame, x, y) for x, y, _ in here]
        images.append(expected_frame(shape, here))
    return Recording(frames=exposed(images, camera, rng), **facts), np.array(true)


GIVEN = LocalizeSettings(detect=DetectSettings(threshold_photons=4.0))


def found_of(recording, camera=PHONE, settings=GIVEN, **options):
    return localize(recording, camera, pixel_size_nm=100.0, settings=settings, **options)


@pytest.fixture(scope="module")
def recording_and_truth():
    return scene(np.random.default_rng(1))


def test_every_molecule_is_found_where_it_is(recording_and_truth):
    recording, truth = recording_and_truth
    table, report = found_of(recording)
    missed = far = 0
    for frame in range(60):
        true = truth[truth[:, 0] == frame, 1:]
        xy = table.xy_nm[table.column("frame") == frame] / 100.0
        distance = np.hypot(*(true[:, None] - xy[None]).transpose(2, 0, 1))
        missed += (distance.min(1) > 0.5).sum()
        far += (distance.min(0) > 0.5).sum()
    assert missed == 0
    assert far <= 2
    assert report.localizations == len(table)
    assert report.candidates == len(table) + sum(report.rejected.values())
    assert report.frames == 60
    assert report.frames_per_second > 0
    assert report.threshold_adu == pytest.approx(report.threshold_photons / 0.34)


def test_the_table_has_all_columns_with_their_types(recording_and_truth):
    table, _ = found_of(recording_and_truth[0])
    assert tuple(table.data.columns) == (*WRITTEN, SPOTS_TOGETHER)
    for name in table.data.columns:
        assert table.data[name].dtype == COLUMNS[name][0], name
    assert table.field.width_px == 80
    assert table.field.height_px == 64
    assert table.field.frame_count == 60
    np.testing.assert_allclose(
        table.column("uncertainty_nm") ** 2,
        (table.column("crlb_x_nm") ** 2 + table.column("crlb_y_nm") ** 2) / 2,
        rtol=1e-5,
    )
    assert abs(np.median(table.column("photons")) / 800 - 1) < 0.05
    assert abs(np.median(table.column("sigma_nm")) / 130 - 1) < 0.05
    assert (table.column("temporal_difference")[table.column("frame") > 0] > 0).all()
    np.testing.assert_array_equal(table.column("frames_since_key"), table.column("frame") % 10)


def test_spots_of_a_video_are_appraised(recording_and_truth):
    recording = recording_and_truth[0].with_facts(bits_per_px=2.0)
    table, report = found_of(recording, settings=LocalizeSettings())
    assert set(table.data.columns) >= {*WRITTEN, *APPRAISED}
    probability = table.column("molecule_probability")
    assert report.least_probability >= 0.4
    assert probability.min() >= report.least_probability
    assert report.expected_false_per_frame * 60 == pytest.approx((1 - probability).sum(), rel=1e-3)
    assert report.false_share == pytest.approx(1 - probability.mean(), abs=1e-4)
    assert report.candidates == len(table) + sum(report.rejected.values())
    ratio = table.column("uncertainty_x_nm") / table.column("crlb_x_nm")
    np.testing.assert_allclose(
        ratio, table.column("uncertainty_y_nm") / table.column("crlb_y_nm"), rtol=1e-5
    )
    assert 0.8 < np.median(ratio) < 1.3
    assert abs(np.median(table.column("photons")) / 800 - 1) < 0.1


def test_a_threshold_that_was_asked_for_leaves_out_no_spot(recording_and_truth):
    recording = recording_and_truth[0].with_facts(bits_per_px=2.0)
    table, report = found_of(recording)
    plain, _ = found_of(recording_and_truth[0])
    assert len(table) == len(plain)
    assert "improbable" not in report.rejected
    assert report.least_probability == 0
    assert "molecule_probability" in table


@pytest.mark.parametrize("most", [1, 7, 60])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_chunks_and_threads_change_nothing(recording_and_truth, most, threads):
    for bits_per_px in (None, 2.0):
        recording = recording_and_truth[0].with_facts(bits_per_px=bits_per_px)
        whole, report = found_of(recording, threads=1)
        parts, again = found_of(recording.in_chunks_of(most), threads=threads)
        assert parts.data.equals(whole.data)  # bit by bit
        assert again.rejected == report.rejected


def test_more_chunks_than_wait_at_a_time_change_nothing(recording_and_truth, monkeypatch):
    recording, _ = recording_and_truth
    whole, _ = found_of(recording)
    monkeypatch.setattr(module, "_CHUNK_PX", 1)
    parts, _ = found_of(recording, threads=2)
    assert parts.data.equals(whole.data)


def test_frames_without_light_are_normal_input():
    for value in (0, 4, 255):
        recording = Recording(frames=np.full((30, 40, 50), value, np.uint8))
        table, report = found_of(recording)
        assert len(table) == 0
        assert report.frames == 30
        assert tuple(table.data.columns) == WRITTEN


def test_without_settings_a_stack_finds_its_own_threshold():
    recording, truth = scene(np.random.default_rng(2), kind="tiff")
    table, report = localize(recording, PHONE, pixel_size_nm=100.0)
    assert report.threshold_mode == "automatic"
    assert report.sampled_frames >= 12
    assert report.expected_false_per_frame < 1
    assert abs(len(table) - len(truth)) < 10


def test_an_expression_without_a_value_finds_nothing():
    frames = np.full((30, 40, 50), 9, np.uint8)
    detect = DetectSettings(threshold="1 / std(I)")
    table, report = found_of(Recording(frames=frames), settings=LocalizeSettings(detect=detect))
    assert len(table) == 0
    assert report.candidates == 0


def test_dark_frames_of_a_camera_hold_next_to_nothing():
    frames = exposed(np.zeros((50, 64, 64)), PHONE, np.random.default_rng(2))
    _, report = localize(Recording(frames=frames), PHONE, pixel_size_nm=100.0)
    assert report.candidates < 50


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_short_recordings(frames):
    recording, truth = scene(np.random.default_rng(3), frames=3)
    table, report = found_of(recording.part(0, frames))
    assert report.frames == frames
    assert abs(len(table) - (truth[:, 0] < frames).sum()) <= 1
    assert table.field.frame_count == frames


def test_a_part_keeps_its_frame_numbers(recording_and_truth):
    recording, _ = recording_and_truth
    whole, _ = found_of(recording)
    part, report = found_of(recording.part(20, 45))
    assert report.frames == 25
    chosen = whole.take((whole.column("frame") >= 20) & (whole.column("frame") < 45))
    np.testing.assert_array_equal(part.xy_nm, chosen.xy_nm)
    np.testing.assert_array_equal(part.column("frame"), chosen.column("frame"))


def test_a_thousand_spots_in_a_frame():
    rng = np.random.default_rng(4)
    cells = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1).reshape(-1, 2) * 16 + 12.0
    true = cells + rng.uniform(-1, 1, cells.shape)
    frame = expected_frame((540, 540), [(x, y, 1000.0) for x, y in true])
    table, _ = found_of(Recording(frames=exposed([frame] * 2, PHONE, rng)))
    assert abs(len(table) - 2048) < 10


def test_one_bright_bead_in_all_frames_is_found_in_all():
    mean = expected_frame((40, 40), [(20.3, 19.8, 20000.0)])
    frames = exposed([mean] * 40, SCIENTIFIC, np.random.default_rng(5))
    table, _ = found_of(Recording(frames=frames, kind="tiff"), SCIENTIFIC)
    near = np.hypot(*(table.xy_nm / 100.0 - (20.3, 19.8)).T) < 0.2
    assert set(table.column("frame")[near]) == set(range(40))


def test_stacks_know_no_copies():
    recording, _ = scene(np.random.default_rng(6), frames=20, kind="tiff")
    table, _ = found_of(recording)
    for name in ("is_copied", "copy_age", "frames_since_key", "temporal_difference"):
        assert not table.column(name).any()


def test_copied_spots_say_so():
    recording, _ = scene(np.random.default_rng(7), frames=2)
    frames = recording.frames[[0, 0, 0, 1]]
    table, _ = found_of(Recording(frames=frames))
    frame = table.column("frame")
    for number, age in enumerate((0, 1, 2, 0)):
        assert (table.column("copy_age")[frame == number] == age).all()
    np.testing.assert_array_equal(table.column("is_copied"), table.column("copy_age") > 0)
    assert (table.column("temporal_difference")[(frame == 1) | (frame == 2)] == 0).all()


def test_tainted_frames_are_localized_and_marked():
    recording, _ = scene(np.random.default_rng(8), frames=20, tainted=(3, 4, 5))
    table, report = found_of(recording)
    assert report.tainted_frames == 3
    np.testing.assert_array_equal(
        table.column("is_tainted"), np.isin(table.column("frame"), (3, 4, 5))
    )
    assert table.column("is_tainted").sum() >= 12


def test_a_threshold_can_be_an_expression_or_given(recording_and_truth):
    recording, _ = recording_and_truth
    strict, by_std = found_of(
        recording, settings=LocalizeSettings(detect=DetectSettings(threshold="std(Wave.F1)*1.5"))
    )
    assert by_std.threshold_mode == "std(Wave.F1)*1.5"
    assert len(strict) > 200
    assert 0 <= by_std.expected_false_per_frame < 0.1
    assert by_std.noise_photons == pytest.approx(0.9, rel=0.3)
    given, report = found_of(
        recording, settings=LocalizeSettings(detect=DetectSettings(threshold_photons=25.0))
    )
    assert report.threshold_mode == "given"
    assert report.threshold_photons == 25.0
    assert len(given) < len(strict)


def test_nothing_is_searched_in_the_border():
    recording, _ = scene(np.random.default_rng(9), frames=10)
    settings = LocalizeSettings(detect=DetectSettings(threshold_photons=4.0, border_px=20))
    table, _ = found_of(recording, settings=settings)
    x, y = (table.xy_nm / 100.0).T
    assert len(table)
    assert ((x > 19) & (x < 61) & (y > 19) & (y < 45)).all()


def test_a_denoised_stack_brings_its_own_camera():
    photons = np.stack([expected_frame((40, 40), [(20.4, 19.7, 500.0)], background=0.5)] * 25)
    stack = Recording(frames=np.rint(photons / 0.05).astype(np.uint16), kind="tiff")
    stack = stack.with_facts(is_denoised=True, photons_per_adu=0.05)
    settings = LocalizeSettings(detect=DetectSettings(threshold_photons=5.0))
    table, _ = found_of(stack, PHONE, settings=settings)
    assert len(table) == 25
    np.testing.assert_allclose(table.column("photons"), 500, rtol=0.02)
    np.testing.assert_allclose(table.xy_nm, np.tile([2040.0, 1970.0], (25, 1)), atol=2)


def test_progress_counts_up_to_all_frames(recording_and_truth, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_PX", 10 * 64 * 80)
    seen = []
    found_of(recording_and_truth[0], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 60) for done in range(10, 70, 10)]


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_a_pixel_size_must_be_a_length(recording_and_truth, value):
    with pytest.raises(SettingsError, match="pixel_size_nm must be above 0"):
        localize(recording_and_truth[0], PHONE, pixel_size_nm=value)


def test_threads_must_be_some(recording_and_truth):
    with pytest.raises(SettingsError, match="threads must be 1 or more, got 0"):
        found_of(recording_and_truth[0], threads=0)


def test_frames_smaller_than_the_box_are_refused():
    recording = Recording(frames=np.zeros((5, 6, 40), np.uint8))
    with pytest.raises(RecordingError, match=r"made.mp4 has frames of 40 x 6 pixels, smaller than"):
        found_of(recording)
    small = LocalizeSettings(fit=FitSettings(box_px=5))
    assert len(found_of(recording, settings=small)[0]) == 0


def test_a_calibration_for_fewer_bits_is_refused():
    recording = Recording(frames=np.full((5, 20, 20), 300, np.uint16), kind="tiff")
    with pytest.raises(CalibrationError, match=r"grey values up to 300, but the camera phone"):
        found_of(recording)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filter": "box"}, "filter must be 'wavelet', got 'box'"),
        ({"threshold_photons": 0.0}, "threshold_photons must be above 0, got 0.0"),
        ({"false_per_frame": 0.0}, "false_per_frame must be above 0"),
        ({"border_px": -1}, "border_px must be 0 or more, got -1"),
    ],
)
def test_impossible_detection_settings_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        DetectSettings(**changes)
