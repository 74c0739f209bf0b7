import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.pyramid import MAX_SIDE_PX, TILE_PX, pyramid_of

PLENTY = 1e8


def picture(values, *, is_sparse=True):
    return Picture(
        values=np.asarray(values, np.float32),
        pixel_nm=5.0,
        is_sparse=is_sparse,
        colours="inferno" if is_sparse else "grey",
    )


def noise(rows, columns):
    return np.random.default_rng(rows).random((rows, columns)).astype(np.float32)


def opened(address):
    head, _, text = address.partition(",")
    form = re.fullmatch(r"data:image/(png|webp);base64", head)[1]
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    assert image.format == form.upper()
    return image


def level_of(pyramid, number):
    """Return one level put together again, as RGB; black where there is no tile."""
    tiles = {
        tuple(map(int, name.split("/")[1].split("_"))): opened(address)
        for name, address in pyramid.tiles.items()
        if name.startswith(f"{number}/")
    }
    halvings = pyramid.level_count - 1 - number
    size = tuple(-(-side // 2**halvings) for side in (pyramid.width_px, pyramid.height_px))
    whole = Image.new("RGB", size)
    for (column, row), tile in tiles.items():
        at = (column * TILE_PX, row * TILE_PX)
        assert tile.size == tuple(min(TILE_PX, s - a) for s, a in zip(size, at, strict=True))
        whole.paste(tile.convert("RGB"), at)
    return np.asarray(whole)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (512, 512), (513, 1025), (700, 90)])
def test_finest_tiles_put_together_are_the_picture(rows, columns):
    whole = picture(noise(rows, columns))
    pyramid = pyramid_of(whole, byte_limit=PLENTY)
    assert (pyramid.width_px, pyramid.height_px) == (columns, rows)
    assert (pyramid.pixel_nm, pyramid.halvings) == (5.0, 0)
    assert pyramid.level_count == 1 + max(0, int(np.ceil(np.log2(max(rows, columns) / TILE_PX))))
    finest = level_of(pyramid, pyramid.level_count - 1)
    np.testing.assert_array_equal(finest, np.asarray(whole.coloured().convert("RGB")))
    assert max(level_of(pyramid, 0).shape[:2]) <= TILE_PX


def test_a_coarser_level_is_the_mean_of_four_pixels():
    ramp = np.linspace(0, 1, 1024)[None, :] * np.ones((1024, 1))
    coarse = level_of(pyramid_of(picture(ramp, is_sparse=False), byte_limit=PLENTY), 0)
    grey = coarse[100, :, 0].astype(float)
    low, high = np.percentile(ramp, (1, 99.8))
    expected = np.clip((ramp[0].reshape(-1, 2).mean(axis=1) - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(grey, expected, atol=1.5)


def test_a_molecule_is_seen_at_every_level():
    values = np.zeros((2048, 2048), np.float32)
    values[1500, 700] = 1
    pyramid = pyramid_of(picture(values), byte_limit=PLENTY)
    for number, side in enumerate((512, 1024, 2048)):
        bright = level_of(pyramid, number).sum(axis=2)
        row, column = np.unravel_index(bright.argmax(), bright.shape)
        assert (row, column) == (1500 * side // 2048, 700 * side // 2048)
        assert bright.max() > 255
    assert len(pyramid.tiles) == 3, "black tiles are left out"


def test_what_does_not_fit_without_loss_is_kept_with_one_or_left_out():
    whole = picture(noise(1024, 1024))
    lossless = sum(map(len, pyramid_of(whole, byte_limit=PLENTY).tiles.values()))
    lossy = pyramid_of(whole, byte_limit=0.9 * lossless)
    assert lossy.halvings == 0
    assert sum(map(len, lossy.tiles.values())) <= 0.9 * lossless
    assert all(address.startswith("data:image/webp") for address in lossy.tiles.values())
    coarse = pyramid_of(whole, byte_limit=0.15 * lossless)
    assert (coarse.halvings, coarse.width_px, coarse.pixel_nm) == (1, 512, 10.0)
    least = pyramid_of(whole, byte_limit=1)
    assert (least.level_count, least.width_px) == (1, 512)


def test_a_very_long_picture_is_halved_first():
    pyramid = pyramid_of(picture(np.ones((3, MAX_SIDE_PX + 1))), byte_limit=PLENTY)
    assert (pyramid.width_px, pyramid.height_px, pyramid.halvings) == (MAX_SIDE_PX // 2 + 1, 2, 1)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="byte_limit must be above 0, got 0"):
        pyramid_of(picture(np.ones((2, 2))), byte_limit=0)
