"""The parts of a recording's page that repeat for every branch: curves, checks, counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup
from matplotlib.figure import Figure

from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.result import BranchResult, CheckOutcome, RecordingResult
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.report.counts import HISTOGRAMS, histogram_figure, rejected_figure
from cellstorm_lib.report.curves import (
    drift_figure,
    has_trace,
    key_distance_figure,
    localizations_per_frame_figure,
)
from cellstorm_lib.report.drawing import figure_svg
from cellstorm_lib.report.headline import first_frc, resolution_text
from cellstorm_lib.report.quality import quality_figures, quality_rows
from cellstorm_lib.report.resolution import frc_figure, has_curve
from cellstorm_lib.report.rows import Row, number_text, rows_of, value_text, words

_VERDICTS = {
    True: ("passed", "✓"),
    False: ("failed", "✗"),
    None: ("cannot tell", "?"),
}


#: What figures of the drift are called where the code's word does not say what they count.
_DRIFT_NAMES = {
    "Segments": "Stretches of time",
    "Events": "Sightings of molecules",
    "Gain": "Log-likelihood gained",
}
_QUALITY_CAPTIONS = {
    "resolution map": "Fourier ring correlation of blocks that overlap by half. Grey: too few "
    "molecules, or no structure that the halves agree on. One block scatters by 10 to 20 %.",
    "error map": "Widefield image less what the super-resolution image lets expect, haze taken out "
    "of both. Red: light that it does not explain, as of a structure that was lost. Blue: more "
    "than the film shows, as of molecules that blink often.",
    "repeats": "Fourier ring correlation of the table dealt row by row. What molecules that come "
    "back agree on with themselves is the difference of the curves.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure with its caption, or the reason why there is none."""

    svg: str = ""
    caption: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """The resolution by one way of splitting the table into halves."""

    split: str
    resolution: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A check with its verdict as a word and as a sign."""

    name: str
    verdict: str
    sign: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchSection:
    """Everything a page shows of one branch."""

    name: str
    frc: Drawing
    splits: tuple[SplitRow, ...]
    checks: tuple[CheckRow, ...]
    quality: tuple[Row, ...]
    quality_drawings: tuple[Drawing, ...]
    drift: Drawing
    drift_text: str
    drift_rows: tuple[Row, ...]
    funnel: tuple[Row, ...]
    histograms: tuple[Drawing, ...]
    per_frame: Drawing
    key_distance: Drawing
    rejected: Drawing
    steps: Mapping[str, tuple[Row, ...]]


def branch_section(result: RecordingResult, branch: BranchResult) -> BranchSection:
    """Return what the page shows of one branch; whatever is missing says why."""
    return BranchSection(
        name=branch.name,
        frc=_frc(branch),
        splits=tuple(_split_row(name, report) for name, report in branch.frc.items()),
        checks=tuple(_check_row(check) for check in branch.checks),
        quality=() if branch.quality is None else quality_rows(branch.quality),
        quality_drawings=_quality_drawings(branch),
        drift=_drift(result, branch),
        drift_text=_drift_text(branch),
        drift_rows=_drift_rows(branch.drift),
        funnel=_funnel(branch),
        histograms=tuple(_histogram(branch, column) for column in HISTOGRAMS),
        per_frame=_per_frame(result, branch),
        key_distance=_key_distance(result, branch),
        rejected=_rejected(branch),
        steps={
            "Detection and fit": _detection_rows(branch.localize_report),
            "Selection": rows_of(branch.select_report),
            "Merging": rows_of(branch.merge_report),
        },
    )


def drawing(draw: Callable[[], Figure], *, name: str, label: str, caption: str = "") -> Drawing:
    """Return a figure as SVG with its caption."""
    return Drawing(svg=Markup(figure_svg(draw(), name=name, label=label)), caption=caption)  # noqa: S704


def _frc(branch: BranchResult) -> Drawing:
    """Return the Fourier ring correlation of the default split."""
    report = first_frc(branch)
    if report is None or not has_curve(report):
        _, why = resolution_text(report)
        return Drawing(missing=f"There is no curve: {why}.")
    resolution, remark = resolution_text(report)
    return drawing(
        lambda: frc_figure(report),
        name=f"{branch.name}-frc",
        label=f"Fourier ring correlation, split by {report.split}; resolution {resolution}",
        caption=f"Split by {report.split}. Resolution {resolution} ({remark}).",
    )


def _split_row(name: str, report: FrcReport) -> SplitRow:
    """Return one line of the table of splits."""
    resolution, remark = resolution_text(report)
    return SplitRow(split=name, resolution=resolution, remark=remark)


def _check_row(check: CheckOutcome) -> CheckRow:
    """Return one line of the table of checks."""
    verdict, sign = _VERDICTS[check.passed]
    return CheckRow(name=words(check.name), verdict=verdict, sign=sign, reason=check.reason)


def _quality_drawings(branch: BranchResult) -> tuple[Drawing, ...]:
    """Return the pictures of the quality that there are."""
    if branch.quality is None:
        return ()
    return tuple(
        drawing(
            draw,
            name=f"{branch.name}-{name.replace(' ', '-')}",
            label=name.capitalize(),
            caption=_QUALITY_CAPTIONS[name],
        )
        for name, draw in quality_figures(branch.quality).items()
    )


def _drift(result: RecordingResult, branch: BranchResult) -> Drawing:
    """Return the trace of the drift; the text beside it says why there is none."""
    if not has_trace(branch.drift):
        return Drawing()
    rate_hz = result.facts.frame_rate_hz
    return drawing(
        lambda: drift_figure(branch.drift, frame_rate_hz=rate_hz),
        name=f"{branch.name}-drift",
        label="Drift of the sample in x and y",
        caption="Motion of the sample as estimated from the localizations; the bands are one "
        "standard deviation to each side.",
    )


def _drift_text(branch: BranchResult) -> str:
    """Return whether drift was corrected, and why or why not."""
    done = "corrected" if branch.drift.is_applied else "not corrected"
    return f"Drift was {done}: {branch.drift.reason}"


def _drift_rows(drift: Drift) -> tuple[Row, ...]:
    """Return the figures of the drift; its reason stands above them."""
    spread = Row(name="RMS about the mean", value=value_text(drift.rms_nm, unit="nm"))
    told = {"Reason", "Fiducials", "Segment uncertainty"}
    rows = (
        replace(row, name=_DRIFT_NAMES.get(row.name, row.name))
        for row in rows_of(drift)
        if row.name not in told
    )
    return (spread, _segments_row(drift), *rows, *_fiducial_rows(drift))


def _segments_row(drift: Drift) -> Row:
    """Return how well the segments are known, the median and the worst."""
    spread_nm = sorted(drift.segment_uncertainty_nm)
    if not spread_nm:
        return Row(name="Uncertainty of a segment", value="none")
    middle, worst = (value_text(spread_nm[k], unit="nm") for k in (len(spread_nm) // 2, -1))
    return Row(
        name="Uncertainty of a segment",
        value=middle,
        remark=f"median; the least certain of {len(spread_nm)} has {worst}",
    )


def _fiducial_rows(drift: Drift) -> tuple[Row, ...]:
    """Return what the drift leaves of each bright spot that stays."""
    return tuple(
        Row(
            name=f"Fiducial {number}",
            value=f"{one.residual_nm:.1f} nm left",
            remark=f"{'used' if one.is_used else 'not used'}; at {one.x_nm / 1000:.2f}, "
            f"{one.y_nm / 1000:.2f} µm, frames {one.first_frame} to {one.last_frame}, "
            f"{one.localizations:,} localizations; left out of the image",
        )
        for number, one in enumerate(drift.fiducials, start=1)
    )


def _funnel(branch: BranchResult) -> tuple[Row, ...]:
    """Return how many candidates became how many localizations, step by step."""
    selected, merged = branch.select_report, branch.merge_report
    failed = ", ".join(
        f"{count:,} fail {condition}" for condition, count in selected.rejected.items()
    )
    return (
        Row(
            name="Candidates above the threshold",
            value=f"{branch.localize_report.candidates:,}",
        ),
        Row(name="Fitted spots", value=f"{len(branch.spots):,}"),
        _range_row(branch),
        Row(name="Kept by the selection", value=f"{selected.kept:,}", remark=failed),
        Row(
            name="Localizations after merging",
            value=f"{len(branch.localizations):,}",
            remark=f"{number_text(merged.mean_detections)} spots each on average; "
            f"{merged.copied:,} spots were copied by the codec",
        ),
    )


def _detection_rows(report: LocalizeReport) -> tuple[Row, ...]:
    """Return the figures of finding and fitting, without those that say nothing here.

    The speed by the clock is of the machine; and where spots are not judged one by one there is no
    line that they were held against.
    """
    silent = {"Frames per second"}
    silent |= {"Least probability", "False share"} if report.least_probability == 0 else set()
    silent |= {"Least probability if bright"} if report.least_probability_if_bright == 0 else set()
    silent |= {"Noise photons"} if report.noise_photons == 0 else set()
    return tuple(row for row in rows_of(report) if row.name not in silent)


def _range_row(branch: BranchResult) -> Row:
    """Return how many spots hold pixels in which the camera was clipped or not linear."""
    report = branch.localize_report
    found = report.spots_out_of_range
    share = f" ({found / len(branch.spots):.1%})" if len(branch.spots) else ""
    remark = (
        f"{report.pixels_out_of_range:,} pixels clipped or beyond the linear range; the fit knows "
        "of them only that they are at least this bright, or dark"
    )
    return Row(
        name="Of them with pixels out of range",
        value=f"{found:,}{share}",
        remark=remark if found else "no pixel was clipped or beyond the linear range",
    )


def _histogram(branch: BranchResult, column: str) -> Drawing:
    """Return the distribution of one column as found and after merging."""
    name = HISTOGRAMS[column]
    tables = {
        label: table
        for label, table in (("found", branch.spots), ("merged", branch.localizations))
        if column in table and len(table)
    }
    if not tables:
        why = f"the table has no column {column}" if len(branch.spots) else "nothing was found"
        return Drawing(missing=f"No histogram of the {name}: {why}.")
    return drawing(
        lambda: histogram_figure(column, tables),
        name=f"{branch.name}-{column.replace('_', '-')}",
        label=f"Histogram: {name}",
        caption="Merging adds up the photons of one molecule." if column == "photons" else "",
    )


def _per_frame(result: RecordingResult, branch: BranchResult) -> Drawing:
    """Return the localizations over time."""
    if not len(branch.spots):
        return Drawing(missing="Nothing was found in any frame.")
    return drawing(
        lambda: localizations_per_frame_figure(branch.spots, result.frame_facts),
        name=f"{branch.name}-per-frame",
        label="Localizations per frame over time",
        caption="Spots as found, before merging; means over stretches of time.",
    )


def _key_distance(result: RecordingResult, branch: BranchResult) -> Drawing:
    """Return the localizations against the distance to the key frame, for video."""
    facts = result.frame_facts
    if not len(branch.spots) or facts.empty or facts["is_key"].all():
        return Drawing()
    return drawing(
        lambda: key_distance_figure(branch.spots, facts),
        name=f"{branch.name}-key-distance",
        label="Localizations per frame against frames since the last key frame",
        caption="Molecules do not know where the key frames are: a slope or a step here is the "
        "work of the codec.",
    )


def _rejected(branch: BranchResult) -> Drawing:
    """Return the reasons of rejection."""
    rejected = {reason: count for reason, count in branch.localize_report.rejected.items() if count}
    if not rejected:
        return Drawing(missing="No candidate was rejected.")
    return drawing(
        lambda: rejected_figure(rejected),
        name=f"{branch.name}-rejected",
        label="Rejected candidates by reason",
        caption="Candidates that did not become a spot, by the first reason that applied.",
    )
