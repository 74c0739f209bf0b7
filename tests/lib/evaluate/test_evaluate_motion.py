"""A scene that moves is told from one that is only noisy."""

import numpy as np
import pytest
from scipy.ndimage import fourier_shift, gaussian_filter

from cellstorm_lib.evaluate.motion import moving_share

SIDE_PX, FRAMES = 192, 12


def structure(rng, depth=30.0):
    """Return a picture of spots a few pixels wide, with a standard deviation of `depth`."""
    smooth = gaussian_filter(rng.normal(size=(SIDE_PX, SIDE_PX)), 3.0, mode="wrap")
    return 120.0 + depth * smooth / smooth.std()


def shifted(picture, shifts):
    """Return the picture moved by each (y, x), exactly: it is periodic."""
    spectrum = np.fft.fftn(picture)
    return np.array([np.fft.ifftn(fourier_shift(spectrum, shift)).real for shift in shifts])


def share(frames):
    levels = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return moving_share(levels, levels.mean(axis=0).astype(np.float32))


def test_noise_in_a_still_scene_is_no_motion():
    rng = np.random.default_rng(1)
    frames = structure(rng) + rng.normal(0, 3.0, (FRAMES, SIDE_PX, SIDE_PX))
    # Two slopes are fitted to the 4,096 pixels of a tile: 1/2048 is explained by chance.
    assert share(frames) < 3 / 2048


@pytest.mark.parametrize("shift_px", [0.1, 0.2, 0.4])
def test_the_share_is_that_of_shifts_in_shifts_and_noise(shift_px):
    rng = np.random.default_rng(2)
    picture = structure(rng)
    angles = rng.uniform(0, 2 * np.pi, FRAMES)
    shifts = shift_px * np.column_stack([np.sin(angles), np.cos(angles)])
    shifts -= shifts.mean(axis=0)
    noise = 3.0
    frames = shifted(picture, shifts) + rng.normal(0, noise, (FRAMES, SIDE_PX, SIDE_PX))
    slope_y, slope_x = np.gradient(picture)
    moved = np.mean([np.mean((y * slope_y + x * slope_x) ** 2) for y, x in shifts])
    unmoved = (noise**2 + 1 / 12) * (1 - 1 / FRAMES)
    # The slopes are those of the smoothed picture, which explain a little less.
    assert share(frames) == pytest.approx(moved / (moved + unmoved), rel=0.15)


def test_shifts_without_noise_explain_everything_but_rounding():
    rng = np.random.default_rng(3)
    shifts = rng.uniform(-0.5, 0.5, (FRAMES, 2))
    assert share(shifted(structure(rng), shifts)) > 0.9


def test_frames_that_never_change_do_not_move():
    assert share(np.tile(structure(np.random.default_rng(4)), (3, 1, 1))) == 0.0


def test_a_lamp_that_flickers_is_no_motion():
    rng = np.random.default_rng(5)
    lamp = rng.normal(0, 5.0, (FRAMES, 1, 1))
    frames = structure(rng) + lamp + rng.normal(0, 3.0, (FRAMES, SIDE_PX, SIDE_PX))
    assert share(frames) < 3 / 2048
