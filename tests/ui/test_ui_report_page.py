"""The report of a recording as a person sees it: the viewer, its measures, and nothing loaded."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.result import BranchResult, RecordingResult
from cellstorm_lib.reconstruct.render import RenderSettings, render
from cellstorm_lib.recording import LossSummary, RecordingFacts, Roi
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.refine.merge import MergeReport
from cellstorm_lib.refine.select import SelectReport
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.tables import FieldOfView, Localizations

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import browser  # noqa: E402

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(browser.find_chromium() is None, reason="no Chromium on this machine"),
]
FIELD = FieldOfView(width_px=64, height_px=64, pixel_size_nm=100.0, frame_count=100)
WIDTH_UM = 6.4
#: The cross-section of the filaments, and how far apart the last two are.
SIGMA_NM, APART_NM = 20.0, 150.0
FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
DESK, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


def table_of(x_nm, y_nm, seed=0):
    """Return localizations of 400 photoelectrons, 8 nm uncertain."""
    count = len(x_nm)
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, FIELD.frame_count, count)),
            "x_nm": x_nm,
            "y_nm": y_nm,
            "photons": np.full(count, 400.0),
            "uncertainty_nm": np.full(count, 8.0),
        }
    )
    return Localizations(data=data, field=FIELD)


def filaments():
    """Return one filament along y at 2 µm, two at 4 µm, and an even background."""
    rng = np.random.default_rng(3)
    places = [(2_000.0, 4_000), (4_000.0, 3_000), (4_000.0 + APART_NM, 3_000)]
    x_nm = np.concatenate([at + rng.normal(0, SIGMA_NM, count) for at, count in places])
    y_nm = rng.uniform(500, 5_900, len(x_nm))
    stray_nm = rng.uniform(0, 6_400, (2, 1_500))
    return table_of(np.append(x_nm, stray_nm[0]), np.append(y_nm, stray_nm[1]))


def recording_of(table, *, name="filaments.tif", widefield=True):
    """Return a recording with one branch, or with none where there is no table."""
    row, column = np.mgrid[:64, :64]
    branches = {} if table is None else {"raw": branch_of(table)}
    return RecordingResult(
        facts=RecordingFacts(
            name=name,
            digest="ab" * 32,
            kind="tiff",
            frame_width_px=64,
            frame_height_px=64,
            roi=Roi(width_px=64, height_px=64, x_px=0, y_px=0),
            frame_count=FIELD.frame_count,
            bit_depth=16,
            colour_range="full",
            rotation_deg=0,
            frame_rate_hz=20.0,
            bits_per_px=None,
        ),
        loss=LossSummary(expected_count=100, decoded_count=100),
        calibration=CAMERA_PRESETS["huawei-p9-raw"],
        pixel_size_nm=100.0,
        frame_facts=pd.DataFrame(),
        widefield=(row + column + 20.0).astype(np.float32) if widefield else np.zeros((0, 0), "f4"),
        branches=branches,
        settings={},
    )


def branch_of(table):
    """Return a branch of which only the table and its image are known."""
    count = len(table)
    none = np.zeros(FIELD.frame_count)
    return BranchResult(
        name="raw",
        spots=table,
        localize_report=LocalizeReport(
            frames=FIELD.frame_count, localizations=count, candidates=count, rejected={}
        ),
        drift=Drift(x_nm=none, y_nm=none, uncertainty_nm=none, is_applied=False, reason="still"),
        merge_report=MergeReport(
            localizations=count,
            molecules=count,
            copied=0,
            mean_detections=1.0,
            most_detections=1,
            seen_once=count,
            is_radius_fixed=False,
            was_linked=False,
        ),
        select_report=SelectReport(localizations=count, kept=count, rejected={}),
        localizations=table,
        image=render(table, RenderSettings(pixel_nm=4.0)),
        frc={},
        checks=(),
    )


@dataclass
class Opened:
    """A report in a browser, what it asked for, and what went wrong in it."""

    page: "sync_api.Page"
    asked: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def stage(self) -> "sync_api.Locator":
        return self.page.locator(".stage")

    def settle(self) -> None:
        """Wait until the picture no longer moves."""
        self.page.wait_for_timeout(700)

    def colours(self) -> np.ndarray:
        """Return the picture of the viewer as it is seen, (Y, X, 3)."""
        self.settle()
        return np.asarray(Image.open(io.BytesIO(self.stage.screenshot())).convert("RGB"), float)

    def measure(self, **values: float) -> str:
        """Type a line into the form and return what is said of it."""
        self.page.evaluate("document.querySelector('details.measure').open = true")
        for name, value in values.items():
            self.page.locator(f"form.profile [name={name}]").fill(str(value))
        self.page.locator("form.profile button").click()
        return self.page.locator(".result p").inner_text()


@pytest.fixture(scope="module")
def chromium() -> Iterator["sync_api.Browser"]:
    with (
        sync_api.sync_playwright() as playwright,
        browser.opened_page(playwright, width_px=100, height_px=100) as page,
    ):
        yield page.context.browser


@pytest.fixture
def show(chromium, tmp_path) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens the report of a recording."""
    contexts = []

    def shown(result, *, viewport=DESK, scheme="light"):
        path = tmp_path / "report.html"
        path.write_text(recording_page(result), encoding="utf-8")
        contexts.append(chromium.new_context(viewport=viewport, color_scheme=scheme))
        opened = Opened(page=contexts[-1].new_page())
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        opened.page.on("console", lambda said: opened.troubles.append(said.text))
        opened.page.on("pageerror", lambda error: opened.troubles.append(str(error)))
        opened.page.goto(path.as_uri())
        opened.settle()
        return opened

    yield shown
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def filmed() -> RecordingResult:
    return recording_of(filaments())


