"""Frames of single spots, made by a plain simulator of the benchmarks' own."""

import numpy as np
from scipy.special import erf


def pixel_shares(centre_px, start, count, sigma_px):
    """Return the share of a unit 1-D Gaussian in each of `count` pixels from `start` on."""
    edges = np.arange(start, start + count + 1)[None, :] - np.asarray(centre_px)[:, None]
    return np.diff(0.5 * erf(edges / (np.sqrt(2) * sigma_px)), axis=1)


def expected_frames(frame, x_px, y_px, photons, *, shape, frames, sigma_px, background):
    """Return expected photoelectrons, (N, Y, X) float64."""
    expected = np.full((frames, *shape), float(background))
    gx = pixel_shares(x_px, 0, shape[1], sigma_px)
    gy = pixel_shares(y_px, 0, shape[0], sigma_px)
    for k, f in enumerate(frame):
        expected[f] += photons[k] * np.outer(gy[k], gx[k])
    return expected


def crlb_x_px(photons, background, sigma_px, read_noise_e, *, box_px=7):
    """Return the Cramer-Rao bound of x in px for a centred spot: x, y, photons, background, sigma
    free. By symmetry x decouples from the others."""
    half = box_px // 2
    g = pixel_shares(np.array([0.5]), -half, box_px, sigma_px)[0]
    step = 1e-5
    moved = pixel_shares(np.array([0.5 + step]), -half, box_px, sigma_px)[0]
    derivative = photons * np.outer(g, (moved - g) / step)
    mean = photons * np.outer(g, g) + background + read_noise_e**2
    return 1.0 / np.sqrt((derivative**2 / mean).sum())
