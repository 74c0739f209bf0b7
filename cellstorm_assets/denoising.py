"""The recordings group, second part: frames without noise, and whether to trust them."""

# ruff: noqa: PLC0415 - PyTorch takes more than a second to import; only those wait who need it.

from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from cellstorm_assets.chunk_workers import fan_out_px_in_use, map_chunks_in_use
from cellstorm_assets.lineage import champion_input, stored_records
from cellstorm_assets.lineage_notes import used
from cellstorm_assets.metadata import (
    as_check,
    as_metadata,
    frame_picture,
    may_pass,
    picture,
    said_plainly,
    table,
)
from cellstorm_assets.partitions import RECORDINGS
from cellstorm_assets.project import Project
from cellstorm_assets.recordings import GROUP, OWNERS, source_of
from cellstorm_assets.registry import CHAMPION, checkpoint_path
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.pipeline.judged import JudgedRecording, judge_recording
from cellstorm_lib.pipeline.lineage import STEPS, identity_of, model_input
from cellstorm_lib.pipeline.not_denoised import (
    REASONS,
    check_denoised,
    judged_by_raw_alone,
    no_stack,
)
from cellstorm_lib.pipeline.result import DenoiseReport, FrcReports, RecordingEntry
from cellstorm_lib.pipeline.steps import check_positions
from cellstorm_lib.pipeline.verdict import BranchFindings
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.report.answers import answer_of
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.verdict import strips_figure
from cellstorm_lib.tables import Localizations
from cellstorm_lib.video.read import open_recording

if TYPE_CHECKING:
    from cellstorm_lib.pipeline.denoise import Network


class DenoiseForm(dg.Config):
    """By which network the frames are denoised."""

    model: str = Field(
        default=CHAMPION, description="champion, a version such as 3, or a file of weights"
    )
    device: str = Field(default="auto", description="auto, cpu, or a graphics card as cuda:0")


def network_of(
    project: Project,
    model: str = CHAMPION,
    *,
    device: str = "auto",
    engine: str = "auto",
    is_gated: bool = True,
) -> "Network":
    """Return a network ready to work, by the name a person or a setting gives it."""
    from cellstorm_lib.gan.checkpoint import read_checkpoint
    from cellstorm_lib.gan.denoiser import Denoiser
    from cellstorm_lib.gan.gate import GateSettings
    from cellstorm_lib.pipeline.denoise import Network

    found = checkpoint_path(model, project)
    gate = GateSettings() if is_gated else None
    denoiser = Denoiser(
        read_checkpoint(found.path), device=device, engine=engine, gate=gate, half_precision=True
    )
    return Network(denoiser=denoiser, label=found.label)


def stack_of(project: Project, partition: str) -> Path:
    """Return where the denoised stack of a recording is kept."""
    return project.assets_folder / "denoised_stack" / f"{partition}.ome.tif"


STACK = dg.AssetKey("denoised_stack")


