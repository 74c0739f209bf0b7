import platform
import re

import numpy as np
import pytest
from localize_scenes import assert_honest, shares
from scipy.optimize import minimize
from scipy.stats import norm

from cellstorm_lib.localize import kernels, kernels_by_pixel
from cellstorm_lib.localize.kernels import CLIPPED, LANES, STATE, UNUSED
from cellstorm_lib.localize.kernels_by_pixel import PLANES

NOISE = 2.25
NEVER = np.float32(1e30)


def blocks_of(pixels, noise=NOISE):
    """Return (M, side, side) photoelectrons as blocks; M is a multiple of 16."""
    side = pixels.shape[1]
    columns = kernels.columns_of((0,) * side)
    data = np.full((len(pixels) // LANES, side, columns, LANES), UNUSED, np.float32)
    values = np.where(pixels < CLIPPED / 2, pixels + noise, CLIPPED)
    data[:, :, :side] = values.reshape(-1, LANES, side, side).transpose(0, 2, 3, 1)
    return data.ravel()


def fitted(pixels, *, sigma=1.3, clip=NEVER, steps=60, free=True, rest=0.001, noise=NOISE):
    """Fit boxes from their middle; return each quantity of STATE, (M,)."""
    side = pixels.shape[1]
    box, camera = (0,) * side, (np.float32(noise), np.float32(clip))
    limits = tuple(np.float32(value) for value in (0.3, 6.0, rest, free))
    state = np.zeros((len(pixels) // LANES, len(STATE), LANES), np.float32)
    state[:, :2] = side / 2
    state[:, STATE.index("is_active")] = 1
    data, flat = blocks_of(pixels, noise), state.ravel()
    kernels.start_blocks(data, flat, box, camera, np.float32(sigma))
    kernels.fit_blocks(data, flat, box, camera, limits, steps, clip < NEVER)
    kernels.rate_blocks(data, flat, box, camera)
    values = flat.reshape(state.shape).transpose(1, 0, 2).reshape(len(STATE), -1)
    return dict(zip(STATE, values, strict=True))


def model(parameters, side):
    x, y, photons, background, sigma = parameters
    return background + photons * np.outer(shares(y, side, sigma), shares(x, side, sigma))


def simulated(rng, count, *, side=7, photons=1000.0, background=10.0, sigma=1.3, spread=0.5):
    x, y = side / 2 + rng.uniform(-spread, spread, (2, count))
    mean = shares(y, side, sigma)[:, :, None] * shares(x, side, sigma)[:, None, :]
    light = rng.poisson(photons * mean + background)
    return light + rng.normal(0, np.sqrt(NOISE), light.shape), x, y


def information_by_differences(parameters, side, noise=NOISE):
    """Return the Fisher information from numerical derivatives of the expected box."""
    parameters = np.asarray(parameters, float)
    steps = 1e-4 * np.maximum(np.abs(parameters), 1e-2)
    slopes = [
        (model(parameters + step, side) - model(parameters - step, side)).ravel() / (2 * step.sum())
        for step in np.diag(steps)
    ]
    weights = 1 / (model(parameters, side).ravel() + noise)
    return np.einsum("ip,jp,p->ij", slopes, slopes, weights)


SIDES = [7, 11, *(pytest.param(side, marks=pytest.mark.slow) for side in (5, 9, 13, 15))]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("truth", [(0.2, -0.3, 800.0, 9.0, 1.2), (-0.45, 0.1, 5000.0, 2.0, 0.9)])
def test_a_box_without_noise_gives_the_truth_and_its_bound(side, truth):
    truth = np.array(truth) + np.array([side / 2, side / 2, 0, 0, 0])
    pixels = np.repeat(model(truth, side)[None], LANES, 0)
    found = fitted(pixels)
    for name, value in zip(STATE, truth, strict=False):
        np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=2e-4)
    covariance = np.linalg.inv(information_by_differences(truth, side))
    np.testing.assert_allclose(found["variance_x"], covariance[0, 0], rtol=2e-3)
    np.testing.assert_allclose(found["variance_y"], covariance[1, 1], rtol=2e-3)
    assert np.abs(found["log_likelihood_ratio"]).max() < 0.01


def test_a_kept_width_has_the_bound_of_four_parameters():
    truth = np.array([3.7, 3.2, 600.0, 5.0, 1.3])
    found = fitted(np.repeat(model(truth, 7)[None], LANES, 0), free=False)
    covariance = np.linalg.inv(information_by_differences(truth, 7)[:4, :4])
    np.testing.assert_allclose(found["variance_x"], covariance[0, 0], rtol=2e-3)
    np.testing.assert_array_equal(found["sigma_px"], np.float32(1.3))


def test_an_isotropic_spot_in_the_middle_has_the_bound_in_closed_form():
    # in the middle x decouples from all other parameters: 1 / sum((dmu/dx)^2 / (mu + noise))
    truth = (3.5, 3.5, 1000.0, 10.0, 1.3)
    edges = np.arange(8) - 3.5
    slope = -np.diff(norm.pdf(edges, scale=1.3))
    mean = model(truth, 7)
    bound = 1 / np.sum((1000 * np.outer(shares(3.5, 7, 1.3), slope)) ** 2 / (mean + NOISE))
    found = fitted(np.repeat(mean[None], LANES, 0))
    np.testing.assert_allclose(found["variance_x"], bound, rtol=1e-3)
    # the SMLM reference states 5.87 nm for 100 nm pixels
    np.testing.assert_allclose(100 * np.sqrt(bound), 5.87, rtol=0.01)


def test_a_slow_reference_fit_agrees():
    pixels, _, _ = simulated(np.random.default_rng(1), 16, photons=500)
    found = fitted(pixels)
    scales = np.array([0.1, 0.1, 50, 1, 0.1])
    for spot, box in enumerate(pixels):
        ours = np.array([found[name][spot] for name in STATE[:5]], float)

        def cost(shift, box=box, ours=ours):
            mean = model(ours + scales * shift, 7) + NOISE
            return np.sum(mean - (box + NOISE) * np.log(mean))

        best = minimize(cost, np.full(5, 0.3), method="BFGS", options={"gtol": 1e-5})
        away = best.x * scales
        assert np.abs(away[:2]).max() < 0.01 * np.sqrt(found["variance_x"][spot])
        np.testing.assert_allclose(away[2:] / ours[2:], 0, atol=5e-3)
        data = np.maximum(box + NOISE, 1e-12)
        saturated = np.sum(data - data * np.log(data))
        np.testing.assert_allclose(
            found["log_likelihood_ratio"][spot], 2 * (best.fun - saturated), rtol=2e-3
        )


@pytest.mark.parametrize(("photons", "background"), [(1000, 10), (3000, 2), (500, 5)])
def test_positions_scatter_as_they_claim(photons, background):
    pixels, x, y = simulated(
        np.random.default_rng(photons), 4096, photons=photons, background=background
    )
    found = fitted(pixels, rest=0.03)
    assert not found["is_active"].any()
    assert_honest(found["x_px"] - x, np.sqrt(found["variance_x"]))
    assert_honest(found["y_px"] - y, np.sqrt(found["variance_y"]))


def test_the_likelihood_ratio_is_a_chi_square():
    pixels, _, _ = simulated(np.random.default_rng(3), 4096, background=100)
    ratio = fitted(pixels)["log_likelihood_ratio"]
    freedom = 49 - 5  # less what is fitted; of Poisson data the mean is about 1/(6 mean) larger
    assert abs(ratio.mean() / freedom - 1) < 0.01 + 4 * np.sqrt(2 / freedom / len(ratio))


@pytest.mark.parametrize("clip", [50.0, 80.0])
def test_clipped_pixels_bias_nothing(clip):
    pixels, x, _ = simulated(np.random.default_rng(11), 4096)
    found = fitted(np.where(pixels >= clip, 1e38, pixels), clip=clip + NOISE, rest=0.03)
    rested = found["is_active"] == 0
    assert rested.mean() > 0.99
    pulls_x = ((found["x_px"] - x) / np.sqrt(found["variance_x"]))[rested]
    assert abs(pulls_x.mean()) < 4 / np.sqrt(len(pulls_x))
    assert 0.95 < pulls_x.std() < 1.05
    assert abs(np.median(found["photons"][rested]) / 1000 - 1) < 0.03
    assert abs(np.median(found["sigma_px"][rested]) / 1.3 - 1) < 0.02
    whole = fitted(pixels)
    assert np.median(found["variance_x"]) > np.median(whole["variance_x"])


def test_the_neighbours_in_a_block_have_no_influence():
    rng = np.random.default_rng(8)
    pixels, _, _ = simulated(rng, 64, photons=200)
    order = rng.permutation(64)
    straight, mixed = fitted(pixels), fitted(pixels[order])
    for name in STATE:
        np.testing.assert_array_equal(straight[name][order], mixed[name])


def test_hopeless_boxes_end_without_an_error():
    rng = np.random.default_rng(9)
    boxes = rng.normal(0, 5, (32, 7, 7))
    boxes[0], boxes[1], boxes[2] = 0.0, 1e6, -3.0
    boxes[3, 3, 3] = 1e6
    boxes[4], boxes[5] = np.arange(7) * 100.0, 1e38
    found = fitted(boxes, clip=90.0)
    assert np.isfinite(found["x_px"]).all()
    assert ((found["x_px"] >= -1) & (found["x_px"] <= 7)).all()
    assert ((found["sigma_px"] >= 0.3) & (found["sigma_px"] <= 6.0)).all()


def test_the_short_cuts_to_special_functions_are_right():
    z = np.linspace(-69, 69, 4001).astype(np.float32)
    exps = np.array([kernels._exp_minus(value) for value in z])
    np.testing.assert_allclose(exps, np.exp(-z.astype(float)), rtol=1e-5)
    q = np.exp(np.linspace(-25, 25, 2001)).astype(np.float32)
    logs = np.array([kernels._ln(value) for value in q])
    np.testing.assert_allclose(logs, np.log(q.astype(float)), atol=3e-6)
    tail = np.linspace(-6, 4, 501).astype(np.float32)
    hazards = np.array([kernels._hazard(value) for value in tail])
    np.testing.assert_allclose(hazards, norm.pdf(tail) / norm.sf(tail), rtol=0.01, atol=1e-6)


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads x86 assembly")
@pytest.mark.parametrize("side", SIDES)
def test_the_loops_over_lanes_are_vector_instructions(side):
    # a change that makes LLVM give up costs a factor of ten and changes no result
    box, limits = (0,) * side, tuple(map(np.float32, (0.3, 5, 0.03, 1)))
    camera = (np.float32(1), np.float32(50))
    fresh = {
        name: kernels.njit(nogil=True, fastmath=True, error_model="numpy")(function.py_func)
        for name, function in vars(kernels).items()
        if name in {"_profiles", "_weigh", "_weigh_clipped", "_add_up", "_solve", "_move"}
    }
    pixels = side * kernels.columns_of(box) * LANES
    w, data = np.ones(10**5, np.float32), np.ones(pixels, np.float32)
    known, sums = np.ones(2 * pixels, np.float32), np.ones(20 * LANES, np.float32)
    fresh["_profiles"](w, box)
    fresh["_weigh"](known, w, data, box, camera[0])
    fresh["_weigh_clipped"](known, w, data, box, camera)
    fresh["_add_up"](sums, w, known, box)
    fresh["_solve"](sums, limits[3])
    fresh["_move"](w, sums, box, camera[0], limits)
    planes = np.ones(PLANES * pixels, np.float32)
    by_pixel = {
        name: kernels.njit(nogil=True, fastmath=True, error_model="numpy")(function.py_func)
        for name, function in vars(kernels_by_pixel).items()
        if name in {"_weigh_by_pixel", "_weigh_out_of_range"}
    }
    for function in by_pixel.values():
        function(known, w, planes, box)
    fresh |= by_pixel
    assert len(fresh) == 8
    for name, function in fresh.items():
        assembly = function.inspect_asm(function.signatures[0])
        packed = len(re.findall(r"\bv?(?:mul|add|sub|fn?madd\d+|fmsub\d+|max|min)ps\b", assembly))
        single = len(re.findall(r"\bv?(?:mul|add|sub|fn?madd\d+|fmsub\d+|max|min)ss\b", assembly))
        # where arrays might overlap there is a scalar copy of the loop beside the vector one
        assert packed > 10, name
        assert single <= 1.1 * packed, name
