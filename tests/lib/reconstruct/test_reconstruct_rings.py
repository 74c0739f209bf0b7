"""Ring sums of the canvas agree with the exact spectra of the positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.reconstruct import rings
from cellstorm_lib.reconstruct.crossing import Smoothing, correlation
from cellstorm_lib.reconstruct.rings import edge_mask, ring_sums

SIDE_NM = 1000.0


def summed(xy_nm, group, *, pixel_nm=10.0, size_nm=(SIDE_NM, SIDE_NM), group_count=2):
    return ring_sums(
        np.asarray(xy_nm, np.float64),
        np.asarray(group, np.int64),
        group_count=group_count,
        size_nm=size_nm,
        pixel_nm=pixel_nm,
    )


def exact_correlation(xy_nm, group, ring, step_per_nm):
    """Correlate two groups over one ring, by the sum over positions at each frequency."""
    weight = edge_mask(xy_nm[:, 0] / SIDE_NM) * edge_mask(xy_nm[:, 1] / SIDE_NM)
    whole = np.arange(-ring - 1, ring + 2)
    fx, fy = (axis.ravel() for axis in np.meshgrid(whole, whole))
    chosen = (np.rint(np.hypot(fx, fy)) == ring) & (fx >= 0)
    wave = 2 * np.pi * step_per_nm * np.stack([fx[chosen], fy[chosen]])
    phases = weight[:, None] * np.exp(-1j * (xy_nm @ wave))
    one, two = phases[group == 0].sum(axis=0), phases[group == 1].sum(axis=0)
    counts = np.where(fx[chosen] == 0, 1, 2)  # the other half-plane is the mirror image
    size = np.sqrt((counts * abs(one) ** 2).sum() * (counts * abs(two) ** 2).sum())
    return (counts * one * two.conj()).real.sum() / size


def test_correlation_agrees_with_the_sum_over_positions():
    rng = np.random.default_rng(5)
    sites = np.repeat(rng.uniform(0, SIDE_NM, (150, 2)), 4, axis=0)
    xy_nm, group = sites + rng.normal(0, 8, sites.shape), rng.integers(0, 2, len(sites))
    sums = summed(xy_nm, group, pixel_nm=8.0)
    found = correlation(sums, np.array([1.0, 0.0]))
    chosen = np.arange(15, 33)  # beyond what the mean density leaves, to 1/4 of the sampling
    exact = [exact_correlation(xy_nm, group, ring, sums.frequency_per_nm[1]) for ring in chosen]
    np.testing.assert_allclose(found[chosen], exact, atol=0.01)


def test_products_are_symmetric_and_additive():
    rng = np.random.default_rng(0)
    xy_nm, group = rng.uniform(0, SIDE_NM, (500, 2)), rng.integers(0, 4, 500)
    four = summed(xy_nm, group, group_count=4)
    np.testing.assert_allclose(four.products, four.products.transpose(0, 2, 1))
    two = summed(xy_nm, group % 2)
    halves = four.products[:, ::2][:, :, 1::2].sum(axis=(1, 2))
    np.testing.assert_allclose(two.products[5:, 0, 1], halves[5:], rtol=1e-3, atol=0.05)


def test_noise_of_positions_without_structure_is_that_of_the_stated_samples():
    rng, trials = np.random.default_rng(1), 100
    pulls = []
    for _ in range(trials):
        sums = summed(rng.uniform(0, SIDE_NM, (1000, 2)), np.arange(1000) % 2)
        smoothing = Smoothing.of(sums)
        curve = smoothing.weights @ correlation(sums, np.array([1.0, 0.0]))
        pulls.append((curve * np.sqrt(smoothing.samples))[[8, 16, 32]])  # far apart
    pulls = np.ravel(pulls)
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))
    # neighbouring Fourier pixels are not quite independent, which is counted for to about 10 %
    assert abs(pulls.std() - 1) < 0.1 + 4 / np.sqrt(2 * len(pulls))


def test_tiles_give_the_curve_of_the_whole(monkeypatch):
    rng = np.random.default_rng(2)
    sites = np.repeat(rng.uniform(0, 4000, (4000, 2)), 4, axis=0)
    xy_nm, group = sites + rng.normal(0, 15, sites.shape), rng.integers(0, 2, len(sites))
    whole = summed(xy_nm, group, size_nm=(4000.0, 4000.0))
    monkeypatch.setattr(rings, "MAX_TILE_PX", 150)
    tiled = summed(xy_nm, group, size_nm=(4000.0, 4000.0))
    assert len(tiled.frequency_per_nm) < len(whole.frequency_per_nm) / 2
    half = np.array([1.0, 0.0])
    band = np.linspace(0.002, 0.03, 15)
    found = np.interp(band, tiled.frequency_per_nm, correlation(tiled, half))
    expected = [
        correlation(whole, half)[np.abs(whole.frequency_per_nm - q) < 0.0005].mean() for q in band
    ]
    noise = 1 / np.sqrt(np.interp(band, tiled.frequency_per_nm, tiled.samples))
    assert (np.abs(found - expected) < 5 * noise).all()
    # tiles count about as many samples in a band of frequency as the whole does
    at = [
        np.interp(0.02, s.frequency_per_nm, s.samples) / s.frequency_per_nm[1]
        for s in (whole, tiled)
    ]
    assert at[1] == pytest.approx(at[0], rel=0.1)


def test_positions_outside_the_field_are_left_out():
    rng = np.random.default_rng(3)
    xy_nm, group = rng.uniform(0, SIDE_NM, (200, 2)), np.arange(200) % 2
    outside = np.array([[-5.0, 500.0], [1005.0, 10.0], [500.0, 1e9]])
    more = summed(np.concatenate([xy_nm, outside]), np.concatenate([group, [0, 1, 0]]))
    np.testing.assert_array_equal(more.products, summed(xy_nm, group).products)


def test_a_field_without_localizations_has_no_power():
    assert not summed(np.zeros((0, 2)), np.zeros(0)).products.any()


@given(share=st.floats(0, 1 / 8))
def test_flanks_of_neighbouring_tiles_add_up_to_one(share):
    assert edge_mask(np.array(share)) + edge_mask(np.array(1 - 1 / 8 + share)) == pytest.approx(1)


@given(share=st.floats(-2, 3))
def test_the_mask_is_one_inside_and_nothing_outside(share):
    weight = edge_mask(np.array(share))
    assert 0 <= weight <= 1
    if not 0 < share < 1:
        assert weight == 0
    elif 1 / 8 <= share <= 7 / 8:
        assert weight == pytest.approx(1)