@dg.asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"tiff", "pytorch"},
    code_version=STEPS["denoised_stack"].code,
    io_manager_key="parquet",
    deps=["champion_denoiser"],
    dagster_type=dg.PythonObjectDagsterType(DenoiseReport, name="Denoised"),
    check_specs=[
        dg.AssetCheckSpec(
            "was_denoised",
            asset=STACK,
            description="The network could denoise the film; where it could not, the report is "
            "made of the raw branch and says why.",
        )
    ],
)
def denoised_stack(
    context: dg.AssetExecutionContext,
    config: DenoiseForm,
    recording: RecordingEntry,
    project: ProjectResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The film as the champion network sees it: the light of molecules, without background."""
    from cellstorm_lib.pipeline.denoise import denoise_recording

    home, is_chosen = project.project(), config.model != CHAMPION
    key, pixel_nm = context.partition_key, recording.pixel_size_nm
    path = stack_of(home, key)
    with said_plainly():
        try:
            network = network_of(home, config.model, device=config.device)
            told = denoise_recording(
                source_of(recording, project),
                recording.calibration,
                network,
                path,
                pixel_size_nm=pixel_nm,
                map_chunks=map_chunks_in_use(),
                fan_out_px=fan_out_px_in_use(),
            )
        except REASONS as error:
            if config != DenoiseForm() or may_pass(error) or has_stack_of(home, key):
                raise
            return without_stack(home, recording, path, str(error))
        shown = {
            **middle_frame("a frame, as filmed", source_of(recording, project), pixel_nm),
            **middle_frame("a frame, denoised", open_recording(path), pixel_nm),
        }
    return dg.MaterializeResult(
        value=replace(told, frames_per_second=0.0),  # the same inputs give the same file
        metadata={
            **shown,
            **as_metadata(told),
            "stack": dg.MetadataValue.path(str(path)),
            **used({"model": model_input(told.model, told.model_digest, is_launchpad=is_chosen)}),
        },
        data_version=dg.DataVersion(f"{recording.facts.digest[:16]}-{told.model_digest[:16]}"),
        check_results=[as_check(check_denoised(told), STACK)],
    )


def has_stack_of(project: Project, key: str) -> bool:
    """Return whether a recording's film was denoised with its very camera before.

    Such a result stays, though the network of today cannot make it anew.
    """
    records = stored_records(project, key)
    film, stack = records.get("recording"), records.get("denoised_stack")
    if film is None or stack is None or not stack_of(project, key).is_file():
        return False
    return all(identity_of(stack.get(name, "")) == identity_of(film[name]) for name in film)


def without_stack(
    project: Project, recording: RecordingEntry, path: Path, reason: str
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Return as a result that a recording cannot be denoised, and why."""
    path.unlink(missing_ok=True)  # of another camera
    told = no_stack(reason)
    return dg.MaterializeResult(
        value=told,
        metadata={
            "missing": reason,
            **used({"model": champion_input(project)}, missing=reason),
        },
        data_version=dg.DataVersion(f"{recording.facts.digest[:16]}-none"),
        check_results=[as_check(check_denoised(told), STACK)],
    )


def middle_frame(name: str, source: FrameSource, pixel_nm: float) -> dict[str, dg.MetadataValue]:
    """Return the frame in the middle of a recording as a picture; nothing when it was lost."""
    frames = source.frame_range
    middle = (frames.start + frames.stop) // 2
    chunk = next(iter(source.part(middle, middle + 1).chunks(1)), None)
    if chunk is None:
        return {}
    return {name: frame_picture(chunk.frames[0], pixel_nm, name)}


@dg.asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version=STEPS["verdict"].code,
    io_manager_key="parquet",
    ins={
        f"{branch}_{asset}": dg.AssetIn([branch, asset])
        for branch in ("raw", "denoised")
        for asset in ("spots", "localizations", "frc_report")
    },
)
def verdict(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    recording: RecordingEntry,
    denoised_stack: DenoiseReport,
    raw_spots: Localizations,
    raw_localizations: Localizations,
    raw_frc_report: FrcReports,
    denoised_spots: Localizations,
    denoised_localizations: Localizations,
    denoised_frc_report: FrcReports,
) -> dg.MaterializeResult[JudgedRecording]:
    """Whether to use the raw or the denoised branch of this recording, and why."""
    with said_plainly():
        if denoised_stack.missing:
            judged = judged_by_raw_alone(denoised_stack.missing)
        else:
            judged = judge_recording(
                BranchFindings(
                    spots=raw_spots,
                    frc=raw_frc_report.chosen,
                    checks=check_positions(raw_localizations),
                ),
                BranchFindings(
                    spots=denoised_spots,
                    frc=denoised_frc_report.chosen,
                    checks=check_positions(denoised_localizations),
                ),
                denoised_stack,
                film=source_of(recording, project),
                calibration=recording.calibration,
                stack=stack_of(project.project(), context.partition_key),
            )
    found = judged.verdict
    rows = [astuple(evidence) for evidence in found.evidence]
    shown = {
        f"spots that only the {strips.branch} frames show": picture(
            figure_png(strips_figure(strips), width_px=900), "spots"
        )
        for strips in judged.strips
        if len(strips)
    }
    return dg.MaterializeResult(
        value=judged,
        metadata={
            "verdict": answer_of(found),
            "reason": found.reason,
            **shown,
            "model": found.model,
            "evidence": table(("compared", "raw", "denoised", "speaks for", "how"), rows),
            "spots in both": found.common,
            "spots only in the raw": found.only_raw,
            "spots only in the denoised": found.only_denoised,
        },
    )


DENOISING_ASSETS = (denoised_stack, verdict)
