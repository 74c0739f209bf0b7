"""The cut-off of a band-limited image is found, and none in noise."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cellstorm_lib.evaluate.decorrelation import measure_decorrelation


def band_limited(seed, cutoff, *, noise=0.1, slope=0.0, shape=(256, 256)):
    """Return noise up to a share of the Nyquist frequency, and weaker white noise."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.normal(size=shape))
    radius = 2 * np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    gain = (radius <= cutoff) / np.maximum(radius, 0.01) ** slope
    image = np.fft.irfft2(spectrum * gain, s=shape)
    return image / image.std() + noise * rng.normal(size=shape)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    cutoff=st.floats(0.08, 0.7),
    noise=st.floats(0.003, 0.3),
    slope=st.floats(0, 1),
)
@example(seed=223, cutoff=0.080078125, noise=0.25, slope=0.0)  # detail leaks at a sharp edge
def test_the_cutoff_is_found(seed, cutoff, noise, slope):
    image = band_limited(seed, cutoff, noise=noise, slope=slope)
    report = measure_decorrelation(image, 20.0)
    # the rings are 1/128 of the Nyquist frequency wide, and the peak of a noisy curve is flat
    assert 2 * 20.0 / report.resolution_nm == pytest.approx(cutoff, abs=4 / 128)
    assert 0 < report.height <= 1


@pytest.mark.parametrize("shape", [(256, 300), (401, 256)])
def test_images_need_not_be_square(shape):
    report = measure_decorrelation(band_limited(0, 0.4, shape=shape), 10.0)
    assert report.resolution_nm == pytest.approx(50.0, rel=0.03)


def test_noise_has_no_resolution():
    for seed in range(20):
        report = measure_decorrelation(np.random.default_rng(seed).normal(size=(200, 200)), 10.0)
        assert report.resolution_nm is None
    assert report.reason.startswith("the correlation rises to the finest detail")
    assert len(report.curve) == 0


def test_points_strewn_at_random_have_no_resolution():
    image = np.random.default_rng(1).poisson(0.02, size=(256, 256))
    assert measure_decorrelation(image, 10.0).resolution_nm is None


def test_brightness_and_background_change_nothing():
    image = band_limited(2, 0.3)
    one, two = measure_decorrelation(image, 10.0), measure_decorrelation(7 * image + 100, 10.0)
    assert one.resolution_nm == two.resolution_nm
    np.testing.assert_allclose(one.curve, two.curve, rtol=1e-3)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((128, 128)), "the image is empty: all pixels are alike"),
        (np.diag(np.arange(128) < 5) * 1.0, "only 5 pixels of the image are lit"),
        (np.ones((63, 500)), "the image is smaller than 64 pixels"),
    ],
)
def test_nothing_to_look_at_is_said_to_be(image, reason):
    report = measure_decorrelation(image, 10.0)
    assert (report.resolution_nm, report.reason) == (None, reason)


def test_of_a_huge_image_the_middle_is_looked_at(monkeypatch):
    monkeypatch.setattr("cellstorm_lib.evaluate.decorrelation.MAX_SIDE_PX", 256)
    image = band_limited(3, 0.4)
    framed = np.pad(image, 300)
    assert measure_decorrelation(framed, 10.0).resolution_nm == pytest.approx(
        measure_decorrelation(image, 10.0).resolution_nm
    )
