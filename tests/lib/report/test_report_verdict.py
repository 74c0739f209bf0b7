"""What a page says of raw against denoised."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.pipeline.strips import SpotStrips
from cellstorm_lib.pipeline.verdict import BranchFindings, judge
from cellstorm_lib.report.answers import answer_of
from cellstorm_lib.report.headline import headline_of
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.verdict import strips_figure, verdict_section


def strips(branch: str, count: int) -> SpotStrips:
    rng = np.random.default_rng(count)
    row, column = np.mgrid[:15, :15] + 0.5
    x_px, y_px = rng.uniform(6, 9, (2, count))
    spot = np.exp(
        -((column - x_px[:, None, None]) ** 2 + (row - y_px[:, None, None]) ** 2) / (2 * 1.3**2)
    )
    light = 60 * np.arange(1, count + 1)[:, None, None] * spot
    return SpotStrips(
        branch=branch,
        frame=np.arange(count) * 11,
        x_px=x_px,
        y_px=y_px,
        raw=rng.poisson(light + 20).astype(np.float32),
        denoised=light.astype(np.float32),
    )


@pytest.fixture(scope="module")
def judged(result):
    raw = result.branches["raw"]
    lost = raw.spots.take(np.arange(0, len(raw.spots), 2))
    denoised = replace(raw, name="denoised", spots=lost)
    verdict = judge(BranchFindings.of(raw), BranchFindings.of(denoised), model="<champion>")
    return replace(
        result,
        branches={"raw": raw, "denoised": denoised},
        verdict=verdict,
        strips=(strips("raw", 8), strips("denoised", 0)),
    )


def test_page_gives_the_verdict_its_evidence_and_cut_outs(judged, parsed):
    html = recording_page(judged)
    page = parsed(html)
    assert answer_of(judged.verdict) in page.text
    assert judged.verdict.reason in page.text
    for evidence in judged.verdict.evidence:
        assert evidence.question in page.text
        assert evidence.about in page.text
    assert page.count("section", id="verdict") == 1
    assert "the network is <champion>" in page.text
    assert "There are no spots that only the denoised branch has." in page.text
    assert "8 spots that only the raw branch has, in raw frames above" in html
    assert all(address.startswith("data:image/") for address in page.loaded)


def test_page_of_one_branch_says_nothing_of_it(result, parsed):
    assert verdict_section(result) is None
    assert parsed(recording_page(result)).count("section", id="verdict") == 0


def test_headline_speaks_of_the_branch_to_use(judged):
    for use in ("raw", "denoised"):
        told = replace(judged, verdict=replace(judged.verdict, use=use))
        assert headline_of(told).sentence.startswith(f"Shown is the {use} branch. ")
    open_ = replace(judged, verdict=replace(judged.verdict, use="cannot tell"))
    assert headline_of(open_).sentence.startswith("Shown is the raw branch. ")


def test_cut_outs_have_a_scale_bar_of_the_length_that_is_told(judged):
    figure = strips_figure(strips("raw", 3), pixel_size_nm=100.0)
    bars = [bar for ax in figure.axes for bar in ax.collections]
    assert len(bars) == 2, "in the last cut-out of each row"
    (start, end) = bars[0].get_segments()[0]
    told = verdict_section(judged).strips[0].caption
    assert told.endswith("The bar is 500 nm long.")
    assert end[0] - start[0] == pytest.approx(500 / 100.0)


def test_cut_outs_of_a_branch_are_drawn_for_any_number_of_spots():
    for count in (1, 3, 8):
        figure = strips_figure(strips("raw", count))
        assert len(figure.axes) == 2 * count
        rings = [line.get_xydata() for ax in figure.axes for line in ax.lines]
        assert len(rings) == 2 * count
