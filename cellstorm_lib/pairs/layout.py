"""Where everything is on the second screen: data, beads, barcodes and corner marks.

Positions are pixels of the screen; pixel ``[0, 0]`` spans 0 to 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.barcode import WORD_BITS

_FEWEST_BEAD_ROWS = 8
#: Share of a cell, around its middle, in which its brightness is taken.
_READ_SHARE = 0.5
_READ_POINTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of whole screen pixels."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.y_px, self.y_px + self.height_px),
            slice(self.x_px, self.x_px + self.width_px),
        )

    @property
    def corners(self) -> npt.NDArray[np.float64]:
        """Corners as (4, 2) x, y: clockwise from the top left."""
        left, top = self.x_px, self.y_px
        right, bottom = left + self.width_px, top + self.height_px
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayLayout:
    """The places of one display movie.

    Attributes
    ----------
    screen_width_px, screen_height_px : int
        Size of the screen.
    data : Box
        Where the frames to be filmed are shown.
    inner : Box
        Everything between the strips: the data and its surroundings; beads fill it.
    strips : (Box, Box)
        The barcodes above and below; two rows of 36 cells each.
    mark_radius_px : int
        Radius of the four corner marks, left and right of the strips.
    bead_pitch_px : int
        Distance of the beads.
    """

    screen_width_px: int
    screen_height_px: int
    data: Box
    inner: Box
    strips: tuple[Box, Box]
    mark_radius_px: int
    bead_pitch_px: int

    @property
    def outer(self) -> Box:
        """The smallest box with everything in it, and black as wide as a mark's radius around."""
        inner, away_px = self.inner, 4 * self.mark_radius_px
        return Box(
            x_px=inner.x_px - away_px,
            y_px=inner.y_px - away_px,
            width_px=inner.width_px + 2 * away_px,
            height_px=inner.height_px + 2 * away_px,
        )

    @property
    def cell_size_px(self) -> tuple[float, float]:
        """Width and height of a cell."""
        strip = self.strips[0]
        return strip.width_px / WORD_BITS, strip.height_px / 2

    @property
    def marks(self) -> npt.NDArray[np.float64]:
        """Centres of the corner marks, (4, 2): clockwise from the top left."""
        top, bottom = (strip.y_px + strip.height_px / 2 for strip in self.strips)
        away_px = 2 * self.mark_radius_px
        left = self.inner.x_px - away_px
        right = self.inner.x_px + self.inner.width_px + away_px
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)

    @property
    def beads(self) -> npt.NDArray[np.float64]:
        """Centres of the beads, (M, 2), row by row: a square grid in the middle of `inner`."""
        axes = []
        for start, length in (
            (self.inner.x_px, self.inner.width_px),
            (self.inner.y_px, self.inner.height_px),
        ):
            count = length // self.bead_pitch_px
            first = start + 0.5 * (length - (count - 1) * self.bead_pitch_px)
            axes.append(first + self.bead_pitch_px * np.arange(count))
        x, y = np.meshgrid(*axes)
        return np.column_stack([x.ravel(), y.ravel()])

    @property
    def is_held_out(self) -> npt.NDArray[np.bool_]:
        """Which beads are kept out of the fit, (M,): every fifth, spread like a knight's moves."""
        columns = self.inner.width_px // self.bead_pitch_px
        row, column = np.divmod(np.arange(len(self.beads)), columns)
        return np.asarray((column + 2 * row) % 5 == 2)

    @property
    def cell_points(self) -> npt.NDArray[np.float64]:
        """Where the cells are read, (2 strips, 2 rows, 36 bits, 25 points, 2)."""
        width_px, height_px = self.cell_size_px
        within = (np.arange(_READ_POINTS) + 0.5) / _READ_POINTS * _READ_SHARE
        within += 0.5 * (1.0 - _READ_SHARE)
        dy, dx = (part.ravel() for part in np.meshgrid(within, within, indexing="ij"))
        points = np.empty((2, 2, WORD_BITS, _READ_POINTS**2, 2))
        for strip, box in enumerate(self.strips):
            left = box.x_px + width_px * np.arange(WORD_BITS)
            top = box.y_px + height_px * np.arange(2)
            points[strip, ..., 0] = left[None, :, None] + width_px * dx
            points[strip, ..., 1] = top[:, None, None] + height_px * dy
        return points


def lay_out(
    screen_px: tuple[int, int],
    truth_px: tuple[int, int],
    *,
    magnification: int,
    cell_px: int,
    bead_pitch_px: int,
) -> DisplayLayout:
    """Place everything in the middle of a screen.

    Parameters
    ----------
    screen_px, truth_px : (int, int)
        Width and height of the screen, and of the frames to be shown.
    magnification : int
        Screen pixels per pixel of those frames.
    cell_px : int
        Height and least width of a cell of the barcode.
    bead_pitch_px : int
        Distance of the beads.

    Raises
    ------
    SettingsError
        When it does not fit onto the screen.
    """
    screen_width_px, screen_height_px = screen_px
    data_width_px, data_height_px = (magnification * size for size in truth_px)
    inner_width_px = max(data_width_px, WORD_BITS * cell_px)
    inner_height_px = max(data_height_px, _FEWEST_BEAD_ROWS * bead_pitch_px)
    # On each side black, a mark or a strip, and black again: 1 + 2 + 1 cells.
    total_width_px = inner_width_px + 2 * 4 * cell_px
    total_height_px = inner_height_px + 2 * 4 * cell_px
    if total_width_px > screen_width_px or total_height_px > screen_height_px:
        raise SettingsError(
            f"frames of {truth_px[0]} x {truth_px[1]} pixels shown {magnification} times as large "
            f"need {total_width_px} x {total_height_px} pixels with their barcodes, but the screen "
            f"has {screen_width_px} x {screen_height_px}; lower magnification or cell_px"
        )

    def centred(width_px: int, height_px: int) -> Box:
        return Box(
            x_px=(screen_width_px - width_px) // 2,
            y_px=(screen_height_px - height_px) // 2,
            width_px=width_px,
            height_px=height_px,
        )

    inner = centred(inner_width_px, inner_height_px)
    strip_width_px = inner_width_px // WORD_BITS * WORD_BITS
    strip_x_px = (screen_width_px - strip_width_px) // 2
    top, bottom = (
        Box(x_px=strip_x_px, y_px=y_px, width_px=strip_width_px, height_px=2 * cell_px)
        for y_px in (inner.y_px - 3 * cell_px, inner.y_px + inner_height_px + cell_px)
    )
    return DisplayLayout(
        screen_width_px=screen_width_px,
        screen_height_px=screen_height_px,
        data=centred(data_width_px, data_height_px),
        inner=inner,
        strips=(top, bottom),
        mark_radius_px=cell_px,
        bead_pitch_px=bead_pitch_px,
    )
