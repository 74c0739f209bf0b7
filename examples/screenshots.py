"""Take the pictures of the README and the guides: a project made from nothing, then its page.

A simulated phone films the demo and takes calibration series, a simulated Pixel phone is set
beside a real clip, everything is materialized, and a browser looks at it. One asset is
materialized through the page itself, as a person would. Needs Chromium:

    make screenshots

`python examples/screenshots.py FOLDER` uses a project that exists, and makes what it lacks.
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from another_champion import crown_another
from browser import find_chromium, let_in, open_picture, opened_page, served, show_asset
from calibration_series import write_series
from playwright.sync_api import Page, sync_playwright

from cellstorm_assets.command_options import announced
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.demo import run_demo
from cellstorm_assets.lineage import Present, lineages
from cellstorm_assets.lineage_checks import tell_page
from cellstorm_assets.project import Project, find_project

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
CLIP = ROOT / "tests" / "data" / "androidx-media" / "pixel7_videoOnly_cleaned.mp4"
SCENE = ROOT / "examples" / "scenes" / "dark-pixel.yaml"
CAMERA, DATASET = "p9", "dark-pixel"
#: Time for a run that was started through the page: queue, process, one page made.
_RUN_MS = 60_000


def main() -> None:
    if find_chromium() is None:
        sys.exit("no Chromium on this machine: install the package chromium, then try again")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else made).resolve()
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(home)
        project = find_project()
        fill(project)
        with served(home) as address, sync_playwright() as playwright:
            with opened_page(playwright, width_px=1500, height_px=800) as page:
                let_in(page, home, address)
                photograph_graph(page, address)
                photograph_recording(page, address, project)
                photograph_camera(page, address)
                photograph_comparison(page, address)
            with opened_page(playwright, width_px=2100, height_px=1160) as page:
                let_in(page, home, address)
                photograph_lineage(page, address, project)
            with opened_page(playwright, width_px=1200, height_px=1500) as page:
                photograph_pages(page, project)


def fill(project: Project) -> None:
    """Make what the project lacks: the demo recording, a measured camera, a dataset."""
    if not any((project.assets_folder / "recording_report").glob("*.html")):
        run_demo(announced())
    if project.cameras.series(CAMERA) is None:
        write_series(project.cameras_folder / CAMERA)
    if not (project.assets_folder / "camera_calibration" / f"{CAMERA}.json").exists():
        materialize("calibrate_cameras", "camera", CAMERA)
    recipe = project.datasets_folder / f"{DATASET}.yaml"
    if not recipe.exists():
        scenes = project.datasets_folder / "scenes"
        scenes.mkdir(exist_ok=True)
        shutil.copy(SCENE, scenes)
        shutil.copy(CLIP, project.datasets_folder / "pixel7-dark.mp4")
        recipe.write_text(f"scene: scenes/{SCENE.name}\nreal_clip: pixel7-dark.mp4\n")
    if not fidelity_page(project).exists():
        materialize("simulate_datasets", "dataset", DATASET)


def materialize(job: str, kind: str, partition: str) -> None:
    """Run a job for one partition, as the daemon would."""
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(kind, [partition])
        build_defs().resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )


def photograph_graph(page: Page, address: str) -> None:
    """The groups as they stand when the page opens; all assets at once are too small to read."""
    page.set_viewport_size({"width": 1500, "height": 520})
    page.goto(f"{address}/asset-groups", wait_until="networkidle")
    page.wait_for_timeout(3000)
    take(page, "asset-graph")
    page.set_viewport_size({"width": 1500, "height": 800})


def photograph_recording(page: Page, address: str, project: Project) -> None:
    show_asset(page, address, "raw/frc_report", newest_report(project).stem)
    page.wait_for_timeout(2000)
    take(page, "asset-partitions")
    page.get_by_text("[Show Markdown]").first.click()
    page.wait_for_timeout(1500)
    take_picture(page, "asset-picture")


def photograph_camera(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1500, "height": 1100})
    for asset, name, file_name in (
        ("photon_transfer_curve", "photon transfer curve", "photon-transfer"),
        ("dark_stability", "dark level over time", "dark-stability"),
        ("flat_field", "flat field", "flat-field"),
    ):
        show_asset(page, address, asset, CAMERA)
        open_picture(page, name)
        page.wait_for_timeout(500)
        take_picture(page, file_name)
    show_asset(page, address, "camera_calibration", CAMERA)
    page.wait_for_timeout(1500)
    take(page, "camera-calibration")
    show_asset(page, address, "simulated_recording", DATASET)
    page.wait_for_timeout(1500)
    take(page, "simulated-recording")
    page.set_viewport_size({"width": 1500, "height": 800})


def photograph_comparison(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/recording_comparison", wait_until="networkidle")
    page.get_by_role("button", name="Materialize").first.click()
    page.wait_for_timeout(_RUN_MS)
    page.goto(f"{address}/assets/recording_comparison?view=overview", wait_until="networkidle")
    page.wait_for_timeout(2000)
    take(page, "comparison-asset")
    page.goto(f"{address}/runs", wait_until="networkidle")
    page.wait_for_timeout(2000)
    take(page, "runs")


def photograph_lineage(page: Page, address: str, project: Project) -> None:
    """What is fresh, and what is stale once another network is the champion, and why."""
    for state in ("fresh", "stale"):
        if state == "stale":
            crown_another(project)
        with dg.DagsterInstance.get() as instance:
            tell_page(instance, list(lineages(Present(project))))
        page.goto(f"{address}/assets/verdict?view=lineage&lineageScope=neighbors")
        page.wait_for_timeout(8000)
        take(page, f"lineage-{state}")
    page.set_viewport_size({"width": 1500, "height": 640})
    page.goto(f"{address}/assets/verdict?view=checks", wait_until="networkidle")
    page.wait_for_timeout(2000)
    take(page, "lineage-why")


def photograph_pages(page: Page, project: Project) -> None:
    page.goto(newest_report(project).as_uri())
    page.wait_for_timeout(1000)
    take(page, "report")
    page.goto(fidelity_page(project).as_uri())
    page.wait_for_timeout(1000)
    page.locator("#noise").evaluate("section => section.scrollIntoView()")
    take(page, "fidelity")


def take(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def take_picture(page: Page, name: str) -> None:
    """Keep only the picture that is open in an asset's page."""
    picture = page.locator("img[src^='data:image/png']").first
    picture.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def newest_report(project: Project) -> Path:
    reports = (project.assets_folder / "recording_report").glob("*.html")
    return max(reports, key=lambda path: path.stat().st_mtime)


def fidelity_page(project: Project) -> Path:
    return project.assets_folder / "simulated_recording" / DATASET / "fidelity.html"


if __name__ == "__main__":
    main()
