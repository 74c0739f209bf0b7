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
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from another_champion import crown_another
from browser import (
    find_chromium,
    free_ports,
    let_in,
    open_picture,
    opened_page,
    served,
    settle,
    show_asset,
)
from calibration_series import write_series
from playwright.sync_api import Page, sync_playwright

from cellstorm_assets.command_options import announced
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.demo import run_demo
from cellstorm_assets.lineage import Present, lineages
from cellstorm_assets.lineage_checks import tell_page
from cellstorm_assets.project import Project, add_recording, find_project, recording_key
from cellstorm_assets.registry import MODEL, registered_versions
from cellstorm_assets.tracking import Tracking
from cellstorm_assets.training import EXPERIMENT
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.paper.cell import EMCCD, PHONE, CellCamera, cell_scene
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.film import film_scene

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
CLIP = ROOT / "tests" / "data" / "androidx-media" / "pixel7_videoOnly_cleaned.mp4"
SCENE = ROOT / "examples" / "scenes" / "dark-pixel.yaml"
CAMERA, DATASET = "p9", "dark-pixel"
#: Small pairs that the champion is trained on with, and the films that judge the outcome.
SMALL, SMALL_FILMS = "small", ["D", "fig7"]
_SMALL_PAIRS = """pairs:
  shares: {simulated: 1}
  simulated: {scenes: 100, side_px: 192, frames: 8}
"""
_SMALL_RECIPE = {
    "recipe": "fine-tune", "start": "champion", "steps": 30, "batch": 4, "crop_px": 64,
}  # fmt: skip
#: How wide MLflow is shown, and what of it is left of the panel in which it offers a chat.
_WIDE_PX, _MLFLOW_PX = 2100, 1556
#: Frames of the cell that both cameras film.
_CELL_FRAMES = 600
#: Longer than from one look of a sensor to the next, and the most that runs may take.
_QUIET_S, _RUNS_S = 40.0, 1800.0


def main() -> None:
    if find_chromium() is None:
        sys.exit("no Chromium on this machine: install the package chromium, then try again")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else made).resolve()
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(home)
        project = find_project()
        fill(project)
        mlflow_port, _ = free_ports()
        mlflow = f"http://127.0.0.1:{mlflow_port}"
        pages = served(home, mlflow_port=mlflow_port)
        with pages as address, sync_playwright() as playwright:
            with opened_page(playwright, width_px=1500, height_px=800) as page:
                let_in(page, home, address)
                photograph_graph(page, address)
                wait_for_runs()
                photograph_recording(page, address, project)
                photograph_camera(page, address)
                photograph_comparison(page, address)
                let_in(page, home, mlflow)
                photograph_models(page, mlflow, project)
            with opened_page(playwright, width_px=2100, height_px=1160) as page:
                let_in(page, home, address)
                photograph_lineage(page, address, project)
            with opened_page(playwright, width_px=1200, height_px=1500) as page:
                photograph_pages(page, project)


def fill(project: Project) -> None:
    """Make what the project lacks: the demo recording, a measured camera, a dataset."""
    if not any((project.assets_folder / "recording_report").glob("demo-*.html")):
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
    for camera in (PHONE, EMCCD):
        film_cell(project, camera)
    if not registered_versions(project):
        train_twice(project)


def train_twice(project: Project) -> None:
    """Train the champion on in two ways, and let both contest for its place."""
    (project.datasets_folder / f"{SMALL}.yaml").write_text(_SMALL_PAIRS)
    materialize("make_training_pairs", "dataset", SMALL)
    for rate in (2e-5, 2e-4):
        recipe = {**_SMALL_RECIPE, "learning_rate": rate, "films": SMALL_FILMS}
        forms = {"denoiser": recipe, "denoiser_scores": {"films": SMALL_FILMS}}
        materialize("train_denoisers", "dataset", SMALL, forms=forms)
    materialize("choose_champion")


def film_cell(project: Project, camera: CellCamera) -> None:
    """Film and process the cell of the paper's Fig. 1 and 2, as one camera sees it."""
    name = f"cell-{camera.name}"
    if any(project.recordings_folder.glob(f"{name}.*")):
        return
    folder = project.home / "data" / name
    scene = cell_scene(camera, frame_count=_CELL_FRAMES)
    film = film_scene(scene, folder, stacks=(), progress=announced()(f"simulate {name}"))
    write_calibration(read_calibration(film.camera), project.cameras_folder / f"{name}.json")
    choice = RecordingChoice(camera=name, pixel_size_nm=camera.pixel_size_nm)
    ending = film.movie.name.partition(".")[2]
    movie = add_recording(project, film.movie, choice, name=f"{name}.{ending}")
    materialize("process_recordings", "recording", recording_key(movie))


