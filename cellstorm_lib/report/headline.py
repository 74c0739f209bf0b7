"""The answer of a recording in one sentence, the figures behind it, and how far to trust it."""

from dataclasses import dataclass

import numpy as np

from cellstorm_lib.pipeline.few_spots import why_few_spots
from cellstorm_lib.pipeline.result import BranchResult, CheckOutcome, RecordingResult
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.report.rows import Row, interval_text, number_text, rounded_text, words
from cellstorm_lib.tables import Localizations


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What stands at the top of a page.

    Attributes
    ----------
    sentence : str
        Resolution or why there is none, localizations, frames.
    figures : tuple of Row
        The same as single figures with their units.
    cautions : tuple of str
        What the reader has to know before using the figures.
    """

    sentence: str
    figures: tuple[Row, ...]
    cautions: tuple[str, ...]


def headline_of(result: RecordingResult) -> Headline:
    """Return the headline of a recording; it speaks of the branch to use, else of the raw one."""
    branch = next(iter(recommended_first(result)), None)
    frames = Row(name="Frames", value=f"{frame_count(result):,}", remark=duration_text(result))
    if branch is None:
        return Headline(
            sentence=f"Nothing has been localized in {result.facts.name} yet.",
            figures=(frames,),
            cautions=(*result.notes, *_loss_cautions(result)),
        )
    figures = (_resolution_figure(branch), *_table_figures(branch), frames, _checks_figure(branch))
    which = f"Shown is the {branch.name} branch. " if result.verdict is not None else ""
    return Headline(
        sentence=which + _sentence(branch, frame_count(result)),
        figures=figures,
        cautions=(
            *filter(None, [why_few_spots(result)]),
            *result.notes,
            *_loss_cautions(result),
            *_branch_cautions(result),
            *_failed(branch.checks),
        ),
    )


def recommended_first(result: RecordingResult) -> tuple[BranchResult, ...]:
    """Return the branches, the one that the verdict recommends before the others."""
    wanted = None if result.verdict is None else result.verdict.use
    return tuple(sorted(result.branches.values(), key=lambda branch: branch.name != wanted))


def first_frc(branch: BranchResult) -> FrcReport | None:
    """Return the default Fourier ring correlation of a branch, if it was measured."""
    return next(iter(branch.frc.values()), None)


def resolution_text(report: FrcReport | None) -> tuple[str, str]:
    """Return the resolution and its interval, or that there is none and why."""
    if report is None:
        return "none", "the Fourier ring correlation was not measured"
    if report.resolution_nm is None:
        return "none", report.reason.removeprefix("no resolution: ")
    interval = interval_text(report.low_nm, report.high_nm, unit="nm")
    return f"{rounded_text(report.resolution_nm)} nm", interval


def median_of(localizations: Localizations, column: str) -> float | None:
    """Return the median of a column; None without the column or without rows."""
    if column not in localizations or not len(localizations):
        return None
    return float(np.median(localizations.column(column)))


def frame_count(result: RecordingResult) -> int:
    """Return the number of frames that were looked at."""
    return len(result.frame_facts) or result.loss.decoded_count


def duration_text(result: RecordingResult) -> str:
    """Return rate and duration; empty for stacks that tell neither."""
    rate_hz = result.facts.frame_rate_hz
    if not rate_hz:
        return ""
    seconds = frame_count(result) / rate_hz
    duration = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
    return f"{number_text(round(rate_hz, 2))} Hz, {duration}"


def _sentence(branch: BranchResult, frames: int) -> str:
    """Return the answer in one sentence."""
    count = len(branch.localizations)
    if count == 0:
        return (
            f"No molecule was found in {frames:,} frames, so there is no super-resolution image "
            "and no resolution."
        )
    what = f"{count:,} localization{'s' if count > 1 else ''} in {frames:,} frames"
    resolution, remark = resolution_text(first_frc(branch))
    if resolution == "none":
        return f"{what}; no resolution can be given: {remark.rstrip('.')}."
    interval = f" (interval {remark})" if remark else ""
    return f"The image is resolved to {resolution}{interval}, from {what}."


def _resolution_figure(branch: BranchResult) -> Row:
    """Return the resolution as a single figure."""
    report = first_frc(branch)
    value, remark = resolution_text(report)
    if report is None or report.resolution_nm is None:
        return Row(name="Resolution", value="none", remark="see below why")
    return Row(name="Resolution", value=value, remark=remark)


def _table_figures(branch: BranchResult) -> tuple[Row, ...]:
    """Return count, photons and uncertainty."""
    table, spots = branch.localizations, branch.spots
    figures = [
        Row(name="Localizations", value=f"{len(table):,}", remark=f"from {len(spots):,} spots")
    ]
    photons, uncertainty_nm = median_of(spots, "photons"), median_of(table, "uncertainty_nm")
    if photons is not None:
        remark = "photoelectrons per spot, median"
        figures.append(Row(name="Photons", value=rounded_text(photons), remark=remark))
    if uncertainty_nm is not None:
        value = f"{rounded_text(uncertainty_nm)} nm"
        figures.append(Row(name="Uncertainty", value=value, remark="per axis, median"))
    return tuple(figures)


def _checks_figure(branch: BranchResult) -> Row:
    """Return how many checks passed."""
    verdicts = [check.passed for check in branch.checks]
    parts = [
        f"{verdicts.count(verdict)} {word}"
        for verdict, word in ((False, "failed"), (None, "cannot tell"))
        if verdicts.count(verdict)
    ]
    return Row(
        name="Checks passed",
        value=f"{verdicts.count(True)} of {len(verdicts)}",
        remark=", ".join(parts),
    )


def _loss_cautions(result: RecordingResult) -> tuple[str, ...]:
    """Return what is missing or damaged, in one sentence."""
    loss = result.loss
    if not (loss.missing_count or loss.tainted_count):
        return ()
    reason = f" ({loss.reason})" if loss.reason else ""
    damage = f"{loss.missing_count:,} frames are missing and {loss.tainted_count:,} may be wrong"
    return (f"The file is damaged: {damage}{reason}.",)


def _branch_cautions(result: RecordingResult) -> tuple[str, ...]:
    """Return that a recording was to be denoised and could not be, and why."""
    if result.verdict is None or "denoised" in result.branches:
        return ()
    return (f"There is no denoised branch: {result.verdict.reason.rstrip('.')}.",)


def _failed(checks: tuple[CheckOutcome, ...]) -> tuple[str, ...]:
    """Return the failed checks as sentences, but the lost frames, told above."""
    told = {"frames_lost", "frames_tainted", "frc_crossed"}
    return tuple(
        f"Check failed, {words(check.name)}: {check.reason.rstrip('.')}."
        for check in checks
        if check.passed is False and check.name not in told
    )
