"""Commands around the project: demo, ui, add, process, compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cellstorm_assets.command_options import (
    PATH,
    announced,
    as_json,
    camera_name,
    on_file,
    own_flat_field,
    pixel_size,
    region,
    tell,
)

if TYPE_CHECKING:
    from cellstorm_lib.pipeline.lineage_files import Note
    from cellstorm_lib.pipeline.result import RecordingResult


@click.command()
@as_json
def demo(*, wants_json: bool) -> None:
    """Film a simulated cell with a simulated phone (once), and process it on Dagster.

    Prints the resolution, the counts, and where the images and the report are.
    """
    from cellstorm_assets.demo import run_demo

    lines, figures = run_demo(announced())
    tell(lines, figures, wants_json=wants_json)


@click.command()
@click.option("--port", type=int, default=3000, show_default=True, help="Port of the Dagster page.")
@click.option(
    "--mlflow-port", type=int, default=5000, show_default=True, help="Port of the MLflow page."
)
@click.option(
    "--address",
    default=None,
    metavar="URL",
    help="Where people reach the Dagster page through a proxy that knows who they are.",
)
@click.option("--mlflow-address", default=None, metavar="URL", help="The same of the MLflow page.")
@click.option("--new-token", is_flag=True, help="Forget the token that browsers have.")
def ui(
    *, port: int, mlflow_port: int, address: str | None, mlflow_address: str | None, new_token: bool
) -> None:
    """Serve the Dagster page with its daemon and the MLflow page, on this machine only.

    Open the addresses it prints: the token in them lets a browser in once and for all.
    """
    from cellstorm_assets.serve import serve

    serve(
        port=port,
        mlflow_port=mlflow_port,
        address=address,
        mlflow_address=mlflow_address,
        has_new_token=new_token,
    )


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@camera_name
@pixel_size
@region
@own_flat_field
def add(
    files: Sequence[Path],
    *,
    camera: str | None,
    pixel_size_nm: float | None,
    roi: str | None,
    own_flat_field: bool,
) -> None:
    """Copy recordings into the watched folder; the daemon of `cellstorm ui` processes them."""
    from cellstorm_assets.project import add_recording, find_project
    from cellstorm_lib.pipeline.choice import RecordingChoice, pixel_size_for
    from cellstorm_lib.video.read import open_recording

    project = find_project()
    choice = RecordingChoice(
        camera=camera, pixel_size_nm=pixel_size_nm, roi=roi, own_flat_field=own_flat_field
    )
    if camera is not None:
        project.cameras.camera(camera)
    for file in files:
        source = open_recording(file, roi=roi, progress=on_file("opening", file))
        pixel_size_for(source, pixel_size_nm)
    for file in files:
        copy = add_recording(project, file, choice, progress=on_file("copying", file))
        click.echo(f"{file.name}  {copy}")
    click.echo("processed while `cellstorm ui` runs, which shows the results too", err=True)


@click.command()
@click.argument("file", type=PATH)
@camera_name
@pixel_size
@region
@own_flat_field
@click.option("--no-denoise", is_flag=True, help="Leave the branch of the denoised frames out.")
@click.option(
    "--model",
    default="champion",
    show_default=True,
    help="What denoises: champion, a registered version, or the path of a checkpoint.",
)
@click.option(
    "--out", type=PATH, default=None, help="Folder to write. Default: FILE's name + -cellstorm."
)
@as_json
def process(
    file: Path,
    *,
    camera: str | None,
    pixel_size_nm: float | None,
    roi: str | None,
    own_flat_field: bool,
    no_denoise: bool,
    model: str,
    out: Path | None,
    wants_json: bool,
) -> None:
    """Take one recording from its file to its report, without any server."""
    from cellstorm_lib.pipeline.choice import pixel_size_for
    from cellstorm_lib.video.read import open_recording

    source = open_recording(file, roi=roi, progress=on_file("opening", file))
    pixel_size_for(source, pixel_size_nm)

    # What follows takes seconds to be imported: a bad file or option is told before.
    from cellstorm_assets.denoising import network_of
    from cellstorm_assets.project import find_project
    from cellstorm_assets.summary import summary_of
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.pipeline.lineage_files import note_picture, page_with
    from cellstorm_lib.pipeline.process import process_recording
    from cellstorm_lib.report.headline import recommended_first
    from cellstorm_lib.report.page import recording_page
    from cellstorm_lib.report.picture import write_picture

    project, announce = find_project(), announced()
    folder = out or file.with_name(f"{file.stem}-cellstorm")
    result = process_recording(
        source,
        folder,
        camera=project.cameras.camera_or_file(camera) if camera else None,
        pixel_size_nm=pixel_size_nm,
        own_flat_field=own_flat_field,
        network=None if no_denoise else network_of(project, model),
        settings=project.settings(),
        announce=announce,
    )
    report = folder / "report.html"
    with written_whole(report) as temporary:
        page = recording_page(result, progress=announce("report", ""))
        page = page_with(page, _note(result, "recording_report"))
        temporary.write_text(page, encoding="utf-8")
    for branch in result.branches.values():
        picture = folder / branch.name / "super_resolution.png"
        write_picture(branch.image, picture)
        note_picture(picture, _note(result, f"{branch.name}/super_resolution"))
    lines, figures = summary_of(result)
    shown = folder / recommended_first(result)[0].name
    lines |= {
        "image": str(shown / "super_resolution.png"),
        "table": str(shown / "localizations.parquet"),
        "report": f"{report} (open it in a browser)",
    }
    figures["report"] = str(report)
    tell(lines, figures, wants_json=wants_json)


def _note(result: "RecordingResult", name: str) -> "Note":
    """Return what to write into the file of a result."""
    from cellstorm_lib.pipeline.lineage_files import Note

    return Note(result=name, recording=result.facts.name, made_from=result.records[name])


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@pixel_size
@camera_name
@click.option(
    "--out", type=PATH, default=Path("comparison.html"), show_default=True, help="Page to write."
)
@as_json
def compare(
    files: Sequence[Path],
    *,
    pixel_size_nm: float | None,
    camera: str | None,
    out: Path,
    wants_json: bool,
) -> None:
    """Put several tables or recordings side by side on one page.

    A recording is localized first, without a network and with the same options for all; so is a
    stack that was denoised before.
    """
    from cellstorm_assets.compared import compared_rows
    from cellstorm_assets.project import find_project
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.pipeline.lineage_commands import note_of_files
    from cellstorm_lib.pipeline.lineage_files import page_with
    from cellstorm_lib.report.comparison import comparison_page

    announce = announced()
    rows = compared_rows(files, find_project(), pixel_size_nm, camera, announce)
    with written_whole(out) as temporary:
        page = comparison_page(rows, progress=announce("page", "rows"))
        page = page_with(page, note_of_files("compare", files))
        temporary.write_text(page, encoding="utf-8")
    tell(
        {row.name: f"{len(row.localizations)} localizations, {answer(row)}" for row in rows}
        | {"page": str(out)},
        {
            "page": str(out),
            "rows": [
                {
                    "name": row.name,
                    "localizations": len(row.localizations),
                    "resolution_nm": row.frc.resolution_nm if row.frc else None,
                }
                for row in rows
            ],
        },
        wants_json=wants_json,
    )


def answer(row: Any) -> str:
    """Return the resolution of a compared row in words."""
    from cellstorm_assets.summary import resolution_text

    if row.frc is None:
        return "resolution not measured"
    return f"resolution {resolution_text(row.frc)}"


COMMANDS = (demo, ui, add, process, compare)
