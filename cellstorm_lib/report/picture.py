"""How an image of numbers becomes a PNG that people can read: colours, brightness, scale bar.

A picture has 256 colours: the first 240 are its colour map, the last 16 run from black to
white and draw the scale bar, so the colours of the data and of the writing never mix.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import gaussian_filter

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import written_whole
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.marks import writing_over
from cellstorm_lib.report.regions import Region

Colours = Literal["inferno", "grey"]
Pixels = npt.NDArray[np.float32]

_MAP_COUNT = 240
_WRITING_COUNT = 16
#: Pictures narrower or lower than this are enlarged by a whole factor, to hold the writing.
_SMALLEST_PX = 160
_PREVIEW_BYTES = 60_000
_WEBP_QUALITY = 85
_OVERVIEW_SIGMA_PX = 0.8
#: Rows coloured at a time, to bound the memory for large images.
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image of numbers with its scale, and how it is to be coloured.

    Attributes
    ----------
    values : (Y, X) float32
        What to show; not finite counts as 0.
    pixel_nm : float
        Object-side size of one pixel.
    colours : str
        ``inferno`` (black over red to yellow, the same order for the colour-blind) or ``grey``.
    is_sparse : bool
        True for super-resolution images: black is 0 and white the 99.5th percentile of the lit
        pixels. False for camera images: black is the 1st, white the 99.8th percentile of all.
    """

    values: npt.NDArray[Any]
    pixel_nm: float
    colours: Colours = "inferno"
    is_sparse: bool = True

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or 0 in self.values.shape:
            raise SettingsError(
                f"a picture needs rows and columns, got an image of shape {self.values.shape}"
            )
        if not (np.isfinite(self.pixel_nm) and self.pixel_nm > 0):
            raise SettingsError(f"pixel_nm must be above 0, got {self.pixel_nm}")

    @classmethod
    def of(cls, image: RenderedImage) -> "Picture":
        """Return the picture of a super-resolution image."""
        return cls(values=image.image, pixel_nm=image.pixel_nm)

    @property
    def width_nm(self) -> float:
        """Width of what is shown."""
        return float(self.values.shape[1] * self.pixel_nm)

    def resized(self, width_px: int) -> "Picture":
        """Return the picture at another width: means of pixels down, cubic interpolation up."""
        height, width = self.values.shape
        factor = width_px / width
        size = (width_px, max(1, round(height * factor)))
        how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
        source = Image.fromarray(_finite(self.values))
        return replace(
            self, values=np.asarray(source.resize(size, how)), pixel_nm=self.pixel_nm / factor
        )

    def fitted(self, max_px: int) -> "Picture":
        """Return the picture with its longer side `max_px` long."""
        height, width = self.values.shape
        return self.resized(max(1, round(width * max_px / max(height, width))))

    def overview(self, max_px: int) -> "Picture":
        """Return the picture to be seen as a whole, its longer side `max_px` long.

        A super-resolution image is blurred by about one of the new pixels, or else a molecule
        smaller than a pixel would not be seen.
        """
        whole = self.fitted(max_px)
        if not self.is_sparse:
            return whole
        return replace(whole, values=gaussian_filter(whole.values, _OVERVIEW_SIGMA_PX))

    def cropped(self, region: Region) -> "Picture":
        """Return the part of the picture that shows a region, at least one pixel of it."""
        height, width = self.values.shape
        side = max(1, round(region.side_nm / self.pixel_nm))
        top = int(np.clip(round(region.y_nm / self.pixel_nm), 0, max(height - side, 0)))
        left = int(np.clip(round(region.x_nm / self.pixel_nm), 0, max(width - side, 0)))
        return replace(self, values=self.values[top : top + side, left : left + side])

    def levels(self) -> tuple[float, float]:
        """Return the values shown as black and as white."""
        values = _finite(self.values)
        if self.is_sparse:
            lit = values[values > 1e-3 * values.max()]
            low, high = 0.0, float(np.percentile(lit, 99.5)) if lit.size else 1.0
        else:
            low, high = (float(level) for level in np.percentile(values, (1, 99.8)))
        return (low, high) if high > low else (low, low + 1.0)

    def png(
        self, *, with_scale: bool = True, marks: Sequence[Region] = (), color_count: int = 240
    ) -> bytes:
        """Return the picture as PNG, pixel for pixel.

        Parameters
        ----------
        with_scale : bool
            Whether to draw a scale bar with its length into the lower right corner.
        marks : sequence of Region
            Squares to outline and number from 1.
        color_count : int
            Steps of the colour map, up to 240; fewer make a smaller file.
        """
        image = self.coloured(with_scale=with_scale, marks=marks, color_count=color_count)
        facts = PngInfo()
        facts.add_text("pixel_nm", f"{self.pixel_nm:.6g}")
        buffer = io.BytesIO()
        dots_per_inch = 0.0254e9 / max(self.pixel_nm, 0.25)  # what the format can hold
        image.save(buffer, "PNG", optimize=True, pnginfo=facts, dpi=(dots_per_inch, dots_per_inch))
        return buffer.getvalue()

    def webp(self, *, marks: Sequence[Region] = ()) -> bytes:
        """Return the picture as WebP with its scale bar; smaller than PNG where it is full."""
        return webp_bytes(self.coloured(with_scale=True, marks=marks), quality=_WEBP_QUALITY)

    def coloured(
        self, *, with_scale: bool = False, marks: Sequence[Region] = (), color_count: int = 240
    ) -> Image.Image:
        """Return the picture in its colours, with a palette; parameters as in `png`."""
        index = self._colour_index(color_count)
        if with_scale or marks:
            covered, white = writing_over(
                index.shape, self.pixel_nm, with_scale=with_scale, regions=marks
            )
            index[covered] = _MAP_COUNT + np.rint(white[covered] * (_WRITING_COUNT - 1))
        image = Image.fromarray(index)
        image.putpalette(_palette(self.colours))
        return image

    def _colour_index(self, color_count: int) -> npt.NDArray[np.uint8]:
        """Return the colour number of every pixel, (Y, X), below `_MAP_COUNT`."""
        low, high = self.levels()
        index = np.empty(self.values.shape, np.uint8)
        for top in range(0, len(index), _BLOCK_ROWS):
            rows = slice(top, top + _BLOCK_ROWS)
            share = np.clip((_finite(self.values[rows]) - low) / (high - low), 0, 1)
            step = np.rint(share * (color_count - 1)) / (color_count - 1)
            index[rows] = np.rint(step * (_MAP_COUNT - 1))
        return index


