"""The page of recordings side by side, in a browser: nothing cut, nothing empty."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.reconstruct.render import RenderSettings, render
from cellstorm_lib.report.comparison import ComparisonRow, DenoisedSide, comparison_page
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.tables import FieldOfView, Localizations

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import browser  # noqa: E402

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(browser.find_chromium() is None, reason="no Chromium on this machine"),
]
FIELD = FieldOfView(width_px=64, height_px=64, pixel_size_nm=100.0, frame_count=500)


def row(name: str, seed: int, **changes: object) -> ComparisonRow:
    """Return a recording of molecules along a ring."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, 3000)
    data = {
        "frame": np.sort(rng.integers(0, 500, 3000)),
        "x_nm": 3200 + 2000 * np.cos(angle) + rng.normal(0, 10, 3000),
        "y_nm": 3200 + 2000 * np.sin(angle) + rng.normal(0, 10, 3000),
        "photons": rng.uniform(300, 900, 3000),
        "uncertainty_nm": np.full(3000, 10.0),
    }
    table = Localizations(data=pd.DataFrame(data), field=FIELD, provenance={})
    image = render(table, RenderSettings())
    widefield = Picture(
        values=rng.random((64, 64)).astype(np.float32), pixel_nm=100.0, colours="grey",
        is_sparse=False,
    )  # fmt: skip
    given = {"denoised": DenoisedSide(image=image, localization_count=3000), **changes}
    return ComparisonRow(
        name=name, localizations=table, image=image, widefield=widefield, camera="p9", **given
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page of a phone, an emCCD, and a recording that was not denoised."""
    rows = [
        row("phone.mp4", 1),
        row("emccd_of_the_same_cell_with_a_long_name.ome.tif", 2),
        row("third.mp4", 3, denoised=DenoisedSide(missing="the network was not there")),
    ]
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    page = comparison_page(rows, left_out=("fourth.mp4 is left out: it is not localized yet",))
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[(390, 800), (1200, 900)], ids=["phone", "desk"])
def opened(request: pytest.FixtureRequest, file: Path) -> Iterator["sync_api.Page"]:
    """Open the page on a phone and on a desk."""
    width_px, height_px = request.param
    with (
        sync_api.sync_playwright() as playwright,
        browser.opened_page(playwright, width_px=width_px, height_px=height_px) as page,
    ):
        page.goto(file.as_uri())
        yield page


def test_nothing_reaches_beyond_the_page(opened: "sync_api.Page") -> None:
    beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.evaluate(beyond) == 0


def test_every_picture_is_there(opened: "sync_api.Page") -> None:
    widths = opened.eval_on_selector_all("img", "all => all.map(image => image.naturalWidth)")
    assert len(widths) == 5 + 5 + 3
    assert min(widths) >= 160


def test_raw_and_denoised_stand_in_the_same_columns_at_a_desk(opened: "sync_api.Page") -> None:
    if opened.viewport_size["width"] < 1000:
        pytest.skip("on a phone they stand below each other")
    lefts = opened.eval_on_selector_all(
        "article:first-of-type img", "all => all.map(image => image.getBoundingClientRect().left)"
    )
    assert lefts[1] == pytest.approx(lefts[3], abs=1)
    assert lefts[2] == pytest.approx(lefts[4], abs=1)


def test_what_is_missing_says_why(opened: "sync_api.Page") -> None:
    text = opened.inner_text("body")
    assert "There is no denoised image: the network was not there." in text
    assert "fourth.mp4 is left out" in text
