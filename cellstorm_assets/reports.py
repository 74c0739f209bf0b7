"""The page of one recording, made from its stored results."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import dagster as dg

from cellstorm_assets.branches import BRANCH_ASSETS
from cellstorm_assets.metadata import picture, said_plainly
from cellstorm_assets.partitions import RECORDINGS
from cellstorm_assets.project import Project
from cellstorm_assets.recordings import GROUP, OWNERS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.result import (
    BranchResult,
    CheckOutcome,
    FrameFacts,
    FrcReports,
    RecordingEntry,
    RecordingResult,
)
from cellstorm_lib.pipeline.steps import check_loss, check_positions, check_resolution
from cellstorm_lib.pipeline.store import record_from
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.refine.merge import MergeReport
from cellstorm_lib.refine.select import SelectReport
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.tables import Localizations


def stored_result(value_of: Callable[[dg.AssetKey], Any], project: Project) -> RecordingResult:
    """Return everything known of a recording from its materialized values.

    Parameters
    ----------
    value_of : callable
        Returns the value of an asset of this recording.
    project : Project
        The project, for its settings.
    """
    entry: RecordingEntry = value_of(dg.AssetKey("recording"))
    frame_facts: FrameFacts = value_of(dg.AssetKey("frame_facts"))
    return RecordingResult(
        facts=entry.facts,
        loss=frame_facts.loss,
        calibration=entry.calibration,
        pixel_size_nm=entry.pixel_size_nm,
        frame_facts=frame_facts.table(),
        widefield=value_of(dg.AssetKey("widefield")).values,
        branches={"raw": _stored_branch("raw", value_of, check_loss(frame_facts.loss))},
        settings=asdict(project.settings()),
        notes=entry.notes,
    )


def _stored_branch(
    name: str, value_of: Callable[[dg.AssetKey], Any], checks: tuple[CheckOutcome, ...]
) -> BranchResult:
    """Return one branch from its materialized values."""
    values = {asset: value_of(dg.AssetKey([name, asset])) for asset in BRANCH_ASSETS}
    spots: Localizations = values["spots"]
    localizations: Localizations = values["localizations"]
    frc: FrcReports = values["frc_report"]
    return BranchResult(
        name=name,
        spots=spots,
        localize_report=record_from(LocalizeReport, spots.provenance["localize_report"]),
        drift=values["drift"],
        merge_report=record_from(MergeReport, localizations.provenance["merge_report"]),
        select_report=record_from(SelectReport, localizations.provenance["select_report"]),
        localizations=localizations,
        image=values["super_resolution"],
        frc=frc.by_split(),
        checks=(*checks, *check_positions(localizations), check_resolution(frc.chosen)),
    )


@dg.asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
    io_manager_key="page",
    ins={asset: dg.AssetIn(["raw", asset]) for asset in BRANCH_ASSETS},
)
def recording_report(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    recording: RecordingEntry,
    frame_facts: FrameFacts,
    widefield: Picture,
    spots: Localizations,
    drift: Drift,
    localizations: Localizations,
    super_resolution: RenderedImage,
    frc_report: FrcReports,
) -> dg.MaterializeResult[str]:
    """One page to read and to send: image, resolution, checks, settings, and how to redo it."""
    values = {
        "recording": recording,
        "frame_facts": frame_facts,
        "widefield": widefield,
        "spots": spots,
        "drift": drift,
        "localizations": localizations,
        "super_resolution": super_resolution,
        "frc_report": frc_report,
    }
    with said_plainly():
        page = recording_page(stored_result(lambda key: values[key.path[-1]], project.project()))
    path = project.project().assets_folder / "recording_report" / f"{context.partition_key}.html"
    return dg.MaterializeResult(
        value=page,
        metadata={
            "report": dg.MetadataValue.path(path),
            "bytes": len(page.encode()),
            "image": picture(preview_png(super_resolution), "super-resolution image"),
            "resolution_nm": frc_report.chosen.resolution_nm or "none",
        },
    )
