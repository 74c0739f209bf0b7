"""The page that puts several recordings or tables side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.headline import median_of, resolution_text
from cellstorm_lib.report.page import filled
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.regions import densest_regions, zoom_side_nm
from cellstorm_lib.report.resolution import frc_curves_figure, has_curve
from cellstorm_lib.report.rows import number_text, rounded_text
from cellstorm_lib.report.sections import Drawing, drawing
from cellstorm_lib.report.shots import Shot, shot
from cellstorm_lib.tables import Localizations

_PICTURE_PX = 640
_INSET_PX = 480


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
    """

    name: str
    localizations: Localizations
    image: RenderedImage | None = None
    frc: FrcReport | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One row as text and pictures."""

    name: str
    frames: str
    localizations: str
    photons: str
    uncertainty: str
    resolution: str
    remark: str
    notes: tuple[str, ...]
    overview: Shot | None
    inset: Shot | None
    caption: str
    missing: str


def comparison_page(rows: Sequence[ComparisonRow], *, title: str = "Comparison") -> str:
    """Return a self-contained HTML page with figures and pictures of all rows.

    The zoomed regions show the same length in every row, the smallest that suits one of them.
    """
    side_nm = min((zoom_side_nm(row.localizations.field) for row in rows), default=0.0)
    return filled(
        "comparison.html",
        title=title,
        entries=[_entry(row, side_nm) for row in rows],
        curves=_curves(rows),
    )


def _entry(row: ComparisonRow, side_nm: float) -> _Entry:
    """Return one row as text and pictures."""
    table = row.localizations
    resolution, remark = resolution_text(row.frc)
    photons, uncertainty_nm = median_of(table, "photons"), median_of(table, "uncertainty_nm")
    inferred = ("The field was inferred from the extent of the table.",)
    return _Entry(
        name=row.name,
        frames=f"{table.field.frame_count:,}",
        localizations=f"{len(table):,}",
        photons="not known" if photons is None else rounded_text(photons),
        uncertainty="not known" if uncertainty_nm is None else f"{rounded_text(uncertainty_nm)} nm",
        resolution=resolution,
        remark=remark,
        notes=(*row.notes, *(inferred if table.field.is_inferred else ())),
        overview=_overview(row),
        inset=_inset(row, side_nm),
        caption="" if row.image is None else f"{number_text(row.image.pixel_nm)} nm pixels",
        missing="There is no image: "
        + ("the table is empty." if not len(table) else "none was rendered."),
    )


def _overview(row: ComparisonRow) -> Shot | None:
    """Return the whole image of a row."""
    if row.image is None or not len(row.localizations):
        return None
    picture = Picture.of(row.image).overview(_PICTURE_PX)
    return shot(picture, f"{row.name}: super-resolution image")


def _inset(row: ComparisonRow, side_nm: float) -> Shot | None:
    """Return the densest region of a row."""
    regions = densest_regions(row.localizations, side_nm=side_nm, region_count=1)
    if row.image is None or not regions:
        return None
    picture = Picture.of(row.image).cropped(regions[0]).resized(_INSET_PX)
    return shot(picture, f"{row.name}: densest region")


def _curves(rows: Sequence[ComparisonRow]) -> Drawing:
    """Return the Fourier ring correlations in one figure."""
    reports = [(row.name, row.frc) for row in rows if row.frc is not None and has_curve(row.frc)]
    if not reports:
        return Drawing(missing="There is no Fourier ring correlation to draw.")
    splits = sorted({report.split for _, report in reports})
    return drawing(
        lambda: frc_curves_figure(reports),
        name="curves",
        label="Fourier ring correlations",
        caption=f"Split by {' and '.join(splits)}; dots mark the resolution.",
    )
