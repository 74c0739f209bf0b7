import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from localize_scenes import PHONE, SCIENTIFIC, expected_frame, exposed
from scipy import ndimage

from cellstorm_lib.localize import search
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.search import find_maxima

#: Rounding of the band in the search, grey values: three times 1/32, and 1/16 of the comparison.
ROUNDING_ADU = 3 / 32 + 1 / 16


def places(found):
    return set(zip(found.index.tolist(), found.row.tolist(), found.column.tolist(), strict=True))


def maxima_by_scipy(frames, threshold, slack):
    """Return the pixels above the threshold that exceed all neighbours by more than `slack`."""
    others = np.ones((1, 3, 3), bool)
    others[0, 1, 1] = False
    band = wavelet_band(frames)
    neighbours = ndimage.maximum_filter(band, footprint=others, mode="nearest")
    is_top = (band > threshold) & (band > neighbours + slack)
    is_top[:, [0, -1]] = is_top[:, :, [0, -1]] = False
    return set(zip(*(axis.tolist() for axis in np.nonzero(is_top)), strict=True))


@pytest.mark.parametrize("camera", [PHONE, SCIENTIFIC], ids=lambda camera: camera.name)
@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (3, 3), (4, 7), (64, 64)])
def test_the_maxima_are_those_of_the_band(camera, shape):
    rng = np.random.default_rng(5)
    spots = np.column_stack([rng.uniform(0, shape[1], 20), rng.uniform(0, shape[0], 20)])
    frames = exposed([expected_frame(shape, [(x, y, 500) for x, y in spots])] * 3, camera, rng)
    threshold = 8.0
    found = places(find_maxima(frames, np.full(3, threshold, np.float32)))
    surely = maxima_by_scipy(frames, threshold + ROUNDING_ADU, 2 * ROUNDING_ADU)
    maybe = maxima_by_scipy(frames, threshold - ROUNDING_ADU, -2 * ROUNDING_ADU)
    assert surely <= found <= maybe
    assert min(shape) < 40 or len(found) > 10


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_full_range_of_grey_values_does_not_overflow(kind):
    highest = np.iinfo(kind).max
    frames = np.random.default_rng(6).integers(0, highest + 1, (3, 60, 70)).astype(kind)
    frames[1] = np.where(frames[1] > highest // 2, highest, 0)
    threshold = highest / 20
    found = places(find_maxima(frames, np.full(3, threshold, np.float32)))
    surely = maxima_by_scipy(frames, threshold + ROUNDING_ADU, 2 * ROUNDING_ADU)
    maybe = maxima_by_scipy(frames, threshold - ROUNDING_ADU, -2 * ROUNDING_ADU)
    assert surely <= found <= maybe
    assert len(surely) > 100


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 5), st.integers(2, 5), st.integers(0, 9), st.sampled_from([np.uint8, np.uint16])
)
def test_a_plateau_gives_one_maximum(height, width, shift, kind):
    frame = np.full((1, 40, 40), 10, kind)
    frame[0, 12 + shift : 12 + shift + height, 15 : 15 + width] = 200
    found = find_maxima(frame, np.array([5.0], np.float32))
    assert len(found) == 1
    assert 12 + shift <= found.row[0] < 12 + shift + height
    assert 15 <= found.column[0] < 15 + width


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("threshold", [0.0, 0.01, 5.0, 1e9, np.inf])
def test_flat_frames_hold_nothing(value, threshold):
    frames = np.full((3, 50, 60), value, np.uint8)
    assert len(find_maxima(frames, np.full(3, threshold, np.float32))) == 0


def test_no_frames_hold_nothing():
    assert len(find_maxima(np.zeros((0, 9, 9), np.uint8), np.zeros(0, np.float32))) == 0


def test_each_frame_has_its_own_threshold():
    frame = np.zeros((20, 20), np.uint8)
    frame[10, 10] = 200
    found = find_maxima(np.stack([frame] * 3), np.array([1e3, 5, 1e3], np.float32))
    assert places(found) == {(1, 10, 10)}


def test_maxima_come_in_frame_and_reading_order_and_none_is_lost():
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 255, (20, 64, 64)).astype(np.uint8)
    found = find_maxima(frames, np.full(20, 0.5, np.float32))
    assert len(found) > 1024  # more than there is room for at first
    order = np.lexsort([found.column, found.row, found.index])
    np.testing.assert_array_equal(order, np.arange(len(found)))
    alone = [find_maxima(frame[None], np.array([0.5], np.float32)) for frame in frames]
    assert sum(map(len, alone)) == len(found)


def test_strips_join_without_a_seam(monkeypatch):
    frames = np.random.default_rng(3).integers(0, 255, (2, 150, 40)).astype(np.uint16)
    thresholds = np.full(2, 3.0, np.float32)
    monkeypatch.setattr(search, "_STRIP_PX", 1 << 20)
    whole = find_maxima(frames, thresholds)
    monkeypatch.setattr(search, "_STRIP_PX", 1)
    strips = find_maxima(frames, thresholds)
    assert places(whole) == places(strips)
    np.testing.assert_array_equal(whole.offset_px, strips.offset_px)


def test_the_start_is_near_the_spot():
    rng = np.random.default_rng(4)
    xy = 20.5 + rng.uniform(-0.5, 0.5, (200, 2))
    frames = np.stack([expected_frame((41, 41), [(x, y, 5000)]) for x, y in xy])
    found = find_maxima(frames.astype(np.uint16), np.full(200, 5.0, np.float32))
    at = np.stack([found.column, found.row], 1) + 0.5 + found.offset_px
    assert np.abs(at - xy).max() < 0.15


def test_the_edge_is_cut_off_where_asked():
    frame = np.zeros((1, 30, 40), np.uint8)
    for row, column in ((4, 20), (15, 5), (15, 20), (25, 33)):
        frame[0, row, column] = 200
    found = find_maxima(frame, np.array([5.0], np.float32))
    assert len(found) == 4
    kept = found.take(found.rows_inside((30, 40), 6))
    assert places(kept) == {(0, 15, 20)}
