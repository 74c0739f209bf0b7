"""The result of one recording in a few lines and in one JSON object."""

from dataclasses import asdict
from typing import Any

from cellstorm_lib.pipeline.result import BranchResult, RecordingResult, Verdict
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.report.verdict import answer_of


def summary_of(result: RecordingResult) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what people read and what programs read of a processed recording."""
    branch = result.branches["raw"]
    report = branch.localize_report
    lines = {
        "recording": f"{result.facts.name}, {result.loss.decoded_count} frames",
        "spots": f"{len(branch.spots)} found, false ones: "
        f"{false_spots_text(report.expected_false_per_frame)}",
        "molecules": f"{len(branch.localizations)} after merging and selection",
        "drift": f"{branch.drift.rms_nm:.0f} nm RMS, "
        f"{'taken out' if branch.drift.is_applied else 'left in'}: {branch.drift.reason}",
        "resolution": resolution_text(first_resolution(branch)),
    }
    lines |= {f"note {number}": note for number, note in enumerate(result.notes, 1)}
    failed = [check for check in branch.checks if check.passed is False]
    lines |= {f"check {check.name}": f"failed: {check.reason}" for check in failed}
    verdict = result.verdict
    if verdict is not None:
        denoised = result.branches["denoised"]
        lines |= {
            "denoised": f"{len(denoised.spots)} spots, {len(denoised.localizations)} molecules, "
            f"resolution {resolution_text(first_resolution(denoised))}, by {verdict.model}",
            "verdict": f"{answer_of(verdict)}: {verdict.reason}",
        }
    figures: dict[str, Any] = {
        "recording": {
            "name": result.facts.name,
            "digest": result.facts.digest,
            "frames": result.loss.decoded_count,
            "loss": asdict(result.loss),
        },
        "calibration": result.calibration.plain(),
        **{name: branch_figures(each) for name, each in result.branches.items()},
        "verdict": None if verdict is None else _verdict_figures(verdict),
    }
    return lines, figures


def _verdict_figures(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain content."""
    return {
        "use": verdict.use,
        "reason": verdict.reason,
        "gain": None if verdict.gain is None else asdict(verdict.gain),
        "common": verdict.common,
        "only_raw": verdict.only_raw,
        "only_denoised": verdict.only_denoised,
        "model": verdict.model,
    }


def first_resolution(branch: BranchResult) -> FrcReport:
    """Return the resolution by the split that was asked for."""
    return next(iter(branch.frc.values()))


def branch_figures(branch: BranchResult) -> dict[str, Any]:
    """Return the figures of one branch by step, as plain content."""
    report, chosen = branch.localize_report, first_resolution(branch)
    return {
        "localize": {
            "frames": report.frames,
            "localizations": report.localizations,
            "frames_per_second": report.frames_per_second,
            "rejected": dict(report.rejected),
            "threshold": report.threshold_photons,
            "expected_false_per_frame": report.expected_false_per_frame,
        },
        "drift": {
            "rms_nm": branch.drift.rms_nm,
            "segments": branch.drift.segments,
            "applied": branch.drift.is_applied,
        },
        "merge": asdict(branch.merge_report),
        "frc": {
            "resolution_nm": chosen.resolution_nm,
            "low_nm": chosen.low_nm,
            "high_nm": chosen.high_nm,
            "split": chosen.split,
            "threshold": chosen.threshold,
            "render_pixel_nm": chosen.render_pixel_nm,
        },
        "checks": {check.name: check.passed for check in branch.checks},
    }


def false_spots_text(expected_per_frame: float | None) -> str:
    """Return the expected number of false spots, or that nothing is known of it."""
    if expected_per_frame is None:
        return "not known for this kind of threshold"
    return f"about {expected_per_frame:.2g} per frame"


def resolution_text(report: FrcReport) -> str:
    """Return the resolution with its interval, or that there is none and why."""
    if report.resolution_nm is None:
        return f"none: {report.reason.removeprefix('no resolution: ')}"
    return (
        f"{report.resolution_nm:.0f} nm by FRC ({report.low_nm:.0f} to {report.high_nm:.0f} nm, "
        f"split by {report.split})"
    )
