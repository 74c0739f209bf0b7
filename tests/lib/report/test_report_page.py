import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellstorm_lib.camera import CAMERA_PRESETS, read_calibration
from cellstorm_lib.report.facts import command_line, recording_rows
from cellstorm_lib.report.headline import headline_of
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.sections import branch_section


def with_branch(result, **changes):
    branch = replace(next(iter(result.branches.values())), **changes)
    return replace(result, branches={branch.name: branch})


def with_table(result, rows, frc):
    branch = result.branches["raw"]
    table = branch.spots.take(np.arange(rows))
    no_curve = dict.fromkeys(("frequency_per_nm", "curve", "curve_low", "curve_high"), np.zeros(0))
    return with_branch(
        result,
        spots=table,
        localizations=table,
        image=replace(branch.image, image=np.zeros((640, 640), np.float32)),
        frc={"molecules": replace(frc, reason="no resolution: too few localizations", **no_curve)},
    )


@pytest.fixture(scope="module")
def html(result):
    return recording_page(result)


def test_page_is_whole_and_loads_nothing(html, parsed):
    page = parsed(html)
    assert all(address.startswith("data:image/") for address in page.loaded)
    assert "default-src 'none'" in html
    own = re.sub(r"<script>/\*\nCopyright.*?</script>", "", html, flags=re.DOTALL)
    assert len(own) < len(html) - 300_000, "the viewer library is inside"
    assert not re.findall(
        r"url\((?!#)|@import|src=\"http|<link|sourceMappingURL|https?:(?!//doi|//www.w3.org/2000/svg)",
        own,
    )
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if link.startswith("#")} <= {f"#{one}" for one in page.ids}
    assert len(html) < 6e6


def test_page_allows_its_own_scripts_by_their_digests_and_nothing_else(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src {allowed}"
    )


