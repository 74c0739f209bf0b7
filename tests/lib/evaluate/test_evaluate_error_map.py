"""A faithful image explains the widefield image; what is lost or made up shows, and where."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cellstorm_lib.evaluate.error_map import map_errors

SIDE_PX, FINER, PIXEL_NM = 96, 10, 100.0


def structure(seed=0):
    """Return an image of 12 bent lines and a patch, with pixels of 10 nm."""
    rng = np.random.default_rng(seed)
    side = SIDE_PX * FINER
    image = np.zeros((side, side))
    for _ in range(12):
        along = np.arange(side)
        path = rng.uniform(0, side) + rng.uniform(-80, 80) * np.sin(along / rng.uniform(60, 200))
        across = np.clip(path.astype(int), 0, side - 1)
        pair = (along, across) if rng.random() < 0.5 else (across, along)
        image[pair] += 1
    image[600:640, 200:240] += 0.3
    return image


def widefield(image, *, sigma_nm=130.0, scale=2.0, background=5.0, noise=0.0):
    blurred = gaussian_filter(image, sigma_nm / (PIXEL_NM / FINER), mode="nearest")
    seen = blurred.reshape(SIDE_PX, FINER, SIDE_PX, FINER).sum(axis=(1, 3))
    seen = scale * seen + background
    return seen + noise * np.random.default_rng(1).normal(size=seen.shape)


def compared(image, seen, pixel_nm=PIXEL_NM / FINER):
    return map_errors(image, pixel_nm=pixel_nm, widefield=seen, pixel_size_nm=PIXEL_NM)


def test_a_perfect_image_explains_everything():
    image = structure()
    report = compared(image, widefield(image))
    assert report.rsp > 0.9995
    assert report.blur_nm == pytest.approx(130.0, rel=0.03)
    assert report.scale == pytest.approx(2.0, rel=0.02)
    assert report.background == pytest.approx(5.0, abs=0.1)
    assert report.rse < 0.02 * widefield(image).std() * 2


def test_the_error_is_that_of_the_noise():
    image = structure()
    report = compared(image, widefield(image, noise=0.5))
    inner = (SIDE_PX - 8) ** 2
    assert report.rse == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * inner) + 0.05)


def test_pixels_of_any_size_are_binned_without_loss():
    image = structure()
    coarse = image.reshape(320, 3, 320, 3).sum(axis=(1, 3))
    report = compared(coarse, widefield(image), pixel_nm=30.0)
    assert report.rsp > 0.999
    odd = compared(np.pad(coarse, ((0, 7), (0, 4))), widefield(image), pixel_nm=30.0)
    assert odd.rsp == pytest.approx(report.rsp, abs=1e-6)


def test_haze_spoils_the_whole_and_not_the_detail():
    image, rng = structure(), np.random.default_rng(3)
    haze = gaussian_filter(rng.normal(size=(SIDE_PX, SIDE_PX)), 20.0)
    seen = widefield(image)
    report = compared(image, seen + 3 * seen.std() * haze / haze.std())
    assert report.rsp < 0.6
    assert report.rsp_detail > 0.9


def test_in_a_large_field_the_blur_is_found_where_most_is(monkeypatch):
    image = structure()
    whole = compared(image, widefield(image))
    monkeypatch.setattr("cellstorm_lib.evaluate.error_map.SEARCH_PX", 48)
    part = compared(image, widefield(image))
    assert part.blur_nm == pytest.approx(whole.blur_nm, rel=0.02)
    assert part.rsp == pytest.approx(whole.rsp, abs=1e-3)
    assert part.difference.shape == whole.difference.shape


def test_a_lost_structure_lowers_the_agreement_and_shows_where():
    image = structure()
    holed = image.copy()
    holed[300:600, 300:600] = 0
    whole, lost = compared(image, widefield(image)), compared(holed, widefield(image))
    assert lost.rsp < whole.rsp - 0.02
    assert lost.rse > 3 * whole.rse
    hole, elsewhere = lost.difference[30:60, 30:60], lost.difference[65:, 65:]
    assert hole.mean() > 3 * np.abs(elsewhere).mean()


def test_a_made_up_structure_shows_with_the_other_sign():
    image = structure()
    image[:, 700:780] = 0
    doubled = image.copy()
    doubled[:, 740:742] = 2.0
    report = compared(doubled, widefield(image))
    assert report.difference[10:-10, 74].mean() < -2 * report.difference[10:-10].std()


def test_another_image_does_not_agree():
    report = compared(structure(1), widefield(structure(2), noise=0.1))
    assert report.rsp is None or report.rsp < 0.5


@pytest.mark.parametrize(
    ("image", "seen", "reason"),
    [
        (np.zeros((960, 960)), widefield(structure()), "the super-resolution image is empty"),
        (structure(), np.ones((96, 96)), "the widefield image is the same everywhere"),
        (structure(), np.ones((10, 96)), "the widefield image is smaller than 16 pixels"),
        (structure(), -widefield(structure()), "the widefield image is dark where"),
    ],
    ids=["nothing drawn", "flat", "small", "negative"],
)
def test_what_cannot_be_compared_is_said(image, seen, reason):
    report = compared(image, seen)
    assert (report.rsp, report.rse) == (None, None)
    assert report.reason.startswith(reason)
    assert report.difference.shape == (0, 0)


def test_a_blur_at_its_limit_is_pointed_out():
    report = compared(structure(), widefield(structure(), sigma_nm=1500.0))
    assert "the limit of what is tried" in report.reason
