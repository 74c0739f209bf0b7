"""One recording from file to resolution, without any server."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.choice import RecordingChoice, calibration_for, pixel_size_for
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.judged import JudgedRecording, judge_recording
from cellstorm_lib.pipeline.ledger import Ledger
from cellstorm_lib.pipeline.lineage import (
    calibration_input,
    film_input,
    model_input,
    settings_inputs,
)
from cellstorm_lib.pipeline.lineage_files import LINEAGE
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
    Announce,
    check_loss,
    check_positions,
    check_repeats,
    check_resolution,
    measure_resolutions,
    refine_spots,
    silently,
    survey_recording,
    widefield_photons,
)
from cellstorm_lib.pipeline.store import write_records
from cellstorm_lib.pipeline.verdict import BranchFindings
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
        Denoises; the recording is then localized both raw and denoised, and judged.
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
    ledger = Ledger(
        recording=source.facts.name, inputs=_inputs(source, camera, choice, network, settings)
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
        told = denoise_recording(
            source, calibration, network, stack,
            pixel_size_nm=pixel_nm, progress=announce("denoise"),
        )  # fmt: skip
        ledger.note("denoised_stack")
        denoised = denoised_branch(
            source, stack, told, pixel_nm, settings, announce, widefield=widefield
        )
        branches[denoised.name] = write_branch(denoised, out / denoised.name, ledger)
        judged = judge_recording(
            BranchFindings.of(raw), BranchFindings.of(denoised), told,
            film=source, calibration=calibration, stack=stack,
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
    announce("drift")
    drift = estimate_drift(spots, settings.drift)
    announce("merge")
    refined = refine_spots(spots, drift, settings)
    announce("render")
    image = render(refined.localizations, settings.render)
    announce("resolution")
    frc = measure_resolutions(refined.localizations, settings)
    announce("quality")
    quality = measure_quality(
        spots, refined.localizations, image, frc.chosen,
        widefield=widefield, pixel_size_nm=spots.field.pixel_size_nm,
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


def _inputs(
    source: FrameSource,
    camera: CameraCalibration | None,
    choice: RecordingChoice,
    network: Network | None,
    settings: PipelineSettings,
) -> dict[str, str]:
    """Return the inputs of everything that is made."""
    facts = source.facts
    region = f"{facts.roi.width_px}x{facts.roi.height_px}+{facts.roi.x_px}+{facts.roi.y_px}"
    inputs = {
        "film": film_input(facts.name, facts.digest, region),
        "calibration": calibration_input(camera, choice),
        **settings_inputs(settings),
    }
    if network is not None:
        inputs["model"] = model_input(network.label, network.denoiser.checkpoint.digest)
    return inputs