def test_page_holds_the_licence_of_the_viewer_library(html):
    assert "Redistributions in binary form must reproduce the above copyright" in html
    assert "viewer: OpenSeadragon, BSD-3-Clause" in html
    version = re.search(r"//! openseadragon ([\d.]+)", html)[1]
    notice = (Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    assert f"OpenSeadragon {version} (BSD-3-Clause)" in notice


def test_page_shows_pictures_and_figures(html, parsed):
    page = parsed(html)
    shown = {attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"}
    assert len(shown) == 10
    regions = sum("Region" in a["alt"] for tag, a in page.tags if tag == "img") // 2
    assert 1 <= regions <= 3
    assert page.count("img") == 2 + 2 * regions
    assert page.count("input", type="range") == 1
    sizes = {(a["width"], a["height"]) for tag, a in page.tags if tag == "img"}
    assert sizes == {("1000", "1000"), ("360", "360")}


def test_every_picture_and_figure_can_be_heard(html, parsed):
    page = parsed(html)
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")


def test_answer_stands_on_top_with_its_cautions(result, html, parsed):
    headline = headline_of(result)
    assert headline.sentence == (
        "The image is resolved to 62 nm (interval 58 to 66 nm), from 1,000 localizations "
        "in 120 frames."
    )
    assert headline.cautions == (
        "The camera was estimated.",
        "The file is damaged: 3 frames are missing and 0 may be wrong (cut).",
        "Check failed, subpixel bias: pixel centres preferred.",
    )
    assert [(figure.name, figure.value) for figure in headline.figures] == [
        ("Resolution", "62 nm"),
        ("Localizations", "1,000"),
        ("Photons", f"{np.median(result.branches['raw'].spots.column('photons')):.0f}"),
        ("Uncertainty", headline.figures[3].value),
        ("Frames", "120"),
        ("Checks passed", "1 of 3"),
    ]
    page = parsed(html)
    assert headline.sentence in page.text
    assert all(caution in page.text for caution in headline.cautions)


def test_text_from_files_stays_text(result, parsed, frc_report):
    nasty = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
    result = replace(
        with_branch(result, frc={nasty: frc_report("molecules", None)}),
        facts=replace(result.facts, name=nasty, details={nasty: nasty}),
        loss=replace(result.loss, reason=nasty),
        calibration=replace(result.calibration, name=nasty, source=nasty),
        settings={nasty: nasty},
        notes=(nasty,),
    )
    page = parsed(recording_page(result))
    assert page.text.count(nasty) >= 8
    assert page.count("img", src="x") == 0
    assert page.count("script") == 4
    assert page.count("em") == 0
    assert "49" not in page.text.partition("onerror")[2][:20]


def test_same_result_gives_the_same_page(result, html):
    assert recording_page(result) == html


def test_calibration_can_be_copied_into_a_file(result, html, parsed, tmp_path):
    text = parsed(html).text
    start = text.index('{\n  "name"')
    (tmp_path / "CAL.json").write_text(text[start : text.index("\n}", start) + 2])
    assert read_calibration(tmp_path / "CAL.json") == result.calibration


def test_checks_say_passed_failed_or_cannot_tell(html, parsed):
    page = parsed(html)
    assert page.count("td", **{"class": "verdict passed"}) == 1
    assert page.count("td", **{"class": "verdict failed"}) == 1
    assert page.count("td", **{"class": "verdict cannot-tell"}) == 1
    assert "too few localizations" in page.text


def test_all_splits_stand_side_by_side(html, parsed):
    text = parsed(html).text
    assert "62 nm" in text
    assert "41 nm" in text


def test_no_resolution_is_an_answer(result, frc_report):
    headline = headline_of(with_branch(result, frc={"molecules": frc_report("molecules", None)}))
    assert headline.sentence.endswith("no resolution can be given: <em>noise</em>.")
    assert headline.figures[0].value == "none"


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_localization_still_gives_a_page(result, rows, parsed, frc_report):
    page = parsed(recording_page(with_table(result, rows, frc_report("molecules", None))))
    assert "There is no curve: too few localizations." in page.text
    if rows == 0:
        assert "No molecule was found in 120 frames" in page.text
        assert "There is no super-resolution image" in page.text
        assert page.text.count("No histogram of the") == 4
        assert page.count("img") == 1
    else:
        assert "1 localization in 120 frames" in page.text
        assert "There is no super-resolution image" not in page.text


def test_missing_pieces_are_named(result, parsed):
    branch = result.branches["raw"]
    bare = branch.spots.with_data(branch.spots.data[["frame", "x_nm", "y_nm"]])
    drift = replace(
        branch.drift, x_nm=np.zeros(0), y_nm=np.zeros(0), is_applied=False, reason="one frame only"
    )
    result = replace(
        with_branch(result, spots=bare, localizations=bare, drift=drift, frc={}, checks=()),
        frame_facts=result.frame_facts.iloc[:1],
        widefield=np.zeros((0, 0), np.float32),
        settings={},
        notes=(),
    )
    page = parsed(recording_page(result))
    assert page.count("svg", **{"aria-label": "Drift of the sample in x and y"}) == 0
    text = page.text
    for sentence in (
        "There is no widefield image to compare with.",
        "There is no curve: the Fourier ring correlation was not measured.",
        "No checks were made.",
        "Drift was not corrected: one frame only",
        "No histogram of the spot width (sigma): the table has no column sigma_nm.",
        "There is no curve over the frames: fewer than two were read.",
        "The settings were not recorded.",
    ):
        assert sentence in text


def test_branches_are_shown_beside_the_widefield_in_the_same_regions(result, parsed):
    raw = result.branches["raw"]
    fewer = raw.localizations.take(np.arange(0, len(raw.localizations), 7))
    both = {"raw": raw, "denoised": replace(raw, name="denoised", localizations=fewer)}
    page = parsed(recording_page(replace(result, branches=both)))
    names = [a["alt"] for tag, a in page.tags if tag == "img"]
    kinds = ["widefield", "super-resolution, raw", "super-resolution, denoised"]
    assert names[:3] == [f"{kind.capitalize()} image" for kind in kinds]
    assert names[3:6] == [f"Region 1, 1 µm wide: {kind}" for kind in kinds]
    assert len(names) % 3 == 0


def test_a_branch_without_localizations_is_named(result, parsed):
    raw = result.branches["raw"]
    none = replace(raw, name="denoised", localizations=raw.localizations.take(np.arange(0)))
    page = parsed(recording_page(replace(result, branches={"raw": raw, "denoised": none})))
    assert (
        "There is no super-resolution image of the denoised branch: no localization was left to "
        "draw." in page.text
    )


def test_what_results_were_made_from_is_told(result, html, parsed):
    records = {"recording_report": {"film": "ab12", "settings.localize": "cd34"}}
    page = parsed(recording_page(replace(result, records=records)))
    assert "What all of this was made from" in page.text
    assert "ab12" in page.text
    assert "cd34" in page.text
    assert "made from: digests" not in parsed(html).text


def test_a_recording_without_branches_says_so(result, parsed):
    text = parsed(recording_page(replace(result, branches={}))).text
    assert "Nothing has been localized in cell <b>3</b>.mp4 yet." in text


def test_two_branches_stand_below_each_other(result, parsed):
    raw = result.branches["raw"]
    both = {"raw": raw, "denoised": replace(raw, name="denoised")}
    page = parsed(recording_page(replace(result, branches=both)))
    assert len(page.ids) == len(set(page.ids))
    assert page.text.count("Branch denoised") == page.text.count("Branch raw") >= 5


def test_a_stack_has_no_codec_and_a_calibrated_camera_no_warning(result, html, parsed):
    stack = replace(
        result,
        facts=replace(result.facts, kind="tiff", bits_per_px=None, frame_rate_hz=None),
        calibration=CAMERA_PRESETS["huawei-p9-raw"],
        frame_facts=result.frame_facts.assign(is_key=True, frames_since_key=0),
    )
    text = parsed(recording_page(stack)).text
    assert "This camera is an estimate" in parsed(html).text
    assert "This camera is an estimate" not in text
    assert "Range tag" not in text
    assert "Between key frames" not in text


def test_command_line_can_be_pasted_into_a_shell(result):
    assert command_line(result) == (
        "cellstorm process 'cell <b>3</b>.mp4' --pixel-size-nm 100 --roi 64x64+16+32"
    )
    preset = replace(result, calibration=CAMERA_PRESETS["huawei-p9-raw"])
    assert command_line(preset).endswith(" --camera huawei-p9-raw")
    measured = replace(result, calibration=replace(result.calibration, source="measured"))
    assert command_line(measured).endswith(" --camera CAL.json")
    option = replace(result, facts=replace(result.facts, name="-x.mp4"))
    assert command_line(option).startswith("cellstorm process ./-x.mp4 ")


def test_counts_say_what_they_count(result, parsed):
    facts = replace(result.facts, details={"key_frame_interval": 21})
    page = parsed(recording_page(replace(result, facts=facts)))
    for text in ("21 frames", "Sightings of molecules", "Log-likelihood gained"):
        assert text in page.text


@pytest.mark.parametrize(
    ("jitter_ms", "told"), [(0.5, "even"), (10.0, "varies from 40 to 60 ms (98 % of them)")]
)
def test_a_frame_rate_that_varies_is_told(result, jitter_ms, told):
    # Every other frame comes early, so intervals are 50 ms less and more that much.
    count = len(result.frame_facts)
    early_s = np.where(np.arange(count) % 2, jitter_ms / 1e3, 0.0)
    facts = result.frame_facts.assign(time_s=np.arange(count) * 0.05 - early_s)
    rows = {row.name: row for row in recording_rows(replace(result, frame_facts=facts))}
    assert told in rows["Time between frames"].remark
    stack = replace(result.facts, kind="tiff")
    names = {row.name for row in recording_rows(replace(result, facts=stack))}
    assert "Time between frames" not in names


def test_figures_that_say_nothing_of_a_branch_are_left_out(result):
    names = {row.name for row in section_rows(result)}
    assert not names & {"Frames per second", "Least probability", "False share", "Noise photons"}
    report = replace(result.branches["raw"].localize_report, least_probability=0.4)
    judged = {row.name for row in section_rows(with_branch(result, localize_report=report))}
    assert judged == names | {"Least probability", "False share"}


def section_rows(result):
    return branch_section(result, result.branches["raw"]).steps["Detection and fit"]


def test_the_page_tells_how_much_of_it_is_made(result, html):
    told = []
    assert recording_page(result, progress=lambda done, whole: told.append(done / whole)) == html
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) >= 4
