"""The page of one recording, made from its stored results."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import dagster as dg

from cellstorm_assets.branches import BRANCH_ASSETS
from cellstorm_assets.lineage import stored_records
from cellstorm_assets.lineage_notes import used
from cellstorm_assets.metadata import picture, said_plainly
from cellstorm_assets.object_store import store_in_use
from cellstorm_assets.partitions import RECORDINGS
from cellstorm_assets.recordings import GROUP, OWNERS
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.summary import first_resolution
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.judged import JudgedRecording
from cellstorm_lib.pipeline.lineage import STEPS, record_of, settings_inputs
from cellstorm_lib.pipeline.not_denoised import MISSING
from cellstorm_lib.pipeline.quality import Quality
from cellstorm_lib.pipeline.result import (
    BranchResult,
    CheckOutcome,
    FrameFacts,
    FrcReports,
    RecordingEntry,
    RecordingResult,
)
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.steps import (
    check_loss,
    check_positions,
    check_repeats,
    check_resolution,
)
from cellstorm_lib.pipeline.store import record_from
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.refine.merge import MergeReport
from cellstorm_lib.refine.select import SelectReport
from cellstorm_lib.report.headline import recommended_first
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.tables import Localizations

_REPORT = "recording_report"


def stored_result(
    value_of: Callable[[dg.AssetKey], Any], settings: PipelineSettings
) -> RecordingResult:
    """Return everything known of a recording from its materialized values.

    Parameters
    ----------
    value_of : callable
        Returns the value of an asset of this recording.
    settings : PipelineSettings
        Those of the project.
    """
    entry: RecordingEntry = value_of(dg.AssetKey("recording"))
    frame_facts: FrameFacts = value_of(dg.AssetKey("frame_facts"))
    judged: JudgedRecording = value_of(dg.AssetKey("verdict"))
    branches = {"raw": _stored_branch("raw", value_of, check_loss(frame_facts.loss))}
    if MISSING not in value_of(dg.AssetKey(["denoised", "spots"])).provenance:
        branches["denoised"] = _stored_branch("denoised", value_of, ())
    return RecordingResult(
        facts=entry.facts,
        loss=frame_facts.loss,
        calibration=entry.calibration,
        pixel_size_nm=entry.pixel_size_nm,
        frame_facts=frame_facts.table(),
        widefield=value_of(dg.AssetKey("widefield")).values,
        branches=branches,
        settings=asdict(settings),
        notes=entry.notes,
        verdict=judged.verdict,
        strips=judged.strips,
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
        checks=(
            *checks,
            *check_positions(localizations),
            check_resolution(frc.chosen),
            check_repeats(values["quality"]),
        ),
        quality=values["quality"],
    )


#: What a page is made from, by the asset's key, and its type.
_NEEDED: dict[tuple[str, ...], type] = {
    ("recording",): RecordingEntry,
    ("frame_facts",): FrameFacts,
    ("widefield",): Picture,
    ("verdict",): JudgedRecording,
    **{
        (branch, asset): kind
        for branch in ("raw", "denoised")
        for asset, kind in zip(
            BRANCH_ASSETS,
            (Localizations, Drift, Localizations, RenderedImage, FrcReports, Quality),
            strict=True,
        )
    },
}


@dg.asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html"},
    code_version=STEPS[_REPORT].code,
    io_manager_key="page",
    ins={"_".join(key): dg.AssetIn(list(key), dagster_type=kind) for key, kind in _NEEDED.items()},
)
def recording_report(
    context: dg.AssetExecutionContext, project: ProjectResource, **values: Any
) -> dg.MaterializeResult[str]:
    """One page to read and to send: image, resolution, checks, settings, and how to redo it."""
    with said_plainly():
        settings = project.project().settings()
        inputs = settings_inputs(settings)
        result = stored_result(lambda key: values["_".join(key.path)], settings)
        made_from = stored_records(project.project(), context.partition_key)
        records = {_REPORT: record_of(_REPORT, inputs, made_from)}
        page = recording_page(replace(result, records=records))
    folder = store_in_use() or project.project().assets_folder
    path = folder / _REPORT / f"{context.partition_key}.html"
    shown = recommended_first(result)[0]
    return dg.MaterializeResult(
        value=page,
        metadata={
            "report": dg.MetadataValue.path(str(path)),
            "image": picture(preview_png(shown.image), "super-resolution image"),
            "branch": shown.name,
            "bytes": len(page.encode()),
            "resolution_nm": first_resolution(shown).resolution_nm or "none",
            **used(inputs),
        },
    )
