"""The section on quality says what every measure says, or why it says nothing."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.evaluate.error_map import not_compared
from cellstorm_lib.pipeline.quality import Quality, measure_quality
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.quality import quality_figures, quality_rows


@pytest.fixture(scope="module")
def quality(spots, branch, result) -> Quality:
    table = branch.localizations.with_columns(
        detections=np.ones(len(branch.localizations), np.int32)
    )
    return measure_quality(
        spots, table, branch.image, measure_frc(table),
        widefield=result.widefield, pixel_size_nm=result.pixel_size_nm,
    )  # fmt: skip


def test_every_measure_has_a_line_with_a_value_and_a_reason(quality):
    rows = quality_rows(quality)
    assert len(rows) == len({row.name for row in rows}) == 10
    assert all(row.value and row.remark for row in rows)


def test_what_cannot_be_told_says_so(quality):
    nothing = replace(
        quality,
        error_map=not_compared("no widefield image was given"),
        molecules=replace(quality.molecules, molecules=None, reason="too few blinks"),
    )
    rows = {row.name: row for row in quality_rows(nothing)}
    error = rows["Correlation with the widefield image (RSP)"]
    assert (error.value, error.remark) == ("cannot tell", "no widefield image was given")
    assert rows["Molecules, blinking taken off"].remark == "too few blinks"
    assert "error map" not in quality_figures(nothing)


@pytest.mark.parametrize(
    ("ratio", "judgement"),
    [(1.5, "it states too little"), (0.6, "it states too much"), (1.0, "it is honest")],
)
def test_claims_are_judged(quality, ratio, judgement):
    claims = replace(
        quality.precision, claimed_nm=12.0, claim_ratio=ratio, claim_ratio_low=ratio - 0.02,
        claim_ratio_high=ratio + 0.02,
    )  # fmt: skip
    row = quality_rows(replace(quality, precision=claims))[1]
    assert row.value == "12 nm"
    assert judgement in row.remark


def test_maps_and_curves_are_drawn_where_there_are_any(quality):
    rng = np.random.default_rng(0)
    frequency = np.linspace(0, 0.03, 100)
    full = replace(
        quality,
        frc_map=replace(
            quality.frc_map,
            resolution_nm=np.where(rng.random((6, 8)) < 0.3, np.nan, rng.uniform(40, 90, (6, 8))),
            step_nm=500.0, median_nm=60.0,
        ),
        error_map=replace(
            not_compared(""), rsp=0.9, rse=1.0, difference_detail=rng.normal(size=(900, 700))
        ),
        repeats=replace(
            quality.repeats, frequency_per_nm=frequency, uncorrected=np.exp(-frequency * 80),
            corrected=np.exp(-frequency * 120),
        ),
    )  # fmt: skip
    figures = {name: draw() for name, draw in quality_figures(full).items()}
    assert set(figures) == {"resolution map", "error map", "repeats"}
    shown = figures["resolution map"].axes[0].images[0]
    assert shown.get_array().mask.sum() == np.isnan(full.frc_map.resolution_nm).sum()
    error = figures["error map"].axes[0].images[0]
    assert max(error.get_array().shape) <= 450
    assert error.get_clim()[0] == -error.get_clim()[1]
    assert len(figures["repeats"].axes[0].lines) == 4


def test_the_page_shows_the_section(result, branch, quality, parsed):
    with_quality = replace(result, branches={"raw": replace(branch, quality=quality)})
    page = parsed(recording_page(with_quality))
    assert "quality" in page.ids
    assert "Localization precision, measured (NeNA)" in page.text
    assert "The quality was not measured." in parsed(recording_page(result)).text
