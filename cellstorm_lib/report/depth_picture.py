"""A super-resolution image coloured by height: cyan is low, magenta high, bright is dense."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cellstorm_lib.errors import TableError
from cellstorm_lib.files import written_whole
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.report.marks import FONT, writing_over
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.tables import Localizations

#: Colours of the lowest and the highest localizations: told apart by the colour-blind, too, and
#: about equally bright, so that brightness is left to tell density.
LOWEST, HIGHEST = (0, 255, 255), (255, 0, 255)
#: Heights beyond these percentiles take the colour of the end.
_PERCENTILES = (2.0, 98.0)
_LAYERS = 32
_SMALLEST_PX = 160


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthImage:
    """A super-resolution image with the mean height of what lies in each pixel.

    Attributes
    ----------
    density : RenderedImage
        Localizations per pixel.
    height_nm : (Y, X) float32
        Their mean z; 0 where there are none.
    low_nm, high_nm : float
        2nd and 98th percentile of all z.
    """

    density: RenderedImage
    height_nm: npt.NDArray[np.float32]
    low_nm: float
    high_nm: float


def render_depth(
    localizations: Localizations, settings: RenderSettings | None = None
) -> DepthImage:
    """Draw a table with z, and the mean height in every pixel.

    Raises
    ------
    TableError
        When the table has no z, or no rows.
    """
    settings = settings or RenderSettings()
    z_nm = localizations.column("z_nm").astype(np.float64)
    if not len(z_nm):
        raise TableError("the table is empty, so there is no height to colour it by")
    density = render(localizations, settings)
    fixed = replace(settings, pixel_nm=density.pixel_nm, method=density.method)
    low_nm, high_nm = (float(value) for value in np.percentile(z_nm, _PERCENTILES))
    order = np.argsort(z_nm, kind="stable")
    total, weighted = np.zeros_like(density.image), np.zeros_like(density.image)
    for layer in np.array_split(order, min(_LAYERS, len(order))):
        image = render(localizations.take(np.sort(layer)), fixed).image
        total += image
        weighted += image * np.float32(np.mean(z_nm[layer]))
    height_nm = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    return DepthImage(density=density, height_nm=height_nm, low_nm=low_nm, high_nm=high_nm)


def depth_png(image: DepthImage) -> bytes:
    """Return the image as PNG with a scale bar and the colours of z."""
    picture = Picture.of(image.density)
    _, white = picture.levels()
    brightness = np.clip(picture.values / white, 0, 1)
    span_nm = max(image.high_nm - image.low_nm, 1e-9)
    share = np.clip((image.height_nm - image.low_nm) / span_nm, 0, 1)
    factor = max(1, int(np.ceil(_SMALLEST_PX / min(share.shape))))
    coloured = _coloured(brightness, share)
    coloured = coloured.repeat(factor, axis=0).repeat(factor, axis=1)
    pixel_nm = image.density.pixel_nm / factor
    covered, level = writing_over(coloured.shape[:2], pixel_nm, with_scale=True, regions=())
    coloured[covered] = np.rint(255 * level[covered, None])
    drawn = Image.fromarray(coloured)
    _draw_key(drawn, image.low_nm, image.high_nm)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_depth_picture(image: DepthImage, path: Path) -> None:
    """Write the image as PNG (see `depth_png`).

    Raises
    ------
    ExportError
        When the file cannot be written there.
    """
    content = depth_png(image)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def _coloured(brightness: npt.NDArray[Any], share: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the colours of pixels, (Y, X, 3), by their brightness and place between the ends."""
    ends = zip(LOWEST, HIGHEST, strict=True)
    planes = [brightness * (low + (high - low) * share) for low, high in ends]
    return np.asarray(np.rint(np.stack(planes, axis=-1)), np.uint8)


def _draw_key(picture: Image.Image, low_nm: float, high_nm: float) -> None:
    """Draw a strip of the colours with the heights at its ends into the lower left corner."""
    size = max(11.0, 0.95 * float(np.sqrt(min(picture.size))))
    font = ImageFont.truetype(str(FONT), size)
    margin, thickness, length = round(0.8 * size), max(4, round(size / 3)), picture.width // 4
    strip = _coloured(np.ones((thickness, length)), np.linspace(0, 1, length)[None])
    top = picture.height - margin - thickness
    picture.paste(Image.fromarray(strip), (margin, top))
    ImageDraw.Draw(picture).text(
        (margin, top - 0.4 * size),
        f"z {low_nm:.0f} to {high_nm:.0f} nm",
        fill=(255, 255, 255),
        font=font,
        anchor="ls",
        stroke_width=1,
        stroke_fill=(0, 0, 0),
    )
