"""Take the README's pictures: the asset graph, assets, runs, and the report.

One asset is materialized through the page itself, as a person would.

Needs Chromium and the results of `cellstorm demo`:

    make demo && make screenshots
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from cellstorm_assets.project import Project, find_project

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
#: Time for a run that was started through the page: queue, process, one page made.
_RUN_MS = 40_000
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip


def find_chromium() -> str:
    """Return the browser on this machine, or say what to install."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    sys.exit("no Chromium on this machine: install the package chromium, then try again")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served():
    """Run `cellstorm ui` and yield the address of the Dagster page."""
    port, mlflow_port = free_port(), free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", "from cellstorm_assets.commands import main; main()",
         "ui", "--port", str(port), "--mlflow-port", str(mlflow_port)],
        start_new_session=True,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/server_info", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def take(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def newest_report(project: Project) -> Path:
    reports = sorted((project.assets_folder / "recording_report").glob("*.html"))
    if not reports:
        sys.exit("no report yet: run `cellstorm demo` first")
    return max(reports, key=lambda path: path.stat().st_mtime)


def main() -> None:
    report = newest_report(find_project())
    partition = report.stem
    with sync_playwright() as playwright, served() as address:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 800})
        page.goto(f"{address}/asset-groups", wait_until="networkidle")
        page.wait_for_timeout(3000)
        page.keyboard.press("Alt+e")
        page.wait_for_timeout(3000)
        take(page, "asset-graph")
        page.goto(
            f"{address}/assets/raw/frc_report?view=partitions&partition={partition}",
            wait_until="networkidle",
        )
        page.wait_for_timeout(2000)
        take(page, "asset-partitions")
        page.get_by_text("[Show Markdown]").first.click()
        page.wait_for_timeout(1500)
        page.locator("img[src^='data:image/png']").first.screenshot(
            path=PICTURES / "asset-picture.png"
        )
        page.goto(f"{address}/assets/recording_comparison", wait_until="networkidle")
        page.get_by_role("button", name="Materialize").first.click()
        page.wait_for_timeout(_RUN_MS)
        page.goto(f"{address}/assets/recording_comparison?view=overview", wait_until="networkidle")
        page.wait_for_timeout(2000)
        take(page, "comparison-asset")
        page.goto(f"{address}/runs", wait_until="networkidle")
        page.wait_for_timeout(2000)
        take(page, "runs")
        page.set_viewport_size({"width": 1200, "height": 1500})
        page.goto(report.as_uri())
        page.wait_for_timeout(1000)
        take(page, "report")
        browser.close()


if __name__ == "__main__":
    main()
