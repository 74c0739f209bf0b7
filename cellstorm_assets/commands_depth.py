"""The command that calibrates z with beads."""

from pathlib import Path

import click

from cellstorm_assets.command_options import (
    PATH,
    announced,
    as_json,
    camera_numbers,
    frame_range,
    given_camera,
    on_file,
    parsed_range,
    pixel_size,
    region,
    tell,
)
from cellstorm_lib.errors import SettingsError


@click.command("calibrate-z")
@click.argument("stack", type=PATH)
@click.option("--out", type=PATH, required=True, help="Z.json to write.")
@click.option(
    "--z-step-nm",
    type=float,
    required=True,
    metavar="NM",
    help="Distance of two planes; z grows from the first plane to the last, or falls if below 0.",
)
@click.option(
    "--frames-per-plane",
    type=int,
    default=1,
    show_default=True,
    help="Frames in a row at the same height.",
)
@click.option(
    "--background-share",
    type=float,
    default=0.01,
    show_default=True,
    help="Background per pixel / photons of the molecules that will be localized.",
)
@click.option(
    "--mismatch-factor",
    type=float,
    default=1.0,
    show_default=True,
    help="Distance in the sample / distance the stage moved, for unequal refractive indices.",
)
@click.option("--name", default=None, help="What to call the calibration. Default: --out's name.")
@pixel_size
@camera_numbers
@region
@frame_range
@as_json
def calibrate_z(
    stack: Path,
    out: Path,
    *,
    z_step_nm: float,
    frames_per_plane: int,
    background_share: float,
    mismatch_factor: float,
    name: str | None,
    pixel_size_nm: float | None,
    camera: str | None,
    offset_adu: float | None,
    gain_e_per_adu: float | None,
    read_noise_e: float | None,
    roi: str | None,
    frames: str | None,
    wants_json: bool,
) -> None:
    """Measure how the width of a spot tells its height, with a STACK of beads.

    For a microscope with a cylindrical lens: the stack is a recording of beads while the stage
    moves through the focus in even steps. Writes Z.json (for `localize --z-calibration`) and a
    picture of the curves beside it.
    """
    from cellstorm_lib.calibrate.astigmatism import AstigmatismSettings
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.pipeline.calibrate_z import calibrate_z as measure
    from cellstorm_lib.pipeline.choice import calibration_for, pixel_size_for
    from cellstorm_lib.report.astigmatic_curves import astigmatism_figure
    from cellstorm_lib.report.drawing import figure_png
    from cellstorm_lib.video.read import open_recording
    from cellstorm_lib.z_calibration import write_z_calibration

    if out.suffix.lower() != ".json":
        raise SettingsError(f"--out must end in .json, as Z.json, got {out.name}")
    settings = AstigmatismSettings(
        z_step_nm=z_step_nm,
        frames_per_plane=frames_per_plane,
        background_share=background_share,
        mismatch_factor=mismatch_factor,
    )
    told = on_file("opening", stack)
    source = open_recording(stack, roi=roi, frames=parsed_range(frames), progress=told)
    pixel_nm = pixel_size_for(source, pixel_size_nm)
    given = given_camera(source, camera, offset_adu, gain_e_per_adu, read_noise_e)
    calibration, notes = calibration_for(source, given)
    measured = measure(
        source,
        calibration,
        pixel_size_nm=pixel_nm,
        name=name or out.stem,
        settings=settings,
        progress=announced()("calibrate z"),
    )
    found = measured.calibration
    write_z_calibration(found, out)
    curves = out.with_suffix(".png")
    with written_whole(curves) as temporary:
        temporary.write_bytes(figure_png(astigmatism_figure(measured)))
    for note in notes:
        click.echo(note, err=True)
    left_out = ", ".join(f"{count} {reason}" for reason, count in measured.left_out.items())
    tell(
        {
            "z": f"{found.z_from_nm:.0f} to {found.z_to_nm:.0f} nm, {found.plane_count} planes",
            "beads": f"{found.bead_count} (left out: {left_out or 'none'})",
            "z off the stage": f"{found.residual_nm:.1f} nm RMS of beads that were not fitted, "
            f"of it systematic {found.systematic_nm:.1f} nm",
            "calibration": str(out),
            "curves": str(curves),
        },
        {
            "z_from_nm": found.z_from_nm,
            "z_to_nm": found.z_to_nm,
            "beads": found.bead_count,
            "planes": found.plane_count,
            "residual_nm": found.residual_nm,
            "systematic_nm": found.systematic_nm,
            "left_out": dict(measured.left_out),
            "calibration": str(out),
            "curves": str(curves),
        },
        wants_json=wants_json,
    )


COMMANDS = (calibrate_z,)
