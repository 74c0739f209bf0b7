"""Several recordings side by side."""

import dagster as dg

from cellstorm_assets.metadata import said_plainly
from cellstorm_assets.recordings import OWNERS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.pipeline.result import FrcReports, RecordingEntry
from cellstorm_lib.reconstruct.render import RenderSettings, render
from cellstorm_lib.report.comparison import ComparisonRow, comparison_page
from cellstorm_lib.tables import Localizations

_ALL_THERE_ARE = {"allow_missing_partitions": True}


@dg.asset(
    group_name="comparisons",
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
    io_manager_key="page",
    ins={
        "entries": dg.AssetIn("recording", metadata=_ALL_THERE_ARE),
        "tables": dg.AssetIn(["raw", "localizations"], metadata=_ALL_THERE_ARE),
        "resolutions": dg.AssetIn(["raw", "frc_report"], metadata=_ALL_THERE_ARE),
    },
)
def recording_comparison(
    project: ProjectResource,
    entries: dict[str, RecordingEntry],
    tables: dict[str, Localizations],
    resolutions: dict[str, FrcReports],
) -> dg.MaterializeResult[str]:
    """The raw branches of all recordings on one page: resolution, counts, photons, pictures.

    Only those: photons and uncertainties of denoised frames are not calibrated.
    """
    done = sorted(set(entries) & set(tables) & set(resolutions))
    if not done:
        raise dg.Failure(
            description="no recording is processed yet; materialize the recordings group first",
            allow_retries=False,
        )
    with said_plainly():
        rows = [
            ComparisonRow(
                name=entries[key].facts.name,
                localizations=tables[key],
                image=render(tables[key], RenderSettings()),
                frc=resolutions[key].chosen,
                notes=entries[key].notes,
            )
            for key in done
        ]
        page = comparison_page(rows, title="Recordings side by side")
    path = project.project().assets_folder / "recording_comparison.html"
    return dg.MaterializeResult(
        value=page,
        metadata={
            "recordings": len(done),
            "page": dg.MetadataValue.path(path),
            "resolution": dg.MetadataValue.table(
                records=[
                    dg.TableRecord(
                        {
                            "recording": entries[key].facts.name,
                            "localizations": len(tables[key]),
                            "resolution_nm": resolutions[key].chosen.resolution_nm or "none",
                        }
                    )
                    for key in done
                ]
            ),
        },
    )
