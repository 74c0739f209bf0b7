"""The page: theirs beside ours, escaped, and honest about what is missing."""

import json
from dataclasses import asdict
from pathlib import Path

from cellstorm_lib.paper.camera import table_figure
from cellstorm_lib.paper.page import MAKERS, paper_page
from cellstorm_lib.paper.settings import PARTS
from cellstorm_lib.paper.times import Times, times_figure
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.report.paper import PaperFigure, PaperRow

TIMES = Times(
    pairs_s=200.0, training_s=240.0, recipe="default", device="cpu", steps=6000,
    denoised_frames=3000, denoising_s=9.0, engine="torch",
)  # fmt: skip


def test_the_page_shows_theirs_beside_ours_and_says_that_it_is_simulated() -> None:
    page = paper_page([table_figure(), times_figure(TIMES)], missing=["cell"])
    assert "Everything on this page is simulated" in page
    assert "Left out: cell" in page
    assert "4.0 min" in page
    assert "about 2 h on a Titan X" in page


def test_denoising_is_scaled_to_the_stack_of_the_paper() -> None:
    rows = {row.what: row for row in times_figure(TIMES).rows}
    assert rows["15,000 frames of 256 x 256 pixels denoised"].ours == "45 s"


def test_texts_are_escaped() -> None:
    row = PaperRow(what="<b>", theirs="<i>x</i>", ours="&", remark="<script>alert(1)</script>")
    figure = PaperFigure(name="x", title="<u>", about="", rows=(row,), panels=())
    page = paper_page([figure])
    assert "<script>alert" not in page
    assert "<i>x</i>" not in page


def test_a_figure_is_stored_and_read_again(tmp_path: Path) -> None:
    figure = table_figure()
    write_records([figure], tmp_path / "figure.parquet")
    again = read_records(PaperFigure, tmp_path / "figure.parquet")[0]
    assert json.dumps(asdict(again)) == json.dumps(asdict(figure))


def test_every_part_that_can_be_asked_for_can_be_made() -> None:
    assert list(MAKERS) == list(PARTS)
