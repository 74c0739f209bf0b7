"""A phone is fitted to clips of a phone whose numbers are known, and judged on other frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from still_films import CODEC, MODEL, changed, still_film

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.compare_clips import compare_clips
from cellstorm_lib.pipeline.fit_camera import fit_camera
from cellstorm_lib.pipeline.phone_model import phone_of
from cellstorm_lib.simulate.cameras import read_camera, write_camera
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

REAL = Path(__file__).parents[1] / "data" / "androidx-media" / "pixel7_videoOnly_cleaned.mp4"
SIZE = (320, 240)


def video(path, frames, **settings):
    write_video(path, frames, EncoderSettings(**{"gop_frames": 8} | settings))
    return path


def noisy(count=16, shape=(64, 64), seed=1):
    frames = np.random.default_rng(seed).normal(60, 6, (count, *shape))
    return frames.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return still_film(tmp_path_factory.mktemp("known"), size=SIZE, frame_count=32)


@pytest.fixture(scope="module")
def fitted(clip):
    return fit_camera(clip, name="again", rounds=6)


def test_the_phone_is_like_the_one_that_made_the_clip(fitted):
    for row in fitted.report.rows:
        error = row.error if np.isfinite(row.error) else 0.0
        assert abs(row.relative_difference) < 0.15 + 3 * error, row
    assert sum(row.passed for row in fitted.report.rows) >= 0.9 * len(fitted.report.rows)


def test_the_numbers_of_the_known_phone_are_found_again(fitted):
    model = fitted.model
    assert fitted.is_dark
    assert model.level == pytest.approx(MODEL.level, abs=0.5)
    assert model.shading_levels == pytest.approx(MODEL.shading_levels, abs=0.6)
    assert model.glow_levels == pytest.approx(MODEL.glow_levels, rel=0.2)
    for name in ("read_variance", "shot_variance", "pattern_levels"):
        assert getattr(model, name) == pytest.approx(getattr(MODEL, name), rel=0.35), name
    for name in ("correlation_x", "correlation_y", "correlation_time"):
        assert getattr(model, name) == pytest.approx(getattr(MODEL, name), abs=0.12), name


def test_the_codec_is_that_of_the_file(fitted):
    assert fitted.phone.camera.name == "again"
    assert fitted.codec.codec == "h264"
    assert fitted.codec.gop_frames == CODEC.gop_frames
    assert fitted.codec.is_full_range
    assert fitted.codec.qp == pytest.approx(CODEC.qp, abs=0.1)
    assert fitted.codec.key_qp == pytest.approx(CODEC.key_qp, abs=0.6)
    assert fitted.codec.start_qp == pytest.approx(CODEC.start_qp, abs=0.6)


def test_no_frame_it_is_judged_by_was_fitted_to(fitted):
    assert set(fitted.tuned).isdisjoint(fitted.judged)
    np.testing.assert_array_equal(fitted.tuning.real.frame, fitted.tuned)
    for clip in (fitted.report.real, fitted.report.simulated):
        np.testing.assert_array_equal(clip.frame, fitted.judged)
    assert fitted.report.remarks[0] == "The phone was fitted to frames 0 to 15."
    assert fitted.report.remarks[1] == (
        "The quantisers were read from the file, those of its key frames from all frames used, and "
        "given to the simulated encoder: that they agree is no merit of the fit."
    )
    assert fitted.report.remarks[2] == (
        "The clip is dark: its picture is taken for the phone's own black level and glow."
    )


def test_frames_that_are_judged_do_not_change_the_phone(tmp_path):
    frames = np.random.default_rng(4).normal(9, 2, (32, 64, 96)).clip(0, 255).astype(np.uint8)
    encoder = {"bits_per_px": None, "qp": 14, "gop_frames": 16}
    clips = [
        video(tmp_path / "first.mp4", frames, **encoder),
        video(tmp_path / "second.mp4", np.concatenate([frames[:16], frames[:15:-1]]), **encoder),
    ]
    first, second = (fit_camera(clip, rounds=1) for clip in clips)
    assert first.model == second.model
    assert first.phone == second.phone
    assert first.report.real.share.tolist() != second.report.real.share.tolist()


def test_the_fit_tells_how_far_it_is(tmp_path):
    told = []
    clip = still_film(tmp_path, size=(64, 64), frame_count=16)
    fit_camera(clip, rounds=1, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert len({total for _, total in told}) == 1
    assert told[-1][0] <= told[-1][1]


def test_a_fitted_phone_can_be_written_and_read(fitted, tmp_path):
    path = tmp_path / "phone.yaml"
    write_camera(fitted.phone, path, comment="Fitted.")
    assert read_camera(path) == fitted.phone


def lit_film(folder, levels):
    """Film even light that is so many grey values above the black of 10."""
    model = changed(glow_levels=0.0, level=10.0)
    efficiency = phone_of(model, CODEC, name="lit").camera.sensor.quantum_efficiency
    photons = levels / model.levels_per_e / efficiency
    return still_film(folder, model, photons=photons)


def test_a_lit_clip_is_fitted_in_its_light(tmp_path):
    fitted = fit_camera(lit_film(tmp_path, 60.0), rounds=3)
    assert not fitted.is_dark
    assert fitted.report.remarks[2] == (
        "The clip is lit: its mean picture is taken for the light of the scene."
    )
    rows = {row.measure: row for row in fitted.report.rows}
    assert rows["mean"].real == pytest.approx(70.0, abs=2.0)
    assert rows["mean"].passed
    assert rows["overlap"].passed
    assert rows["middle fifth of the pixels"].passed


def test_an_overexposed_clip_is_refused(tmp_path):
    with pytest.raises(
        RecordingError,
        match=r"^movie.mp4 is overexposed \((9\d|100)% of its pixels are white\), so it shows no "
        r"noise to fit a phone to; record with less light$",
    ):
        fit_camera(lit_film(tmp_path, 400.0))


def test_hevc_is_fitted_by_its_bit_rate(tmp_path):
    codec = replace(CODEC, codec="hevc", qp=None, key_qp=None, start_qp=None, bits_per_px=0.8)
    fitted = fit_camera(still_film(tmp_path, MODEL, codec, size=(192, 144)), rounds=1)
    assert fitted.codec.qp is None
    assert fitted.phone.codec is not None
    assert fitted.phone.codec.codec == "hevc"
    assert fitted.phone.codec.bits_per_px == pytest.approx(fitted.codec.bits_per_px)
    assert fitted.report.remarks[1] == (
        "The decoder does not tell the quantisers of HEVC: the simulated encoder works at the "
        "clip's mean bit rate."
    )
    assert "quantiser" not in {row.group for row in fitted.report.rows}


def test_a_clip_of_key_frames_alone_is_fitted(tmp_path):
    codec = replace(CODEC, gop_frames=1)
    fitted = fit_camera(still_film(tmp_path, MODEL, codec, size=(192, 144)), rounds=1)
    assert fitted.codec.gop_frames == 1
    assert fitted.codec.qp == fitted.codec.key_qp


def test_stacks_are_refused(tmp_path):
    stack = tmp_path / "stack.tif"
    write_stack(stack, [noisy()], pixel_size_nm=100.0)
    with pytest.raises(
        RecordingError,
        match="^stack.tif is tiff, but how a phone compresses shows only in its video; give the "
        "video as the phone saved it$",
    ):
        fit_camera(stack)


def test_deep_video_is_refused(tmp_path):
    frames = noisy().astype(np.uint16) * 4
    path = video(tmp_path / "hdr.mp4", frames, codec="hevc", bit_depth=10)
    with pytest.raises(
        RecordingError,
        match="^hdr.mp4 has 10 bits per grey value, but the simulated phone records 8; record "
        "without HDR$",
    ):
        fit_camera(path)


def test_short_video_is_refused(tmp_path):
    with pytest.raises(
        RecordingError,
        match="^short.mp4 has 15 frames, but at least 16 are needed, half to fit the phone to and "
        "half to judge it by; give a longer clip$",
    ):
        fit_camera(video(tmp_path / "short.mp4", noisy(15)))


def test_a_scene_that_moves_is_refused(tmp_path):
    texture = noisy(1, (64, 96))[0].repeat(3, axis=0).repeat(3, axis=1)
    frames = np.array([texture[:128, i : i + 160] for i in (0, 1, 2, 1) * 4])
    path = video(tmp_path / "moving.mp4", frames, bits_per_px=2.0)
    with pytest.raises(
        RecordingError,
        match=r"^in moving.mp4 something moves \(shifts of the picture explain \d+% of what "
        r"changes from frame to frame\), but a phone can only be fitted to a still scene; put it "
        r"on a stand, or cover its lens$",
    ):
        fit_camera(path)


def test_damaged_video_is_refused(tmp_path):
    path = video(tmp_path / "broken.mp4", noisy(200, seed=3), bits_per_px=4.0, gop_frames=50)
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 4 + 12_000
    content[at : at + 600] = bytes(600)
    path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match=r"^broken.mp4 is damaged within its first 64 frames"):
        fit_camera(path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_phone_fitted_to_a_real_clip_agrees_in_every_measure():
    fitted = fit_camera(REAL)
    assert fitted.is_dark
    assert (fitted.tuned, fitted.judged) == (range(18), range(18, 36))
    assert fitted.report.passed, fitted.report.worst
    groups = [row.group for row in fitted.report.rows]
    assert set(groups) == {
        "grey-level histogram", "shading", "temporal variance", "neighbour correlation",
        "grid ratio", "quantiser", "compressed size", "fixed pattern",
    }  # fmt: skip
    assert groups.count("grid ratio") == 4 * 3 * 2


@pytest.mark.slow
def test_the_preset_is_like_the_real_clip_it_was_fitted_to(tmp_path):
    phone = read_camera("pixel-like")
    clip = still_film(tmp_path, phone=phone, size=(1920, 1080), frame_count=36, seed=31)
    report = compare_clips(REAL, clip, frames=(18, 36))
    assert report.passed, report.worst
