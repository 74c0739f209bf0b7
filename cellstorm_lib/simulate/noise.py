"""Light becomes raw frames: fast exact noise, reproducible per frame.

The compiled loops draw from SplitMix64, one stream per frame seeded by numpy's SeedSequence, so
a frame's noise depends on nothing but the seed and its number.

References
----------
Steele, Lea, Flood, OOPSLA 2014. doi:10.1145/2660193.2660195
Marsaglia, Tsang, ACM Trans. Math. Softw. 26, 363 (2000). doi:10.1145/358407.358414
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import special

from cellstorm_lib.simulate.sensor import SensorPattern, SensorSettings

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_MIX = np.uint64(0x94D049BB133111EB)
_TOP_MEAN = 64
_ROWS_PER_UNIT = 4
_COUNTS = 192
_GUIDES = 64
_FEW = 8
_TO_UNIT = 2.0**-53


def frame_seeds(seed: int, frames: range, *, stream: int) -> NDArray[np.uint64]:
    """Return the seed of each frame's noise, (N,) uint64.

    Parameters
    ----------
    seed : int
        Seed of the whole recording.
    frames : range
        Frame numbers.
    stream : int
        Keeps the frames' seeds apart from other uses of `seed`.
    """
    sequences = (np.random.SeedSequence(seed, spawn_key=(stream, frame)) for frame in frames)
    states = [sequence.generate_state(1, np.uint64)[0] for sequence in sequences]
    return np.array(states, np.uint64)


def expose(
    expected_e: NDArray[np.float32],
    *,
    pattern: SensorPattern,
    sensor: SensorSettings,
    seeds: NDArray[np.uint64],
) -> NDArray[np.uint16]:
    """Return the sensor's raw frames.

    Parameters
    ----------
    expected_e : (N, Y, X) float32
        Expected photoelectrons in a pixel of full response, 0 or more: photons already
        multiplied by the quantum efficiency.
    pattern : SensorPattern
        From `draw_pattern`, of the frames' shape (Y, X).
    sensor : SensorSettings
    seeds : (N,) uint64
        One seed per frame, from `frame_seeds`.

    Returns
    -------
    (N, Y, X) uint16
        Raw grey values, clipped at 0 and at the sensor's top.
    """
    raw = np.empty(expected_e.shape, np.uint16)
    full_well_e = math.inf if sensor.full_well_e is None else sensor.full_well_e
    numbers = (sensor.offset_adu, sensor.gain_e_per_adu, sensor.read_noise_e, sensor.top_adu)
    _expose(
        expected_e,
        (pattern.response, pattern.dark_e, pattern.read_noise_ratio, pattern.offset_e),
        np.array([*numbers, full_well_e, sensor.em_gain or 0.0], np.float64),
        seeds,
        _CUMULATIVE,
        _GUIDE,
        raw,
    )
    return raw


def normal_per_frame(seeds: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return one standard normal per seed, (N,)."""
    normals = np.empty(len(seeds))
    _fill_normals(seeds, normals)
    return normals


