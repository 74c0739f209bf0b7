"""Pictures coloured by height."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellstorm_lib.errors import TableError
from cellstorm_lib.reconstruct.render import RenderSettings, render
from cellstorm_lib.report.depth_picture import (
    HIGHEST,
    LOWEST,
    depth_png,
    render_depth,
    write_depth_picture,
)
from cellstorm_lib.tables import FieldOfView, Localizations

SETTINGS = RenderSettings(pixel_nm=20.0)


def made(x_nm, y_nm, z_nm):
    data = pd.DataFrame({"frame": 0, "x_nm": x_nm, "y_nm": y_nm, "z_nm": z_nm})
    data["uncertainty_nm"] = 15.0
    field = FieldOfView(width_px=40, height_px=40, pixel_size_nm=100.0, frame_count=1)
    return Localizations(data=data, field=field)


@pytest.fixture
def two_heights():
    """Return 200 localizations at one place and height, and as many at another."""
    corner = np.repeat([0, 1], 200)
    return made(1000.0 + 1500.0 * corner, np.full(400, 1000.0), -300.0 + 600.0 * corner)


def test_a_pixel_holds_the_mean_height_of_what_lies_in_it():
    rng = np.random.default_rng(1)
    z_nm = rng.uniform(-400, 400, 3000)
    x_nm = 2000.0 + 4.0 * z_nm + rng.normal(0, 10, 3000)
    image = render_depth(made(x_nm, np.full(3000, 2000.0), z_nm), SETTINGS)
    np.testing.assert_allclose(image.density.image.sum(), 3000, rtol=1e-3)
    row = image.density.image.sum(axis=0) > 5
    columns = np.flatnonzero(row)
    expected = ((columns + 0.5) * 20.0 - 2000.0) / 4.0
    weight = image.density.image[:, columns]
    found = (image.height_nm[:, columns] * weight).sum(0) / weight.sum(0)
    # heights are drawn in 32 layers, 25 nm each here
    assert np.abs(found - expected).max() < 20
    assert (image.low_nm, image.high_nm) == tuple(np.percentile(z_nm, [2, 98]))


def test_the_image_is_the_one_without_colours(two_heights):
    image = render_depth(two_heights, SETTINGS)
    np.testing.assert_array_equal(image.density.image, render(two_heights, SETTINGS).image)


def test_low_and_high_have_the_colours_of_the_ends(two_heights):
    image = render_depth(two_heights, SETTINGS)
    shown = np.asarray(Image.open(io.BytesIO(depth_png(image))))
    assert shown.shape == (200, 200, 3)
    # one of the 32 layers holds both heights
    np.testing.assert_allclose(shown[50, 50], LOWEST, atol=8)
    np.testing.assert_allclose(shown[50, 125], HIGHEST, atol=8)
    np.testing.assert_array_equal(shown[10, 10], [0, 0, 0])
    # the key and the scale bar
    assert (shown[-30:, :100] == LOWEST).all(axis=2).sum() > 3
    assert (shown[-30:, 100:] == 255).all(axis=2).sum() > 20


def test_small_images_are_enlarged_and_one_height_is_fine(tmp_path):
    flat = made(np.full(20, 1000.0), np.full(20, 1000.0), np.full(20, 55.0))
    path = tmp_path / "z.png"
    write_depth_picture(render_depth(flat, RenderSettings(pixel_nm=100.0)), path)
    with Image.open(path) as picture:
        assert picture.size == (160, 160)


def test_tables_without_height_are_refused(two_heights):
    flat = two_heights.with_data(two_heights.data.drop(columns="z_nm"))
    with pytest.raises(TableError, match="the table has no column 'z_nm'"):
        render_depth(flat)
    with pytest.raises(TableError, match="the table is empty, so there is no height"):
        render_depth(two_heights.take(np.zeros(400, bool)))
