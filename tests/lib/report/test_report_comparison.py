from dataclasses import replace

import numpy as np

from cellstorm_lib.report.comparison import ComparisonRow, comparison_page


def row(branch, name="phone", **changes):
    given = {"localizations": branch.localizations, "image": branch.image}
    return ComparisonRow(name=name, **{**given, "frc": branch.frc["molecules"], **changes})


def test_rows_stand_side_by_side_with_their_figures(branch, parsed, frc_report):
    rows = [row(branch), row(branch, "emCCD", frc=frc_report("molecules", 45.0))]
    page = parsed(comparison_page(rows))
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
