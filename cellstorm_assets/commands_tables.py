"""Commands that take tables: drift, merge, select, render, frc, evaluate, convert, compare."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cellstorm_assets.command_options import (
    PATH,
    announced,
    as_json,
    on_file,
    out_file,
    pixel_size,
    tell,
)
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.export.formats import read_table, read_truth, require_ending, write_table
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.pipeline.lineage_commands import note_of_command, with_note
from cellstorm_lib.pipeline.lineage_files import Note, note_picture
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.tables import Localizations

if TYPE_CHECKING:
    from cellstorm_lib.reconstruct.frc import FrcReport
    from cellstorm_lib.reconstruct.frc_planes import PlaneFrc

table = click.argument("table", type=PATH)


def given_table(path: Path, pixel_size_nm: float | None) -> Localizations:
    """Read a table, and show how far that is."""
    return read_table(path, pixel_size_nm=pixel_size_nm, progress=on_file("reading", path))


def in_and_out(path: Path, out: Path, pixel_size_nm: float | None) -> Localizations:
    """Read a table after making sure that the other one can be written."""
    require_ending(out)
    return given_table(path, pixel_size_nm)


def write_noted(localizations: Localizations, note: Note, out: Path) -> None:
    """Write a table that says what it was made from, and show how far that is."""
    write_table(with_note(localizations, note), out, progress=on_file("writing", out))


@click.command()
@table
@out_file
@pixel_size
@click.option(
    "--leave-out-fiducials", is_flag=True, help="Without bright spots that stay on, if any."
)
@as_json
def drift(
    table: Path,
    out: Path,
    *,
    pixel_size_nm: float | None,
    leave_out_fiducials: bool,
    wants_json: bool,
) -> None:
    """Estimate the drift of TABLE and take it out, unless that would make it worse.

    Bright spots that stay on are found by themselves and used as fiducials; the column is_fiducial
    marks their rows.
    """
    from cellstorm_lib.refine.drift import apply_drift, estimate_drift

    localizations = in_and_out(table, out, pixel_size_nm)
    settings = PipelineSettings().drift
    found = estimate_drift(localizations, settings, progress=announced()("drift", ""))
    still = apply_drift(localizations, found)
    if leave_out_fiducials and "is_fiducial" in still:
        still = still.take(~still.column("is_fiducial"))
    note = note_of_command("drift", table, drift=settings)
    write_noted(still, note, out)
    figures = {
        "rms_nm": found.rms_nm,
        "segments": found.segments,
        "segment_uncertainty_nm": list(found.segment_uncertainty_nm),
        "fiducials": [asdict(one) for one in found.fiducials],
        "applied": found.is_applied,
        "reason": found.reason,
    }
    tell(
        {
            "drift": f"{found.rms_nm:.1f} nm RMS about its mean, "
            + (found.method if found.fiducials else f"from {found.segments} segments"),
            "applied": f"{'yes' if found.is_applied else 'no'}: {found.reason}",
            "table": str(out),
        },
        figures,
        wants_json=wants_json,
    )


@click.command()
@table
@out_file
@pixel_size
@click.option(
    "--radius-uncertainties",
    type=float,
    default=3.0,
    show_default=True,
    help="Largest distance of two blinks of one molecule, in uncertainties.",
)
@click.option(
    "--dark-frames", type=int, default=1, show_default=True, help="Frames it may stay dark."
)
@as_json
def merge(
    table: Path,
    out: Path,
    *,
    pixel_size_nm: float | None,
    radius_uncertainties: float,
    dark_frames: int,
    wants_json: bool,
) -> None:
    """Merge the localizations of one molecule in consecutive frames of TABLE into one row."""
    from cellstorm_lib.refine.merge import MergeSettings
    from cellstorm_lib.refine.merge import merge as merge_blinks

    localizations = in_and_out(table, out, pixel_size_nm)
    settings = MergeSettings(radius_uncertainties=radius_uncertainties, dark_frames=dark_frames)
    merged, report = merge_blinks(localizations, settings, progress=announced()("merge", ""))
    note = note_of_command("merge", table, merge=settings)
    write_noted(merged, note, out)
    tell(
        {"molecules": f"{len(merged)} from {len(localizations)} localizations in {out}"},
        asdict(report),
        wants_json=wants_json,
    )


@click.command()
@table
@click.option(
    "--where",
    "expression",
    required=True,
    metavar="EXPR",
    help="As `photons > 300 & uncertainty_nm < 30`, in the table's column names.",
)
@out_file
@pixel_size
@as_json
def select(
    table: Path, expression: str, out: Path, *, pixel_size_nm: float | None, wants_json: bool
) -> None:
    """Keep the rows of TABLE for which an expression is true."""
    from cellstorm_lib.refine.select import select as select_rows

    localizations = in_and_out(table, out, pixel_size_nm)
    kept, report = select_rows(localizations, expression)
    note = note_of_command("select", table, keep=expression)
    write_noted(kept, note, out)
    tell(
        {"kept": f"{len(kept)} of {len(localizations)} localizations in {out}"},
        asdict(report),
        wants_json=wants_json,
    )


@click.command()
@table
@out_file
@pixel_size
@click.option(
    "--render-pixel-nm", type=float, metavar="NM", help="Pixel of the image. Default: automatic."
)
@click.option(
    "--method",
    type=click.Choice(["auto", "gaussian", "histogram", "ash"]),
    default="auto",
    show_default=True,
    help="How one localization is drawn; auto: gaussian, or ash without uncertainties.",
)
@click.option("--by-z", is_flag=True, help="Colour by height, for tables with z (.png).")
@as_json
def render(
    table: Path,
    out: Path,
    *,
    pixel_size_nm: float | None,
    render_pixel_nm: float | None,
    method: str,
    by_z: bool,
    wants_json: bool,
) -> None:
    """Draw TABLE as an image: .png with a scale bar, or .tif (32 bit, with the pixel size)."""
    from cellstorm_lib.reconstruct.render import RenderSettings
    from cellstorm_lib.reconstruct.render import render as render_table
    from cellstorm_lib.report.depth_picture import render_depth, write_depth_picture
    from cellstorm_lib.report.picture import write_picture
    from cellstorm_lib.video.tiff import write_image

    ending = out.suffix.lower()
    if ending not in {".png", ".tif", ".tiff"}:
        raise SettingsError(f"{out} must end in .png or .tif, so that the format is known")
    if by_z and ending != ".png":
        raise SettingsError(f"--by-z gives colours, which need a .png, got {out.name}")
    localizations = given_table(table, pixel_size_nm)
    settings = RenderSettings(pixel_nm=render_pixel_nm, method=method)  # type: ignore[arg-type]
    note, is_picture = note_of_command("render", table, render=settings), ending == ".png"
    if by_z:
        depth = render_depth(localizations, settings)
        image = depth.density
        write_depth_picture(depth, out)
    else:
        told = announced()("render", "localizations")
        image = render_table(localizations, settings, progress=told)
        if is_picture:
            write_picture(image, out)
        else:
            details = {LINEAGE: note.plain()}
            write_image(out, image.image, pixel_size_nm=image.pixel_nm, details=details)
    if is_picture:
        note_picture(out, note)
    rows, columns = image.image.shape
    tell(
        {
            "image": f"{columns} x {rows} pixels of {image.pixel_nm:.3g} nm, drawn as "
            f"{image.method}, in {out}"
        },
        {
            "width_px": columns,
            "height_px": rows,
            "render_pixel_nm": image.pixel_nm,
            "localizations": len(localizations),
        },
        wants_json=wants_json,
    )


@click.command()
@table
@pixel_size
@click.option(
    "--split",
    type=click.Choice(["molecules", "blocks", "halves", "localizations", "odd-even"]),
    default="molecules",
    show_default=True,
    help="How the table is dealt into two halves.",
)
@click.option(
    "--render-pixel-nm", type=float, metavar="NM", help="Pixel of the images. Default: automatic."
)
@click.option(
    "--planes-nm", type=float, metavar="NM", help="Also of each slice in z of this thickness."
)
@as_json
def frc(
    table: Path,
    *,
    pixel_size_nm: float | None,
    split: str,
    render_pixel_nm: float | None,
    planes_nm: float | None,
    wants_json: bool,
) -> None:
    """Measure the resolution of TABLE by Fourier ring correlation, or say that there is none.

    The default keeps all localizations of one molecule in one half; a table that does not name
    its molecules is linked first.
    """
    from cellstorm_lib.pipeline.steps import linked
    from cellstorm_lib.reconstruct.frc import measure_frc
    from cellstorm_lib.reconstruct.frc_planes import measure_frc_planes

    localizations = given_table(table, pixel_size_nm)
    settings = PipelineSettings()
    if split == "molecules" and "molecule" not in localizations:
        click.echo(
            f"{table.name} does not name molecules: linked with a radius of "
            f"{settings.merge.radius_uncertainties:g} uncertainties and "
            f"{settings.merge.dark_frames} dark frame",
            err=True,
        )
        localizations = linked(localizations, settings.merge)
    wanted = replace(settings.frc, split=split, render_pixel_nm=render_pixel_nm)  # type: ignore[arg-type]
    planes = (
        measure_frc_planes(
            localizations,
            thickness_nm=planes_nm,
            settings=wanted,
            progress=announced()("resolution of slices", ""),
        )
        if planes_nm is not None
        else ()
    )
    report = measure_frc(localizations, wanted, progress=announced()("resolution", ""))
    tell(
        {
            "resolution": _resolution(report),
            **{
                f"z {plane.z_from_nm:g} to {plane.z_to_nm:g} nm": _resolution(plane.report)
                for plane in planes
            },
        },
        {
            "resolution_nm": report.resolution_nm,
            "low_nm": report.low_nm,
            "high_nm": report.high_nm,
            "split": report.split,
            "threshold": report.threshold,
            "render_pixel_nm": report.render_pixel_nm,
            "reason": report.reason,
            **({"planes": [_plane_figures(plane) for plane in planes]} if planes else {}),
            LINEAGE: note_of_command("frc", table, frc=wanted).plain(),
        },
        wants_json=wants_json,
    )


def _resolution(report: "FrcReport") -> str:
    """Return a resolution with its interval, or why there is none."""
    if report.resolution_nm is None:
        return f"none: {report.reason.removeprefix('no resolution: ')}"
    return (
        f"{report.resolution_nm:.1f} nm ({report.low_nm:.1f} to {report.high_nm:.1f} nm), "
        f"split by {report.split}, threshold {report.threshold:.3f}"
    )


def _plane_figures(plane: "PlaneFrc") -> dict[str, float | int | str | None]:
    """Return the figures of one slice."""
    return {
        "z_from_nm": plane.z_from_nm,
        "z_to_nm": plane.z_to_nm,
        "resolution_nm": plane.report.resolution_nm,
        "low_nm": plane.report.low_nm,
        "high_nm": plane.report.high_nm,
        "localizations": plane.report.localizations,
        "reason": plane.report.reason,
    }


@click.command()
@table
@click.option("--truth", type=PATH, required=True, help="The true positions, any table format.")
@pixel_size
@click.option(
    "--tolerance-nm",
    type=float,
    default=250.0,
    show_default=True,
    help="Largest distance of a match.",
)
@click.option(
    "--shift-frames",
    type=int,
    default=0,
    metavar="N",
    help="Added to the frames of TABLE, when its stack was cut from a longer one.",
)
@as_json
def evaluate(
    table: Path,
    truth: Path,
    *,
    pixel_size_nm: float | None,
    tolerance_nm: float,
    shift_frames: int,
    wants_json: bool,
) -> None:
    """Compare TABLE with the truth, by the definitions of the SMLM challenge."""
    from cellstorm_lib.evaluate.no_match import why_no_match
    from cellstorm_lib.evaluate.scores import score

    localizations = given_table(table, pixel_size_nm)
    if shift_frames:
        shifted = localizations.column("frame") + shift_frames
        localizations = localizations.with_columns(frame=shifted)
    told = on_file("reading", truth)
    emitters = read_truth(truth, pixel_size_nm=pixel_size_nm, progress=told)
    told = announced()("match", "localizations")
    scores = score(localizations, emitters, tolerance_nm=tolerance_nm, progress=told)
    hint = why_no_match(localizations, emitters, scores)
    if hint is not None:
        click.echo(hint, err=True)
    tell(
        {
            "found": f"{scores.found} localizations, {scores.true} true, {scores.matched} matched",
            "Jaccard": f"{scores.jaccard:.3f} (recall {scores.recall:.3f}, "
            f"precision {scores.precision:.3f})",
            "RMSE": _number(scores.rmse_nm, "nm"),
            "bias": f"x {_number(scores.bias_x_nm, 'nm')}, y {_number(scores.bias_y_nm, 'nm')}",
            "efficiency": _number(scores.efficiency, "%"),
            "error / uncertainty": _number(scores.error_over_uncertainty, ""),
        },
        asdict(scores),
        wants_json=wants_json,
    )


def _number(value: float | None, unit: str) -> str:
    """Return a figure with its unit, or a dash when there is none."""
    return "-" if value is None else f"{value:.2f} {unit}".strip()


@click.command()
@table
@click.argument("out", type=PATH)
@pixel_size
def convert(table: Path, out: Path, *, pixel_size_nm: float | None) -> None:
    """Write TABLE in another format, chosen by the ending of OUT."""
    localizations = in_and_out(table, out, pixel_size_nm)
    write_noted(localizations, note_of_command("convert", table), out)
    tell({"localizations": f"{len(localizations)} in {out}"}, {}, wants_json=False)


COMMANDS = (drift, merge, select, render, frc, evaluate, convert)
