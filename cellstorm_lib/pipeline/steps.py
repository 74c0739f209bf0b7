"""The steps of one recording, each a composition of two or three stages."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.checks import grid_test, subpixel_bias_test
from cellstorm_lib.pipeline.quality import Quality
from cellstorm_lib.pipeline.result import CheckOutcome, FrameFacts, FrcReports, RefinedTable
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.frc import SPLITS, FrcReport, measure_frc
from cellstorm_lib.recording import FrameSource, LossSummary
from cellstorm_lib.refine.drift import Drift, apply_drift
from cellstorm_lib.refine.merge import MergeSettings, link, merge
from cellstorm_lib.refine.select import select
from cellstorm_lib.tables import Localizations
from cellstorm_lib.video.loss import refuse_damaged

#: A resolution that is so much finer than without repeats is flattered.
MAX_FLATTERY = 1.15
_CHUNK_FRAMES = 64
#: A split at random takes eight images, one in two halves two.
_SPLIT_TIMES = {
    "molecules": 3.0,
    "blocks": 2.0,
    "localizations": 2.0,
    "halves": 1.0,
    "odd-even": 1.0,
}
_FROM_CHUNK = ("frame", "time_s", "is_key", "frames_since_key", "packet_bytes", "is_tainted")


def survey_recording(
    source: FrameSource, *, progress: Progress | None = None
) -> tuple[FrameFacts, npt.NDArray[np.float64]]:
    """Read every frame once.

    Parameters
    ----------
    source : FrameSource
        The recording.
    progress : callable, optional
        Called with frames done and frames in all.

    Returns
    -------
    FrameFacts
        Facts per frame, and the loss.
    (Y, X) float64
        Mean grey value of every pixel over all frames.

    Raises
    ------
    RecordingError
        When no frame could be decoded, or more than `MAX_DAMAGED_SHARE` are lost or tainted.
    """
    roi = source.facts.roi
    total_adu = np.zeros((roi.height_px, roi.width_px), np.float64)
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in (*_FROM_CHUNK, "mean_adu")}
    done = 0
    for chunk in source.chunks(_CHUNK_FRAMES):
        total_adu += chunk.frames.sum(axis=0, dtype=np.float64)
        for name in _FROM_CHUNK:
            columns[name].append(getattr(chunk, name))
        columns["mean_adu"].append(chunk.frames.mean(axis=(1, 2), dtype=np.float64))
        done += len(chunk.frame)
        if progress is not None:
            progress(done, len(source.frame_range))
    if not done:
        raise RecordingError(
            f"{source.facts.name} holds no frame that can be decoded; record it again"
        )
    loss = source.loss()
    refuse_damaged(loss, source.facts.name)
    together = {name: np.concatenate(parts) for name, parts in columns.items()}
    return FrameFacts(**together, loss=loss), total_adu / done


def widefield_photons(
    mean_adu: npt.NDArray[np.float64], calibration: CameraCalibration
) -> npt.NDArray[np.float32]:
    """Return the mean photoelectrons per pixel and frame, (Y, X) float32."""
    return calibration.photoelectrons(mean_adu)


def refine_spots(
    spots: Localizations,
    drift: Drift,
    settings: PipelineSettings,
    *,
    progress: Progress | None = None,
) -> RefinedTable:
    """Select spots, correct their drift, leave fiducials out, merge the blinks of one molecule.

    Parameters
    ----------
    spots : Localizations
        Spots as found.
    drift : Drift
        Motion estimated from them; applied when it says so.
    settings : PipelineSettings
        The expression to keep spots by and the merging.
    progress : callable, optional
        Called with what is done and the whole.
    """
    told, merging = in_parts(progress, 0.3, 1.0)
    kept, select_report = select(spots, settings.keep)
    still = apply_drift(kept, drift)
    if "is_fiducial" in still:
        still = still.take(~still.column("is_fiducial"))
    told(1, 1)
    merged, merge_report = merge(still, settings.merge, progress=merging)
    return RefinedTable(
        localizations=merged, merge_report=merge_report, select_report=select_report
    )


def linked(localizations: Localizations, settings: MergeSettings) -> Localizations:
    """Return the table with a `molecule` column, linking it first when it has none."""
    return localizations if "molecule" in localizations else link(localizations, settings)


def measure_resolutions(
    localizations: Localizations, settings: PipelineSettings, *, progress: Progress | None = None
) -> FrcReports:
    """Return the Fourier ring correlation of every split, the chosen one first.

    `progress`, where it is given, is called with what is done and the whole.
    """
    table = linked(localizations, settings.merge)
    chosen = settings.frc
    order = [chosen.split, *(split for split in SPLITS if split != chosen.split)]
    told = in_parts(progress, *(_SPLIT_TIMES[split] for split in order))
    reports = []
    for split, part in zip(order, told, strict=True):
        reports.append(measure_frc(table, replace(chosen, split=split), progress=part))
        part(1, 1)
    return FrcReports(reports=tuple(reports))


def check_loss(loss: LossSummary) -> tuple[CheckOutcome, ...]:
    """Ask whether frames are missing, tainted, or were dropped by the camera."""
    total = loss.decoded_count + loss.missing_count
    return (
        CheckOutcome(
            name="frames_lost",
            passed=loss.missing_count == 0,
            reason=f"{loss.missing_count} of {total} frames are missing"
            + (f" ({loss.reason})" if loss.missing_count else "")
            + (f"; the camera left out {loss.dropped_count}" if loss.dropped_count else ""),
        ),
        CheckOutcome(
            name="frames_tainted",
            passed=loss.tainted_count == 0,
            reason=f"{loss.tainted_count} of {total} frames may be wrong because of damage",
        ),
    )


def check_positions(localizations: Localizations) -> tuple[CheckOutcome, ...]:
    """Ask whether positions follow the codec's blocks or the pixel grid."""
    grid = grid_test(localizations)
    bias = subpixel_bias_test(localizations)
    return (
        CheckOutcome(name="codec_grid", passed=grid.passed, reason=grid.reason),
        CheckOutcome(name="subpixel_bias", passed=bias.passed, reason=bias.reason),
    )


