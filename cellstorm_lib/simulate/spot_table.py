"""A point spread function of one's own, read from an image."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.spot_kernel import FineImage, fine_cells

_LARGEST_EDGE = 0.1
_LEAST_CELLS_PER_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpotSettings:
    """The point spread function as an image, finer than the camera's pixels.

    Its scale does not matter, for it is brought to the photons of each molecule. Values below
    0, as a subtracted background leaves them, count as 0. The molecule sits at the image's
    centre of light.
    """

    kind: Literal["table"] = "table"
    image: str = field(
        default="psf.npy",
        metadata=about(
            "file of one grey image, .npy or .tif, relative to the scene's file", is_file=True
        ),
    )
    image_pixel_nm: float = field(
        default=10.0,
        metadata=about(
            "size of the image's pixels in the sample; at most half a camera pixel", above=0
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def table_image(settings: TableSpotSettings, *, pixel_size_nm: float) -> FineImage:
    """Return the image on cells at least as fine as its pixels, centred and summing to 1.

    Raises
    ------
    SettingsError
        When the image cannot be read, is not one grey image, is black, still has background, or
        is too coarse or too large for the camera's pixels.
    """
    if settings.image_pixel_nm > pixel_size_nm / 2.0:
        raise SettingsError(
            f"image_pixel_nm must be at most half the camera pixel of {pixel_size_nm:g} nm, "
            f"got {settings.image_pixel_nm:g}"
        )
    light = np.maximum(_read(settings.image), 0.0)
    _check_light(light, settings.image)
    light /= light.max()
    centre = ndimage.center_of_mass(light)
    reach = max(
        max(middle, extent - middle) for middle, extent in zip(centre, light.shape, strict=True)
    )
    with refusing(SettingsError, Path(settings.image), "is too large", "crop it to the spot"):
        cells_per_px, across = fine_cells(
            radius_nm=(reach + 1.0) * settings.image_pixel_nm,
            cell_nm=min(settings.image_pixel_nm, pixel_size_nm / _LEAST_CELLS_PER_PX),
            pixel_size_nm=pixel_size_nm,
        )
    step = pixel_size_nm / cells_per_px / settings.image_pixel_nm
    axis = (np.arange(across) + 0.5 - across / 2) * step
    where = np.stack(np.meshgrid(axis + centre[0], axis + centre[1], indexing="ij"))
    fine = np.maximum(ndimage.map_coordinates(light, where, order=3, mode="constant"), 0.0)
    return FineImage(light=fine / fine.sum(), cells_per_px=cells_per_px)


def _check_light(light: NDArray[np.float64], name: str) -> None:
    """Refuse an image without light, and one whose light does not end before its edge."""
    if not light.any():
        raise SettingsError(f"{name} is black; the point spread function must hold light")
    edge = max(light[0].max(), light[-1].max(), light[:, 0].max(), light[:, -1].max())
    if edge > _LARGEST_EDGE * light.max():
        raise SettingsError(
            f"{name} has {edge / light.max():.0%} of its peak at its edge, at most "
            f"{_LARGEST_EDGE:.0%} is expected; subtract the background, or give a larger image"
        )


def _read(name: str) -> NDArray[np.float64]:
    """Return the grey image in a file, or say why it cannot be used."""
    path = Path(name)
    if not path.is_file():
        raise SettingsError(f"the image {name} does not exist; give its path")
    with (
        refusing(SettingsError, path, "is not an image that can be read", "save it again"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # on tags that are not looked at
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if path.suffix.lower() == ".npy":
            image = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as picture:
                image = np.asarray(picture)
    if image.ndim != 2 or image.dtype.kind not in "uif" or min(image.shape) < 3:
        raise SettingsError(
            f"{name} must be one grey image of at least 3 x 3 pixels, got shape {image.shape} "
            f"of {image.dtype}"
        )
    with np.errstate(over="ignore"):  # of numbers that are longer than ours
        values = np.asarray(image, np.float64)
    if not np.isfinite(values).all():
        raise SettingsError(f"{name} holds values that are not finite numbers")
    return values