def uniforms(seeds: NDArray[np.uint64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return numbers in [0, 1), (N, Y, X) float32, from one seed per frame."""
    values = np.empty((len(seeds), *shape), np.float32)
    _fill_uniforms(seeds, values)
    return values


def _poisson_tables() -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return cumulative Poisson probabilities of means 0, 1/4 .. 64, and where to start in them.

    ``guide[row, g]`` is the first count whose cumulative probability exceeds g / 64.
    """
    means = np.arange(_TOP_MEAN * _ROWS_PER_UNIT + 1) / _ROWS_PER_UNIT
    cumulative = np.asarray(special.pdtr(np.arange(_COUNTS), means[:, None]), np.float64)
    cumulative[:, -1] = 1.0
    guide = np.array(
        [np.searchsorted(row, np.arange(_GUIDES) / _GUIDES, side="right") for row in cumulative]
    )
    return cumulative, guide.astype(np.uint8)


_CUMULATIVE, _GUIDE = _poisson_tables()


@numba.njit(inline="always")
def _uniform(state):  # type: ignore[no-untyped-def]
    """Return the next number of a SplitMix64 stream, in [0, 1) with 53 bits."""
    state[0] += _GOLDEN
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST_MIX
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND_MIX
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.int64(mixed >> np.uint64(11)) * _TO_UNIT


@numba.njit(inline="always")
def _tabulated_poisson(table_row, state, cumulative, guide):  # type: ignore[no-untyped-def]
    """Return a Poisson number of a tabulated mean, by inversion."""
    chance = _uniform(state)
    count = np.int64(guide[np.uint64(table_row), np.uint64(chance * _GUIDES)])
    while chance >= cumulative[np.uint64(table_row), np.uint64(count)]:
        count += 1
    return count


@numba.njit(inline="always")
def _poisson(mean, state, cumulative, guide):  # type: ignore[no-untyped-def]
    """Return a Poisson number, exact for every mean because Poisson numbers add.

    The mean is split into steps of 64, one tabulated mean, and a rest below 1/4.
    """
    count = 0
    rest = np.float64(mean)
    while rest >= _TOP_MEAN:
        count += _tabulated_poisson(_TOP_MEAN * _ROWS_PER_UNIT, state, cumulative, guide)
        rest -= _TOP_MEAN
    table_row = np.int64(rest * _ROWS_PER_UNIT)
    count += _tabulated_poisson(table_row, state, cumulative, guide)
    rest -= table_row / _ROWS_PER_UNIT
    chance = _uniform(state)
    if chance >= 1.0 - rest:  # below it the rest gives 0, for exp(-rest) >= 1 - rest
        term = math.exp(-rest)
        extra = 0
        while chance >= term and extra < _COUNTS:
            chance -= term
            extra += 1
            term *= rest / extra
        count += extra
    return count


@numba.njit(inline="always")
def _normal_pair(state):  # type: ignore[no-untyped-def]
    """Return two independent standard normals, by Marsaglia's polar method."""
    square = 2.0
    while square >= 1.0 or square == 0.0:
        first = 2.0 * _uniform(state) - 1.0
        second = 2.0 * _uniform(state) - 1.0
        square = first * first + second * second
    factor = math.sqrt(-2.0 * math.log(square) / square)
    return first * factor, second * factor


@numba.njit(inline="always")
def _multiplied(count, state):  # type: ignore[no-untyped-def]
    """Return a gamma number of shape `count` and scale 1: what multiplication makes of electrons.

    The sum of few exponentials for few electrons, Marsaglia and Tsang's rejection for more.
    """
    total = 0.0
    if count <= _FEW:
        product = 1.0
        for _ in range(count):
            product *= 1.0 - _uniform(state)
        total = -math.log(product)
    else:
        shift = count - 1.0 / 3.0
        scale = 1.0 / math.sqrt(9.0 * shift)
        while total == 0.0:
            normal, _ = _normal_pair(state)
            cube = (1.0 + scale * normal) ** 3
            chance = 1.0 - _uniform(state)
            if cube > 0.0 and math.log(chance) < (
                0.5 * normal * normal + shift * (1.0 - cube + math.log(cube))
            ):
                total = shift * cube
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _expose(expected_e, pattern, numbers, seeds, cumulative, guide, raw):  # type: ignore[no-untyped-def]
    """Fill in the raw frames; a pair of normals serves two neighbouring pixels."""
    response, dark_e, read_noise_ratio, offset_e = pattern
    offset_adu, gain_e_per_adu, read_noise_e, top_adu, full_well_e, em_gain = numbers
    state = np.empty(1, np.uint64)
    for frame in range(raw.shape[0]):
        state[0] = seeds[frame]
        for row in range(raw.shape[1]):
            normal, spare = 0.0, 0.0
            for column in range(raw.shape[2]):
                if column % 2 == 0:
                    normal, spare = _normal_pair(state)
                else:
                    normal = spare
                mean = expected_e[frame, row, column] * response[row, column] + dark_e[row, column]
                count = _poisson(mean, state, cumulative, guide)
                electrons = min(np.float64(count), full_well_e)
                if em_gain > 0.0:
                    electrons = em_gain * _multiplied(np.int64(electrons), state)
                electrons += read_noise_e * read_noise_ratio[row, column] * normal
                electrons += offset_e[row, column]
                reading = math.floor(offset_adu + electrons / gain_e_per_adu + 0.5)
                raw[frame, row, column] = np.uint16(min(max(reading, 0.0), top_adu))


@numba.njit(cache=True, nogil=True)
def _fill_normals(seeds, normals):  # type: ignore[no-untyped-def]
    """Fill in one normal per seed."""
    state = np.empty(1, np.uint64)
    for frame in range(len(seeds)):
        state[0] = seeds[frame]
        normals[frame], _ = _normal_pair(state)


@numba.njit(cache=True, nogil=True)
def _fill_uniforms(seeds, values):  # type: ignore[no-untyped-def]
    """Fill in a frame of numbers in [0, 1) per seed, of 24 bits, which float32 holds exactly."""
    state = np.empty(1, np.uint64)
    for frame in range(values.shape[0]):
        state[0] = seeds[frame]
        for row in range(values.shape[1]):
            for column in range(values.shape[2]):
                number = math.floor(_uniform(state) * 16777216.0)
                values[frame, row, column] = np.float32(number) / np.float32(16777216.0)
