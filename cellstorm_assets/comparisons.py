"""Several recordings side by side."""

from collections.abc import Iterable, Mapping

import dagster as dg

from cellstorm_assets.metadata import bullets, picture, said_plainly, table
from cellstorm_assets.recordings import OWNERS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.pipeline.result import FrcReports, RecordingEntry
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.report.comparison import ComparisonRow, DenoisedSide, comparison_page
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.headline import median_of, resolution_text
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.resolution import frc_curves_figure
from cellstorm_lib.report.rows import rounded_text
from cellstorm_lib.tables import Localizations

_ALL_THERE_ARE = {"allow_missing_partitions": True}
_NOT_DENOISED = "its denoised branch is not made, or failed; the page of its runs says why"


@dg.asset(
    group_name="comparisons",
    owners=OWNERS,
    kinds={"html"},
    code_version="2",
    io_manager_key="page",
    ins={
        "entries": dg.AssetIn("recording", metadata=_ALL_THERE_ARE),
        "widefields": dg.AssetIn("widefield", metadata=_ALL_THERE_ARE),
        "tables": dg.AssetIn(["raw", "localizations"], metadata=_ALL_THERE_ARE),
        "resolutions": dg.AssetIn(["raw", "frc_report"], metadata=_ALL_THERE_ARE),
        "denoised_images": dg.AssetIn(["denoised", "super_resolution"], metadata=_ALL_THERE_ARE),
        "denoised_resolutions": dg.AssetIn(["denoised", "frc_report"], metadata=_ALL_THERE_ARE),
    },
)
def recording_comparison(
    project: ProjectResource,
    entries: dict[str, RecordingEntry],
    widefields: dict[str, Picture],
    tables: dict[str, Localizations],
    resolutions: dict[str, FrcReports],
    denoised_images: dict[str, RenderedImage],
    denoised_resolutions: dict[str, FrcReports],
) -> dg.MaterializeResult[str]:
    """All recordings on one page, say a phone's beside a scientific camera's, raw and denoised.

    Photons and uncertainties are those of the raw frames; a network changes how bright a spot is.
    """
    done = sorted(set(entries) & set(tables) & set(resolutions))
    if not done:
        raise dg.Failure(
            description="no recording is processed yet; materialize the recordings group first",
            allow_retries=False,
        )
    left_out = [
        f"{entries[key].facts.name} is left out: it is not localized yet, or that failed"
        for key in sorted(set(entries) - set(done))
    ]
    with said_plainly():
        rows = [
            ComparisonRow(
                name=entries[key].facts.name,
                localizations=tables[key],
                image=render(tables[key], RenderSettings()),
                frc=resolutions[key].chosen,
                notes=entries[key].notes,
                camera=camera_text(entries[key]),
                widefield=widefields.get(key),
                denoised=denoised_side(key, denoised_images, denoised_resolutions),
            )
            for key in done
        ]
        page = comparison_page(rows, title="Recordings side by side", left_out=left_out)
    curves = [(row.name, row.frc) for row in rows if row.frc is not None]
    path = project.project().assets_folder / "recording_comparison.html"
    return dg.MaterializeResult(
        value=page,
        metadata={
            "recordings": len(done),
            "page": dg.MetadataValue.path(path),
            "resolution curves": picture(figure_png(frc_curves_figure(curves)), "FRC curves"),
            "resolution": _resolutions(rows),
            "light in the raw frames": _light(rows),
            **({"left out": bullets(left_out)} if left_out else {}),
        },
    )


def denoised_side(
    key: str, images: Mapping[str, RenderedImage], resolutions: Mapping[str, FrcReports]
) -> DenoisedSide:
    """Return the denoised branch of a recording as far as it is there."""
    if key not in images or key not in resolutions:
        return DenoisedSide(missing=_NOT_DENOISED)
    image = images[key]
    return DenoisedSide(
        image=image, frc=resolutions[key].chosen, localization_count=image.localizations
    )


def camera_text(entry: RecordingEntry) -> str:
    """Return what took a recording, and the size of its pixels."""
    return f"{entry.calibration.name}, {rounded_text(entry.pixel_size_nm)} nm pixels"


def _resolutions(rows: Iterable[ComparisonRow]) -> dg.MetadataValue:
    """Return the resolution of all rows, as a table narrow enough for the page."""

    def cells(row: ComparisonRow) -> tuple[str, ...]:
        side = row.denoised
        denoised = side.missing if side else ""
        return (
            row.name,
            resolution_text(row.frc)[0],
            denoised or resolution_text(side.frc if side else None)[0],
            f"{len(row.localizations):,}",
        )

    return table(("recording", "raw", "denoised", "molecules, raw"), map(cells, rows))


def _light(rows: Iterable[ComparisonRow]) -> dg.MetadataValue:
    """Return the light of all rows, as a table narrow enough for the page."""

    def cells(row: ComparisonRow) -> tuple[str, ...]:
        photons = median_of(row.localizations, "photons")
        uncertainty_nm = median_of(row.localizations, "uncertainty_nm")
        return (
            row.name,
            "not known" if photons is None else rounded_text(photons),
            "not known" if uncertainty_nm is None else f"{rounded_text(uncertainty_nm)} nm",
            row.camera,
        )

    return table(
        ("recording", "photons, median", "uncertainty, median", "camera"), map(cells, rows)
    )
