"""Shown frames on the camera's pixels: right places, right light, nothing but data."""

import numpy as np
import pytest
from scipy.special import erf

from cellstorm_lib.pairs.layout import lay_out
from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.pairs.resample import Resampler, seen_region
from cellstorm_lib.recording import Roi

TRUTH_PX = (96, 80)


def a_layout(magnification=2):
    return lay_out((700, 400), TRUTH_PX, magnification=magnification, cell_px=14, bead_pitch_px=24)


def a_lens(scale=1.03, k1=-0.04):
    turn = scale * np.array([[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = (5.3, -6.1)
    return LensMap(matrix=matrix, centre_px=np.array([356.0, 203.0]), radius_px=403.0, k1=k1)


def spots(xy_px, sigma_px, shape):
    """Return Gaussian spots of light 1 integrated over pixels."""
    image = np.zeros(shape)
    for x, y in xy_px:
        rows, columns = (
            np.diff(0.5 * erf((np.arange(size + 1) - centre) / (np.sqrt(2) * sigma_px)))
            for size, centre in zip(shape, (y, x), strict=True)
        )
        image += np.outer(rows, columns)
    return image


@pytest.mark.parametrize("scale", [1.03, 0.52])
def test_spots_come_out_where_the_lens_puts_them_as_wide_as_it_blurs(scale):
    layout, lens = a_layout(), a_lens(scale)
    roi = seen_region(lens, layout, Roi(width_px=720, height_px=410))
    resampler = Resampler(lens, layout, TRUTH_PX, roi, blur_px=0.9)
    corner = np.array([layout.data.x_px, layout.data.y_px])
    for xy_px in np.random.default_rng(1).uniform(27, 55, (6, 2)):
        seen = resampler.frame(spots([xy_px], 2.0, TRUTH_PX[::-1])).astype(np.float64)
        expected = lens.to_camera(corner + 2 * xy_px) - (roi.x_px, roi.y_px)
        rows, columns = np.indices(seen.shape)
        centre = np.array([(part * seen).sum() / seen.sum() + 0.5 for part in (columns, rows)])
        np.testing.assert_allclose(centre, expected, atol=0.01)
        # The light per camera pixel is that of a pixel of the frames: it adds up to the area.
        area = np.prod(lens.scale_at(corner + 2 * xy_px)) * 2**2
        assert seen.sum() == pytest.approx(area, rel=0.01)
        # Variances add up: the spot and its pixels, the squares it is shown in, and the camera.
        local = np.sqrt(area) / 2
        variance = (2.0**2 + 1 / 12) * (2 * local) ** 2 + (2**2 - 1) / 12 * local**2 + 0.9**2
        away2 = (columns + 0.5 - centre[0]) ** 2 + (rows + 0.5 - centre[1]) ** 2
        assert (away2 * seen).sum() / seen.sum() / 2 == pytest.approx(variance, rel=0.03)


def test_uniform_frames_stay_uniform_away_from_their_edge():
    layout, lens = a_layout(), a_lens()
    roi = seen_region(lens, layout, Roi(width_px=720, height_px=410))
    resampler = Resampler(lens, layout, TRUTH_PX, roi, blur_px=0.9)
    frame = resampler.frame(np.full(TRUTH_PX[::-1], 0.37))
    np.testing.assert_allclose(frame, 0.37, rtol=1e-3)


@pytest.mark.parametrize("origin", [(0, 0), (5, 9)])
def test_region_shows_only_data_and_lies_on_the_codecs_grid(origin):
    layout, lens = a_layout(), a_lens()
    field = Roi(width_px=720, height_px=410, x_px=origin[0], y_px=origin[1])
    roi = seen_region(lens, layout, field)
    assert (roi.x_px + origin[0]) % 16 == (roi.y_px + origin[1]) % 16 == 0
    assert roi.width_px % 16 == roi.height_px % 16 == 0
    rows, columns = np.indices((roi.height_px + 1, roi.width_px + 1))
    screen = lens.to_screen(np.stack([columns + roi.x_px, rows + roi.y_px], -1).astype(float))
    data = layout.data.corners
    assert (screen >= data[0]).all()
    assert (screen <= data[2]).all()
    assert roi.width_px * roi.height_px > 0.6 * (2 * 96 * 2 * 80)


def test_no_region_where_the_data_are_smaller_than_a_block():
    assert seen_region(a_lens(0.05), a_layout(), Roi(width_px=720, height_px=410)) is None
    assert seen_region(a_lens(), a_layout(), Roi(width_px=10, height_px=10)) is None
