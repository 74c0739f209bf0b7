"""The page that puts several recordings or tables side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.headline import median_of, resolution_text
from cellstorm_lib.report.page import filled
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.regions import Region, densest_regions, zoom_side_nm
from cellstorm_lib.report.resolution import frc_curves_figure, has_curve
from cellstorm_lib.report.rows import number_text, rounded_text
from cellstorm_lib.report.sections import Drawing, drawing
from cellstorm_lib.report.shots import Shot, shot
from cellstorm_lib.tables import Localizations

_PICTURE_PX = 640
_INSET_PX = 480


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenoisedSide:
    """What a recording looks like once its frames are denoised, or why that is not known.

    Attributes
    ----------
    image : RenderedImage or None
        Its super-resolution image.
    frc : FrcReport or None
        Its resolution.
    localization_count : int or None
        Rows of its refined table.
    missing : str
        Why there is no image; empty where there is one.
    """

    image: RenderedImage | None = None
    frc: FrcReport | None = None
    localization_count: int | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonRow:
    """One recording or table to compare.

    Attributes
    ----------
    name : str
        What it is called.
    localizations : Localizations
        Its refined table.
    image : RenderedImage or None
        Its super-resolution image.
    frc : FrcReport or None
        Its resolution; the same split for all rows, or the comparison misleads.
    notes : tuple of str
        What the reader has to know, such as an estimated camera or an inferred field.
    camera : str
        What took it, in words; empty where nobody knows.
    widefield : Picture or None
        The mean of its frames.
    denoised : DenoisedSide or None
        The denoised branch beside this one; None where nobody asked for it.
    """

    name: str
    localizations: Localizations
    image: RenderedImage | None = None
    frc: FrcReport | None = None
    notes: tuple[str, ...] = ()
    camera: str = ""
    widefield: Picture | None = None
    denoised: DenoisedSide | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """One picture with its words, or why it is missing."""

    shot: Shot | None = None
    caption: str = ""
    missing: str = ""
    is_below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """The figures of one branch of a row as text."""

    name: str
    camera: str
    frames: str
    localizations: str
    photons: str
    uncertainty: str
    resolution: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One row as text and pictures."""

    name: str
    notes: tuple[str, ...]
    pictures: tuple[_Shown, ...]


def comparison_page(
    rows: Sequence[ComparisonRow], *, title: str = "Comparison", left_out: Sequence[str] = ()
) -> str:
    """Return a self-contained HTML page with figures and pictures of all rows.

    The zoomed regions show the same length in every row, the smallest that suits one of them.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        What is set side by side, in this order.
    title : str
        The heading.
    left_out : sequence of str
        Sentences about what could not be compared, and why.
    """
    side_nm = min((zoom_side_nm(row.localizations.field) for row in rows), default=0.0)
    return filled(
        "comparison.html",
        title=title,
        lines=[line for row in rows for line in _lines(row)],
        entries=[_entry(row, side_nm) for row in rows],
        has_denoised=any(row.denoised is not None for row in rows),
        left_out=tuple(left_out),
        curves=_curves(rows),
    )


def _lines(row: ComparisonRow) -> list[_Line]:
    """Return the figures of a row; those of its denoised branch below them."""
    table = row.localizations
    resolution, remark = resolution_text(row.frc)
    photons, uncertainty_nm = median_of(table, "photons"), median_of(table, "uncertainty_nm")
    own = _Line(
        name=row.name,
        camera=row.camera or "not known",
        frames=f"{table.field.frame_count:,}",
        localizations=f"{len(table):,}",
        photons="not known" if photons is None else rounded_text(photons),
        uncertainty="not known" if uncertainty_nm is None else f"{rounded_text(uncertainty_nm)} nm",
        resolution=resolution,
        remark=remark,
    )
    if row.denoised is None:
        return [own]
    side = row.denoised
    resolution, remark = ("none", side.missing) if side.missing else resolution_text(side.frc)
    count = side.localization_count
    below = replace(
        own,
        name=f"{row.name}, denoised",
        localizations="not known" if count is None else f"{count:,}",
        photons="not calibrated",
        uncertainty="not calibrated",
        resolution=resolution,
        remark=remark,
    )
    return [own, below]


def _entry(row: ComparisonRow, side_nm: float) -> _Entry:
    """Return one row as text and pictures: widefield, raw, denoised, and what they show close."""
    table = row.localizations
    inferred = ("The field was inferred from the extent of the table.",)
    regions = densest_regions(table, side_nm=side_nm, region_count=1)
    region = regions[0] if regions else None
    pictures = []
    if row.widefield is not None:
        pictures.append(_overview(row.widefield, f"{row.name}: widefield", "Widefield"))
    if row.image is None or not len(table):
        why = "the table is empty." if not len(table) else "none was rendered."
        pictures.append(_Shown(missing=f"There is no image: {why}"))
    else:
        kind = "" if row.denoised is None else "raw, "
        pictures += _views(Picture.of(row.image), region, row.name, kind)
    if row.denoised is not None:
        first, *others = _denoised_views(row.denoised, region, row.name)
        pictures += [replace(first, is_below=row.widefield is not None), *others]
    return _Entry(
        name=row.name,
        notes=(*row.notes, *(inferred if table.field.is_inferred else ())),
        pictures=tuple(pictures),
    )


def _denoised_views(side: DenoisedSide, region: Region | None, name: str) -> list[_Shown]:
    """Return the pictures of a denoised branch, or why there are none."""
    if side.image is None or side.localization_count == 0:
        why = side.missing or "no molecule was found in the denoised frames"
        return [_Shown(missing=f"There is no denoised image: {why}.")]
    return _views(Picture.of(side.image), region, name, "denoised, ")


def _views(picture: Picture, region: Region | None, name: str, kind: str) -> list[_Shown]:
    """Return a super-resolution image, and its densest region."""
    caption = f"Super-resolution, {kind}{number_text(picture.pixel_nm)} nm pixels"
    views = [_overview(picture, f"{name}: super-resolution image, {kind}".strip(" ,"), caption)]
    if region is not None:
        close = shot(picture.cropped(region).resized(_INSET_PX), f"{name}: densest region")
        caption = f"The densest region, {kind}at the same scale for all"
        views.append(_Shown(shot=close, caption=caption))
    return views


def _overview(picture: Picture, alt: str, caption: str) -> _Shown:
    """Return a whole image."""
    return _Shown(shot=shot(picture.overview(_PICTURE_PX), alt), caption=caption)


def _curves(rows: Sequence[ComparisonRow]) -> Drawing:
    """Return the Fourier ring correlations in one figure."""
    branches = [(row.name, row.frc) for row in rows]
    branches += [(f"{row.name}, denoised", row.denoised.frc) for row in rows if row.denoised]
    reports = [(name, frc) for name, frc in branches if frc is not None and has_curve(frc)]
    if not reports:
        return Drawing(missing="There is no Fourier ring correlation to draw.")
    splits = sorted({report.split for _, report in reports})
    return drawing(
        lambda: frc_curves_figure(reports),
        name="curves",
        label="Fourier ring correlations",
        caption=f"Split by {' and '.join(splits)}; dots mark the resolution.",
    )
