"""Sites in the shape of a picture: letters, or an image file."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.simulate.ranges import about, check_ranges

_LETTER_HEIGHT_PX = 200
_MAX_SITES = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """Letters filled with sites; a line break in the text starts a new line."""

    kind: Literal["text"] = "text"
    text: str = field(default="CELLSTORM", metadata=about("the letters"))
    sites: int = field(
        default=10_000, metadata=about("number of dyes", at_least=1, at_most=_MAX_SITES)
    )
    field_share: float = field(
        default=0.85, metadata=about("share of the field the letters span", above=0, at_most=1)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.text.strip():
            raise SettingsError("text must hold at least one letter, got only white space")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSettings:
    """An image in which brighter pixels hold more sites."""

    kind: Literal["mask"] = "mask"
    image: str = field(
        default="mask.png",
        metadata=about("image file, relative to the scene's file", is_file=True),
    )
    sites: int = field(
        default=10_000, metadata=about("number of dyes", at_least=1, at_most=_MAX_SITES)
    )
    field_share: float = field(
        default=1.0, metadata=about("share of the field the image spans", above=0, at_most=1)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def picture_sites(
    settings: TextSettings | MaskSettings,
    width_nm: float,
    height_nm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return sites spread in proportion to brightness over a picture centred in the field.

    Parameters
    ----------
    settings : TextSettings or MaskSettings
    width_nm, height_nm : float
        The field; the picture keeps its proportions.
    rng : numpy.random.Generator

    Returns
    -------
    (N, 2) float64
        x and y in nm.

    Raises
    ------
    SettingsError
        When the mask image is missing, unreadable or black.
    """
    if isinstance(settings, TextSettings):
        picture = _text_picture(settings.text)
    else:
        picture = _mask_picture(settings.image)
    rows, columns = picture.shape
    cell_nm = settings.field_share * min(width_nm / columns, height_nm / rows)
    cell = rng.choice(picture.size, settings.sites, p=(picture / picture.sum()).ravel())
    row, column = np.divmod(cell, columns)
    inside = np.column_stack([column, row]) + rng.uniform(0.0, 1.0, (settings.sites, 2))
    corner_nm = 0.5 * (np.array([width_nm, height_nm]) - cell_nm * np.array([columns, rows]))
    return np.asarray(corner_nm + cell_nm * inside)


def _text_picture(text: str) -> NDArray[np.float64]:
    """Return letters drawn large, 1 on 0, cut to their outline."""
    font = ImageFont.load_default(size=_LETTER_HEIGHT_PX)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=font, align="center"
    )
    picture = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(picture).multiline_text(
        (1 - left, 1 - top), text, fill=255, font=font, align="center"
    )
    return np.asarray(picture, np.float64) / 255.0


def _mask_picture(image: str) -> NDArray[np.float64]:
    """Return the brightness of an image file, or say why it cannot be used."""
    path = Path(image)
    if not path.is_file():
        raise SettingsError(f"the mask image {image} does not exist; give its path")
    with (
        refusing(SettingsError, path, "is not an image that can be read", "save it again"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # on tags that are not looked at
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            brightness = np.asarray(picture.convert("L"), np.float64) / 255.0
    if not brightness.any():
        raise SettingsError(f"the mask image {image} is black; sites go where it is bright")
    return brightness
