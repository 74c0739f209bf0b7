"""The still pictures of a page: whole field and zoomed regions, before and after localization."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from cellstorm_lib.pipeline.result import BranchResult, RecordingResult
from cellstorm_lib.report.headline import recommended_first
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.regions import Region, densest_regions
from cellstorm_lib.report.rows import number_text, rounded_text
from cellstorm_lib.report.scale_bar import length_text

#: Longer side of the large pictures of a page, and side of the zoomed ones.
_OVERVIEW_PX = 1000
_INSET_PX = 360
#: A picture that is larger as PNG is kept as WebP where that is smaller.
_PNG_BYTES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture whose address is its own bytes."""

    address: str
    width_px: int
    height_px: int
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledShot:
    """A picture and what it is of."""

    label: str
    shot: Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Inset:
    """One region in every picture there is."""

    title: str
    shots: tuple[LabelledShot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Widefield and super-resolution images at the same scale, and regions shown larger.

    Attributes
    ----------
    whole : tuple of LabelledShot
        The field in every picture there is: widefield, then the branches.
    insets : tuple of Inset
        The densest regions, as numbered in the pictures of the whole field.
    captions : tuple of str
        How the pictures were made.
    missing : tuple of str
        Which pictures are missing, and why.
    """

    whole: tuple[LabelledShot, ...]
    insets: tuple[Inset, ...]
    captions: tuple[str, ...]
    missing: tuple[str, ...]


def shot(picture: Picture, alt: str, *, marks: tuple[Region, ...] = ()) -> Shot:
    """Return a picture with its scale bar, ready to stand in a page."""
    height_px, width_px = picture.values.shape
    form, content = "png", picture.png(marks=marks)
    if len(content) > _PNG_BYTES:
        form, content = min(
            ((form, content), ("webp", picture.webp(marks=marks))), key=lambda pair: len(pair[1])
        )
    address = f"data:image/{form};base64,{base64.b64encode(content).decode('ascii')}"
    return Shot(address=address, width_px=width_px, height_px=height_px, alt=alt)


def regions_of(result: RecordingResult) -> tuple[Region, ...]:
    """Return the regions shown larger, the same for all branches: the densest of the first."""
    for branch in recommended_first(result):
        if len(branch.localizations):
            return densest_regions(branch.localizations)
    return ()


def pictures_of(result: RecordingResult) -> Pictures:
    """Return the pictures of a recording; whatever is missing says why."""
    widefield = widefield_picture(result)
    shown = [branch for branch in recommended_first(result) if len(branch.localizations)]
    regions = regions_of(result)
    pictures = {} if widefield is None else {"widefield": widefield}
    pictures |= {picture_label(branch, result): Picture.of(branch.image) for branch in shown}
    overviews = {label: picture.overview(_OVERVIEW_PX) for label, picture in pictures.items()}
    return Pictures(
        whole=tuple(
            LabelledShot(label=label, shot=shot(picture, _alt(label), marks=regions))
            for label, picture in overviews.items()
        ),
        insets=tuple(_inset(k, region, pictures) for k, region in enumerate(regions, start=1)),
        captions=(
            *([] if widefield is None else [widefield_caption(result)]),
            *(rendered_caption(branch) for branch in shown),
        ),
        missing=_missing(result, widefield),
    )


def picture_label(branch: BranchResult, result: RecordingResult) -> str:
    """Return what a branch's picture is called: with its name where there are two."""
    return "super-resolution" + (f", {branch.name}" if len(result.branches) > 1 else "")


def _alt(label: str) -> str:
    """Return what a picture is, for those who hear the page."""
    return f"{label.capitalize()} image"


def _missing(result: RecordingResult, widefield: Picture | None) -> tuple[str, ...]:
    """Return which pictures are missing, and why."""
    missing = [] if widefield else ["There is no widefield image to compare with."]
    if not result.branches:
        missing.append("There is no super-resolution image: nothing has been localized yet.")
    for branch in result.branches.values():
        if not len(branch.localizations):
            which = f" of the {branch.name} branch" if len(result.branches) > 1 else ""
            missing.append(
                f"There is no super-resolution image{which}: no localization was left to draw."
            )
    return tuple(missing)


def _inset(number: int, region: Region, pictures: Mapping[str, Picture]) -> Inset:
    """Return one region in every picture."""
    title = f"Region {number}, {length_text(region.side_nm)} wide"
    return Inset(
        title=title,
        shots=tuple(
            LabelledShot(
                label=label,
                shot=shot(picture.cropped(region).resized(_INSET_PX), f"{title}: {label}"),
            )
            for label, picture in pictures.items()
        ),
    )


def widefield_picture(result: RecordingResult) -> Picture | None:
    """Return the mean of all frames as a picture; None when it was not made."""
    if result.widefield.ndim != 2 or not result.widefield.size:
        return None
    return Picture(
        values=result.widefield, pixel_nm=result.pixel_size_nm, colours="grey", is_sparse=False
    )


def rendered_caption(branch: BranchResult) -> str:
    """Return how a super-resolution picture was made."""
    return (
        f"Super-resolution, {branch.name} branch: rendered ({branch.image.method}) with "
        f"{rounded_text(branch.image.pixel_nm)} nm pixels; black is zero, white the brightest "
        "0.5 % of lit pixels."
    )


def widefield_caption(result: RecordingResult) -> str:
    """Return how the widefield picture was made."""
    return (
        f"Widefield: mean of all frames, {number_text(result.pixel_size_nm)} nm pixels, "
        "smoothly enlarged."
    )