def materialize(
    job: str,
    kind: str = "",
    partition: str | None = None,
    *,
    forms: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Run a job, for one partition or for all, as the daemon would."""
    ops = {name: {"config": dict(form)} for name, form in (forms or {}).items()}
    with dg.DagsterInstance.get() as instance:
        if partition is not None:
            instance.add_dynamic_partitions(kind, [partition])
        build_defs().resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )


def wait_for_runs() -> None:
    """Wait until all runs are over, those too that sensors start."""
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED,
        ]
    )  # fmt: skip
    began = quiet_since = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        while time.monotonic() - quiet_since < _QUIET_S:
            if time.monotonic() - began > _RUNS_S:
                sys.exit("the runs do not come to an end; look at them with `cellstorm ui`")
            if instance.get_runs(unfinished, limit=1):
                quiet_since = time.monotonic()
            time.sleep(1.0)


def photograph_graph(page: Page, address: str) -> None:
    """The groups as they stand when the page opens; all assets at once are too small to read."""
    page.set_viewport_size({"width": 1500, "height": 520})
    page.goto(f"{address}/asset-groups", wait_until="networkidle")
    page.wait_for_timeout(10_000)  # the lines between the groups come last
    take(page, "asset-graph")
    page.set_viewport_size({"width": 1500, "height": 800})


def photograph_recording(page: Page, address: str, project: Project) -> None:
    page.set_viewport_size({"width": 1500, "height": 870})
    show_asset(page, address, "raw/frc_report", demo_report(project).stem)
    settle(page)
    take(page, "asset-partitions")
    page.set_viewport_size({"width": 1500, "height": 800})
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
    page.set_viewport_size({"width": 1500, "height": 1400})
    show_asset(page, address, "camera_calibration", CAMERA)
    settle(page)
    take(page, "camera-calibration")
    show_asset(page, address, "simulated_recording", DATASET)
    settle(page)
    take(page, "simulated-recording")
    page.set_viewport_size({"width": 1500, "height": 800})


def photograph_comparison(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/recording_comparison", wait_until="networkidle")
    page.get_by_role("button", name="Materialize").first.click()
    wait_for_runs()
    page.set_viewport_size({"width": 1500, "height": 1400})
    page.goto(f"{address}/assets/recording_comparison?view=overview", wait_until="networkidle")
    settle(page)
    take(page, "comparison-asset")
    page.set_viewport_size({"width": 1500, "height": 800})
    page.goto(f"{address}/runs", wait_until="networkidle")
    settle(page)
    take(page, "runs")


def photograph_models(page: Page, address: str, project: Project) -> None:
    """The trainings compared by their scores, and which network is the champion and why."""
    experiment = Tracking.of(project).client().get_experiment_by_name(EXPERIMENT)
    kind = "workflowType=machine_learning"
    runs = f"{address}/#/experiments/{experiment.experiment_id}/runs?{kind}"
    page.set_viewport_size({"width": _WIDE_PX, "height": 1020})
    page.goto(f"{runs}&compareRunsMode=CHART")
    page.wait_for_timeout(12_000)
    take(page, "mlflow-runs", width_px=_MLFLOW_PX)
    page.goto(f"{address}/#/models/{MODEL}?{kind}")
    page.wait_for_timeout(8000)
    take(page, "mlflow-champion", width_px=_MLFLOW_PX)
    page.set_viewport_size({"width": 1500, "height": 800})


def photograph_lineage(page: Page, address: str, project: Project) -> None:
    """What is fresh, and what is stale once another network is the champion, and why."""
    for state in ("fresh", "stale"):
        if state == "stale":
            crown_another(project)
        with dg.DagsterInstance.get() as instance:
            tell_page(instance, list(lineages(Present(project))))
        page.goto(f"{address}/assets/verdict?view=lineage&lineageScope=neighbors")
        page.get_by_text("Latest event").first.wait_for()
        settle(page)
        take(page, f"lineage-{state}")
    page.set_viewport_size({"width": 1500, "height": 900})
    page.goto(f"{address}/assets/verdict?view=checks", wait_until="networkidle")
    settle(page)
    take(page, "lineage-why")


def photograph_pages(page: Page, project: Project) -> None:
    page.goto(demo_report(project).as_uri())
    page.wait_for_timeout(1000)
    take(page, "report")
    page.goto((project.assets_folder / "recording_comparison.html").as_uri())
    page.wait_for_timeout(1000)
    take_part(page, "comparison", "header", "article")
    paper = project.assets_folder / "paper_page.html"
    if paper.exists():  # it takes 12 minutes to make; without it its picture stays as it is
        page.goto(paper.as_uri())
        page.wait_for_timeout(1000)
        take_part(page, "paper", "#low-light", "#low-light .panels")
    page.goto(fidelity_page(project).as_uri())
    page.wait_for_timeout(1000)
    take_part(page, "fidelity", "#noise", "#codec")


def take(page: Page, name: str, *, width_px: int | None = None) -> None:
    """Keep what the browser shows; the left part of it when a width is given."""
    size = page.viewport_size
    part = {"x": 0, "y": 0, "width": width_px or size["width"], "height": size["height"]}
    page.screenshot(path=PICTURES / f"{name}.png", clip=part)
    print(PICTURES / f"{name}.png")


def take_part(page: Page, name: str, first: str, last: str) -> None:
    """Keep a page from the top of one part to the end of another, whole."""
    top, end = (
        page.locator(part).first.evaluate(
            f"part => part.getBoundingClientRect().{edge} + window.scrollY"
        )
        for part, edge in ((first, "top"), (last, "bottom"))
    )
    width = page.viewport_size["width"]
    part = {"x": 0, "y": top, "width": width, "height": end - top}
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True, clip=part)
    print(PICTURES / f"{name}.png")


def take_picture(page: Page, name: str) -> None:
    """Keep only the picture that is open in an asset's page."""
    picture = page.locator("img[src^='data:image/png']").first
    picture.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def demo_report(project: Project) -> Path:
    return next((project.assets_folder / "recording_report").glob("demo-*.html"))


def fidelity_page(project: Project) -> Path:
    return project.assets_folder / "simulated_recording" / DATASET / "fidelity.html"


if __name__ == "__main__":
    main()
