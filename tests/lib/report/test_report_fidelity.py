"""The page and the figures of two clips compared show every measure, and which of them differ."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.evaluate.clip_measures import ClipMeasures, measure_clip
from cellstorm_lib.evaluate.fidelity import FidelityReport, compare
from cellstorm_lib.report.fidelity import fidelity_page, fidelity_sentence
from cellstorm_lib.report.fidelity_figures import (
    codec_figure,
    correlation_figure,
    fidelity_figure,
    grid_figure,
    levels_figure,
    variance_figure,
)
from cellstorm_lib.video.array import ArraySource

FRAMES, GOP = 24, 8


def measured(name: str, *, noise: float, seed: int) -> ClipMeasures:
    """Return the measures of a ramp with noise, and the traces of a codec."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 60, 320)[None, :] + rng.normal(0, noise, (FRAMES, 288, 320))
    measures = measure_clip(ArraySource(np.rint(ramp).astype(np.uint8), name=name))
    since = np.arange(FRAMES) % GOP
    return replace(
        measures, is_key=since == 0, frames_since_key=since, qp=20.0 + since,
        bits_per_px=np.where(since == 0, 1.0, 0.3),
        grid_ratio=1.0 + 0.1 * since[:, None, None] + np.zeros((FRAMES, 3, 2)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def real() -> ClipMeasures:
    return measured("real.mp4", noise=2.0, seed=1)


@pytest.fixture(scope="module")
def report(real: ClipMeasures) -> FidelityReport:
    noisy = measured("<made>.mp4", noise=2.4, seed=2)
    return compare(real, noisy, remarks=("The phone was fitted to frames 0 to 9.",))


@pytest.fixture(scope="module")
def page(report: FidelityReport) -> str:
    return fidelity_page(report)


def cells(page: str) -> list[list[str]]:
    """Return the text of the table's cells, row by row."""
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in rows
    ]


def test_the_page_lists_every_measure_once(page: str, report: FidelityReport) -> None:
    table = cells(page)
    assert len(table) == len(report.rows)
    for cell, row in zip(table, report.rows, strict=True):
        assert cell[1].startswith(row.measure)
        assert cell[4].startswith(f"{100 * row.relative_difference:+.1f}")
        assert cell[5] == ("✓ alike" if row.passed else "✗ differs")
    assert {"✓ alike", "✗ differs"} == {cell[5] for cell in table}
    named = [cell[0] for cell in table if cell[0]]
    assert len(named) == len(set(named)) == len({row.group for row in report.rows})


def test_the_page_says_what_was_compared(page: str) -> None:
    assert "<h1>real.mp4 and its imitation</h1>" in page
    assert "Frames 0 to 23 of real.mp4, 320 x 288 pixels, and frames 0 to 23 of" in page
    assert "The phone was fitted to frames 0 to 9." in page
    assert "&lt;made&gt;.mp4" in page
    assert "<made>" not in page


def test_the_page_needs_no_network_and_is_always_the_same(
    page: str, report: FidelityReport
) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page == fidelity_page(report)
    assert "<h1>Mine</h1>" in fidelity_page(report, title="Mine")


def test_pictures_of_both_clips_share_one_contrast(page: str, report: FidelityReport) -> None:
    shots = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    ]
    assert [shot.shape for shot in shots] == [(288, 320)] * 2 + [(512, 512)] * 4
    low, high = np.percentile(report.real.example, (0.5, 99.8))
    for shot, clip in zip(shots, (report.real, report.simulated), strict=False):
        scaled = np.clip((clip.example - low) / (high - low), 0, 1)
        np.testing.assert_allclose(shot, 255 * scaled, atol=0.51)
    # The detail is a part of the frame, each pixel 4 x 4 pixels large.
    frame, detail = shots[0], shots[2][::4, ::4]
    np.testing.assert_array_equal(shots[2], detail.repeat(4, axis=0).repeat(4, axis=1))
    assert detail.shape == (128, 128)
    assert frame.shape[0] >= detail.shape[0]


