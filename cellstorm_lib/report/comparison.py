"""The page that puts several recordings or tables side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cellstorm_lib.progress import Progress
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
from cellstorm_lib.tables import FieldOfView, Localizations

#: Rows that are shown with pictures and curves; all others stand in the table.
MOST_PICTURED = 24
#: Base64 of all pictures together: the page stays below 15 MB.
_PICTURES_BYTES = 12_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Longer side of the pictures, px."""

    overview_px: int
    inset_px: int


#: As long as there are few rows, and beyond that.
_FEW_ROWS = 8
_LARGE, _SMALL = _Sizes(overview_px=640, inset_px=480), _Sizes(overview_px=400, inset_px=320)


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

    @property
    def byte_count(self) -> int:
        """Bytes of the pictures in the page."""
        return sum(len(view.shot.address) for view in self.pictures if view.shot is not None)


def comparison_page(
    rows: Iterable[ComparisonRow],
    *,
    title: str = "Comparison",
    left_out: Sequence[str] = (),
    count: int | None = None,
    side_nm: float | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a self-contained HTML page with figures of all rows, and pictures of the first.

    The zoomed regions show the same length in every row, the smallest that suits one of them.
    The page stays below 15 MB: pictures of many rows are small, and those beyond `MOST_PICTURED`
    have none, which the page says.

    Parameters
    ----------
    rows : iterable of ComparisonRow
        What is set side by side, in this order. With `count` and `side_nm` each is let go before
        the next is asked for.
    title : str
        The heading.
    left_out : sequence of str
        Sentences about what could not be compared, and why.
    count : int, optional
        How many rows there are.
    side_nm : float, optional
        Side of the zoomed regions, as `common_side_nm` tells it.
    progress : callable, optional
        Called with the rows shown and all rows.
    """
    if count is None or side_nm is None:
        rows = tuple(rows)
        count = len(rows)
        side_nm = common_side_nm(row.localizations.field for row in rows[:MOST_PICTURED])
    sizes = _LARGE if count <= _FEW_ROWS else _SMALL
    lines: list[_Line] = []
    entries: list[_Entry] = []
    curves: list[tuple[str, FrcReport]] = []
    has_denoised, room = False, _PICTURES_BYTES
    for number, row in enumerate(rows):
        lines += _lines(row)
        has_denoised |= row.denoised is not None
        entry = _entry(row, side_nm, sizes) if number < MOST_PICTURED and room > 0 else None
        room -= 0 if entry is None else entry.byte_count
        if entry is not None and room > 0:
            entries.append(entry)
            curves += _reports(row)
        if progress is not None:
            progress(number + 1, count)
    return filled(
        "comparison.html",
        title=title,
        lines=lines,
        entries=entries,
        has_denoised=has_denoised,
        left_out=tuple(left_out),
        without_pictures=_without_pictures(len(entries), count),
        curves=_curves(curves),
    )


def common_side_nm(fields: Iterable[FieldOfView]) -> float:
    """Return the side of the zoomed regions that suits all fields."""
    return min(map(zoom_side_nm, fields), default=0.0)


def _without_pictures(shown: int, count: int) -> str:
    """Return how many rows stand in the table alone; nothing where all have pictures."""
    if shown == count:
        return ""
    return (
        f"Pictures and curves are of the first {shown} of {count:,}, so that the page stays small; "
        "the figures of all stand in the table."
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


def _entry(row: ComparisonRow, side_nm: float, sizes: _Sizes) -> _Entry:
    """Return one row as text and pictures: widefield, raw, denoised, and what they show close."""
    table = row.localizations
    inferred = ("The field was inferred from the extent of the table.",)
    regions = densest_regions(table, side_nm=side_nm, region_count=1)
    region = regions[0] if regions else None
    pictures = []
    if row.widefield is not None:
        pictures.append(_overview(row.widefield, f"{row.name}: widefield", "Widefield", sizes))
    if row.image is None or not len(table):
        why = "the table is empty." if not len(table) else "none was rendered."
        pictures.append(_Shown(missing=f"There is no image: {why}"))
    else:
        kind = "" if row.denoised is None else "raw, "
        pictures += _views(Picture.of(row.image), region, row.name, kind, sizes)
    if row.denoised is not None:
        first, *others = _denoised_views(row.denoised, region, row.name, sizes)
        pictures += [replace(first, is_below=row.widefield is not None), *others]
    return _Entry(
        name=row.name,
        notes=(*row.notes, *(inferred if table.field.is_inferred else ())),
        pictures=tuple(pictures),
    )


def _denoised_views(
    side: DenoisedSide, region: Region | None, name: str, sizes: _Sizes
) -> list[_Shown]:
    """Return the pictures of a denoised branch, or why there are none."""
    if side.image is None or side.localization_count == 0:
        why = side.missing or "no molecule was found in the denoised frames"
        return [_Shown(missing=f"There is no denoised image: {why}.")]
    return _views(Picture.of(side.image), region, name, "denoised, ", sizes)


def _views(
    picture: Picture, region: Region | None, name: str, kind: str, sizes: _Sizes
) -> list[_Shown]:
    """Return a super-resolution image, and its densest region."""
    caption = f"Super-resolution, {kind}{number_text(picture.pixel_nm)} nm pixels"
    alt = f"{name}: super-resolution image, {kind}".strip(" ,")
    views = [_overview(picture, alt, caption, sizes)]
    if region is not None:
        close = shot(picture.cropped(region).resized(sizes.inset_px), f"{name}: densest region")
        caption = f"The densest region, {kind}at the same scale for all"
        views.append(_Shown(shot=close, caption=caption))
    return views


def _overview(picture: Picture, alt: str, caption: str, sizes: _Sizes) -> _Shown:
    """Return a whole image."""
    return _Shown(shot=shot(picture.overview(sizes.overview_px), alt), caption=caption)


def _reports(row: ComparisonRow) -> list[tuple[str, FrcReport]]:
    """Return the Fourier ring correlations of a row that have a curve, with their names."""
    branches = [(row.name, row.frc)]
    if row.denoised is not None:
        branches.append((f"{row.name}, denoised", row.denoised.frc))
    return [(name, frc) for name, frc in branches if frc is not None and has_curve(frc)]


def _curves(reports: Sequence[tuple[str, FrcReport]]) -> Drawing:
    """Return the Fourier ring correlations in one figure."""
    if not reports:
        return Drawing(missing="There is no Fourier ring correlation to draw.")
    splits = sorted({report.split for _, report in reports})
    return drawing(
        lambda: frc_curves_figure(reports),
        name="curves",
        label="Fourier ring correlations",
        caption=f"Split by {' and '.join(splits)}; dots mark the resolution.",
    )
