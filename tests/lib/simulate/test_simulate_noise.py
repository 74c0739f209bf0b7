"""The compiled noise is Poisson and normal to the last count, and its seeds are independent."""

import numpy as np
import pytest
from scipy import stats

from cellstorm_lib.simulate.noise import draw_raw, frame_seeds

LEAST_P = 1e-4


def counts(mean, *, pixels=200_000, seed=3):
    """Return Poisson counts: a sensor of gain 1 without noise of its own."""
    expected = np.full((2, 100, pixels // 200), mean, np.float32)
    return draw_raw(
        expected,
        pattern_e=np.zeros(expected.shape[1:], np.float32),
        offset_adu=0.0,
        gain_e_per_adu=1.0,
        read_noise_e=0.0,
        top_adu=65535,
        seeds=frame_seeds(seed, range(2), stream=1),
    )


def normals(seed=3):
    """Return unit normals in steps of 0.001: a sensor without light."""
    dark = np.zeros((2, 301, 401), np.float32)
    raw = draw_raw(
        dark,
        pattern_e=dark[0],
        offset_adu=30_000.0,
        gain_e_per_adu=0.001,
        read_noise_e=1.0,
        top_adu=65535,
        seeds=frame_seeds(seed, range(2), stream=1),
    )
    return (raw.astype(np.float64) - 30_000.0) / 1000.0


@pytest.mark.parametrize("mean", [0.02, 0.25, 1.6, 7.6, 40.1, 63.99, 64.0, 130.3, 1000.5])
def test_photoelectrons_are_poisson(mean):
    found = counts(mean).ravel()
    values = np.arange(found.max() + 1)
    seen = np.bincount(found)
    expected = stats.poisson.pmf(values, np.float32(mean)) * len(found)
    is_common = expected >= 10
    rest = len(found) - expected[is_common].sum()
    seen = np.append(seen[is_common], seen[~is_common].sum())
    expected = np.append(expected[is_common], rest)
    assert stats.chisquare(seen, expected).pvalue > LEAST_P


def test_no_light_gives_no_photoelectrons():
    assert counts(0.0).max() == 0


def test_read_noise_is_normal_and_white():
    noise = normals()
    assert stats.kstest(noise.ravel()[::2], "norm").pvalue > LEAST_P
    assert stats.kstest(noise.ravel()[1::2], "norm").pvalue > LEAST_P
    assert stats.kurtosis(noise.ravel()) == pytest.approx(0, abs=4 * np.sqrt(24 / noise.size))
    for neighbour in (noise[:, 1:] * noise[:, :-1], noise[..., 1:] * noise[..., :-1]):
        assert abs(neighbour.mean()) < 4 / np.sqrt(neighbour.size)
    assert abs((noise[0] * noise[1]).mean()) < 4 / np.sqrt(noise[0].size)


def test_light_and_read_noise_are_independent_of_each_other():
    lit = np.full((1, 400, 400), 9.0, np.float32)
    seeds = frame_seeds(8, range(1), stream=1)
    sensor = {"offset_adu": 30_000.0, "gain_e_per_adu": 0.01, "top_adu": 65535, "seeds": seeds}
    raw = draw_raw(lit, pattern_e=np.zeros((400, 400), np.float32), read_noise_e=2.0, **sensor)
    variance = raw.var(dtype=np.float64) * 0.01**2
    # variance of the sample variance, with the fourth moment of Poisson + normal
    spread = np.sqrt((2 * 13.0**2 + 9.0) / raw.size)
    assert abs(variance - (9.0 + 4.0)) < 4 * spread


def test_a_frame_depends_on_its_seed_alone():
    all_seeds = frame_seeds(11, range(10), stream=2)
    np.testing.assert_array_equal(frame_seeds(11, range(4, 7), stream=2), all_seeds[4:7])
    others = [frame_seeds(12, range(10), stream=2), frame_seeds(11, range(10), stream=3)]
    assert np.unique(np.concatenate([all_seeds, *others])).size == 30
    np.testing.assert_array_equal(normals(seed=5), normals(seed=5))
    assert (normals(seed=5) != normals(seed=6)).mean() > 0.99
