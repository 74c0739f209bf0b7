from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellstorm_lib.calibrate.dark_stability import measure_dark_stability
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

PIXEL = Path(__file__).parents[2] / "data/androidx-media/pixel7_videoOnly_cleaned.mp4"


class TimedSource(ArraySource):
    """A stack whose frames carry times, key frames and damage of their own."""

    def __init__(self, frames, *, time_s=None, is_key=None, is_tainted=None):
        super().__init__(frames, name="dark.mp4", frame_rate_hz=20.0)
        count = len(frames)
        self._times = np.arange(count) / 20 if time_s is None else time_s
        self._keys = np.ones(count, bool) if is_key is None else is_key
        self._tainted = np.zeros(count, bool) if is_tainted is None else is_tainted

    def chunks(self, size):
        for chunk in super().chunks(size):
            at = chunk.frame
            yield replace(
                chunk,
                time_s=self._times[at],
                is_key=self._keys[at],
                is_tainted=self._tainted[at],
            )


def dark(count, *, side=64, seed=1, level=100.0, noise=5.0, change=None):
    """Return dark frames (N, Y, X) of a stack, with a change of level for each frame."""
    rng = np.random.default_rng(seed)
    levels = level + (np.zeros(count) if change is None else change)
    grey = rng.normal(levels[:, None, None], noise, (count, side, side))
    return np.rint(grey).clip(0, 65535).astype(np.uint16)


def filmed(path, *, count=400, seed=2, **settings):
    """Write a dark phone video, 256 x 256 at 20 Hz; return what was measured on it."""
    rng = np.random.default_rng(seed)
    fixed = rng.normal(4.074, 1.0, (256, 256)).astype(np.float32)
    noise = (3.6 * rng.standard_normal((256, 256), np.float32) for _ in range(count))
    frames = (np.rint(fixed + one).clip(0, 255).astype(np.uint8) for one in noise)
    write_video(path, frames, EncoderSettings(**settings))
    return measure_dark_stability(open_recording(path))


def assert_steps_are_those_of_keys(found, *, gop):
    """Fail unless the period of the key frames was found within one frame."""
    assert found.period_frames == pytest.approx(gop, abs=1)
    assert found.period_s == pytest.approx(gop / 20, abs=0.05)
    assert found.key_period_frames == pytest.approx(gop)
    assert found.is_period_of_keys is True
    assert found.step_adu > 0.08
    assert found.reason.endswith(f"as the key frames do (every {gop}): the codec's work")


@pytest.mark.parametrize(
    ("kbit_per_s", "gop", "count"), [(120, 15, 300), (120, 21, 300), (500, 21, 400)]
)
def test_the_period_of_key_frames_is_found_in_dark_phone_videos(tmp_path, kbit_per_s, gop, count):
    bits_per_px = kbit_per_s * 1000 / 20 / 256**2
    path = tmp_path / "dark.mp4"
    found = filmed(path, count=count, bits_per_px=bits_per_px, gop_frames=gop)
    assert_steps_are_those_of_keys(found, gop=gop)


@pytest.mark.slow
@pytest.mark.parametrize("gop", [15, 21, 30])
@pytest.mark.parametrize("kbit_per_s", [120, 500])
def test_the_period_of_key_frames_is_found_in_the_dark_scene(tmp_path, kbit_per_s, gop):
    scene = read_preset("dark")
    codec = replace(scene.codec, bits_per_px=kbit_per_s * 1000 / 20 / 256**2, gop_frames=gop)
    movie = film_scene(replace(scene, codec=codec), tmp_path, stacks=()).movie
    assert_steps_are_those_of_keys(measure_dark_stability(open_recording(movie)), gop=gop)


def test_the_dark_scene_shows_the_figure_of_the_paper(tmp_path):
    scene = replace(read_preset("dark"), frame_count=300)
    movie = film_scene(scene, tmp_path, stacks=()).movie
    found = measure_dark_stability(open_recording(movie))
    assert found.period_frames == pytest.approx(21, abs=1)
    folded = found.folded()
    assert folded is not None
    assert len(folded.phase_s) == 21
    # the paper's steps are where the key frames are
    assert int(np.argmax(np.abs(folded.mean_adu))) in (0, 1, 20)


@pytest.mark.parametrize("qp", [16, 24, 32, 40])
def test_a_constant_quantiser_makes_no_periodic_step(tmp_path, qp):
    found = filmed(tmp_path / "dark.mp4", count=200, qp=qp, ip_ratio=1.0)
    assert found.period_s is None
    assert found.period_frames is None
    assert found.step_adu is None
    assert found.is_period_of_keys is None
    assert "no periodic step" in found.reason
    assert found.reason.endswith("though every 21 frames there is a key frame")


def test_a_step_of_key_frames_coded_more_finely_is_really_there(tmp_path):
    # x264 takes its "constant" QP less 3 for key frames: at 24 they round the noise otherwise
    found = filmed(tmp_path / "dark.mp4", count=200, qp=24, ip_ratio=1.4)
    assert_steps_are_those_of_keys(found, gop=21)
    rest = found.mean_adu - found.level_adu
    keys, others = rest[found.is_key], rest[~found.is_key]
    error = np.hypot(keys.std() / np.sqrt(len(keys)), others.std() / np.sqrt(len(others)))
    assert abs(keys.mean() - others.mean()) > 8 * error
    assert found.step_adu == pytest.approx(abs(keys.mean() - others.mean()), abs=0.05)


