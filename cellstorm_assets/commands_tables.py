"""Commands that take tables: drift, merge, select, render, frc, evaluate, convert, compare."""

from dataclasses import asdict, replace
from pathlib import Path

import click

from cellstorm_assets.command_options import PATH, as_json, out_file, pixel_size, tell
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.export.formats import read_table, read_truth, require_ending, write_table
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.tables import Localizations

table = click.argument("table", type=PATH)


def in_and_out(path: Path, out: Path, pixel_size_nm: float | None) -> Localizations:
    """Read a table after making sure that the other one can be written."""
    require_ending(out)
    return read_table(path, pixel_size_nm=pixel_size_nm)


@click.command()
@table
@out_file
@pixel_size
@as_json
def drift(table: Path, out: Path, *, pixel_size_nm: float | None, wants_json: bool) -> None:
    """Estimate the drift of TABLE and take it out, unless that would make it worse."""
    from cellstorm_lib.refine.drift import apply_drift, estimate_drift

    localizations = in_and_out(table, out, pixel_size_nm)
    found = estimate_drift(localizations, PipelineSettings().drift)
    write_table(apply_drift(localizations, found), out)
    figures = {
        "rms_nm": found.rms_nm,
        "segments": found.segments,
        "applied": found.is_applied,
        "reason": found.reason,
    }
    tell(
        {
            "drift": f"{found.rms_nm:.1f} nm RMS about its mean, from {found.segments} segments",
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
    merged, report = merge_blinks(localizations, settings)
    write_table(merged, out)
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
    write_table(kept, out)
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
    type=click.Choice(["gaussian", "histogram", "ash"]),
    default="gaussian",
    show_default=True,
    help="How one localization is drawn.",
)
@as_json
def render(
    table: Path,
    out: Path,
    *,
    pixel_size_nm: float | None,
    render_pixel_nm: float | None,
    method: str,
    wants_json: bool,
) -> None:
    """Draw TABLE as an image: .png with a scale bar, or .tif (32 bit, with the pixel size)."""
    from cellstorm_lib.reconstruct.render import RenderSettings
    from cellstorm_lib.reconstruct.render import render as render_table
    from cellstorm_lib.report.picture import write_picture
    from cellstorm_lib.video.tiff import write_image

    if out.suffix.lower() not in {".png", ".tif", ".tiff"}:
        raise SettingsError(f"{out} must end in .png or .tif, so that the format is known")
    localizations = read_table(table, pixel_size_nm=pixel_size_nm)
    settings = RenderSettings(pixel_nm=render_pixel_nm, method=method)  # type: ignore[arg-type]
    image = render_table(localizations, settings)
    if out.suffix.lower() == ".png":
        write_picture(image, out)
    else:
        write_image(out, image.image, pixel_size_nm=image.pixel_nm)
    rows, columns = image.image.shape
    tell(
        {"image": f"{columns} x {rows} pixels of {image.pixel_nm:.3g} nm in {out}"},
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
@as_json
def frc(
    table: Path,
    *,
    pixel_size_nm: float | None,
    split: str,
    render_pixel_nm: float | None,
    wants_json: bool,
) -> None:
    """Measure the resolution of TABLE by Fourier ring correlation, or say that there is none.

    The default keeps all localizations of one molecule in one half; a table that does not name
    its molecules is linked first.
    """
    from cellstorm_lib.pipeline.steps import linked
    from cellstorm_lib.reconstruct.frc import measure_frc

    localizations = read_table(table, pixel_size_nm=pixel_size_nm)
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
    report = measure_frc(localizations, wanted)
    if report.resolution_nm is None:
        answer = f"none: {report.reason.removeprefix('no resolution: ')}"
    else:
        answer = (
            f"{report.resolution_nm:.1f} nm ({report.low_nm:.1f} to {report.high_nm:.1f} nm), "
            f"split by {report.split}, threshold {report.threshold:.3f}"
        )
    tell(
        {"resolution": answer},
        {
            "resolution_nm": report.resolution_nm,
            "low_nm": report.low_nm,
            "high_nm": report.high_nm,
            "split": report.split,
            "threshold": report.threshold,
            "render_pixel_nm": report.render_pixel_nm,
            "reason": report.reason,
        },
        wants_json=wants_json,
    )


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
@as_json
def evaluate(
    table: Path, truth: Path, *, pixel_size_nm: float | None, tolerance_nm: float, wants_json: bool
) -> None:
    """Compare TABLE with the truth, by the definitions of the SMLM challenge."""
    from cellstorm_lib.evaluate.scores import score

    localizations = read_table(table, pixel_size_nm=pixel_size_nm)
    emitters = read_truth(truth, pixel_size_nm=pixel_size_nm)
    scores = score(localizations, emitters, tolerance_nm=tolerance_nm)
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
    write_table(localizations, out)
    tell({"localizations": f"{len(localizations)} in {out}"}, {}, wants_json=False)


COMMANDS = (drift, merge, select, render, frc, evaluate, convert)
