import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.picture import Picture, picture_png, preview_png, write_picture
from cellstorm_lib.report.regions import Region
from cellstorm_lib.report.scale_bar import scale_bar_nm

WHITE = 255  # the last colour of the writing


def rendered(values, pixel_nm=10.0):
    return RenderedImage(
        image=np.asarray(values, np.float32),
        pixel_nm=pixel_nm,
        method="histogram",
        localizations=1,
        outside=0,
    )


def filaments(side_px=600):
    values = np.zeros((side_px, side_px), np.float32)
    rows = np.arange(side_px)
    values[rows, (rows * 7 // 5) % side_px] = 1 + rows % 5
    return values


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def longest_run(row):
    padded = np.r_[False, row, False].astype(int)
    starts, stops = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    return int((stops - starts).max(initial=0))


@pytest.mark.parametrize(
    ("shape", "pixel_nm"), [((400, 600), 10.0), ((900, 250), 4.0), ((512, 512), 33.3)]
)
def test_scale_bar_is_as_long_as_it_says(shape, pixel_nm):
    index = np.asarray(opened(picture_png(rendered(np.zeros(shape), pixel_nm))))
    bar_px = max(longest_run(row == WHITE) for row in index)
    assert bar_px == round(scale_bar_nm(shape[1] * pixel_nm) / pixel_nm)


def test_picture_keeps_every_rendered_pixel_and_states_its_size():
    image = opened(picture_png(rendered(filaments(), pixel_nm=10.0)))
    assert image.size == (600, 600)
    assert image.info["pixel_nm"] == "10"
    assert image.info["dpi"][0] * 10e-9 / 0.0254 == pytest.approx(1, rel=1e-6)


def test_small_images_are_enlarged_by_a_whole_factor():
    values = np.zeros((20, 30), np.float32)
    values[3, 4] = 1
    image = opened(picture_png(rendered(values)))
    assert image.size == (240, 160)
    assert image.info["pixel_nm"] == "1.25"
    lit = np.asarray(image)[:100] > 0
    np.testing.assert_array_equal(np.argwhere(lit).min(axis=0), [24, 32])
    np.testing.assert_array_equal(np.argwhere(lit).max(axis=0), [31, 39])


@pytest.mark.parametrize("colours", ["inferno", "grey"])
def test_brighter_pixels_look_brighter_also_to_the_colour_blind(colours):
    values = np.tile(np.linspace(0, 1, 240, dtype=np.float32), (8, 1))
    image = opened(Picture(values=values, pixel_nm=1.0, colours=colours).png(with_scale=False))
    rgb = np.asarray(image.convert("RGB"), np.float64)[0]
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= -1.0).all()
    assert luminance[0] < 3
    assert luminance[-1] > 200


def test_writing_is_white_with_a_black_edge_on_any_ground():
    for ground in (0.0, 1.0):
        values = np.full((300, 300), ground, np.float32)
        values[0, 0] = 1 - ground
        image = opened(Picture(values=values, pixel_nm=10.0, is_sparse=False).png())
        index = np.asarray(image)
        assert (index == WHITE).any()
        assert (index == 240).any()


def test_marks_outline_their_regions():
    values = np.zeros((300, 300), np.float32)
    region = Region(x_nm=500.0, y_nm=1000.0, side_nm=800.0)
    picture = Picture(values=values, pixel_nm=10.0)
    index = np.asarray(opened(picture.png(with_scale=False, marks=(region,))))
    rows, columns = np.nonzero(index == WHITE)
    assert (rows.min(), columns.min()) == (100, 50)
    assert (rows.max(), columns.max()) == (180, 130)


def test_not_finite_pixels_and_empty_images_are_drawn_black():
    values = np.full((200, 200), np.nan, np.float32)
    values[5, 5] = np.inf
    index = np.asarray(opened(Picture(values=values, pixel_nm=10.0).png(with_scale=False)))
    assert (index == 0).all()


@given(factor=st.integers(2, 5), seed=st.integers(0, 100))
def test_shrinking_keeps_the_mean_and_the_width(factor, seed):
    values = np.random.default_rng(seed).random((factor * 6, factor * 8)).astype(np.float32)
    picture = Picture(values=values, pixel_nm=10.0)
    small = picture.resized(8)
    assert small.values.shape == (6, 8)
    assert small.width_nm == pytest.approx(picture.width_nm)
    blocks = values.reshape(6, factor, 8, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(small.values, blocks, rtol=1e-5)


@given(x_nm=st.floats(-500, 3_000), y_nm=st.floats(-500, 3_000), side_nm=st.floats(1, 2_500))
def test_a_crop_has_its_size_or_what_the_image_has(x_nm, y_nm, side_nm):
    picture = Picture(values=np.zeros((200, 240), np.float32), pixel_nm=10.0)
    cropped = picture.cropped(Region(x_nm=x_nm, y_nm=y_nm, side_nm=side_nm))
    side = max(1, round(side_nm / 10))
    assert cropped.values.shape == (min(side, 200), min(side, 240))


def test_a_crop_shows_what_lies_there():
    values = np.zeros((100, 100), np.float32)
    values[40:60, 70:90] = 1
    cropped = Picture(values=values, pixel_nm=10.0).cropped(
        Region(x_nm=700.0, y_nm=400.0, side_nm=200.0)
    )
    assert cropped.values.shape == (20, 20)
    assert cropped.values.all()


def test_an_overview_spreads_molecules_but_keeps_their_light_and_place():
    values = np.zeros((41, 61), np.float32)
    values[20, 30] = 7
    seen = Picture(values=values, pixel_nm=10.0).overview(61).values
    assert seen.sum() == pytest.approx(7, rel=1e-4)
    assert np.unravel_index(seen.argmax(), seen.shape) == (20, 30)
    assert seen[20, 31] / seen[20, 30] == pytest.approx(np.exp(-1 / (2 * 0.8**2)), rel=1e-3)


def test_an_overview_of_a_camera_image_is_not_blurred():
    values = np.random.default_rng(0).random((41, 61)).astype(np.float32)
    picture = Picture(values=values, pixel_nm=10.0, is_sparse=False)
    np.testing.assert_array_equal(picture.overview(61).values, values)


@pytest.mark.parametrize("max_px", [120, 400])
def test_previews_are_small_whatever_the_image(max_px):
    noise = np.random.default_rng(0).normal(size=(700, 500))
    for image in (rendered(filaments()), Picture(values=noise, pixel_nm=9.0, is_sparse=False)):
        content = preview_png(image, max_px=max_px)
        assert len(content) < 60_000
        assert max(opened(content).size) <= max_px


def test_the_same_image_gives_the_same_bytes():
    assert picture_png(rendered(filaments())) == picture_png(rendered(filaments()))


def test_a_picture_is_written_whole(tmp_path):
    write_picture(rendered(filaments()), tmp_path / "image.png")
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]
    assert (tmp_path / "image.png").read_bytes() == picture_png(rendered(filaments()))


def test_a_picture_cannot_replace_a_folder(tmp_path):
    with pytest.raises(ExportError, match="is a folder"):
        write_picture(rendered(filaments()), tmp_path)


def test_a_picture_needs_pixels_with_a_size():
    with pytest.raises(SettingsError, match="a picture needs rows and columns"):
        Picture(values=np.zeros((0, 5)), pixel_nm=10.0)
    with pytest.raises(SettingsError, match="pixel_nm must be above 0"):
        Picture(values=np.zeros((5, 5)), pixel_nm=0.0)
