"""The result of one recording in a few lines and in one JSON object."""

from dataclasses import asdict
from typing import Any

from cellstorm_lib.pipeline.few_spots import why_few_spots
from cellstorm_lib.pipeline.result import BranchResult, RecordingResult, Verdict
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.report.answers import answer_of
from cellstorm_lib.report.rows import words

_TOLD_BY_THE_RESOLUTION = "frc_crossed"


def summary_of(result: RecordingResult) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what people read and what programs read of a processed recording."""
    branch = result.branches["raw"]
    report = branch.localize_report
    lines = {
        "recording": f"{result.facts.name}, {counted(result.loss.decoded_count, 'frame')}",
        "spots": f"{len(branch.spots)} found, false ones: "
        f"{false_spots_text(report.expected_false_per_frame)}",
        "molecules": f"{len(branch.localizations)} after merging and selection",
        "drift": drift_text(branch.drift),
        "resolution": resolution_text(first_resolution(branch)),
    }
    lines |= {f"note {number}": note for number, note in enumerate(result.notes, 1)}
    scarce = why_few_spots(result)
    if scarce is not None:
        lines["hint"] = scarce
    failed = [
        check
        for check in branch.checks
        if check.passed is False and check.name != _TOLD_BY_THE_RESOLUTION
    ]
    lines |= {f"check {words(check.name)}": f"failed: {check.reason}" for check in failed}
    verdict, denoised = result.verdict, result.branches.get("denoised")
    if verdict is not None and denoised is not None:
        lines["denoised"] = (
            f"{len(denoised.spots)} spots, {len(denoised.localizations)} molecules, "
            f"resolution {resolution_text(first_resolution(denoised))}, by {verdict.model}"
        )
    if verdict is not None:
        lines["verdict"] = f"{answer_of(verdict)}: {verdict.reason}"
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


def drift_text(drift: Drift) -> str:
    """Return the drift and what was done about it, or why it could not be measured."""
    if not (drift.is_applied or drift.segments or drift.fiducials):
        return f"not measured: {drift.reason}"
    done = "taken out" if drift.is_applied else "left in"
    return f"{drift.rms_nm:.0f} nm RMS, {done}: {drift.reason}"


def counted(count: int, noun: str) -> str:
    """Return a number of things, one of them without its s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


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