def check_resolution(report: FrcReport) -> CheckOutcome:
    """Ask whether the Fourier ring correlation gives a resolution at all."""
    if report.resolution_nm is None:
        return CheckOutcome(name="frc_crossed", passed=False, reason=report.reason)
    return CheckOutcome(
        name="frc_crossed",
        passed=True,
        reason=f"{report.resolution_nm:.0f} nm ({report.low_nm:.0f} to {report.high_nm:.0f} nm), "
        f"split by {report.split}",
    )


def check_repeats(quality: Quality) -> CheckOutcome:
    """Ask whether molecules that come back make the resolution look finer than it is."""
    found, stated_nm = quality.repeats, quality.resolution_nm
    if found.repeats is None or stated_nm is None:
        why = "there is no resolution" if stated_nm is None else found.reason
        return CheckOutcome(name="repeats", passed=None, reason=why)
    if found.corrected_nm is None or found.corrected_low_nm is None:
        return CheckOutcome(
            name="repeats",
            passed=False,
            reason=f"the {stated_nm:.0f} nm come from molecules that blink again, not from "
            "structure: without repeats the halves agree on nothing",
        )
    if found.corrected_low_nm > MAX_FLATTERY * stated_nm:
        return CheckOutcome(
            name="repeats",
            passed=False,
            reason=f"molecules that blink again flatter the resolution: without repeats it is "
            f"{found.corrected_nm:.0f} nm, not {stated_nm:.0f} nm",
        )
    return CheckOutcome(
        name="repeats",
        passed=True,
        reason=f"without molecules that blink again the resolution is {found.corrected_nm:.0f} nm",
    )
