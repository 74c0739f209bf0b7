"""A point spread function of one's own is drawn as it is, centred on the molecule."""

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.spot import add_spots, prepared_spot
from cellstorm_lib.simulate.spot_table import TableSpotSettings


def gaussian_table(shape, sigma, x, y):
    rows, columns = np.indices(shape) + 0.5
    return np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / sigma**2)


def drawn(settings, x_px, y_px):
    frames = np.zeros((len(x_px), 32, 32), np.float32)
    add_spots(
        frames,
        frame=np.arange(len(x_px)),
        x_px=x_px,
        y_px=y_px,
        photons=np.full(len(x_px), 1000.0),
        spot=prepared_spot(settings, pixel_size_nm=100.0),
    )
    return frames.astype(np.float64)


@pytest.mark.parametrize(
    ("ending", "image_pixel_nm", "shape", "middle"),
    [("npy", 10.0, (160, 150), (70.3, 81.9)), ("tif", 25.0, (61, 61), (30.5, 30.5))],
)
def test_a_table_of_a_gaussian_is_that_gaussian(tmp_path, ending, image_pixel_nm, shape, middle):
    table = 17.0 * gaussian_table(shape, 130.0 / image_pixel_nm, *middle)
    path = tmp_path / f"psf.{ending}"
    if ending == "npy":
        np.save(path, table)
    else:
        Image.fromarray(table.astype(np.float32)).save(path)
    x_px, y_px = np.random.default_rng(1).uniform(15, 17, (2, 20))
    settings = TableSpotSettings(image=str(path), image_pixel_nm=image_pixel_nm)
    found = drawn(settings, x_px, y_px)
    expected = drawn(GaussianSpotSettings(sigma_px=1.3), x_px, y_px)
    np.testing.assert_allclose(found, expected, atol=0.003 * expected.max())
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1000.0, rtol=1e-4)


def test_a_lopsided_table_has_its_centre_of_light_at_the_molecule(tmp_path):
    table = gaussian_table((120, 120), 9.0, 60, 60) + 0.4 * gaussian_table((120, 120), 12.0, 80, 50)
    np.save(tmp_path / "psf.npy", table)
    x_px, y_px = np.random.default_rng(2).uniform(15, 17, (2, 10))
    found = drawn(TableSpotSettings(image=str(tmp_path / "psf.npy")), x_px, y_px)
    rows, columns = np.indices((32, 32)) + 0.5
    np.testing.assert_allclose((found * columns).sum(axis=(1, 2)) / 1000, x_px, atol=0.01)
    np.testing.assert_allclose((found * rows).sum(axis=(1, 2)) / 1000, y_px, atol=0.01)
    # it is not mirrored or turned: the tail points right and up
    third = (found * (columns - x_px[:, None, None]) ** 3).sum(axis=(1, 2))
    assert (third > 0).all()
    assert ((found * (rows - y_px[:, None, None]) ** 3).sum(axis=(1, 2)) < 0).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npy", None, r"the image .*none\.npy does not exist"),
        ("a.npy", b"no array", r"a\.npy is not an image that can be read"),
        ("a.tif", b"no image", r"a\.tif is not an image that can be read"),
        ("a.npy", np.zeros((9, 9)), r"a\.npy is black"),
        ("a.npy", np.ones((9, 9)), r"a\.npy has 100% of its peak at its edge, at most 10%"),
        ("a.npy", np.full((9, 9), np.nan), r"a\.npy holds values that are not finite"),
        ("a.npy", np.ones((3, 9, 9)), r"must be one grey image .* got shape \(3, 9, 9\)"),
        ("a.npy", np.array([["x"] * 4] * 4), r"must be one grey image"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(SettingsError, match=message):
        prepared_spot(TableSpotSettings(image=str(path)), pixel_size_nm=100.0)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(SettingsError, match=r"a\.npy is not an image that can be read"):
        prepared_spot(TableSpotSettings(image=str(tmp_path / "a.npy")), pixel_size_nm=100.0)


def test_a_table_must_be_finer_than_the_pixels():
    with pytest.raises(SettingsError, match="at most half the camera pixel of 100 nm, got 60"):
        prepared_spot(TableSpotSettings(image_pixel_nm=60.0), pixel_size_nm=100.0)