def test_the_sentence_counts_and_names_the_worst(report: FidelityReport) -> None:
    passed, worst = sum(row.passed for row in report.rows), report.worst
    percent = 100 * abs(worst.relative_difference)
    assert fidelity_sentence(report) == (
        f"{passed} of {len(report.rows)} measures agree within 15 %; the largest difference is "
        f"{percent:.1f} % ({worst.group}, {worst.measure})."
    )
    nothing = replace(report, rows=())
    assert fidelity_sentence(nothing) == "The clips have no measure in common."


def test_the_overview_marks_what_differs_and_keeps_far_points_in_sight(
    report: FidelityReport,
) -> None:
    far = replace(report.rows[0], relative_difference=3.0)
    shown = replace(report, rows=(far, *report.rows[1:]))
    (ax,) = fidelity_figure(shown).axes
    points = {line.get_marker(): line for line in ax.lines if line.get_marker() in "oD"}
    count = {marker: len(line.get_xdata()) for marker, line in points.items()}
    passed = sum(row.passed for row in shown.rows)
    assert count == {"o": passed, "D": len(shown.rows) - passed}
    assert max(points["D"].get_xdata()) == 60.0
    assert len(ax.get_yticklabels()) == len(shown.rows)
    assert ax.get_yticklabels()[0].get_text() == f"{far.group}, {far.measure}"
    (empty,) = fidelity_figure(replace(report, rows=())).axes
    assert "no measure is known" in empty.texts[0].get_text()


def test_levels_and_variance_are_those_of_the_clips(report: FidelityReport) -> None:
    (ax,) = levels_figure(report).axes
    for patch, clip in zip(ax.patches, (report.real, report.simulated), strict=True):
        values = patch.get_data().values
        np.testing.assert_allclose(values, np.maximum(clip.share.mean(axis=0), 1e-12))
    assert ax.get_yscale() == "log"
    (ax,) = variance_figure(report).axes
    for container, clip in zip(ax.containers, (report.real, report.simulated), strict=True):
        np.testing.assert_allclose(container.lines[0].get_xdata(), clip.level_adu)
        np.testing.assert_allclose(container.lines[0].get_ydata(), clip.variance_adu2)


def test_correlations_are_bars_side_by_side(report: FidelityReport) -> None:
    (ax,) = correlation_figure(report).axes
    heights = [bar.get_height() for bar in ax.patches]
    clips = (report.real, report.simulated)
    expected = [
        getattr(clip, f"correlation_{name}").value for clip in clips for name in ("x", "y", "time")
    ]
    assert heights == pytest.approx(expected)


def test_block_edges_are_drawn_by_position_after_the_key_frame(report: FidelityReport) -> None:
    upper, lower = grid_figure(report).axes
    ratios = [line for line in upper.lines if len(line.get_xdata()) == GOP]
    assert len(ratios) == 2 * 3
    np.testing.assert_allclose(ratios[0].get_ydata(), 1.0 + 0.1 * np.arange(GOP))
    assert lower.get_xlabel() == "frames after the key frame"
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        f"{name}, {period} px" for name in ("real", "simulated") for period in (4, 8, 16)
    ]


def test_positions_without_frames_are_gaps(report: FidelityReport) -> None:
    since = np.where(report.real.frames_since_key == 3, 20, report.real.frames_since_key)
    far = replace(report, real=replace(report.real, frames_since_key=since))
    drawn = next(line for line in grid_figure(far).axes[0].lines if len(line.get_xdata()) == 21)
    known = np.flatnonzero(np.isfinite(drawn.get_ydata()))
    assert known.tolist() == [0, 1, 2, 4, 5, 6, 7, 20]


@pytest.mark.parametrize(("qp", "panels"), [(True, 2), (False, 1)])
def test_quantisers_are_drawn_where_they_are_known(
    report: FidelityReport, qp: bool, panels: int
) -> None:
    if not qp:
        unknown = np.full(FRAMES, np.nan)
        report = replace(
            report,
            real=replace(report.real, qp=unknown),
            simulated=replace(report.simulated, qp=unknown),
        )
    axes = codec_figure(report).axes
    assert [ax.get_ylabel() for ax in axes] == ["bits per pixel", "mean QP"][:panels]
    marked = [line.get_xdata()[0] for line in axes[0].lines if line.get_linestyle() == ":"]
    assert marked == [0, GOP, 2 * GOP]
