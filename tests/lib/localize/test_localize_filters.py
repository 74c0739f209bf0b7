import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from cellstorm_lib.localize.filters import wavelet_band, wavelet_planes

B_SPLINE = np.array([1, 4, 6, 4, 1]) / 16
WITH_HOLES = np.array([1, 0, 4, 0, 6, 0, 4, 0, 1]) / 16


def planes_by_scipy(frame):
    wide = np.pad(frame.astype(float), 8, mode="edge")

    def smoothed(image, taps):
        return ndimage.correlate1d(ndimage.correlate1d(image, taps, 0), taps, 1)

    v1 = smoothed(wide, B_SPLINE)
    return v1[8:-8, 8:-8], smoothed(v1, WITH_HOLES)[8:-8, 8:-8]


@pytest.mark.parametrize("shape", [(64, 80), (7, 7), (3, 5), (1, 9), (2, 2)])
def test_the_planes_are_those_of_scipy(shape):
    frames = np.random.default_rng(0).normal(50, 9, (2, *shape)).astype(np.float32)
    planes = wavelet_planes(frames)
    for index, frame in enumerate(frames):
        v1, v2 = planes_by_scipy(frame)
        np.testing.assert_allclose(planes["V1"][index], v1, atol=2e-5)
        np.testing.assert_allclose(planes["V2"][index], v2, atol=2e-5)
        np.testing.assert_allclose(planes["F"][index], v1 - v2, atol=4e-5)
        np.testing.assert_allclose(planes["F1"][index], frame - v1, atol=4e-5)
        np.testing.assert_allclose(planes["F2"][index], frame - v2, atol=4e-5)


@given(
    arrays(np.uint8, (9, 11), elements=st.integers(0, 200)),
    st.integers(0, 50),
)
def test_a_constant_light_changes_nothing(frame, level):
    np.testing.assert_allclose(wavelet_band(frame + level), wavelet_band(frame), atol=1e-3)


def test_a_single_frame_and_a_stack_of_it_give_the_same():
    frame = np.random.default_rng(1).integers(0, 255, (20, 30)).astype(np.uint8)
    np.testing.assert_array_equal(wavelet_band(frame), wavelet_band(frame[None])[0])
    assert wavelet_band(frame).dtype == np.float32


def test_the_frames_are_left_as_they_are():
    frame = np.random.default_rng(1).normal(0, 1, (2, 20, 30)).astype(np.float32)
    before = frame.copy()
    wavelet_band(frame)
    np.testing.assert_array_equal(frame, before)
