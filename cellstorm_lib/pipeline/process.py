"""One recording from file to resolution, without any server."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.choice import RecordingChoice, calibration_for, pixel_size_for
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.judged import JudgedRecording, judge_recording
from cellstorm_lib.pipeline.ledger import Ledger, ledger_of
from cellstorm_lib.pipeline.lineage import STEPS
from cellstorm_lib.pipeline.not_denoised import (
    REASONS,
    judged_by_raw_alone,
    no_stack,
)
from cellstorm_lib.pipeline.quality import measure_quality
from cellstorm_lib.pipeline.result import (
    BranchResult,
    CheckOutcome,
    DenoiseReport,
    RecordingResult,
)
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_denoised_spots, find_spots
from cellstorm_lib.pipeline.steps import (
    check_loss,
    check_positions,
    check_repeats,
    check_resolution,
    measure_resolutions,
    refine_spots,
    survey_recording,
    widefield_photons,
)
from cellstorm_lib.pipeline.store import write_records
from cellstorm_lib.pipeline.verdict import BranchFindings
from cellstorm_lib.progress import Announce, silently
from cellstorm_lib.reconstruct.render import render
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.refine.drift import estimate_drift
from cellstorm_lib.tables import Localizations, write_localizations
from cellstorm_lib.video.tiff import write_image

DENOISED_STACK = "denoised_stack.ome.tif"


def process_recording(
    source: FrameSource,
    out: Path,
    *,
    camera: CameraCalibration | None = None,
    pixel_size_nm: float | None = None,
    own_flat_field: bool = False,
    network: Network | None = None,
    settings: PipelineSettings | None = None,
    announce: Announce | None = None,
) -> RecordingResult:
    """Run every step on one recording and write every result into a folder.

    Parameters
    ----------
    source : FrameSource
        The recording.
    out : Path
        Folder for recording.parquet, frame_facts.parquet, widefield.tif and, in ``raw/``,
        spots, drift, localizations, frc_report and quality as Parquet and super_resolution.tif;
        with a network denoised_stack.ome.tif, the same in ``denoised/``, and verdict.parquet.
    camera : CameraCalibration, optional
        Estimated from the recording when None.
    pixel_size_nm : float, optional
        Taken from the file when None.
    own_flat_field : bool
        Estimate the fall-off of the light from the recording's own background.
    network : Network, optional
        Denoises; the recording is then localized both raw and denoised, and judged. When it
        cannot, the verdict says why, and there is the raw branch alone.
    settings : PipelineSettings, optional
        Defaults when None.
    announce : callable, optional
        Told which step begins.

    Raises
    ------
    RecordingError, CalibrationError, SettingsError, ExportError
        As the steps raise them; nothing half-written is left.
    """
    settings = settings or PipelineSettings()
    announce = announce or silently
    pixel_nm = pixel_size_for(source, pixel_size_nm)
    calibration, notes = calibration_for(source, camera, own_flat_field=own_flat_field)
    frame_facts, mean_adu = survey_recording(source, progress=announce("survey"))
    widefield = widefield_photons(mean_adu, calibration)
    choice = RecordingChoice(pixel_size_nm=pixel_size_nm, own_flat_field=own_flat_field)
    ledger = ledger_of(
        source.facts, camera, choice, settings, model=network.named_input if network else None
    )
    out.mkdir(parents=True, exist_ok=True)
    for name, value in (("recording", source.facts), ("frame_facts", frame_facts)):
        write_records([value], out / f"{name}.parquet", lineage=ledger.note(name).plain())
    write_image(
        out / "widefield.tif", widefield, pixel_size_nm=pixel_nm,
        details={LINEAGE: ledger.note("widefield").plain()},
    )  # fmt: skip
    spots, report = find_spots(
        source, calibration, pixel_nm, settings, progress=announce("localize")
    )
    raw = refine_branch(
        "raw", spots, report, settings, announce,
        widefield=widefield, checks=check_loss(frame_facts.loss),
    )  # fmt: skip
    branches = {raw.name: write_branch(raw, out / raw.name, ledger)}
    judged: JudgedRecording | None = None
    if network is not None:
        stack = out / DENOISED_STACK
        told = _denoised(source, calibration, network, stack, pixel_nm, ledger, announce)
        if told.missing:
            judged = judged_by_raw_alone(told.missing)
            for name in STEPS:  # of the verdict's record they are a part, too
                if name.startswith("denoised/"):
                    ledger.note(name)
        else:
            denoised = denoised_branch(
                source, stack, told, pixel_nm, settings, announce, widefield=widefield
            )
            branches[denoised.name] = write_branch(denoised, out / denoised.name, ledger)
            judged = judge_recording(
                BranchFindings.of(raw), BranchFindings.of(denoised), told,
                film=source, calibration=calibration, stack=stack, progress=announce("verdict", ""),
            )  # fmt: skip
        write_records([judged], out / "verdict.parquet", lineage=ledger.note("verdict").plain())
    ledger.note("recording_report")
    return RecordingResult(
        facts=source.facts,
        loss=frame_facts.loss,
        calibration=calibration,
        pixel_size_nm=pixel_nm,
        frame_facts=frame_facts.table(),
        widefield=widefield,
        branches=branches,
        settings=asdict(settings),
        notes=notes,
        verdict=judged.verdict if judged else None,
        strips=judged.strips if judged else (),
        records=ledger.records,
    )


def _denoised(
    source: FrameSource,
    calibration: CameraCalibration,
    network: Network,
    stack: Path,
    pixel_size_nm: float,
    ledger: Ledger,
    announce: Announce,
) -> DenoiseReport:
    """Denoise a recording; of one that cannot be, return why."""
    note = ledger.note("denoised_stack")
    try:
        return denoise_recording(
            source, calibration, network, stack,
            pixel_size_nm=pixel_size_nm, progress=announce("denoise"), lineage=note.plain(),
        )  # fmt: skip
    except REASONS as error:
        return no_stack(str(error))


def denoised_branch(
    film: FrameSource,
    stack: Path,
    told: DenoiseReport,
    pixel_size_nm: float,
    settings: PipelineSettings,
    announce: Announce,
    *,
    widefield: npt.NDArray[np.float32],
) -> BranchResult:
    """Take a denoised stack to a refined table, an image and its resolution."""
    spots, report = find_denoised_spots(
        film, stack, told, pixel_size_nm, settings, progress=announce("localize denoised")
    )
    return refine_branch("denoised", spots, report, settings, announce, widefield=widefield)


def refine_branch(
    name: str,
    spots: Localizations,
    report: LocalizeReport,
    settings: PipelineSettings,
    announce: Announce,
    *,
    widefield: npt.NDArray[np.float32],
    checks: tuple[CheckOutcome, ...] = (),
) -> BranchResult:
    """Take the spots of one branch to a refined table, an image, and how good they are."""
    drift = estimate_drift(spots, settings.drift, progress=announce("drift", ""))
    refined = refine_spots(spots, drift, settings, progress=announce("merge", ""))
    image = render(
        refined.localizations, settings.render, progress=announce("render", "localizations")
    )
    frc = measure_resolutions(refined.localizations, settings, progress=announce("resolution", ""))
    quality = measure_quality(
        spots, refined.localizations, image, frc.chosen,
        widefield=widefield, pixel_size_nm=spots.field.pixel_size_nm,
        progress=announce("quality", ""),
    )  # fmt: skip
    return BranchResult(
        name=name,
        spots=spots,
        localize_report=report,
        drift=drift,
        merge_report=refined.merge_report,
        select_report=refined.select_report,
        localizations=refined.localizations,
        image=image,
        frc=frc.by_split(),
        checks=(
            *checks,
            *check_positions(refined.localizations),
            check_resolution(frc.chosen),
            check_repeats(quality),
        ),
        quality=quality,
    )


def write_branch(branch: BranchResult, folder: Path, ledger: Ledger) -> BranchResult:
    """Write the tables and the image of one branch into its folder.

    Returns
    -------
    BranchResult
        The branch with tables that say what they were made from, as they were written.
    """

    def lineage(name: str) -> dict[str, Any]:
        return ledger.note(f"{branch.name}/{name}").plain()

    spots = ledger.noted(branch.spots, f"{branch.name}/spots")
    write_localizations(spots, folder / "spots.parquet")
    write_records([branch.drift], folder / "drift.parquet", lineage=lineage("drift"))
    localizations = ledger.noted(branch.localizations, f"{branch.name}/localizations")
    write_localizations(localizations, folder / "localizations.parquet")
    write_image(
        folder / "super_resolution.tif", branch.image.image, pixel_size_nm=branch.image.pixel_nm,
        details={LINEAGE: lineage("super_resolution")},
    )  # fmt: skip
    frc = list(branch.frc.values())
    write_records(frc, folder / "frc_report.parquet", lineage=lineage("frc_report"))
    if branch.quality is not None:
        write_records([branch.quality], folder / "quality.parquet", lineage=lineage("quality"))
    return replace(branch, spots=spots, localizations=localizations)
