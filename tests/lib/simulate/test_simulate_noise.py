"""The compiled noise is Poisson, gamma and normal to the last count, and seeds are independent."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cellstorm_lib.simulate.noise import expose, frame_seeds, normal_per_frame, uniforms
from cellstorm_lib.simulate.sensor import SensorPattern, SensorSettings

LEAST_P = 1e-4
COUNTING = SensorSettings(
    offset_adu=0.0, gain_e_per_adu=1.0, read_noise_e=0.0, fixed_pattern_e=0.0, bit_depth=16
)


def raw_frames(sensor, mean_e, *, shape=(2, 100, 1000), seed=3, stream=1):
    return expose(
        np.full(shape, mean_e, np.float32),
        pattern=SensorPattern.even(shape[1:]),
        sensor=sensor,
        seeds=frame_seeds(seed, range(shape[0]), stream=stream),
    )


def normals(seed=3):
    """Return unit normals in steps of 0.001: a sensor without light."""
    sensor = replace(COUNTING, offset_adu=30_000.0, gain_e_per_adu=0.001, read_noise_e=1.0)
    raw = raw_frames(sensor, 0.0, shape=(2, 301, 401), seed=seed)
    return (raw.astype(np.float64) - 30_000.0) / 1000.0


@pytest.mark.parametrize("mean", [0.02, 0.25, 1.6, 7.6, 40.1, 63.99, 64.0, 130.3, 1000.5])
def test_photoelectrons_are_poisson(mean):
    found = raw_frames(COUNTING, mean).ravel()
    values = np.arange(found.max() + 1)
    seen = np.bincount(found)
    expected = stats.poisson.pmf(values, np.float32(mean)) * len(found)
    is_common = expected >= 10
    rest = len(found) - expected[is_common].sum()
    seen = np.append(seen[is_common], seen[~is_common].sum())
    expected = np.append(expected[is_common], rest)
    assert stats.chisquare(seen, expected).pvalue > LEAST_P


def test_no_light_gives_no_photoelectrons():
    assert raw_frames(COUNTING, 0.0).max() == 0


@pytest.mark.parametrize("electrons", [1, 2, 8, 9, 40])
def test_a_known_number_of_electrons_is_multiplied_to_a_gamma_number(electrons):
    """Full wells hold a known number: every pixel gives that many electrons to the register."""
    sensor = replace(COUNTING, full_well_e=float(electrons), em_gain=100.0, gain_e_per_adu=0.25)
    multiplied = raw_frames(sensor, 400.0, shape=(1, 200, 500)).ravel() * 0.25
    gamma = stats.gamma(electrons, scale=100.0)
    edges = gamma.ppf(np.linspace(0, 1, 51))[1:-1].round() + 0.125  # between two grey values
    seen = np.bincount(np.digitize(multiplied, edges), minlength=50)
    expected = np.diff(gamma.cdf(np.concatenate([[0.0], edges, [np.inf]])))
    assert stats.chisquare(seen, expected * multiplied.size).pvalue > LEAST_P


@pytest.mark.parametrize("mean_e", [0.3, 3.0, 30.0])
def test_electron_multiplication_doubles_the_shot_noise(mean_e):
    sensor = replace(COUNTING, em_gain=200.0, gain_e_per_adu=4.0, bit_depth=16, offset_adu=100.0)
    photoelectrons = (raw_frames(sensor, mean_e).astype(np.float64) - 100.0) * 4.0 / 200.0
    count = photoelectrons.size
    variance = 2.0 * mean_e + (4.0 / 200.0) ** 2 / 12
    assert abs(photoelectrons.mean() - mean_e) < 4 * np.sqrt(variance / count)
    # fourth central moment of a Poisson sum of exponentials of mean 1: 24 m + 3 (2 m)^2
    spread = np.sqrt((24 * mean_e + 2 * variance**2) / count)
    assert abs(photoelectrons.var() - variance) < 4 * spread


def test_dark_and_spurious_electrons_are_multiplied_like_light():
    sensor = replace(COUNTING, em_gain=100.0, gain_e_per_adu=1.0)
    dark = replace(SensorPattern.even((100, 1000)), dark_e=np.full((100, 1000), 0.2, np.float32))
    raw = expose(
        np.zeros((2, 100, 1000), np.float32),
        pattern=dark,
        sensor=sensor,
        seeds=frame_seeds(1, range(2), stream=1),
    )
    assert (raw > 0).mean() == pytest.approx(1 - np.exp(-0.2), abs=4 * np.sqrt(0.15 / raw.size))
    assert abs(raw.mean() - 20.0) < 4 * np.sqrt(2 * 0.2 * 100**2 / raw.size)


def test_read_noise_is_normal_and_white():
    noise = normals()
    assert stats.kstest(noise.ravel()[::2], "norm").pvalue > LEAST_P
    assert stats.kstest(noise.ravel()[1::2], "norm").pvalue > LEAST_P
    assert stats.kurtosis(noise.ravel()) == pytest.approx(0, abs=4 * np.sqrt(24 / noise.size))
    for neighbour in (noise[:, 1:] * noise[:, :-1], noise[..., 1:] * noise[..., :-1]):
        assert abs(neighbour.mean()) < 4 / np.sqrt(neighbour.size)
    assert abs((noise[0] * noise[1]).mean()) < 4 / np.sqrt(noise[0].size)


def test_light_and_read_noise_are_independent_of_each_other():
    sensor = replace(COUNTING, offset_adu=30_000.0, gain_e_per_adu=0.01, read_noise_e=2.0)
    raw = raw_frames(sensor, 9.0, shape=(1, 400, 400), seed=8)
    variance = raw.var(dtype=np.float64) * 0.01**2
    # variance of the sample variance, with the fourth moment of Poisson + normal
    spread = np.sqrt((2 * 13.0**2 + 9.0) / raw.size)
    assert abs(variance - (9.0 + 4.0)) < 4 * spread


def test_a_full_well_holds_no_more():
    raw = raw_frames(replace(COUNTING, full_well_e=120.0), 400.0)
    assert (raw == 120).all()


def test_a_frame_depends_on_its_seed_alone():
    all_seeds = frame_seeds(11, range(10), stream=2)
    np.testing.assert_array_equal(frame_seeds(11, range(4, 7), stream=2), all_seeds[4:7])
    others = [frame_seeds(12, range(10), stream=2), frame_seeds(11, range(10), stream=3)]
    assert np.unique(np.concatenate([all_seeds, *others])).size == 30
    np.testing.assert_array_equal(normals(seed=5), normals(seed=5))
    assert (normals(seed=5) != normals(seed=6)).mean() > 0.99


def test_numbers_per_frame_and_per_pixel_follow_the_seeds():
    seeds = frame_seeds(4, range(20_000), stream=9)
    assert stats.kstest(normal_per_frame(seeds), "norm").pvalue > LEAST_P
    np.testing.assert_array_equal(normal_per_frame(seeds[7:9]), normal_per_frame(seeds)[7:9])
    parts = uniforms(seeds[:3], (200, 300))
    assert parts.dtype == np.float32
    assert (parts >= 0).all()
    assert (parts < 1).all()
    assert stats.kstest(parts.ravel(), "uniform").pvalue > LEAST_P
    np.testing.assert_array_equal(uniforms(seeds[2:3], (200, 300)), parts[2:])
