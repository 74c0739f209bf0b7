from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cellstorm_lib.localize.afterimages import afterimage_probability
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.extrema import ascending, find_extrema
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.noise_floor import measure_noise_floor
from cellstorm_lib.localize.threshold import calibrate_threshold, take_sample
from cellstorm_lib.video.array import ArraySource

GAIN, OFFSET = 0.25, 4.0


def spot_positions(rng, *, frames, side, spots):
    """Return frame, x and y of random spots, and none nearer than 6 px to the edge."""
    count = rng.poisson(spots, frames)
    frame = np.repeat(np.arange(frames), count)
    return frame, *rng.uniform(6, side - 6, (2, len(frame)))


def drawn(shape, frame, x, y, photons, *, sigma_px=1.3, background=10.0):
    """Return expected photoelectrons of spots."""
    expected = np.full(shape, background)
    pixel = np.arange(shape[1]) + 0.5
    row = np.exp(-0.5 * ((pixel - y[:, None]) / sigma_px) ** 2)
    column = np.exp(-0.5 * ((pixel - x[:, None]) / sigma_px) ** 2)
    peak = np.broadcast_to(photons / (2 * np.pi * sigma_px**2), len(frame))
    for k, spot in enumerate(frame):
        expected[spot] += peak[k] * np.outer(row[k], column[k])
    return expected


def exposed(rng, expected):
    """Return 8-bit grey values of a camera with 1.5 electrons read noise."""
    electrons = rng.poisson(expected) + rng.normal(0, 1.5, expected.shape)
    return np.rint(electrons / GAIN + OFFSET).clip(0, 255).astype(np.uint8)


def photoelectrons(frames):
    return ((frames.astype(np.float32) - OFFSET) * GAIN).astype(np.float32)


def found_above(frames, threshold):
    """Return index, row and column of the local maxima of the band above a threshold."""
    band = wavelet_band(frames)
    is_top = ndimage.maximum_filter(band, (1, 3, 3), mode="nearest") == band
    is_top[:, [0, -1]] = is_top[:, :, [0, -1]] = False
    return np.argwhere(is_top & (band > threshold))


def judged(found, frame, x, y, radius_px=2.5):
    """Return how many spots were found, and how many found ones are none."""
    hits = false = 0
    for k in np.unique(np.concatenate([frame, found[:, 0]])):
        here = found[found[:, 0] == k, 1:] + 0.5
        truth = np.stack([y[frame == k], x[frame == k]], axis=1)
        distance = np.hypot(*(here[:, None] - truth[None]).T) if len(here) and len(truth) else None
        if distance is None:
            false += len(here)
            continue
        hits += int((distance.min(axis=1) <= radius_px).sum())
        false += int((distance.min(axis=0) > radius_px).sum())
    return hits, false


