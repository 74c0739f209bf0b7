"""Series a camera cannot be measured with: one sentence each."""

import numpy as np
import pytest
from transfer_series import P9, SCMOS, Camera, Sensor, VideoSource, defocused, with_facts

from cellstorm_lib.calibrate.photon_transfer import (
    PhotonTransferSettings,
    measure_photon_transfer,
)
from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.video.array import ArraySource


@pytest.fixture(scope="module")
def sensor():
    return Sensor(SCMOS, 1)


@pytest.fixture(scope="module")
def bright(sensor):
    return sensor.frames(300.0, count=20)


@pytest.fixture(scope="module")
def dark(sensor):
    return sensor.frames(0.0, count=20)


def refused(bright, dark, **how):
    with pytest.raises(CalibrationError) as caught:
        measure_photon_transfer(bright, dark, name="my camera", **how)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


def test_bright_or_dark_series_are_missing(bright, dark):
    assert "my camera has no dark series" in refused([ArraySource(bright)], [])
    assert "my camera has no bright series" in refused([], [ArraySource(dark)])


def test_too_few_frames(bright, dark):
    message = refused([ArraySource(bright[:4], name="short")], [ArraySource(dark)])
    assert message.startswith("short has 4 frames, but at least 10 are needed")
    clip = VideoSource(bright[:5], gop=4)
    message = refused([clip], [ArraySource(dark)])
    assert message.startswith("clip.mp4 has 5 key frames (others cannot be used), but at least 10")


def test_too_few_frames_left_undamaged(bright, dark):
    class Damaged(ArraySource):
        def chunks(self, size):
            for chunk in super().chunks(size):
                chunk.is_tainted[chunk.frame > 3] = True
                yield chunk

    message = refused([Damaged(bright, name="damaged")], [ArraySource(dark)])
    assert message.startswith("damaged has 4 frames, but at least 10")


def test_frames_too_small(bright, dark):
    message = refused([ArraySource(bright[:, :16])], [ArraySource(dark[:, :16])])
    assert "frames of 64 x 16 pixels, but 32 x 32 are needed" in message


def test_a_saturated_series(sensor, dark):
    lit = sensor.frames(300.0, count=20)
    lit = np.minimum(lit, 700)
    message = refused([ArraySource(lit, name="lit")], [ArraySource(dark)])
    assert message.startswith("the bright series lit is saturated: ")
    assert "of its grey values are 700; leave it out" in message
    flat = ArraySource(np.full((20, 64, 64), 4095, np.uint16), name="flat")
    assert "flat is saturated: 100% of its grey values are 4095" in refused(
        [flat], [ArraySource(dark)]
    )


def test_a_bright_series_that_is_black(dark):
    black = np.zeros((20, 64, 64), np.uint16)
    black[:, :10] = np.random.default_rng(0).integers(0, 9, (20, 10, 64))
    message = refused([ArraySource(black, name="black")], [ArraySource(dark)])
    assert message.startswith("the bright series black is clipped: 86% of its grey values are 0")


def test_dark_frames_that_are_clipped(bright):
    camera = Camera(offset_adu=-1.0)
    cut = Sensor(camera, 2).frames(0.0, count=20)
    message = refused([ArraySource(bright)], [ArraySource(cut, name="cut")])
    assert message.startswith("the dark series cut is clipped: ")
    constant = np.full((20, 64, 64), 64, np.uint16)
    message = refused([ArraySource(bright)], [ArraySource(constant, name="constant")])
    assert message.startswith("the dark series constant shows no noise in most pixels")


def test_dark_frames_that_repeat(bright, dark):
    same = np.repeat(dark[:1], 20, axis=0)
    message = refused([ArraySource(bright)], [ArraySource(same, name="same")])
    assert message.startswith("the dark series same shows no noise")


def test_series_that_are_not_brighter_than_the_dark(sensor, dark):
    message = refused([ArraySource(sensor.frames(0.0, count=20), name="dim")], [ArraySource(dark)])
    assert "noise of dim does not grow with the light" in message
    below = Sensor(P9, 3)
    message = refused([below.source(0.05, count=20)], [below.dark(20)])
    assert message.startswith("bright is hardly brighter than the dark frames")


def test_noise_that_was_removed(sensor, dark):
    light = np.rint(100 + defocused(64, 900) / 0.46).astype(np.uint16)
    smooth = np.repeat(light[None], 20, axis=0)
    smooth[:, ::2] += np.random.default_rng(0).integers(0, 2, (20, 32, 64)).astype(np.uint16)
    message = refused([ArraySource(smooth, name="smooth")], [ArraySource(dark)])
    assert "noise of smooth does not grow with the light" in message


MIXED = {
    "frame size, 64 x 64 and 96 x 64": {"frame_width_px": 96},
    "bit depth, 16 and 12": {"bit_depth": 12},
    "ISO, 800 and 3200": {"iso": 3200},
    "colour mosaic, None and RGGB": {"details": {"mosaic": "RGGB"}},
    "codec, None and hevc": {"kind": "hevc"},
}


@pytest.mark.parametrize(("said", "facts"), MIXED.items(), ids=MIXED)
def test_series_of_different_settings(bright, dark, said, facts):
    one = with_facts(ArraySource(bright, name="one"), iso=800)
    other = with_facts(ArraySource(dark, name="other"), iso=800)
    other = with_facts(other, **facts)
    message = refused([one], [other])
    assert message.startswith(f"one and other differ in {said}; ")


def test_one_series_may_not_tell_its_iso(bright, dark):
    one = with_facts(ArraySource(bright), iso=800)
    found = measure_photon_transfer([one], [ArraySource(dark)], name="my camera")
    assert found.calibration.iso == 800


def test_denoised_frames(bright, dark):
    denoised = with_facts(ArraySource(bright, name="clean"), is_denoised=True)
    message = refused([denoised], [ArraySource(dark)])
    assert message.startswith("clean holds denoised frames")


@pytest.mark.parametrize("qp", [None, 30.0])
def test_videos_whose_codec_took_the_noise_or_does_not_tell(qp):
    sensor = Sensor(Camera(16.3, 0.5, 2.0, 0.4, 0.0, 8), 4)
    clips = [VideoSource(sensor.frames(light, count=20).astype(np.uint8)) for light in (50.0, 0.0)]
    message = refused(clips[:1], clips[1:], key_frame_qp=lambda source: qp)
    start = "the camera cannot be calibrated from this recording, clip.mp4, because "
    assert message.startswith(start)
    assert message == refused(clips[:1], clips[1:]) or qp is not None


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("least_frames", 4, "least_frames must be 8 or more, got 4"),
        ("bend_share", 0.5, "bend_share must be 0.01 to 0.3, got 0.5"),
        ("most_pixels", 100, "most_pixels must be 4096 or more, got 100"),
    ],
)
def test_settings_out_of_range(setting, value, said):
    with pytest.raises(SettingsError, match=said):
        PhotonTransferSettings(**{setting: value})
