"""What is written over a picture: its scale bar and the regions shown larger elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cellstorm_lib.report.regions import Region
from cellstorm_lib.report.scale_bar import length_text, scale_bar_nm

FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def writing_over(
    shape: tuple[int, int], pixel_nm: float, *, with_scale: bool, regions: Sequence[Region]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return what to write over a picture: white with a thin black edge.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    pixel_nm : float
        Object-side size of its pixels.
    with_scale : bool
        Whether to draw the scale bar with its length, lower right.
    regions : sequence of Region
        Squares to outline and number from 1.

    Returns
    -------
    covered : (Y, X) bool
        Pixels that writing takes.
    white : (Y, X) float64
        Their brightness, 0 for the edge to 1.
    """
    height, width = shape
    font = ImageFont.truetype(str(FONT), max(11.0, 0.95 * float(np.sqrt(min(shape)))))
    layers = []
    for edge_level in (255, 0):
        layer = Image.new("L", (width, height), 0)
        pen = _Pen(draw=ImageDraw.Draw(layer), font=font, edge_level=edge_level, pixel_nm=pixel_nm)
        if with_scale:
            pen.draw_scale(width, height)
        for number, region in enumerate(regions, start=1):
            pen.draw_region(region, number)
        layers.append(np.asarray(layer))
    return layers[0] > 127, layers[1] / 255


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pen:
    """Draws the same shapes twice: with their edge (where) and without it (how bright)."""

    draw: ImageDraw.ImageDraw
    font: ImageFont.FreeTypeFont
    edge_level: int
    pixel_nm: float

    @property
    def line_px(self) -> int:
        """Width of a thin line."""
        return max(1, round(self.font.size / 12))

    def draw_scale(self, width: int, height: int) -> None:
        """Draw a bar and its length into the lower right corner."""
        length_nm = scale_bar_nm(width * self.pixel_nm)
        length_px = max(1, round(length_nm / self.pixel_nm))
        margin, thickness = round(self.font.size * 0.8), max(3, round(self.font.size / 4))
        left, top = width - margin - length_px, height - margin - thickness
        right, bottom = left + length_px - 1, top + thickness - 1
        self.draw.rectangle([left - 1, top - 1, right + 1, bottom + 1], fill=self.edge_level)
        self.draw.rectangle([left, top, right, bottom], fill=255)
        words = length_text(length_nm)
        rightmost = width - (margin + self.font.getlength(words)) / 2  # of a bar shorter than that
        middle = min(left + length_px / 2, rightmost)
        self._write(words, (middle, top - self.font.size * 0.4), "ms")

    def draw_region(self, region: Region, number: int) -> None:
        """Outline a region and write its number inside its upper left corner."""
        left, top = region.x_nm / self.pixel_nm, region.y_nm / self.pixel_nm
        side = region.side_nm / self.pixel_nm
        around = [left - 1, top - 1, left + side + 1, top + side + 1]
        self.draw.rectangle(around, outline=self.edge_level)
        self.draw.rectangle([left, top, left + side, top + side], outline=255, width=self.line_px)
        self._write(str(number), (left + 3 * self.line_px, top + 2 * self.line_px), "la")

    def _write(self, text: str, at: tuple[float, float], anchor: str) -> None:
        """Write white text with an edge."""
        self.draw.text(
            at,
            text,
            fill=255,
            font=self.font,
            anchor=anchor,
            stroke_width=self.line_px,
            stroke_fill=self.edge_level,
        )