def picture_png(image: RenderedImage | Picture) -> bytes:
    """Return an image as PNG with scale bar, one pixel per rendered pixel.

    Images below 160 px are enlarged by a whole factor, so that the scale bar can be read.
    """
    return _large_enough(_as_picture(image)).png()


def write_picture(image: RenderedImage | Picture, path: Path) -> None:
    """Write an image as PNG with scale bar (see `picture_png`).

    Raises
    ------
    ExportError
        When the file cannot be written there.
    """
    content = picture_png(image)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def preview_png(image: RenderedImage | Picture, *, max_px: int = 400) -> bytes:
    """Return a small PNG with scale bar, at most `max_px` wide and high and below 60 kB.

    Meant for pictures inside a table or a log, such as the metadata of an asset.
    """
    picture = _as_picture(image)
    content = b""
    for color_count, share in ((240, 1.0), (64, 1.0), (24, 1.0), (24, 0.7), (24, 0.5), (12, 0.35)):
        fitted = picture.overview(round(max_px * share))
        content = fitted.png(color_count=color_count)
        if len(content) < _PREVIEW_BYTES:
            break
    return content


def webp_bytes(image: Image.Image, *, quality: int) -> bytes:
    """Return an image as WebP, with a loss; `quality` up to 100."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def _as_picture(image: RenderedImage | Picture) -> Picture:
    """Return what is to be shown of an image."""
    return image if isinstance(image, Picture) else Picture.of(image)


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the values as float32, 0 where they are not finite."""
    return np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)


def _large_enough(picture: Picture) -> Picture:
    """Return the picture, enlarged by a whole factor when too small for its scale bar."""
    factor = int(np.ceil(_SMALLEST_PX / min(picture.values.shape)))
    if factor <= 1:
        return picture
    block = np.ones((factor, factor), np.float32)
    values = np.kron(picture.values.astype(np.float32), block)
    return replace(picture, values=values, pixel_nm=picture.pixel_nm / factor)


def _palette(colours: Colours) -> bytes:
    """Return the 256 colours of a picture, three bytes each."""
    if colours == "grey":
        ramp = np.linspace(0, 255, _MAP_COUNT)
        mapped = np.stack([ramp] * 3, axis=1)
    else:
        mapped = mpl.colormaps[colours](np.linspace(0, 1, _MAP_COUNT))[:, :3] * 255
    writing = np.stack([np.linspace(0, 255, _WRITING_COUNT)] * 3, axis=1)
    colour_rows: npt.NDArray[np.uint8] = np.rint(np.concatenate([mapped, writing])).astype(np.uint8)
    return colour_rows.tobytes()
