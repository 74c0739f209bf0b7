"""Several recordings side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from cellstorm_assets.lineage import why_not_denoised
from cellstorm_assets.metadata import bullets, said_plainly, table
from cellstorm_assets.metadata import picture as shown_picture
from cellstorm_assets.project import Project
from cellstorm_assets.recordings import OWNERS
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.storage import ParquetFiles, PictureFiles
from cellstorm_lib.pipeline.result import FrcReports, RecordingEntry
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.report.comparison import (
    MOST_PICTURED,
    ComparisonRow,
    DenoisedSide,
    common_side_nm,
    comparison_page,
)
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.headline import median_of, resolution_text
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.resolution import frc_curves_figure
from cellstorm_lib.report.rows import rounded_text
from cellstorm_lib.tables import FieldOfView, Localizations

_ALL_THERE_ARE = {"allow_missing_partitions": True}
_NOT_DENOISED = "its denoised branch is not made, or failed; the page of its runs says why"
_WIDEFIELD = dg.AssetKey("widefield")
_TABLE, _FRC = dg.AssetKey(["raw", "localizations"]), dg.AssetKey(["raw", "frc_report"])
_DENOISED_IMAGE = dg.AssetKey(["denoised", "super_resolution"])
_DENOISED_FRC = dg.AssetKey(["denoised", "frc_report"])
#: What is read of one recording after the other: of hundreds at once the memory would not hold it.
_READ = (_WIDEFIELD, _TABLE, _FRC, _DENOISED_IMAGE, _DENOISED_FRC)


@dg.asset(
    group_name="comparisons",
    owners=OWNERS,
    kinds={"html"},
    code_version="3",
    io_manager_key="page",
    ins={"entries": dg.AssetIn("recording", metadata=_ALL_THERE_ARE)},
    deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in _READ],
)
def recording_comparison(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    parquet: dg.ResourceParam[ParquetFiles],
    picture: dg.ResourceParam[PictureFiles],
    entries: dict[str, RecordingEntry],
) -> dg.MaterializeResult[str]:
    """All recordings on one page, say a phone's beside a scientific camera's, raw and denoised.

    The newest come first and with pictures; of hundreds, older ones stand in the table alone.
    Photons and uncertainties are those of the raw frames; a network changes how bright a spot is.
    """
    known = reversed(context.instance.get_dynamic_partitions("recording"))
    done: list[str] = []
    missing: list[str] = []
    for key in (key for key in known if key in entries):
        is_there = parquet.has_stored(_TABLE, key) and parquet.has_stored(_FRC, key)
        (done if is_there else missing).append(key)
    if not done:
        raise dg.Failure(
            description="no recording is processed yet; materialize the recordings group first",
            allow_retries=False,
        )
    left_out = [
        f"{entries[key].facts.name} is left out: it is not localized yet, or that failed"
        for key in missing
    ]
    told: list[Told] = []
    with said_plainly():
        page = comparison_page(
            _rows(done, entries, project.project(), (parquet, picture), told),
            title="Recordings side by side",
            left_out=left_out,
            count=len(done),
            side_nm=common_side_nm(_field_of(entries[key]) for key in done[:MOST_PICTURED]),
        )
    curves = [(one.name, one.frc) for one in told[:MOST_PICTURED]]
    path = project.project().assets_folder / "recording_comparison.html"
    return dg.MaterializeResult(
        value=page,
        metadata={
            "recordings": len(done),
            "page": dg.MetadataValue.path(path),
            "resolution curves": shown_picture(figure_png(frc_curves_figure(curves)), "FRC curves"),
            "resolution": table(
                ("recording", "raw", "denoised", "molecules, raw"),
                [one.resolution for one in told],
            ),
            "light in the raw frames": table(
                ("recording", "photons, median", "uncertainty, median", "camera"),
                [one.light for one in told],
            ),
            **({"left out": bullets(left_out)} if left_out else {}),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What stays in memory of a recording once it is on the page."""

    name: str
    frc: FrcReport
    resolution: tuple[str, ...]
    light: tuple[str, ...]


def _rows(
    keys: Sequence[str],
    entries: Mapping[str, RecordingEntry],
    project: Project,
    stores: tuple[ParquetFiles, PictureFiles],
    told: list[Told],
) -> Iterator[ComparisonRow]:
    """Read one recording after the other, and note what is told of each."""
    parquet, picture = stores
    for number, key in enumerate(keys):
        entry = entries[key]
        molecules = parquet.stored(Localizations, _TABLE, key)
        resolution = parquet.stored(FrcReports, _FRC, key).chosen
        has_pictures, images, denoised = number < MOST_PICTURED, {}, {}
        if picture.has_stored(_DENOISED_IMAGE, key) and parquet.has_stored(_DENOISED_FRC, key):
            denoised = {key: parquet.stored(FrcReports, _DENOISED_FRC, key)}
            if has_pictures:
                images = {key: picture.stored(RenderedImage, _DENOISED_IMAGE, key)}
        widefield = None
        if has_pictures and picture.has_stored(_WIDEFIELD, key):
            widefield = picture.stored(Picture, _WIDEFIELD, key)
        row = ComparisonRow(
            name=entry.facts.name,
            localizations=molecules,
            image=render(molecules, RenderSettings()) if has_pictures else None,
            frc=resolution,
            notes=entry.notes,
            camera=camera_text(entry),
            widefield=widefield,
            denoised=denoised_side(key, images, denoised, why_not_denoised(project, key)),
        )
        told.append(
            Told(name=row.name, frc=resolution, resolution=_resolution(row), light=_light(row))
        )
        yield row


def _field_of(entry: RecordingEntry) -> FieldOfView:
    """Return the field of a recording."""
    roi = entry.facts.roi
    return FieldOfView(
        width_px=roi.width_px,
        height_px=roi.height_px,
        pixel_size_nm=entry.pixel_size_nm,
        frame_count=entry.facts.frame_count,
    )


def denoised_side(
    key: str,
    images: Mapping[str, RenderedImage],
    resolutions: Mapping[str, FrcReports],
    missing: str,
) -> DenoisedSide:
    """Return the denoised branch of a recording as far as it is there, or why it is `missing`."""
    if missing or key not in resolutions:
        return DenoisedSide(missing=missing or _NOT_DENOISED)
    image, resolution = images.get(key), resolutions[key].chosen
    count = resolution.localizations if image is None else image.localizations
    return DenoisedSide(image=image, frc=resolution, localization_count=count)


def camera_text(entry: RecordingEntry) -> str:
    """Return what took a recording, and the size of its pixels."""
    return f"{entry.calibration.name}, {rounded_text(entry.pixel_size_nm)} nm pixels"


def _resolution(row: ComparisonRow) -> tuple[str, ...]:
    """Return the resolution of a row, in a table narrow enough for the page."""
    side = row.denoised
    denoised = side.missing if side else ""
    return (
        row.name,
        resolution_text(row.frc)[0],
        denoised or resolution_text(side.frc if side else None)[0],
        f"{len(row.localizations):,}",
    )


def _light(row: ComparisonRow) -> tuple[str, ...]:
    """Return the light of a row, in a table narrow enough for the page."""
    photons = median_of(row.localizations, "photons")
    uncertainty_nm = median_of(row.localizations, "uncertainty_nm")
    return (
        row.name,
        "not known" if photons is None else rounded_text(photons),
        "not known" if uncertainty_nm is None else f"{rounded_text(uncertainty_nm)} nm",
        row.camera,
    )
