"""Videos written: exact when lossless, like a phone's otherwise, and the same every time."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from numbered_videos import read

from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.video.quantiser import frame_quantisers
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

NOISE = np.random.default_rng(3).normal(4.07, 3.3, (84, 256, 256)).round().clip(0, 255)
NOISE = NOISE.astype(np.uint8)
SMALL = np.random.default_rng(4).integers(0, 256, (24, 32, 48)).astype(np.uint8)


def written(path, frames, **settings):
    write_video(path, iter(frames), EncoderSettings(**settings))
    return open_recording(path)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("full_range", [True, False])
def test_lossless_video_comes_back_exactly(tmp_path, codec, ending, full_range):
    source = written(tmp_path / f"a{ending}", SMALL, codec=codec, qp=0, full_range=full_range)
    np.testing.assert_array_equal(read(source).frames, SMALL)
    assert source.facts.kind == codec
    assert source.facts.colour_range == ("full" if full_range else "limited")
    assert source.facts.frame_rate_hz == pytest.approx(20)
    assert source.key_frames().tolist() == [0, 21]


def test_lossless_ten_bit_video_comes_back_exactly(tmp_path):
    frames = SMALL.astype(np.uint16) * 4 + 3
    source = written(tmp_path / "a.mp4", frames, codec="hevc", bit_depth=10, qp=0)
    np.testing.assert_array_equal(read(source).frames, frames)
    assert source.facts.bit_depth == 10


@pytest.mark.parametrize("bits_per_px", [0.09, 0.38])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_bit_rate_is_what_was_asked_for(tmp_path, codec, bits_per_px):
    source = written(tmp_path / "a.mp4", NOISE, codec=codec, bits_per_px=bits_per_px)
    assert source.facts.bits_per_px == pytest.approx(bits_per_px, rel=0.25)
    assert not source.facts.details["is_reordered"]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_small_frames_at_a_low_rate_are_coded_at_the_least_there_is(tmp_path, codec):
    path = tmp_path / "small.mp4"
    frames = np.full((8, 64, 64), 20, np.uint8)
    write_video(path, frames, EncoderSettings(codec=codec, bits_per_px=0.007))
    assert len(next(iter(open_recording(path).chunks(8))).frames) == 8


def test_constant_quality_replaces_the_bit_rate(tmp_path):
    sizes = [
        written(tmp_path / f"{crf}.mp4", NOISE[:20], crf=crf).facts.bits_per_px for crf in (20, 30)
    ]
    assert sizes[0] > 2 * sizes[1]


def test_encoder_with_all_its_tools(tmp_path):
    source = written(
        tmp_path / "a.mp4", SMALL, crf=23, phone_like=False, preset="medium", tune="grain",
        b_frames=3, gop_frames=12, frame_rate_hz=29.97,
    )  # fmt: skip
    assert source.facts.details["is_reordered"]
    assert source.key_frames().tolist() == [0, 12]
    assert source.facts.frame_rate_hz == pytest.approx(29.97, rel=1e-3)
    assert len(read(source).frame) == 24


def test_dark_level_pulses_with_the_key_frames_as_on_a_phone(tmp_path):
    """The dark level steps at key frames (cellSTORM paper, Fig. 6) unless the quantiser is fixed.

    At a constant quantiser of 40 the noise of 3.3 grey values is gone altogether.
    """

    def pulse(**settings):
        level = read(written(tmp_path / "dark.mp4", NOISE, **settings)).frames.mean((1, 2))
        return np.ptp(level[21:].reshape(-1, 21).mean(0))

    rate = 120e3 / (256 * 256 * 20)
    assert pulse(bits_per_px=rate) > 0.08
    assert pulse(qp=40) < 0.01


def quantisers(path, frames=NOISE[:24], **settings):
    """Return the mean quantiser of the key frames and of the others."""
    write_video(path, frames, EncoderSettings(**settings))
    found = frame_quantisers(path)
    return found.mean_qp[found.is_key].mean(), found.mean_qp[~found.is_key].mean()


@pytest.mark.parametrize("ip_ratio", [0.7, 1.0, 1.4, 2.0])
def test_key_frames_are_finer_than_the_others_by_the_ratio(tmp_path, ip_ratio):
    key, other = quantisers(tmp_path / "a.mp4", qp=20, ip_ratio=ip_ratio)
    assert other == 20
    # a quantiser step is 2 ** (QP / 6), and quantisers are whole numbers
    assert other - key == pytest.approx(6 * np.log2(ip_ratio), abs=0.6)


def test_the_encoder_keeps_to_its_range_of_quantisers(tmp_path):
    key, other = quantisers(tmp_path / "a.mp4", bits_per_px=0.02)
    assert max(key, other) > 25
    key, other = quantisers(tmp_path / "a.mp4", bits_per_px=0.02, qp_max=20)
    assert max(key, other) <= 20
    key, other = quantisers(tmp_path / "a.mp4", bits_per_px=5.0)
    assert min(key, other) < 15
    key, other = quantisers(tmp_path / "a.mp4", bits_per_px=5.0, qp_min=18)
    assert min(key, other) >= 18


def test_a_small_buffer_keeps_every_frame_to_the_rate(tmp_path):
    sizes = []
    for buffer_s in (1.0, 0.1):
        settings = EncoderSettings(bits_per_px=0.2, buffer_s=buffer_s)
        write_video(tmp_path / "a.mp4", NOISE, settings)
        sizes.append(frame_quantisers(tmp_path / "a.mp4").packet_bytes)
    assert sizes[1].max() < 0.5 * sizes[0].max()
    assert sizes[1].mean() < 1.2 * 0.2 * 256**2 / 8


def test_further_parameters_win(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, NOISE[:12], EncoderSettings(extra_params="keyint=4:min-keyint=4"))
    assert open_recording(path).key_frames().tolist() == [0, 4, 8]
    settings = EncoderSettings(qp=24, extra_params="deadzone-inter=32:deadzone-intra=32")
    write_video(path, NOISE[:12], settings)
    dropped = open_recording(path).facts.bits_per_px
    write_video(path, NOISE[:12], replace(settings, extra_params="deadzone-inter=0"))
    assert open_recording(path).facts.bits_per_px > 1.1 * dropped


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_same_frames_give_the_same_file_and_nothing_is_printed(tmp_path, codec, capfd):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, SMALL, EncoderSettings(codec=codec))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert capfd.readouterr() == ("", "")


def test_default_imitates_a_phone(tmp_path):
    write_video(tmp_path / "a.mp4", SMALL)
    source = open_recording(tmp_path / "a.mp4")
    assert (source.facts.kind, source.facts.colour_range) == ("h264", "full")
    assert source.key_frames().tolist() == [0, 21]


@pytest.mark.parametrize(
    ("frames", "settings", "message"),
    [
        ([], {}, "there are no frames"),
        (SMALL[:, :31], {}, r"even height and width, got shape \(31, 48\); crop or pad"),
        (SMALL[:, :, :47], {"codec": "hevc"}, r"even height and width, got shape \(32, 47\)"),
        ([SMALL[0], SMALL[1, :30]], {}, r"must be uint8 of shape \(32, 48\), got uint8 of shape"),
        (SMALL.astype(float), {}, "must be uint8 of shape .* got float64"),
        (SMALL, {"codec": "hevc", "bit_depth": 10}, "must be uint16 of shape .* got uint8"),
        (SMALL, {"preset": "no such"}, "as h264: .* check the size of the frames"),
        (
            SMALL[:, :4, :4],
            {"codec": "hevc"},
            r"as hevc: .* check the size of the frames \(4 x 4\)",
        ),
    ],
)
def test_what_cannot_be_encoded_is_refused_and_leaves_no_file(tmp_path, frames, settings, message):
    with pytest.raises(ExportError, match=rf"cannot write .*a\.mp4.*{message}"):
        write_video(tmp_path / "a.mp4", frames, EncoderSettings(**settings))
    assert list(tmp_path.iterdir()) == []


def test_ending_must_tell_the_format(tmp_path):
    with pytest.raises(ExportError, match=r"a\.avi must end in \.mp4, \.mov or \.mkv"):
        write_video(tmp_path / "a.avi", SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "av1"}, "codec must be h264 or hevc, got 'av1'"),
        ({"bits_per_px": 0}, "bits_per_px must be above 0 unless crf or qp is given, got 0"),
        ({"bits_per_px": None}, "bits_per_px must be above 0 unless"),
        ({"crf": 52}, "crf must be 0 to 51, got 52"),
        ({"qp": -1}, "qp must be 0 to 51, got -1"),
        ({"crf": 20, "qp": 20}, "give crf or qp, not both, got 20 and 20"),
        ({"gop_frames": 0}, "gop_frames must be 1 to 10000, got 0"),
        ({"b_frames": 17}, "b_frames must be 0 to 16, got 17"),
        ({"frame_rate_hz": 0}, "frame_rate_hz must be above 0 and at most 10000, got 0"),
        ({"ip_ratio": 0}, "ip_ratio must be 0.5 to 10, got 0"),
        ({"buffer_s": 0}, "buffer_s must be 0.02 to 100, got 0"),
        ({"qp_max": 52}, "qp_max must be 0 to 51, got 52"),
        ({"bit_depth": 10}, "bit_depth must be 8, or 10 with hevc, got 10 with h264"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        EncoderSettings(**settings)


def test_every_setting_says_what_it_is():
    assert all(field.metadata["about"] for field in dataclasses.fields(EncoderSettings))