def encoded(frames, *, crf, gop=21):
    """Return frames after H.264, and which of them are key frames."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = frames.shape[2], frames.shape[1]
    encoder.pix_fmt, encoder.framerate = "yuv420p", 20
    encoder.thread_count = 1
    options = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0"
    encoder.options = {"crf": str(crf), "preset": "medium", "x264-params": options}
    decoder = av.CodecContext.create("h264", "r")
    packets = []
    for image in frames:
        frame = av.VideoFrame(image.shape[1], image.shape[0], "yuv420p")
        for plane, value in zip(frame.planes, (image, 128, 128), strict=True):
            buffer = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            buffer[:, : plane.width] = value
        packets += encoder.encode(frame)
    packets += encoder.encode()
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    decoded += decoder.decode(None)
    luma = []
    for frame in decoded:
        plane = frame.planes[0]
        luma.append(np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : frame.width])
    return np.stack(luma), np.array([frame.key_frame for frame in decoded])


FAINT = pytest.mark.xfail(
    strict=True, reason="below about 10 e-/px the minima of the noise are too shallow a measure"
)


@pytest.mark.parametrize("background", [pytest.param(3.0, marks=FAINT), 30.0])
@pytest.mark.parametrize("allowed", [0.5, 5.0])
def test_noise_alone_gives_the_false_spots_that_are_expected(background, allowed):
    rng = np.random.default_rng(1)
    frames = rng.poisson(background, (60, 256, 256)).astype(np.float32)
    sample, others = frames[:20], frames[20:]
    found = calibrate_threshold(sample, settings=DetectSettings(false_per_frame=allowed))
    # without molecules a tenth of what is allowed is aimed at
    assert found.expected_false_per_frame <= 0.1 * allowed
    assert found.expected_afterimages_per_frame == 0
    count = len(found_above(others, found.photons))
    expected = 40 * found.expected_false_per_frame
    assert count < 3 * expected + 4 * np.sqrt(3 * expected)
    lower = calibrate_threshold(
        sample, settings=DetectSettings(threshold_photons=0.8 * found.photons)
    )
    assert lower.photons == 0.8 * found.photons
    count = len(found_above(others, lower.photons))
    expected = 40 * lower.expected_false_per_frame
    assert expected / 2 < count < 2 * expected


def test_no_molecules_are_lost_to_the_rings_and_none_invented():
    rng = np.random.default_rng(2)
    frame, x, y = spot_positions(rng, frames=40, side=256, spots=30)
    photons = 300 + rng.exponential(1000, len(frame))
    frames = rng.poisson(drawn((40, 256, 256), frame, x, y, photons)).astype(np.float32)
    found = calibrate_threshold(frames[:20], settings=DetectSettings(false_per_frame=0.4))
    hits, false = judged(found_above(frames, found.photons), frame, x, y)
    assert false / 40 < 1.0
    assert hits / len(frame) > 0.97
    assert found.expected_false_per_frame <= 0.4 * 254**2 / 256**2
    assert found.spots_per_frame == pytest.approx(hits / 40, rel=0.2)


def test_spots_of_300_photons_survive_strong_compression():
    # ThunderSTORM's std(Wave.F1) finds over a hundred false spots a frame here
    rng = np.random.default_rng(3)
    frame, x, y = spot_positions(rng, frames=126, side=256, spots=30)
    clean = exposed(rng, drawn((126, 256, 256), frame, x, y, 300.0))
    frames, is_key = encoded(clean, crf=33)
    light = photoelectrons(frames)
    smooth = ndimage.convolve1d(light, np.array([1, 4, 6, 4, 1]) / 16, axis=1, mode="nearest")
    smooth = ndimage.convolve1d(smooth, np.array([1, 4, 6, 4, 1]) / 16, axis=2, mode="nearest")
    usual = float(np.mean((light - smooth).std(axis=(1, 2))))
    assert judged(found_above(light, usual), frame, x, y)[1] / 126 > 100

    chosen = np.concatenate([np.arange(start, start + 4) for start in (20, 65, 110)])
    found = calibrate_threshold(light[chosen], frame=chosen, is_key=is_key[chosen])
    hits, false = judged(found_above(light, found.photons), frame, x, y)
    assert false / 126 < 1.0
    best = 0
    for threshold in np.geomspace(1.5, 8, 30):
        these, wrong = judged(found_above(light, threshold), frame, x, y)
        best = max(best, these if wrong / 126 < 1.0 else 0)
    assert hits >= 0.95 * best


def standing_spots(rng, *, frames, side, spots, left_share):
    """Return a stack of blinking molecules whose faint remains stand until the stack ends."""
    light = rng.normal(0, 0.4, (frames, side, side)).astype(np.float32)
    pixel = np.arange(side)
    remains = np.zeros((side, side))
    made = []
    for k in range(frames):
        light[k] += remains
        made.append(np.count_nonzero(ndimage.maximum_filter(remains, 3) * (remains > 0)))
        for x, y in rng.uniform(8, side - 8, (spots, 2)):
            shape = np.outer(
                np.exp(-0.5 * ((pixel - y) / 1.3) ** 2), np.exp(-0.5 * ((pixel - x) / 1.3) ** 2)
            )
            height = 40 + rng.exponential(40)
            light[k] += height * shape
            if rng.random() < left_share:
                remains += rng.uniform(4, 8) * shape
    return light


def test_spots_that_stand_still_are_taken_for_afterimages_only_in_coded_frames():
    rng = np.random.default_rng(4)
    light = standing_spots(rng, frames=24, side=256, spots=12, left_share=0.4)
    number = np.arange(24)
    coded = calibrate_threshold(light, frame=number, is_key=number == 0)
    alone = calibrate_threshold(light)
    assert coded.expected_afterimages_per_frame > 0 or coded.photons > alone.photons
    assert coded.photons > 1.3 * alone.photons
    all_key = calibrate_threshold(light, frame=number, is_key=np.ones(24, bool))
    assert all_key == alone


def test_photons_in_another_unit_move_the_threshold_with_them():
    rng = np.random.default_rng(5)
    frame, x, y = spot_positions(rng, frames=12, side=128, spots=8)
    frames = rng.poisson(drawn((12, 128, 128), frame, x, y, 900.0)).astype(np.float32)
    one = calibrate_threshold(frames)
    other = calibrate_threshold(4 * frames + 1000)
    assert other.photons == pytest.approx(4 * one.photons, rel=1e-2)
    assert other.expected_false_per_frame == pytest.approx(one.expected_false_per_frame, rel=0.2)


def test_the_order_of_single_frames_does_not_matter():
    rng = np.random.default_rng(6)
    frame, x, y = spot_positions(rng, frames=10, side=96, spots=5)
    frames = rng.poisson(drawn((10, 96, 96), frame, x, y, 900.0)).astype(np.float32)
    again = calibrate_threshold(frames)
    assert calibrate_threshold(frames) == again
    shuffled = calibrate_threshold(frames[rng.permutation(10)])
    assert shuffled.photons == pytest.approx(again.photons, rel=0.02)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 64, 64), np.float32),
        np.full((3, 64, 64), 7.0, np.float32),
        np.zeros((2, 2, 40), np.float32),
        np.zeros((1, 8, 8), np.float32),
    ],
    ids=["none", "constant", "narrow", "tiny"],
)
def test_frames_without_anything_have_a_threshold_and_no_false_spots(frames):
    found = calibrate_threshold(frames)
    assert found.photons == 0.25
    assert found.expected_false_per_frame == 0
    assert found.sampled_frames == len(frames)


def test_three_frames_are_enough():
    rng = np.random.default_rng(7)
    frame, x, y = spot_positions(rng, frames=3, side=64, spots=3)
    frames = rng.poisson(drawn((3, 64, 64), frame, x, y, 900.0)).astype(np.float32)
    found = calibrate_threshold(frames, frame=np.arange(3), is_key=np.arange(3) == 0)
    hits, false = judged(found_above(frames, found.photons), frame, x, y)
    assert hits >= 0.9 * len(frame)
    assert false <= 3


def test_the_border_is_not_counted():
    rng = np.random.default_rng(8)
    frames = rng.poisson(10.0, (10, 128, 128)).astype(np.float32)
    whole = calibrate_threshold(frames, settings=DetectSettings(threshold_photons=1.5))
    inner = calibrate_threshold(
        frames, settings=DetectSettings(threshold_photons=1.5, border_px=33)
    )
    share = (128 - 66) ** 2 / (128 - 2) ** 2
    assert inner.expected_false_per_frame == pytest.approx(share * whole.expected_false_per_frame)


def test_the_rate_of_noise_maxima_follows_the_theory_of_gaussian_fields():
    # maxima above a high level u: |Lambda|^(1/2) (2 pi)^(-3/2) u exp(-u^2 / 2) per area, with the
    # second spectral moments Lambda of the wavelet band (Rice 1945, in two dimensions)
    rng = np.random.default_rng(9)
    stack = wavelet_band(rng.normal(0, 1, (30, 200, 200)).astype(np.float32))
    alone = np.zeros(30, bool)
    floor = measure_noise_floor(
        find_extrema(stack, follows=alone),
        find_extrema(stack, follows=alone, are_minima=True),
        shape=stack.shape,
    )
    impulse = np.zeros((61, 61), np.float32)
    impulse[30, 30] = 1
    weights = wavelet_band(impulse).astype(np.float64)
    spread = np.sqrt((weights**2).sum())
    bend = (np.gradient(weights, axis=0) ** 2).sum() / spread**2
    for level in (3.5, 4.0):
        theory = 65536 * bend * (2 * np.pi) ** -1.5 * level * np.exp(-0.5 * level**2)
        measured = float(floor.rate_above(level * spread))
        assert measured == pytest.approx(theory, rel=0.25)
        assert floor.height_of(measured) == pytest.approx(level * spread, rel=1e-3)


def test_extrema_know_their_neighbours_in_time():
    band = np.zeros((3, 9, 9), np.float32)
    band[0, 4, 4], band[1, 4, 5], band[2, 2, 2] = 5, 3, -2
    follows = np.array([False, True, False])
    tops = find_extrema(band, follows=follows)
    assert [(k, y, x) for k, y, x in zip(tops.index, tops.row, tops.column, strict=True)] == [
        (0, 4, 4),
        (1, 4, 5),
    ]
    np.testing.assert_array_equal(tops.height, [5, 3])
    np.testing.assert_array_equal(tops.before, [np.nan, 5])
    np.testing.assert_array_equal(tops.after, [3, np.nan])
    dips = find_extrema(band, follows=follows, are_minima=True)
    np.testing.assert_array_equal(dips.height, [2])
    assert len(dips.chosen(np.array([False]))) == 0


def slow_maxima(band):
    """Return maxima above 0, by frame and place, of a small stack; earlier equals win."""
    found = []
    for k, y, x in np.ndindex(*band.shape):
        if not (0 < y < band.shape[1] - 1 and 0 < x < band.shape[2] - 1) or band[k, y, x] <= 0:
            continue
        near = band[k, y - 1 : y + 2, x - 1 : x + 2].ravel()
        if (near[:4] < near[4]).all() and (near[5:] <= near[4]).all():
            found.append((k, y, x))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 19), st.integers(0, 99), st.booleans())
def test_extrema_are_those_of_a_slow_search(height, width, seed, are_minima):
    # few values, so that there are plateaus
    rng = np.random.default_rng(seed)
    band = rng.integers(-3, 4, (3, height, width)).astype(np.float32)
    follows = np.array([False, True, False])
    found = find_extrema(band, follows=follows, are_minima=are_minima)
    up = -band if are_minima else band
    places = [
        (int(k), int(y), int(x))
        for k, y, x in zip(found.index, found.row, found.column, strict=True)
    ]
    assert places == slow_maxima(up)
    np.testing.assert_array_equal(found.height, [up[place] for place in places])
    for (k, y, x), before, after in zip(places, found.before, found.after, strict=True):
        near = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        np.testing.assert_equal(before, up[0][near].max() if k == 1 else np.nan)
        np.testing.assert_equal(after, up[1][near].max() if k == 0 else np.nan)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.25, 1.0, 1.5, 7e-30, 3e30]) | st.floats(1e-20, 1e20), max_size=50)
)
def test_heights_are_ordered_as_by_a_stable_sort(heights):
    heights = np.array(heights, np.float32)
    np.testing.assert_array_equal(ascending(heights), np.argsort(heights, kind="stable"))


@pytest.mark.parametrize("group_px", [1, 5 * 64 * 64, 10**9])
def test_how_many_frames_are_filtered_at_once_does_not_matter(group_px, monkeypatch):
    rng = np.random.default_rng(11)
    light = standing_spots(rng, frames=24, side=64, spots=6, left_share=0.4)
    number = np.arange(24)
    found = calibrate_threshold(light, frame=number, is_key=number % 4 == 0)
    monkeypatch.setattr("cellstorm_lib.localize.threshold._GROUP_PX", group_px)
    assert calibrate_threshold(light, frame=number, is_key=number % 4 == 0) == found


def test_too_few_spots_are_no_afterimages():
    band = wavelet_band(np.random.default_rng(10).normal(0, 1, (4, 16, 16)).astype(np.float32))
    follows = np.array([False, True, True, True])
    tops = find_extrema(band, follows=follows)
    floor = measure_noise_floor(
        tops, find_extrema(band, follows=follows, are_minima=True), shape=band.shape
    )
    few = tops.chosen(np.arange(len(tops)) < 10)
    assert afterimage_probability(few, floor, frame_count=4, area_px=196).sum() == 0


class Video(ArraySource):
    """A stack that says it is a video."""

    gop = 20

    def key_frames(self):
        return np.arange(0, self.facts.frame_count, self.gop)


@pytest.mark.parametrize(
    ("kind", "frames", "most"),
    [
        *((ArraySource, *counts) for counts in [(3, 3), (100, 12), (1000, 25), (9000, 160)]),
        *((Video, *counts) for counts in [(3, 3), (100, 12), (1000, 50), (9000, 160)]),
    ],
)
def test_the_sample_is_small_spread_and_always_the_same(kind, frames, most):
    source = kind(np.arange(frames, dtype=np.uint16)[:, None, None] + np.zeros((8, 8), np.uint16))
    sample = take_sample(source)
    assert len(sample.frames) <= most
    assert len(sample.frames) >= 0.9 * most
    np.testing.assert_array_equal(sample.frames[:, 0, 0], sample.frame)
    np.testing.assert_array_equal(sample.frame, take_sample(source).frame)
    gaps = np.diff(sample.frame)
    assert (gaps > 0).all()
    if frames >= 1000:
        assert sample.frame[0] < 0.1 * frames
        assert sample.frame[-1] > 0.9 * frames
        assert gaps.max() < 0.1 * frames
    if kind is Video and frames > 3:
        assert (gaps == 1).mean() > 0.6


def test_a_part_of_a_recording_is_sampled_within_itself():
    source = ArraySource(np.zeros((500, 8, 8), np.uint8)).part(100, 300)
    sample = take_sample(source)
    assert sample.frame.min() >= 100
    assert sample.frame.max() < 300
    assert len(take_sample(source.part(120, 120)).frames) == 0


def test_large_frames_are_sampled_less():
    source = ArraySource(np.zeros((2, 4096, 2048), np.uint8))
    source = replace_frame_count(source, 2)
    assert len(take_sample(source).frames) == 2
    wide = ArraySource(np.zeros((40, 1024, 1024), np.uint8))
    assert len(take_sample(wide).frames) <= 32


def replace_frame_count(source, count):
    """Return a source whose facts state another number of frames."""
    source._facts = replace(source.facts, frame_count=count)
    return source


def test_tainted_frames_are_left_out_of_the_sample_while_there_are_others():
    class Damaged(ArraySource):
        every = 3

        def chunks(self, size):
            for chunk in super().chunks(size):
                yield replace(chunk, is_tainted=chunk.frame % self.every == 0)

    sample = take_sample(Damaged(np.zeros((800, 8, 8), np.uint8)))
    assert len(sample.frames) >= 10
    assert (sample.frame % 3 != 0).all()
    Damaged.every = 1
    assert len(take_sample(Damaged(np.zeros((800, 8, 8), np.uint8))).frames) == 20
