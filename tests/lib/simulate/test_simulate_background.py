"""The background has its mean and structure, fades and flickers as stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.background import (
    BackgroundSettings,
    background_over_time,
    background_photons,
)

NOWHERE = np.zeros((0, 2))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1), photons=st.floats(0, 1000))
def test_the_background_has_its_mean_and_largest_deviation(seed, share, photons):
    background = background_photons(
        BackgroundSettings(photons=photons, structure_share=share, scale_um=4.0),
        shape=(40, 60),
        pixel_size_nm=100.0,
        sites_nm=NOWHERE,
        rng=np.random.default_rng(seed),
    )
    assert background.mean() == pytest.approx(photons, abs=1e-9)
    assert np.abs(background - photons).max() == pytest.approx(photons * share, abs=1e-9)
    assert background.min() >= 0


def test_the_background_is_smooth_on_its_scale():
    def roughness(scale_um):
        background = background_photons(
            BackgroundSettings(scale_um=scale_um),
            shape=(128, 128),
            pixel_size_nm=100.0,
            sites_nm=NOWHERE,
            rng=np.random.default_rng(3),
        )
        return np.abs(np.diff(background, axis=1)).max() / np.ptp(background)

    # a wave of that length changes by at most pi * 100 nm / length of its range per pixel
    assert roughness(10.0) < 2 * np.pi * 0.1 / 10.0
    assert roughness(10.0) < roughness(2.0) < 2 * np.pi * 0.1 / 2.0


def haze(sites_nm, shape=(60, 80), **values):
    return background_photons(
        BackgroundSettings(structure_share=0.0, autofluorescence_share=1.0, **values),
        shape=shape,
        pixel_size_nm=100.0,
        sites_nm=np.asarray(sites_nm, np.float64),
        rng=np.random.default_rng(4),
    )


def test_autofluorescence_is_the_structure_blurred():
    found = haze([[4050.0, 2050.0]], photons=7.0, autofluorescence_blur_um=0.6)
    assert found.mean() == pytest.approx(7.0)
    weight = found / found.sum()
    rows, columns = np.indices(found.shape) + 0.5
    assert ((weight * columns).sum(), (weight * rows).sum()) == pytest.approx(
        (40.5, 20.5), abs=0.02
    )
    for offset in (columns - 40.5, rows - 20.5):
        assert (weight * offset**2).sum() == pytest.approx(6.0**2, rel=0.02)


def test_autofluorescence_goes_on_beyond_the_field():
    sites = np.random.default_rng(5).uniform((-1000, -1000), (9000, 7000), (400_000, 2))
    found = haze(sites, photons=7.0)
    assert np.abs(found / 7.0 - 1).max() < 0.05


def test_autofluorescence_takes_its_share_of_the_mean():
    one = haze([[3000.0, 3000.0]], photons=10.0)
    mixed = background_photons(
        BackgroundSettings(photons=10.0, structure_share=0.0, autofluorescence_share=0.25),
        shape=(60, 80),
        pixel_size_nm=100.0,
        sites_nm=np.array([[3000.0, 3000.0]]),
        rng=np.random.default_rng(4),
    )
    np.testing.assert_allclose(mixed, 0.75 * 10.0 + 0.25 * one)


def over_time(frame_count, seed=6, frame_s=0.05, **values):
    return background_over_time(
        BackgroundSettings(**values),
        frame_count=frame_count,
        frame_s=frame_s,
        rng=np.random.default_rng(seed),
    )


def test_by_default_the_background_never_changes():
    np.testing.assert_array_equal(over_time(100), 1.0)


def test_the_fading_share_falls_to_one_over_e_in_its_time():
    found = over_time(201, fading_s=5.0, fading_share=0.6)
    np.testing.assert_allclose(found[[0, 100, 200]], 0.4 + 0.6 * np.exp([0.0, -1.0, -2.0]))


def test_the_flicker_has_its_size_and_memory():
    factor = over_time(400_000, flicker=0.2, flicker_s=1.0)
    # a correlation time of 20 frames leaves 10,000 independent values
    assert abs(factor.mean() - 1.0) < 4 * 0.2 / np.sqrt(10_000)
    assert factor.std() == pytest.approx(0.2, rel=0.05)
    assert factor.min() > 0
    logarithm = np.log(factor) - np.log(factor).mean()
    for lag in (1, 20, 40):
        correlation = (logarithm[lag:] * logarithm[:-lag]).mean() / logarithm.var()
        assert correlation == pytest.approx(np.exp(-lag / 20), abs=4 / np.sqrt(10_000))


def test_an_impossible_background_is_refused():
    with pytest.raises(SettingsError, match="photons must be at least 0"):
        BackgroundSettings(photons=-1.0)
    with pytest.raises(SettingsError, match="structure_share must be at least 0 and at most 1"):
        BackgroundSettings(structure_share=1.5)
    with pytest.raises(SettingsError, match="fading_s must be above 0"):
        BackgroundSettings(fading_s=0.0)
    with pytest.raises(SettingsError, match="autofluorescence_share must be 0 where no labelled"):
        haze(NOWHERE)
