"""A large picture cut into tiles at every zoom, to be looked at piece by piece in a page."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.report.picture import Picture, webp_bytes

TILE_PX = 512
#: A longer picture is halved first, to bound the memory.
MAX_SIDE_PX = 8192
#: Ways to keep a tile, tried in turn: without loss (None), or with WebP's.
_QUALITIES = (None, 80, 60)
_BLUR_PX = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """One picture at full size, at half, at a quarter and so on, each cut into tiles.

    Attributes
    ----------
    width_px, height_px : int
        Size of the finest level.
    pixel_nm : float
        Pixel of the finest level.
    halvings : int
        How often the picture had to be halved to fit; 0 when every pixel is there.
    level_count : int
        Levels, each half as wide as the next finer one.
    tiles : mapping of str to str
        Addresses by ``level/column_row``, the coarsest level being 0. Black tiles are left out.
    """

    width_px: int
    height_px: int
    pixel_nm: float
    halvings: int
    level_count: int
    tiles: dict[str, str]


def pyramid_of(picture: Picture, *, byte_limit: float) -> Pyramid:
    """Return a picture as tiles whose addresses take at most `byte_limit` characters.

    PNG where all of it fits, else WebP; where that does not fit either, the finest levels are
    left out. The coarsest level, one tile, is always kept. Each level has its own black and
    white, and those of a sparse picture are blurred by about a pixel, so that a molecule much
    smaller than a pixel is seen.

    Raises
    ------
    SettingsError
        When the limit is not above 0.
    """
    if not byte_limit > 0:
        raise SettingsError(f"byte_limit must be above 0, got {byte_limit}")
    levels = _levels(picture)
    tiled: list[dict[str, str]] = []
    for quality in _QUALITIES:
        if len(tiled) < len(levels):
            tiled = _tiled(levels, quality, byte_limit)
    finest = levels[len(tiled) - 1]
    height, width = finest.values.shape
    return Pyramid(
        width_px=width,
        height_px=height,
        pixel_nm=finest.pixel_nm,
        halvings=round(np.log2(finest.pixel_nm / picture.pixel_nm)),
        level_count=len(tiled),
        tiles={
            f"{number}/{where}": address
            for number, tiles in enumerate(tiled)
            for where, address in tiles.items()
        },
    )


def _levels(picture: Picture) -> list[Picture]:
    """Return the picture at every size, the smallest first."""
    level = picture
    while max(level.values.shape) > MAX_SIDE_PX:
        level = _halved(level)
    levels = [level]
    while max(levels[-1].values.shape) > TILE_PX:
        levels.append(_halved(levels[-1]))
    return levels[::-1]


def _halved(picture: Picture) -> Picture:
    """Return the mean of blocks of 2 x 2 pixels; an odd last row or column counts twice."""
    rows, columns = picture.values.shape
    values = np.pad(picture.values, ((0, rows % 2), (0, columns % 2)), mode="edge")
    values = values.astype(np.float32)
    mean = (values[::2, ::2] + values[::2, 1::2] + values[1::2, ::2] + values[1::2, 1::2]) / 4
    return replace(picture, values=mean, pixel_nm=picture.pixel_nm * 2)


def _tiled(levels: list[Picture], quality: int | None, byte_limit: float) -> list[dict[str, str]]:
    """Return the tiles of as many levels as fit, the coarsest first and in any case."""
    tiled: list[dict[str, str]] = []
    spent = 0.0
    for picture in levels:
        is_finest = picture is levels[-1]
        tiles: dict[str, str] = {}
        for where, tile in _cut(picture, is_blurred=picture.is_sparse and not is_finest):
            tiles[where] = _address(tile, quality)
            spent += len(tiles[where])
            if tiled and spent > byte_limit:
                return tiled
        tiled.append(tiles)
    return tiled


def _cut(picture: Picture, *, is_blurred: bool) -> Iterator[tuple[str, Image.Image]]:
    """Yield the tiles of one level that are not all black, with their column and row."""
    if is_blurred:
        picture = replace(picture, values=gaussian_filter(picture.values, _BLUR_PX))
    image = picture.coloured()
    for top in range(0, image.height, TILE_PX):
        for left in range(0, image.width, TILE_PX):
            right, bottom = min(left + TILE_PX, image.width), min(top + TILE_PX, image.height)
            tile = image.crop((left, top, right, bottom))
            if tile.getextrema() != (0, 0):
                yield f"{left // TILE_PX}_{top // TILE_PX}", tile


def _address(tile: Image.Image, quality: int | None) -> str:
    """Return a tile as an address that holds its bytes."""
    form, content = "png", b""
    if quality is None:
        content = _png_bytes(tile)
    else:
        form, content = "webp", webp_bytes(tile, quality=quality)
    return f"data:image/{form};base64,{base64.b64encode(content).decode('ascii')}"


def _png_bytes(tile: Image.Image) -> bytes:
    """Return a tile as PNG."""
    buffer = io.BytesIO()
    tile.save(buffer, "PNG")
    return buffer.getvalue()
