"""The datasets group: simulated recordings with their truth."""

from collections.abc import Iterator

import dagster as dg

from cellstorm_assets.metadata import as_metadata, frame_picture, picture, said_plainly, table
from cellstorm_assets.partitions import DATASETS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.evaluate.fidelity import FidelityReport
from cellstorm_lib.files import inside, written_whole
from cellstorm_lib.pipeline.compare_clips import compare_clips
from cellstorm_lib.pipeline.datasets import read_recipe, scene_of
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.fidelity import fidelity_figure, fidelity_page, fidelity_sentence
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import Emitters, read_emitters
from cellstorm_lib.video.read import open_recording

GROUP = "datasets"
OWNERS = ["team:method-development"]
TRUTH = dg.AssetKey("simulated_truth")
MOVIE = dg.AssetKey("simulated_recording")
_FIGURE_PX = 720
_HEADINGS = ("measure", "unit", "real", "simulated", "difference", "verdict")


@dg.multi_asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    outs={
        "simulated_truth": dg.AssetOut(
            io_manager_key="parquet",
            owners=OWNERS,
            kinds={"parquet"},
            code_version="1",
            dagster_type=Emitters,
            description="Where each simulated molecule was in each frame, and how many "
            "photoelectrons of it were to be expected there.",
        ),
        "simulated_recording": dg.AssetOut(
            dagster_type=dg.Nothing,
            owners=OWNERS,
            kinds={"mp4"},
            code_version="1",
            description="A film of the simulated sample as the simulated phone hands it over; "
            "beside a real clip, where the recipe names one, with how alike the two are.",
        ),
    },
)
def simulated(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> Iterator[dg.MaterializeResult[object]]:
    """Simulate the scene of a dataset's recipe."""
    home = project.project()
    name = context.partition_key
    folder = home.assets_folder / "simulated_recording" / name
    with said_plainly():
        recipe = read_recipe(home.datasets_folder, name)
        scene = scene_of(recipe, home.datasets_folder)
        made = film_scene(scene, folder)
        truth = read_emitters(made.truth)
        likeness = (
            None
            if recipe.real_clip is None
            else compare_clips(inside(home.datasets_folder, recipe.real_clip), made.movie)
        )
    yield dg.MaterializeResult(
        asset_key=TRUTH,
        value=truth,
        metadata={
            "dagster/row_count": len(truth),
            "molecules": made.molecule_count,
            "mean photons": float(truth.column("photons").mean()) if len(truth) else 0.0,
        },
    )
    metadata: dict[str, dg.MetadataValue] = {}
    if likeness is not None:
        page = folder / "fidelity.html"
        with written_whole(page) as temporary:
            temporary.write_text(fidelity_page(likeness), encoding="utf-8")
        metadata = {**_likeness(likeness), "fidelity page": dg.MetadataValue.path(str(page))}
    metadata |= _facts_of(made, scene.field.pixel_size_nm)
    yield dg.MaterializeResult(asset_key=MOVIE, metadata=metadata)


def _facts_of(made: SimulatedRecording, pixel_nm: float) -> dict[str, dg.MetadataValue]:
    """Return counts, the movie's place, and a frame from its middle."""
    source = open_recording(made.movie)
    middle = made.frame_count // 2
    frame = next(iter(source.part(middle, middle + 1).chunks(1))).frames[0]
    return {
        "a frame": frame_picture(frame, pixel_nm, "a frame of the simulated movie"),
        "movie": dg.MetadataValue.path(str(made.movie)),
        "frames": dg.MetadataValue.int(made.frame_count),
        "bits_per_px": dg.MetadataValue.float(made.bits_per_px),
        **as_metadata(source.facts, prefix="file/"),
    }


def _likeness(report: FidelityReport) -> dict[str, dg.MetadataValue]:
    """Return how alike the clips are in one sentence, as a figure, and measure by measure."""
    rows = [
        (
            f"{row.group}, {row.measure}",
            row.unit,
            f"{row.real:.4g}",
            f"{row.simulated:.4g}",
            f"{row.relative_difference:+.1%}",
            "alike" if row.passed else "differs",
        )
        for row in report.rows
    ]
    png = figure_png(fidelity_figure(report), width_px=_FIGURE_PX)
    return {
        "real against simulated": dg.MetadataValue.text(fidelity_sentence(report)),
        "fidelity": picture(png, "every measure of the simulated clip against the real one"),
        "measures": table(_HEADINGS, rows),
        "measures that agree": dg.MetadataValue.int(sum(row.passed for row in report.rows)),
    }


DATASET_ASSETS = (simulated,)
