"""Raw or denoised: the verdict of a page, with the spots that one branch alone has."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.pipeline.result import Evidence, RecordingResult
from cellstorm_lib.pipeline.strips import SpotStrips
from cellstorm_lib.report.answers import answer_of
from cellstorm_lib.report.drawing import INK, ORANGE, styled
from cellstorm_lib.report.scale_bar import length_text, scale_bar_nm
from cellstorm_lib.report.sections import Drawing, drawing

_SIGNS = {"raw": "raw", "denoised": "denoised", "both alike": "=", "cannot tell": ""}
#: Frames are drawn so that so large a share of their pixels is not cut at the white end.
_WHITE = 99.7


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One line of the table."""

    question: str
    raw: str
    denoised: str
    favours: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictSection:
    """What a page says of raw against denoised."""

    answer: str
    reason: str
    model: str
    rows: tuple[EvidenceRow, ...]
    strips: tuple[Drawing, ...]


def verdict_section(result: RecordingResult) -> VerdictSection | None:
    """Return the section, or None where there is only one branch to speak of."""
    verdict = result.verdict
    if verdict is None:
        return None
    return VerdictSection(
        answer=answer_of(verdict),
        reason=verdict.reason,
        model=verdict.model,
        rows=tuple(_row(evidence) for evidence in verdict.evidence),
        strips=tuple(_drawn(strips, result.pixel_size_nm) for strips in result.strips),
    )


def _row(evidence: Evidence) -> EvidenceRow:
    """Return one line of the table."""
    return EvidenceRow(
        question=evidence.question,
        raw=evidence.raw,
        denoised=evidence.denoised,
        favours=_SIGNS[evidence.favours],
        about=evidence.about,
    )


def _drawn(strips: SpotStrips, pixel_size_nm: float) -> Drawing:
    """Return cut-outs as a figure with its caption."""
    if not len(strips):
        return Drawing(missing=f"There are no spots that only the {strips.branch} branch has.")
    return drawing(
        lambda: strips_figure(strips, pixel_size_nm=pixel_size_nm),
        name=f"only-{strips.branch}",
        label=f"{len(strips)} spots that only the {strips.branch} branch has, in raw frames above "
        "and denoised frames below",
        caption=f"Spots that only the {strips.branch} branch has, from the dimmest to the "
        f"brightest in even steps; {strips.raw.shape[1]} x {strips.raw.shape[2]} camera pixels "
        "around each, one grey scale a row. The bar is "
        f"{length_text(_bar_nm(strips, pixel_size_nm))} long.",
    )


@styled
def strips_figure(strips: SpotStrips, *, pixel_size_nm: float | None = None) -> Figure:
    """Return cut-outs of spots, raw frames above, denoised ones below, each spot ringed.

    Parameters
    ----------
    strips : SpotStrips
        At least one spot. Each row has one grey scale, from the darkest to the brightest pixels.
    pixel_size_nm : float, optional
        Size of a camera pixel in the sample, for a scale bar in the last cut-out of each row.
    """
    count = len(strips)
    figure = Figure(figsize=(0.95 * max(count, 4) + 0.8, 2.4), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    for row, (name, frames) in enumerate((("raw", strips.raw), ("denoised", strips.denoised))):
        low, high = float(np.percentile(frames, 1.0)), float(np.percentile(frames, _WHITE))
        for k in range(count):
            _cut_out(axes[row, k], frames[k], strips, k, (low, max(high, low + 1.0)))
        if pixel_size_nm is not None:
            _bar(axes[row, -1], frames.shape[1:], _bar_nm(strips, pixel_size_nm) / pixel_size_nm)
        axes[row, 0].set_ylabel(f"{name}\n{low:.0f} to {high:.0f} e⁻", fontsize=8.5)
    for k in range(count):
        axes[0, k].set_title(f"frame {strips.frame[k]}", fontsize=8.5)
    return figure


def _bar_nm(strips: SpotStrips, pixel_size_nm: float) -> float:
    """Return the length of the scale bar."""
    return scale_bar_nm(2 * strips.raw.shape[2] * pixel_size_nm)


def _bar(ax: Axes, shape: tuple[int, ...], length_px: float) -> None:
    """Draw a scale bar into the lower right corner."""
    height, width = shape
    right = width - 0.8
    ax.hlines(height - 1.2, right - length_px, right, color="white", linewidth=2.5)


def _cut_out(
    ax: Axes,
    frame: npt.NDArray[np.float32],
    strips: SpotStrips,
    k: int,
    limits: tuple[float, float],
) -> None:
    """Draw one cut-out with its ring."""
    height, width = frame.shape
    ax.imshow(
        frame,
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, width, height, 0),
        interpolation="none",
    )
    ax.plot(strips.x_px[k], strips.y_px[k], "o", mfc="none", mec=ORANGE, ms=13, mew=1.1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    for spine in ax.spines.values():
        spine.set(visible=True, color=INK, linewidth=0.5)
