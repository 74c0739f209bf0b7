"""The datasets group, display capture: the movie to show on a screen, and pairs from its film."""

from pathlib import Path

import dagster as dg
import pandas as pd

from cellstorm_assets.datasets import GROUP, OWNERS
from cellstorm_assets.metadata import as_metadata, picture, said_plainly, table
from cellstorm_assets.partitions import DATASETS
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.training_facts import Facts, made, not_asked
from cellstorm_lib.files import written_whole
from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.pipeline.datasets import read_recipe, scene_of
from cellstorm_lib.pipeline.display_capture import CapturedDisplay, capture_display, show_scene
from cellstorm_lib.report.displayed import overlap_figure, residual_map_figure
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.video.read import open_recording

MOVIE = dg.AssetKey("display_movie")
_TABLE_ROWS = 60


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"mp4"},
    code_version="1",
)
def display_movie(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult[None]:
    """A movie of the dataset's scene to show on a screen and film, each frame with a barcode.

    None is made where the recipe has no `display`.
    """
    home, name = project.project(), context.partition_key
    folder = home.assets_folder.joinpath(*MOVIE.path, name)
    with said_plainly():
        recipe = read_recipe(home.datasets_folder, name)
        if recipe.display is None:
            return dg.MaterializeResult(metadata={"note": "the recipe asks for no display movie"})
        scene = scene_of(recipe, home.datasets_folder)
        plan = show_scene(scene, folder, recipe.display.movie)
    film = home.datasets_folder / name / recipe.display.film
    return dg.MaterializeResult(
        metadata={
            "movie": dg.MetadataValue.path(str(folder / plan.movie)),
            "film it to": dg.MetadataValue.path(str(film)),
            **_plan_facts(plan),
            "a frame of the data": _data_picture(plan, folder / plan.movie),
        },
        data_version=dg.DataVersion(plan.digest[:16]),
    )


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"zarr"},
    code_version="1",
    io_manager_key="pairs",
    deps=[MOVIE],
)
def displayed_pairs(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult[PairSet]:
    """The film of the display movie with the light that was shown (method 2).

    Empty when the dataset's recipe gives displayed pairs no share.
    """
    home, name = project.project(), context.partition_key
    with said_plainly():
        whole = read_recipe(home.datasets_folder, name)
        recipe = whole.display
        if recipe is None or whole.pairs is None or whole.pairs.shares.displayed == 0:
            return not_asked("displayed")
        captured = capture_display(
            home.datasets_folder / name / recipe.film,
            home.assets_folder.joinpath(*MOVIE.path, name),
            recipe,
            camera=None if recipe.camera is None else home.cameras.camera(recipe.camera),
        )
    path = home.assets_folder / "displayed_pairs" / f"{name}.pairing.parquet"
    with written_whole(path) as temporary:
        captured.read.table.to_parquet(temporary, index=False)
    reading = recipe.reading
    residuals = residual_map_figure(captured.read.registration, max_rms_px=reading.max_rms_px)
    overlaps = overlap_figure(captured.read.table, max_overlap=reading.pairing.max_overlap)
    return made(
        captured.pairs,
        {
            "residuals of the beads": picture(figure_png(residuals), "residuals of the beads"),
            "overlap": picture(figure_png(overlaps), "overlap of exposures"),
            "pairing": _pairing_table(captured.read.table),
            "pairing table": dg.MetadataValue.path(str(path)),
            **_camera_facts(captured),
            **as_metadata(captured.read.report),
        },
    )


def _plan_facts(plan: DisplayPlan) -> Facts:
    """Return what is shown for how long."""
    shown = plan.settings
    seconds = plan.frame_count * shown.repeats / shown.frame_rate_hz
    return {
        "frames of data": dg.MetadataValue.int(plan.truth_count),
        "frames with a number": dg.MetadataValue.int(plan.frame_count),
        "length, s": dg.MetadataValue.float(round(seconds, 1)),
        "screen": dg.MetadataValue.text(f"{shown.screen_width_px} x {shown.screen_height_px} px"),
        "brightest, photons per pixel": dg.MetadataValue.float(plan.full_scale_photons),
        "mark": dg.MetadataValue.text(f"{plan.mark:04x}"),
    }


def _data_picture(plan: DisplayPlan, movie: Path) -> dg.MetadataValue:
    """Return a picture of the screen in the middle of the data."""
    shown, data = plan.settings, plan.part("data")
    source = open_recording(movie, roi=f"{shown.screen_width_px}x{shown.screen_height_px}+0+0")
    middle = (data.first + data.count // 2) * shown.repeats
    frame = next(iter(source.part(middle, middle + 1).chunks(1))).frames[0]
    screen = Picture(values=frame, pixel_nm=1.0, colours="grey", is_sparse=False)
    return picture(preview_png(screen), "a frame of the display movie")


def _camera_facts(captured: CapturedDisplay) -> Facts:
    """Return gain and offset of the pairs, and where they come from."""
    pairs, calibration = captured.pairs, captured.calibration
    return {
        "camera": dg.MetadataValue.text(f"{calibration.name} ({calibration.source})"),
        "gain_e_per_adu": dg.MetadataValue.float(float(pairs.gain_e_per_adu[0])),
        "offset_adu": dg.MetadataValue.float(float(pairs.offset_adu[0])),
        "notes": dg.MetadataValue.text(" ".join(captured.notes) or "none"),
    }


def _pairing_table(pairing: pd.DataFrame) -> dg.MetadataValue:
    """Return the camera frames from the first pair on, as many as a page can show."""
    first = int(pairing["is_kept"].to_numpy().argmax())
    some = pairing.iloc[first : first + _TABLE_ROWS]
    texts = {
        "camera frame": some["frame"].astype(str),
        "part": some["part"],
        "frame of the data": some["truth_frame"].astype(str),
        "overlap": some["overlap"].map("{:.3f}".format),
        "kept, or why not": some["reason"].replace("", "kept"),
    }
    return table(tuple(texts), zip(*texts.values(), strict=True))


DISPLAY_ASSETS = (display_movie, displayed_pairs)
