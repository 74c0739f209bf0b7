"""Frames of an astigmatic microscope, drawn by a plain simulator of the tests' own."""

import numpy as np
from scipy.special import erf

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.z_calibration import DefocusCurve, ZCalibration

CAMERA = CameraCalibration(
    name="scientific",
    source="given",
    offset_adu=100.0,
    gain_e_per_adu=0.25,
    read_noise_e=1.5,
    bit_depth=16,
)
LENS = ZCalibration(
    name="lens",
    source="drawn",
    pixel_size_nm=100.0,
    along_x=DefocusCurve(width_px=1.3, centre_nm=-220.0, depth_nm=380.0, cubic=0.1, quartic=0.05),
    along_y=DefocusCurve(width_px=1.25, centre_nm=220.0, depth_nm=400.0, cubic=-0.1),
    z_from_nm=-450.0,
    z_to_nm=450.0,
)


def true_widths_px(curve, z_nm):
    """Return the widths at some heights, written out once more."""
    u = (np.asarray(z_nm, float) - curve.centre_nm) / curve.depth_nm
    terms = (curve.cubic, curve.quartic, curve.quintic, curve.sextic)
    further = sum(term * u**power for power, term in enumerate(terms, start=3))
    return curve.width_px * np.sqrt(1 + u**2 + further)


def pixel_shares(centre_px, count, sigma_px):
    """Return the share of unit Gaussians in each of `count` pixels, (N, count)."""
    edges = np.arange(count + 1) - np.asarray(centre_px, float)[:, None]
    scale = np.sqrt(2) * np.broadcast_to(sigma_px, np.shape(centre_px))[:, None]
    return np.diff(0.5 * erf(edges / scale), axis=1)


def exposed(expected, camera, rng):
    """Return grey values: shot noise, read noise, gain, offset, rounding, clipping."""
    electrons = rng.poisson(expected) + rng.normal(0, camera.read_noise_e, np.shape(expected))
    adu = np.rint(electrons / camera.gain_e_per_adu + camera.offset_adu)
    return np.clip(adu, 0, camera.saturation_adu).astype(np.uint16)


def boxes(rng, z_nm, *, box, lens=LENS, photons=1000.0, background=10.0, camera=CAMERA):
    """Return one spot at each height in a frame the size of a box, and its x and y."""
    z_nm = np.asarray(z_nm, float)
    x, y = box / 2 + rng.uniform(-0.5, 0.5, (2, len(z_nm)))
    across = pixel_shares(x, box, true_widths_px(lens.along_x, z_nm))
    down = pixel_shares(y, box, true_widths_px(lens.along_y, z_nm))
    photons = np.broadcast_to(photons, z_nm.shape)[:, None, None]
    expected = photons * down[:, :, None] * across[:, None, :] + background
    return exposed(expected, camera, rng), x, y


def scene(frame, x_px, y_px, z_nm, photons, *, shape, frames, lens=LENS, background=10.0):
    """Return the expected photoelectrons of spots, (frames, Y, X)."""
    expected = np.full((frames, *shape), float(background))
    across = pixel_shares(x_px, shape[1], true_widths_px(lens.along_x, z_nm))
    down = pixel_shares(y_px, shape[0], true_widths_px(lens.along_y, z_nm))
    for place, number in enumerate(frame):
        expected[number] += photons[place] * np.outer(down[place], across[place])
    return expected


def bead_stack(
    rng, *, lens=LENS, planes=61, step_nm=20.0, side=160, pitch=32, photons=20_000.0,
    background=20.0, spread_nm=60.0, camera=CAMERA,
):  # fmt: skip
    """Return a stack of beads at about the same height, and where they are.

    Beads lie on a jittered grid; the stage moves through the focus and each bead's z in the middle
    plane is spread around 0. Returns frames, and x, y (px), z (nm, middle plane) of each bead.
    """
    ticks = np.arange(pitch / 2, side - pitch / 2 + 1, pitch)
    x, y = (axis.ravel() + rng.uniform(-3, 3, axis.size) for axis in np.meshgrid(ticks, ticks))
    z = rng.normal(0, spread_nm, len(x))
    light = photons * rng.uniform(0.7, 1.3, len(x))
    stage = step_nm * (np.arange(planes) - (planes - 1) / 2)
    plane, bead = np.divmod(np.arange(planes * len(x)), len(x))
    expected = scene(
        plane, x[bead], y[bead], z[bead] + stage[plane], light[bead],
        shape=(side, side), frames=planes, lens=lens, background=background,
    )  # fmt: skip
    return exposed(expected, camera, rng), x, y, z