def test_the_real_dark_clip_has_no_periodic_step():
    found = measure_dark_stability(open_recording(PIXEL))
    assert len(found.frame) == 36
    assert found.period_s is None
    assert found.key_period_frames == pytest.approx(30, abs=0.1)
    assert found.decay == "none"
    np.testing.assert_array_equal(np.flatnonzero(found.is_key), [0, 30])
    # the file's own times, not a nominal rate
    assert found.interval_s == pytest.approx(1 / 29.87, rel=1e-3)


def test_level_and_noise_are_those_of_each_frame():
    frames = dark(30, noise=5.0)
    frames[:, 3, 5] = 60_000  # a hot pixel
    found = measure_dark_stability(ArraySource(frames, frame_rate_hz=20.0))
    np.testing.assert_allclose(found.mean_adu, frames.mean(axis=(1, 2)))
    np.testing.assert_array_equal(found.median_adu, np.median(frames, axis=(1, 2)))
    # rounding adds 1/12; the error of a standard deviation of 4096 values is 1.1 %
    np.testing.assert_allclose(found.noise_adu, np.sqrt(25 + 1 / 12), rtol=5 * 0.011)
    assert found.key_period_frames is None
    assert found.folded() is None


def test_a_drift_of_the_black_level_is_measured():
    change = -0.1 * np.arange(200) / 20
    found = measure_dark_stability(ArraySource(dark(200, change=change), frame_rate_hz=20.0))
    assert found.decay == "linear"
    assert found.rate_interval[0] < -0.1 < found.rate_interval[1]
    # a slope from 200 means of 4096 pixels of 5 grey values over 10 s
    error = 5 / 64 * np.sqrt(12 / 200) / 10
    assert found.rate_adu_per_s == pytest.approx(-0.1, abs=4 * error)
    assert found.reason.startswith("the dark level falls evenly by -0.")
    fading = dark(200, change=3 * np.exp(-np.arange(200) / 40))
    found = measure_dark_stability(ArraySource(fading, frame_rate_hz=20.0))
    assert found.decay == "exponential"
    assert found.fading_interval[0] < 2.0 < found.fading_interval[1]
    assert "falls by" in found.reason
    assert "1 / e in 2 s" in found.reason


def test_steps_are_timed_by_presentation_not_by_number():
    # every twelfth frame dropped: the step stays at 1.05 s, which are fewer frames
    kept = np.flatnonzero(np.arange(500) % 12 != 5)
    change = np.where(kept % 21 == 0, 2.0, 0.0)
    is_key = kept % 21 == 0
    source = TimedSource(dark(len(kept), change=change), time_s=kept / 20, is_key=is_key)
    found = measure_dark_stability(source)
    assert found.period_s == pytest.approx(1.05, abs=0.01)
    assert found.is_period_of_keys is True


def test_steps_of_another_period_are_not_blamed_on_the_codec():
    frame = np.arange(400)
    frames = dark(400, change=np.where(frame % 16 < 8, 1.0, 0.0))
    found = measure_dark_stability(TimedSource(frames, is_key=frame % 21 == 0))
    assert found.period_frames == pytest.approx(16, abs=0.2)
    assert found.is_period_of_keys is False
    assert found.reason.endswith("but the key frames come every 21: not the codec's work")
    found = measure_dark_stability(ArraySource(frames, frame_rate_hz=20.0))
    assert found.is_period_of_keys is None
    assert found.reason.endswith("and no key frames are known to compare with")


def test_steps_do_not_spoil_the_decay():
    frame = np.arange(420)
    change = 2.0 * (frame % 21 == 0) - 0.002 * frame
    found = measure_dark_stability(
        ArraySource(dark(420, change=change, seed=3), frame_rate_hz=20.0)
    )
    assert found.decay == "linear"
    assert found.rate_interval[0] < -0.04 < found.rate_interval[1]
    assert found.step_adu == pytest.approx(2.0, abs=4 * found.step_error_adu)


def test_tainted_frames_are_left_out():
    frames = dark(60)
    is_tainted = np.arange(60) % 10 == 4
    frames[is_tainted] = 30_000
    found = measure_dark_stability(TimedSource(frames, is_tainted=is_tainted))
    np.testing.assert_array_equal(found.frame, np.flatnonzero(~is_tainted))
    assert found.mean_adu.max() < 101


def test_few_frames_are_refused():
    with pytest.raises(CalibrationError, match=r"array has 23 sound frames, but at least 24 are"):
        measure_dark_stability(ArraySource(dark(23)))


def test_a_block_that_a_coarse_codec_left_of_the_noise_is_no_light():
    frames = np.full((48, 128, 128), 4, np.uint8)
    frames[24, 40:44, 60:64] = 11
    assert measure_dark_stability(ArraySource(frames, name="dark.mp4")).decay == "none"
    frames[::4, 40:44, 60:64] = 11
    with pytest.raises(CalibrationError, match="is not dark: around x = 60, y = 40"):
        measure_dark_stability(ArraySource(frames, name="dark.mp4"))


def test_lit_recordings_are_refused():
    with pytest.raises(CalibrationError, match="not dark: its median grey value is 20000 of 65535"):
        measure_dark_stability(ArraySource(dark(30, level=20_000)))
    frames = dark(30)
    frames[12, 20:26, 33:39] += 60  # a molecule
    with pytest.raises(
        CalibrationError, match=r"array is not dark: around x = 3\d, y = 2\d .* light"
    ):
        measure_dark_stability(ArraySource(frames))


def test_times_that_stand_still_are_refused():
    source = TimedSource(dark(30), time_s=np.zeros(30))
    with pytest.raises(CalibrationError, match=r"dark.mp4 has frames without increasing time"):
        measure_dark_stability(source)