def fwhm_tolerance_nm(count):
    """Return four standard errors of the width of so many Gaussian positions."""
    return 4 * FWHM_PER_SIGMA * SIGMA_NM / np.sqrt(2 * count)


def widths(text):
    """Return the widths, and the distance of two peaks, in the words of a profile."""
    return [float(word) for word in text.replace(",", "").split() if word[0].isdigit()]


def test_page_opens_without_asking_for_anything_or_complaining(show, filmed):
    opened = show(filmed)
    assert opened.troubles == []
    assert {url.partition(":")[0] for url in opened.asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in opened.asked) == 1
    assert opened.stage.is_visible()
    assert not opened.page.locator(".static").first.is_visible()
    assert opened.page.locator(".scale").inner_text() == "2 µm"


def test_line_between_the_pictures_follows_the_slider_and_the_handle(show, filmed):
    opened = show(filmed)
    slider = opened.page.locator("[name=split]")

    def is_grey(picture):
        return np.ptp(picture, axis=2).max(axis=0) < 12

    half = is_grey(opened.colours()[60:-60])
    width = len(half)
    assert half[: width // 2 - 20].all()
    assert not half[width // 2 + 20 :].all()
    slider.fill("0")
    assert not is_grey(opened.colours()[60:-60])[: width // 2].all()
    slider.fill("100")
    assert is_grey(opened.colours()[60:-60])[: width - 20].all()
    slider.fill("50")
    box = opened.stage.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 210, steps=4)
    opened.page.mouse.up()
    assert float(slider.input_value()) == pytest.approx(25, abs=0.5)


def test_zoom_goes_down_to_single_localizations_and_tells_of_them(show):
    opened = show(recording_of(table_of([3_200.0, 1_000.0], [3_200.0, 900.0])))
    opened.page.locator("[name=split]").fill("0")
    assert opened.stage.get_attribute("data-shown") == ""
    for _ in range(6):
        opened.page.locator("[data-act=in]").click()
        opened.settle()
    assert opened.stage.get_attribute("data-shown") == "single"
    assert opened.page.locator(".scale").inner_text() == "20 nm"
    box = opened.stage.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2 + 4, box["y"] + box["height"] / 2)
    told = opened.page.locator(".readout").inner_text()
    assert told.startswith("Localization: frame ")
    assert told.endswith("x 3.200 µm · y 3.200 µm · 400 photoelectrons · uncertainty 8 nm")
    opened.page.locator("[data-act=whole]").click()
    opened.settle()
    assert opened.page.locator(".scale").inner_text() == "2 µm"


def test_a_localization_lies_where_its_picture_is(show):
    opened = show(recording_of(table_of([3_202.0], [3_202.0]), widefield=False))
    for _ in range(6):
        opened.page.locator("[data-act=in]").click()
        opened.settle()
    lit = opened.colours()
    lit[:60], lit[-60:] = 0, 0  # the names of the pictures and the scale bar
    blue, red = lit[:, :, 2] - lit[:, :, 0], lit[:, :, 0] - lit[:, :, 2]
    middles = [
        np.array([(axis * np.maximum(part - 30, 0)).sum() for axis in np.indices(part.shape)])
        / np.maximum(part - 30, 0).sum()
        for part in (blue, red)
    ]
    um_per_px = WIDTH_UM / 2**6 / lit.shape[0]
    assert np.abs(middles[0] - middles[1]).max() * um_per_px < 0.002


def test_colours_have_a_legend_with_a_unit(show, filmed):
    opened = show(filmed)
    legend = opened.page.locator(".legend")
    assert not legend.is_visible()
    for colour, name, low, high in (
        ("time", "time (s)", "0", "4.95"),
        ("photons", "photons (photoelectrons, logarithmic)", "400", "400"),
        ("uncertainty_nm", "uncertainty (nm, logarithmic)", "8", "8"),
    ):
        opened.page.locator("[name=colour]").select_option(colour)
        assert legend.locator(".name").inner_text() == name
        assert legend.locator(".low").inner_text() == low
        assert legend.locator(".high").inner_text() == high
    assert opened.stage.get_attribute("data-shown") == "cloud"


def test_profile_measures_the_width_of_a_filament(show, filmed):
    opened = show(filmed)
    text = opened.measure(x1=1.7, y1=3.0, x2=2.3, y2=3.0, band=2_000)
    fwhm_nm, error_nm = widths(text)[:2]
    count = 4_000 * 2_000 / 5_400
    assert "Full width at half maximum" in text
    assert fwhm_nm == pytest.approx(FWHM_PER_SIGMA * SIGMA_NM, abs=fwhm_tolerance_nm(count))
    assert error_nm == pytest.approx(fwhm_tolerance_nm(count) / 4, rel=0.15)
    assert opened.page.locator(".result svg text").last.text_content().endswith(" nm")


def test_profile_tells_two_filaments_apart(show, filmed):
    text = show(filmed).measure(x1=3.7, y1=3.0, x2=4.4, y2=3.0, band=2_000)
    apart_nm, first_nm, _, second_nm = widths(text)[:4]
    count = 3_000 * 2_000 / 5_400
    assert text.startswith("super-resolution: Two peaks")
    assert apart_nm == pytest.approx(APART_NM, abs=4 * SIGMA_NM * np.sqrt(2 / count))
    for fwhm_nm in (first_nm, second_nm):
        assert fwhm_nm == pytest.approx(FWHM_PER_SIGMA * SIGMA_NM, abs=fwhm_tolerance_nm(count))


def test_profile_says_when_there_is_nothing_to_measure(show, filmed):
    opened = show(filmed)
    few = opened.measure(x1=0.5, y1=3.0, x2=0.7, y2=3.0, band=1)
    assert "too few for a width, which needs 20" in few
    even = opened.measure(x1=2.4, y1=3.0, x2=3.6, y2=3.0, band=5_000)
    assert "no peak stands out from the background" in even
    opened.page.locator("form.profile [name=x1]").fill("2")
    opened.page.locator("form.profile [name=x2]").fill("2")
    opened.page.locator("form.profile button").click()
    assert opened.page.locator(".result").inner_text() == "The line has no length."


def test_profile_of_a_sample_says_so(show):
    opened = show(recording_of(table_of(np.full(100, 3_200.0), np.linspace(0, 6_400, 100))))
    whole = opened.measure(x1=3.0, y1=3.2, x2=3.4, y2=3.2, band=6_000)
    assert "localizations along 400 nm" in whole
    text = opened.page.evaluate("profileText([1], [], 10, { count: 1, total: 2 })")
    assert text.startswith("1 localizations of the sample in this page along 10 nm: too few")


def test_profile_is_drawn_with_the_mouse_or_two_clicks(show, filmed):
    opened = show(filmed)
    box = opened.stage.bounding_box()
    side = box["height"]  # of the field, which is square
    left = box["x"] + (box["width"] - side) / 2
    ends = [(left + side * x / WIDTH_UM, box["y"] + side * 3.0 / WIDTH_UM) for x in (1.7, 2.3)]
    told = []
    for is_drag in (True, False):
        opened.page.locator("[data-act=measure]").click()
        opened.page.mouse.move(*ends[0])
        opened.page.mouse.down()
        if not is_drag:
            opened.page.mouse.up()
        opened.page.mouse.move(*ends[1], steps=3)
        if not is_drag:
            opened.page.mouse.down()
        opened.page.mouse.up()
        told.append(opened.page.locator(".result p").inner_text())
        assert opened.page.locator("[data-act=measure]").get_attribute("aria-pressed") == "false"
    assert told[0] == told[1]
    assert float(opened.page.locator("[name=x1]").input_value()) == pytest.approx(1.7, abs=0.02)
    assert widths(told[0])[0] == pytest.approx(FWHM_PER_SIGMA * SIGMA_NM, rel=0.25)


def test_keys_move_and_zoom_but_never_turn_the_picture(show, filmed):
    opened = show(filmed)
    picture = opened.page.locator(".openseadragon-canvas")
    picture.focus()
    before = opened.colours()
    opened.page.keyboard.press("r")
    opened.page.keyboard.press("f")
    np.testing.assert_array_equal(opened.colours(), before)
    for _ in range(4):
        opened.page.keyboard.press("+")
        opened.settle()
    assert opened.page.locator(".scale").inner_text() != "2 µm"
    opened.page.keyboard.press("0")
    opened.settle()
    assert opened.page.locator(".scale").inner_text() == "2 µm"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_button_turns_the_page_from_light_to_dark_and_back(show, filmed, scheme):
    page = show(filmed, scheme=scheme).page

    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = "rgb(255, 255, 255)", "rgb(20, 23, 27)"
    first, second = (light, dark) if scheme == "light" else (dark, light)
    assert paper() == first
    page.locator("button.theme").click()
    assert paper() == second
    page.locator("button.theme").click()
    assert paper() == first
    page.emulate_media(media="print")
    assert paper() == light


def test_print_shows_a_still_picture_instead_of_the_viewer(show, filmed):
    page = show(filmed).page
    page.emulate_media(media="print")
    assert not page.locator(".stage").is_visible()
    assert page.locator(".static img").count() == 2
    assert page.locator(".static img").first.is_visible()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_sticks_out_of_the_window(show, filmed, viewport):
    page = show(filmed, viewport=viewport).page
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    box = page.locator(".stage").bounding_box()
    assert box["width"] > 0.7 * min(viewport["width"], 1_080)
    assert box["height"] < 0.8 * viewport["height"]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (table_of([], []), "There is no super-resolution image: no localization was left to draw."),
        (None, "Nothing has been localized in this recording yet."),
    ],
    ids=["no localization", "no branch"],
)
def test_what_is_missing_is_said_and_the_widefield_is_shown(show, table, sentence):
    opened = show(recording_of(table, name="<img src=x onerror=alert(1)>.tif"))
    assert opened.troubles == []
    assert opened.page.locator("h1").inner_text() == "<img src=x onerror=alert(1)>.tif"
    assert opened.page.get_by_text(sentence).first.is_visible()
    assert opened.stage.is_visible()
    assert opened.colours()[100:-100].max() > 200


def test_without_any_picture_there_is_no_viewer(show):
    opened = show(recording_of(None, widefield=False))
    assert opened.troubles == []
    assert opened.page.locator(".viewer").count() == 0


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_can_be_used_by_everybody(show, filmed, scheme, viewport):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    opened = show(filmed, scheme=scheme, viewport=viewport)
    opened.measure(x1=1.7, y1=3.0, x2=2.3, y2=3.0, band=500)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []
