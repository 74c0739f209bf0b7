"""The Dagster page as a person sees it: groups, an asset's picture, and nothing from elsewhere."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import numpy as np
import pytest

from cellstorm_assets.definitions import build_defs
from cellstorm_assets.project import find_project
from cellstorm_lib.video.tiff import write_stack

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import browser  # noqa: E402

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(browser.find_chromium() is None, reason="no Chromium on this machine"),
]
OFFSET, GAIN = 100.0, 0.5


@dataclass
class Opened:
    """A page of a served project, and every address it asked for."""

    page: "sync_api.Page"
    address: str
    home: Path
    asked: list[str]


def write_series(folder: Path, light_e: float, seed: int) -> None:
    """Write 40 frames of a smooth object of up to `light_e` electrons."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64] / 63.0
    expected = light_e * (0.1 + 0.9 * np.sin(np.pi * rows) * np.sin(np.pi * columns))
    electrons = rng.poisson(expected, (40, 64, 64)) + rng.normal(0, 2.0, (40, 64, 64))
    frames = np.clip(np.rint(electrons / GAIN + OFFSET), 0, 4095).astype(np.uint16)
    folder.mkdir(parents=True)
    write_stack(folder / "series.tif", [frames], pixel_size_nm=100.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a project with one measured camera."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLSTORM_HOME", str(folder))
        patch.setenv("DAGSTER_HOME", str(folder))
        project = find_project()
        write_series(project.cameras_folder / "mine" / "bright", 1800.0, 1)
        write_series(project.cameras_folder / "mine" / "dark", 0.0, 2)
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions("camera", ["mine"])
            job = build_defs().resolve_job_def("calibrate_cameras")
            assert job.execute_in_process(instance=instance, partition_key="mine").success
        yield folder


@pytest.fixture(scope="module")
def opened(home: Path) -> Iterator[Opened]:
    """Serve the project and open a browser."""
    asked: list[str] = []
    with (
        browser.served(home) as address,
        sync_api.sync_playwright() as playwright,
        browser.opened_page(playwright, width_px=1400, height_px=1000) as page,
    ):
        page.on("request", lambda request: asked.append(request.url))
        browser.let_in(page, home, address)
        yield Opened(page=page, address=address, home=home, asked=asked)


def test_the_groups_are_on_the_page(opened: Opened) -> None:
    opened.page.goto(f"{opened.address}/asset-groups")
    groups = ("calibration", "comparisons", "datasets", "models", "paper", "recordings")
    for group in groups:
        opened.page.get_by_text(group, exact=True).first.wait_for(timeout=60_000)
    assert all(opened.page.get_by_text(group, exact=True).first.is_visible() for group in groups)


def test_the_photon_transfer_curve_is_a_picture(opened: Opened) -> None:
    browser.show_asset(opened.page, opened.address, "photon_transfer_curve", "mine")
    size = browser.open_picture(opened.page, "photon transfer curve")
    assert size["width"] >= 600
    assert size["height"] >= 400


def test_the_camera_is_a_table_with_units(opened: Opened) -> None:
    browser.show_asset(opened.page, opened.address, "camera_calibration", "mine")
    gain = opened.page.get_by_text("e⁻/grey value").first
    gain.wait_for(timeout=60_000)
    assert float(gain.inner_text().split()[0]) == pytest.approx(GAIN, rel=0.1)


def test_nothing_was_asked_of_another_machine(opened: Opened) -> None:
    assert opened.asked
    hosts = {urlsplit(url).hostname for url in opened.asked if url.startswith("http")}
    assert hosts == {"127.0.0.1"}


def test_what_the_servers_say_stays_here(opened: Opened) -> None:
    logs = {path.name for path in (opened.home / "server-logs").iterdir()}
    assert logs == {"dagster-page.log", "daemon.log", "mlflow-page.log"}
    for sent_away in ("logs", ".logs_queue"):
        folder = opened.home / sent_away
        assert not folder.exists() or not any(folder.iterdir())
