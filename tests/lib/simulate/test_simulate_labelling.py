"""Dyes sit on the sites in the stated numbers, at the stated distance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.labelling import LabellingSettings, label_sites

SITES = np.random.default_rng(1).uniform(0, 10_000, (20_000, 2))


def labelled(seed=2, sites=SITES, **values):
    return label_sites(
        sites,
        settings=LabellingSettings(**values),
        low_nm=(-1000.0, -500.0),
        high_nm=(11_000.0, 9500.0),
        rng=np.random.default_rng(seed),
    )


def test_by_default_every_site_has_one_dye_on_it():
    dyes = labelled()
    np.testing.assert_array_equal(dyes.position_nm, SITES)
    np.testing.assert_array_equal(dyes.site, np.arange(20_000))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), efficiency=st.floats(0.05, 1.0))
def test_the_stated_share_of_the_sites_is_bound(seed, efficiency):
    found = len(labelled(seed, efficiency=efficiency).site) / len(SITES)
    assert abs(found - efficiency) <= 5 * np.sqrt(efficiency * (1 - efficiency) / len(SITES))


@pytest.mark.parametrize("mean", [1.0, 1.01, 1.6, 4.0, 30.0])
def test_an_antibody_carries_poisson_dyes_without_zero(mean):
    counts = np.bincount(labelled(dyes_per_antibody=mean).site, minlength=len(SITES))
    assert counts.min() >= 1
    assert abs(counts.mean() - mean) <= 4 * np.sqrt(mean / len(SITES))
    if mean > 1.0:
        rate = (counts * (counts - 1)).mean() / counts.mean()  # exact for Poisson without zero
        expected = stats.poisson.pmf(np.arange(1, 200), rate) / -np.expm1(-rate)
        assert counts.mean() == pytest.approx(rate / -np.expm1(-rate), rel=0.03)
        found = np.bincount(counts, minlength=200)[1:200] / len(SITES)
        np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / len(SITES)))


def test_dyes_lie_on_a_sphere_around_their_site_seen_from_above():
    dyes = labelled(linker_nm=15.0, dyes_per_antibody=2.0)
    shift = dyes.position_nm - SITES[dyes.site]
    assert np.linalg.norm(shift, axis=1).max() <= 15.0 + 1e-9
    height = np.sqrt(np.maximum(1 - (shift**2).sum(axis=1) / 15.0**2, 0))
    assert stats.kstest(height, "uniform").pvalue > 1e-4
    for axis in range(2):
        # variance L^2 / 3 of one axis; its own variance from the fourth moment, L^4 / 5
        spread = np.sqrt((15.0**4 / 5 - 15.0**4 / 9) / len(shift))
        assert abs((shift[:, axis] ** 2).mean() - 15.0**2 / 3) < 4 * spread


def test_stray_antibodies_cover_the_rectangle_evenly():
    dyes = labelled(sites=SITES[:0], background_per_um2=50.0, dyes_per_antibody=1.5)
    assert (dyes.site == -1).all()
    antibodies = 50.0 * 12.0 * 10.0
    assert abs(len(np.unique(dyes.position_nm, axis=0)) - antibodies) < 4 * np.sqrt(antibodies)
    x, y = np.unique(dyes.position_nm, axis=0).T
    assert stats.kstest(x, "uniform", args=(-1000.0, 12_000.0)).pvalue > 1e-4
    assert stats.kstest(y, "uniform", args=(-500.0, 10_000.0)).pvalue > 1e-4


def test_impossible_labelling_is_refused():
    with pytest.raises(SettingsError, match="efficiency must be above 0 and at most 1, got 0"):
        LabellingSettings(efficiency=0.0)
    with pytest.raises(SettingsError, match="dyes_per_antibody must be at least 1"):
        LabellingSettings(dyes_per_antibody=0.5)
    with pytest.raises(SettingsError, match="linker_nm must be at least 0"):
        LabellingSettings(linker_nm=-1.0)
    many = np.zeros((100_000, 2))
    with pytest.raises(SettingsError, match=r"may hold 4e\+07 dyes; 100000 sites, .* give 1e\+08"):
        labelled(sites=many, dyes_per_antibody=1000.0)
