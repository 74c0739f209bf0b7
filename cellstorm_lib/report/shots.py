"""The pictures of a page: overview and zoomed regions, each before and after localization."""

import base64
from dataclasses import dataclass

from cellstorm_lib.pipeline.result import BranchResult, RecordingResult
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.regions import Region, densest_regions
from cellstorm_lib.report.rows import number_text, rounded_text
from cellstorm_lib.report.scale_bar import length_text

#: Longer side of the large pictures of a page, and side of the zoomed ones.
_OVERVIEW_PX = 1200
_INSET_PX = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture whose address is its own bytes."""

    address: str
    width_px: int
    height_px: int
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inset:
    """One region, as the camera saw it (None without a widefield image) and localized."""

    title: str
    widefield: Shot | None
    super_resolution: Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Widefield and super-resolution image at the same scale, and regions shown larger.

    Attributes
    ----------
    widefield, super_resolution : Shot or None
        None where there is nothing to show.
    insets : tuple of Inset
        The densest regions, as numbered in the super-resolution image.
    caption : str
        How the pictures were made.
    missing : str
        Why a picture is missing; empty when none is.
    """

    widefield: Shot | None
    super_resolution: Shot | None
    insets: tuple[Inset, ...]
    caption: str
    missing: str


def shot(picture: Picture, alt: str, *, marks: tuple[Region, ...] = ()) -> Shot:
    """Return a picture with its scale bar, ready to stand in a page."""
    height_px, width_px = picture.values.shape
    content = base64.b64encode(picture.png(marks=marks)).decode("ascii")
    address = f"data:image/png;base64,{content}"
    return Shot(address=address, width_px=width_px, height_px=height_px, alt=alt)


def pictures_of(result: RecordingResult, branch: BranchResult) -> Pictures:
    """Return the pictures of one branch."""
    widefield = _widefield(result)
    if not len(branch.localizations):
        return Pictures(
            widefield=None
            if widefield is None
            else shot(widefield.fitted(_OVERVIEW_PX), "Widefield image"),
            super_resolution=None,
            insets=(),
            caption=_widefield_caption(result),
            missing="There is no super-resolution image: no localization was left to draw.",
        )
    picture = Picture.of(branch.image)
    overview = picture.overview(_OVERVIEW_PX)
    width_px = overview.values.shape[1]
    regions = densest_regions(branch.localizations)
    return Pictures(
        widefield=None
        if widefield is None
        else shot(widefield.resized(width_px), "Widefield image"),
        super_resolution=shot(overview, "Super-resolution image", marks=regions),
        insets=tuple(
            _inset(number, region, picture, widefield)
            for number, region in enumerate(regions, start=1)
        ),
        caption=f"Rendered ({branch.image.method}) with {rounded_text(branch.image.pixel_nm)} nm "
        "pixels; black is zero, white the brightest 0.5 % of lit pixels of each picture. The large "
        f"picture has {rounded_text(overview.pixel_nm)} nm pixels and is blurred by about one of "
        f"them, so that single molecules can be seen. {_widefield_caption(result)}",
        missing="" if widefield else "There is no widefield image to compare with.",
    )


def _inset(number: int, region: Region, picture: Picture, widefield: Picture | None) -> Inset:
    """Return one region before and after."""
    side = length_text(region.side_nm)
    where = f"Region {number}, {side} wide"
    before = None
    if widefield is not None:
        seen = widefield.cropped(region).resized(_INSET_PX)
        before = shot(seen, f"{where}: widefield")
    return Inset(
        title=where,
        widefield=before,
        super_resolution=shot(
            picture.cropped(region).resized(_INSET_PX), f"{where}: super-resolution"
        ),
    )


def _widefield(result: RecordingResult) -> Picture | None:
    """Return the mean of all frames as a picture; None when it was not made."""
    if result.widefield.ndim != 2 or not result.widefield.size:
        return None
    return Picture(
        values=result.widefield, pixel_nm=result.pixel_size_nm, colours="grey", is_sparse=False
    )


def _widefield_caption(result: RecordingResult) -> str:
    """Return how the widefield picture was made."""
    return (
        f"Widefield: mean of all frames, {number_text(result.pixel_size_nm)} nm pixels, "
        "smoothly enlarged."
    )
