from dataclasses import replace

import numpy as np

from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.comparison import (
    MOST_PICTURED,
    ComparisonRow,
    DenoisedSide,
    common_side_nm,
    comparison_page,
)
from cellstorm_lib.report.picture import Picture


def row(branch, name="phone", **changes):
    given = {"localizations": branch.localizations, "image": branch.image}
    return ComparisonRow(name=name, **{**given, "frc": branch.frc["molecules"], **changes})


def test_rows_stand_side_by_side_with_their_figures(branch, parsed, frc_report):
    rows = [row(branch), row(branch, "emCCD", frc=frc_report("molecules", 45.0))]
    told = []
    page = parsed(comparison_page(rows, progress=lambda *at: told.append(at)))
    assert told == [(1, 2), (2, 2)]
    table = branch.localizations
    for text in (
        "phone", "emCCD", "62 nm", "58 to 66 nm", "45 nm", f"{len(table):,}",
        f"{np.median(table.column('photons')):.0f}",
        f"{np.median(table.column('uncertainty_nm')):.3g} nm",
    ):  # fmt: skip
        assert text in page.text
    assert page.count("img") == 4
    assert page.count("svg") == 1
    assert all(address.startswith("data:image/png;base64,") for address in page.loaded)


def test_what_a_row_lacks_is_named(branch, parsed, frc_report):
    empty = branch.localizations.take(np.arange(0))
    bare = branch.spots.with_data(branch.spots.data[["frame", "x_nm", "y_nm"]])
    rows = [
        row(branch, "empty", localizations=empty, frc=frc_report("molecules", None)),
        row(branch, "bare", localizations=bare, image=None, frc=None),
    ]
    page = parsed(comparison_page(rows))
    assert "There is no image: the table is empty." in page.text
    assert "There is no image: none was rendered." in page.text
    assert "not known" in page.text
    assert "the Fourier ring correlation was not measured" in page.text
    assert page.count("img") == 0


def test_nothing_to_compare_is_said(parsed):
    page = parsed(comparison_page([]))
    assert "There is nothing to compare" in page.text


def test_names_and_notes_stay_text(branch, parsed):
    nasty = "<b>&\"'</script>"
    page = parsed(comparison_page([row(branch, nasty, notes=(nasty,))], title=nasty))
    assert page.count("b") == 0
    assert page.count("script") == 1
    assert page.text.count(nasty) >= 4


def test_an_inferred_field_is_noted(branch):
    table = replace(
        branch.localizations, field=replace(branch.localizations.field, is_inferred=True)
    )
    assert "inferred from the extent" in comparison_page([row(branch, localizations=table)])


def test_widefield_raw_and_denoised_stand_side_by_side(branch, parsed, frc_report):
    side = DenoisedSide(
        image=branch.image, frc=frc_report("molecules", 31.0), localization_count=1234
    )
    widefield = Picture(
        values=np.ones((24, 24), np.float32), pixel_nm=100.0, colours="grey", is_sparse=False
    )
    rows = [row(branch, widefield=widefield, denoised=side, camera="p9, 100 nm pixels")]
    page = parsed(comparison_page(rows))
    assert page.count("img") == 5
    for text in (
        "Widefield", "raw, ", "denoised, ", "31 nm", "1,234", "p9, 100 nm pixels",
        "phone, denoised",
    ):  # fmt: skip
        assert text in page.text
    assert page.text.count("not calibrated") >= 3  # photons, uncertainty, and the sentence below
    bare = parsed(comparison_page([row(branch)]))
    assert "not calibrated" not in bare.text


def test_a_recording_without_its_denoised_branch_stays_and_says_why(branch, parsed):
    rows = [row(branch, denoised=DenoisedSide(missing="the network was not there"))]
    page = parsed(comparison_page(rows, left_out=("<b>other</b> is left out: it failed",)))
    assert page.count("img") == 2
    assert "There is no denoised image: the network was not there." in page.text
    assert "<b>other</b> is left out: it failed" in page.text
    nothing = DenoisedSide(image=branch.image, localization_count=0)
    page = parsed(comparison_page([row(branch, denoised=nothing)]))
    assert "no molecule was found in the denoised frames" in page.text


def noisy_row(branch, number: int) -> ComparisonRow:
    """Return a recording whose pictures are noise, which no format makes small."""
    rng = np.random.default_rng(number)
    noise = rng.random((900, 900)).astype(np.float32)
    image = RenderedImage(
        image=noise, pixel_nm=branch.localizations.field.width_nm / 900, method="histogram",
        localizations=len(branch.localizations), outside=0,
    )  # fmt: skip
    widefield = Picture(values=noise, pixel_nm=100.0, colours="grey", is_sparse=False)
    side = DenoisedSide(image=image, frc=branch.frc["molecules"], localization_count=7)
    return row(branch, f"film {number}", image=image, widefield=widefield, denoised=side)


def test_hundreds_of_recordings_stay_a_page_that_opens(branch, parsed):
    asked = 0

    def rows():
        nonlocal asked
        for number in range(300):
            asked = number
            yield (
                noisy_row(branch, number)
                if number < MOST_PICTURED
                else row(branch, f"film {number}", image=None)
            )

    side_nm = common_side_nm([branch.localizations.field])
    text = comparison_page(rows(), count=300, side_nm=side_nm)
    assert asked == 299
    assert len(text.encode()) < 15_000_000
    page = parsed(text)
    shown = text.count("<article>")
    assert 8 <= shown <= MOST_PICTURED
    assert page.count("img") == 5 * shown
    assert f"Pictures and curves are of the first {shown} of 300, so that the page" in page.text
    assert all(f"film {number}" in page.text for number in (0, 150, 299))
    assert page.count("svg") == 1


def test_a_few_recordings_all_have_large_pictures(branch, parsed):
    page = parsed(comparison_page([noisy_row(branch, number) for number in range(3)]))
    assert page.count("img") == 15
    assert "Pictures and curves are of the first" not in page.text
