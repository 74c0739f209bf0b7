"""Published equations evaluated independently: slow, with scipy, pixel by pixel."""

import numpy as np
from scipy.ndimage import convolve1d
from scipy.optimize import least_squares, minimize
from scipy.special import erf

from cellstorm_lib.camera import CameraCalibration

UNIT_CAMERA = CameraCalibration(
    name="unit",
    source="given",
    offset_adu=100.0,
    gain_e_per_adu=1.0,
    read_noise_e=0.0,
    bit_depth=16,
)


def spot(theta, side, *, is_integrated=True):
    """Return a spot; theta is x, y (of the corner), photons, background, sigma x and y."""
    x, y, photons, background, sigma_x, sigma_y = theta
    edges = np.arange(side + 1)
    centres = edges[:-1] + 0.5

    def share(centre, sigma):
        if is_integrated:
            return np.diff(0.5 * erf((edges - centre) / (np.sqrt(2) * sigma)))
        return np.exp(-0.5 * ((centres - centre) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)

    return photons * np.outer(share(y, sigma_y), share(x, sigma_x)) + background


def wavelet_planes(frame):
    """Return I - V1 and V1 - V2 of the B-spline wavelet of order 3 and scale 2."""
    fine = np.array([1, 4, 6, 4, 1]) / 16
    coarse = np.zeros(9)
    coarse[::2] = fine
    v1 = v2 = frame.astype(float)
    for axis in (0, 1):
        v1 = convolve1d(v1, fine, axis=axis, mode="nearest")
    v2 = v1
    for axis in (0, 1):
        v2 = convolve1d(v2, coarse, axis=axis, mode="nearest")
    return frame - v1, v1 - v2


def strict_maxima(image, threshold, border):
    """Return row and column of pixels no neighbour exceeds, at least `border` from the edge."""
    found = []
    for row in range(border, image.shape[0] - border):
        for column in range(border, image.shape[1] - border):
            value = image[row, column]
            around = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if value >= threshold and value >= around.max():
                found.append((row, column))
    return found


def fitted_round(box, weights, start_sigma, *, is_likelihood=False):
    """Return x, y, photons, background and width in a box, photons and the like as squares."""
    side = len(box)
    start = [
        side / 2,
        side / 2,
        np.sqrt((box.max() - box.min()) * 2 * np.pi * start_sigma**2),
        np.sqrt(max(box.min(), 0.0)),
        np.sqrt(start_sigma),
    ]

    def model(t):
        return spot((t[0], t[1], t[2] ** 2, t[3] ** 2, t[4] ** 2, t[4] ** 2), side)

    if is_likelihood:

        def negative(t):
            mean = np.maximum(model(t), 1e-9)
            return np.sum(mean - box * np.log(mean))

        start = minimize(negative, start, method="Nelder-Mead", options={"maxiter": 4000}).x
        options = {"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-9}
        found = minimize(negative, start, method="Nelder-Mead", options=options).x
    else:
        root = np.sqrt(weights)
        found = least_squares(
            lambda t: (root * (box - model(t))).ravel(), start, xtol=1e-12, ftol=1e-12
        ).x
    return np.array([found[0], found[1], *(found[2:] ** 2)])


def thunderstorm_fits(frame, camera, *, estimator, factor, radius=3, start_sigma=1.6):
    """Return rows x, y, photons, background, sigma, left over of a frame, px.

    Wavelet, ``factor * std(Wave.F1)``, local maxima of 8 neighbours, integrated Gaussian.
    """
    image = frame - camera.offset_adu
    image = image - min(image.min(), 0)
    fine, band = wavelet_planes(image)
    fits = []
    for row, column in strict_maxima(band, factor * fine.std(), radius):
        box = image[row - radius : row + radius + 1, column - radius : column + radius + 1]
        box = box * camera.gain_e_per_adu
        most = 1000 / box.max()
        weights = np.where(box > 0, np.minimum(1 / np.maximum(box, 1e-9), most), most)
        if estimator == "least-squares":
            weights = np.ones_like(box)
        is_likelihood = estimator == "maximum-likelihood"
        fit = fitted_round(box, weights, start_sigma, is_likelihood=is_likelihood)
        if np.abs(fit[:2] - radius - 0.5).max() <= radius:
            left = box - spot((*fit, fit[4]), 2 * radius + 1)
            corner = (fit[0] + column - radius, fit[1] + row - radius)
            fits.append((*corner, *fit[2:], left.std()))
    return fits


def fisher_bound_px(theta, side, *, is_integrated):
    """Return the Cramer-Rao bound of x and y of Poisson data, by finite differences."""
    mean = spot(theta, side, is_integrated=is_integrated)
    slopes = []
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-4 * max(abs(theta[k]), 1.0)
        high = spot(theta + step, side, is_integrated=is_integrated)
        low = spot(theta - step, side, is_integrated=is_integrated)
        slopes.append((high - low) / (2 * step[k]))
    information = np.einsum("iyx,jyx,yx->ij", slopes, slopes, 1 / mean)
    return np.sqrt(np.diag(np.linalg.inv(information))[:2])
