"""The page that shows a real clip and a simulated one side by side, with every measure of both."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cellstorm_lib.evaluate.fidelity import LIMIT, FidelityReport, FidelityRow
from cellstorm_lib.report.fidelity_figures import (
    codec_figure,
    correlation_figure,
    fidelity_figure,
    grid_figure,
    levels_figure,
    variance_figure,
)
from cellstorm_lib.report.page import filled
from cellstorm_lib.report.rows import rounded_text
from cellstorm_lib.report.sections import drawing
from cellstorm_lib.report.shots import Shot

__all__ = ["fidelity_figure", "fidelity_page"]

_FRAME_PX, _DETAIL_PX, _ENLARGED = 520, 128, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the table."""

    group: str
    measure: str
    real: str
    simulated: str
    difference: str
    verdict: str
    sign: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The same part of both clips, at the same contrast."""

    title: str
    real: Shot
    simulated: Shot
    caption: str


def fidelity_page(report: FidelityReport, *, title: str | None = None) -> str:
    """Return the comparison of two clips as a self-contained HTML page.

    Parameters
    ----------
    report : FidelityReport
    title : str or None
        Heading; None: the names of the clips.

    Returns
    -------
    str
        HTML with pictures, figures, style and script inside. The same report always gives the
        same page.
    """
    heading = title or f"{report.real.facts.name} and its imitation"
    return filled(
        "fidelity.html",
        title=heading,
        sentence=fidelity_sentence(report),
        frames=_frames_text(report),
        remarks=report.remarks,
        lines=[
            _line(row, before)
            for row, before in zip(report.rows, (None, *report.rows), strict=False)
        ],
        limit=f"{100 * LIMIT:.0f} %",
        pairs=_pairs(report),
        **_drawings(report),
    )


def fidelity_sentence(report: FidelityReport) -> str:
    """Return in one sentence how alike the clips are."""
    if not report.rows:
        return "The clips have no measure in common."
    passed, worst = sum(row.passed for row in report.rows), report.worst
    return (
        f"{passed} of {len(report.rows)} measures agree within {100 * LIMIT:.0f} %; the largest "
        f"difference is {100 * abs(worst.relative_difference):.1f} % ({worst.group}, "
        f"{worst.measure})."
    )


def _frames_text(report: FidelityReport) -> str:
    """Return which frames were compared."""
    real, simulated = report.real, report.simulated
    roi = real.facts.roi
    return (
        f"Frames {real.frame[0]} to {real.frame[-1]} of {real.facts.name}, "
        f"{roi.width_px} x {roi.height_px} pixels, and frames {simulated.frame[0]} to "
        f"{simulated.frame[-1]} of {simulated.facts.name}."
    )


def _line(row: FidelityRow, before: FidelityRow | None) -> _Line:
    """Return one line of the table; a group is named once."""
    error = f" ± {100 * row.error:.1f}" if np.isfinite(row.error) and row.error > 0 else ""
    return _Line(
        group="" if before is not None and before.group == row.group else row.group,
        measure=f"{row.measure}, {row.unit}" if row.unit else row.measure,
        real=rounded_text(row.real),
        simulated=rounded_text(row.simulated),
        difference=f"{100 * row.relative_difference:+.1f}{error} %",
        verdict="passed" if row.passed else "failed",
        sign="✓ alike" if row.passed else "✗ differs",
        about=row.about,
    )


def _drawings(report: FidelityReport) -> dict[str, Any]:
    """Return the figures of the page."""
    return {
        "overview": drawing(
            lambda: fidelity_figure(report),
            name="overview",
            label="Relative difference of every measure",
            caption="The band is what counts as alike; bars are standard errors from the scatter "
            "between frames. Differences beyond 60 % are drawn at 60 %.",
        ),
        "levels": drawing(
            lambda: levels_figure(report),
            name="levels",
            label="Grey-level histograms of both clips",
            caption="Grey levels of all pixels and frames.",
        ),
        "variance": drawing(
            lambda: variance_figure(report),
            name="variance",
            label="Temporal variance against mean grey value, of both clips",
            caption="How the noise grows with the level; each point stands for a twentieth of the "
            "pixels.",
        ),
        "correlation": drawing(
            lambda: correlation_figure(report),
            name="correlation",
            label="Correlation of noise between neighbours in both clips",
            caption="What denoising and codec share out among neighbours.",
        ),
        "grid": drawing(
            lambda: grid_figure(report),
            name="grid",
            label="Steps across block edges over steps elsewhere, by position after the key frame",
            caption="1 is a picture without visible blocks. Frames equally far after their key "
            "frame are averaged; gaps: none of the frames compared.",
        ),
        "codec": drawing(
            lambda: codec_figure(report),
            name="codec",
            label="Compressed size and quantiser of the frames",
            caption="What the encoder spent on each frame, and how coarsely it quantised.",
        ),
    }


def _pairs(report: FidelityReport) -> tuple[_Pair, ...]:
    """Return pictures of both clips."""
    examples = report.real.example, report.simulated.example
    patterns = report.real.pattern, report.simulated.pattern
    return (
        _pair("One frame", examples, *_contrast(examples, (0.5, 99.8)), "", factor=0),
        _pair(
            "A detail of that frame", _details(examples),
            *_contrast(_details(examples), (0.5, 99.8)),
            f"{_DETAIL_PX} x {_DETAIL_PX} pixels between centre and corner, enlarged {_ENLARGED} "
            "times.",
            factor=_ENLARGED,
        ),
        _pair(
            "Fixed pattern", _details(patterns), *_contrast(_details(patterns), (1.0, 99.0)),
            "The same detail of the mean of all frames without its slow changes: the fixed pattern "
            "and what is left of the noise.",
            factor=_ENLARGED,
        ),
    )  # fmt: skip


def _pair(
    title: str,
    pictures: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    low: float,
    high: float,
    caption: str,
    *,
    factor: int,
) -> _Pair:
    """Return two pictures in grey, black at `low` and white at `high` in both."""
    real, simulated = (
        _grey_shot(picture, low, high, f"{title}, {name}", factor=factor)
        for picture, name in zip(pictures, ("real", "simulated"), strict=True)
    )
    contrast = f"Black is {rounded_text(low)}, white {rounded_text(high)} grey values in both."
    return _Pair(
        title=title, real=real, simulated=simulated, caption=f"{caption} {contrast}".strip()
    )


def _contrast(
    pictures: tuple[npt.NDArray[Any], npt.NDArray[Any]], percent: tuple[float, float]
) -> tuple[float, float]:
    """Return the levels of the real picture shown as black and white."""
    low, high = (float(level) for level in np.percentile(pictures[0], percent))
    return (low, high) if high > low else (low, low + 1.0)


def _details(
    pictures: tuple[npt.NDArray[Any], npt.NDArray[Any]],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the same part of both pictures, between centre and corner."""
    first, second = (
        picture[top : top + _DETAIL_PX, left : left + _DETAIL_PX]
        for picture in pictures
        for top, left in [(_quarter(picture.shape[0]), _quarter(picture.shape[1]))]
    )
    return first, second


def _quarter(size_px: int) -> int:
    """Return where a detail begins, on the grid of blocks."""
    return max(size_px // 2 - _DETAIL_PX, 0) // 2 // 16 * 16


def _grey_shot(
    picture: npt.NDArray[Any], low: float, high: float, alt: str, *, factor: int
) -> Shot:
    """Return a picture as PNG: enlarged by a whole factor, or reduced to the page's width."""
    scaled = np.clip((picture.astype(np.float32) - low) / (high - low), 0.0, 1.0)
    image = Image.fromarray(np.rint(255.0 * scaled).astype(np.uint8))
    if factor:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    elif image.width > _FRAME_PX:
        height_px = max(1, round(image.height * _FRAME_PX / image.width))
        image = image.resize((_FRAME_PX, height_px), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Shot(
        address=f"data:image/png;base64,{content}",
        width_px=image.width,
        height_px=image.height,
        alt=alt,
    )
