"""Commands that put a network to work: denoise, export-model."""

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
    own_flat_field,
    parsed_range,
    pixel_size,
    region,
    tell,
)

_ENDINGS = (".ome.tif", ".ome.tiff")


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "--model",
    default="champion",
    show_default=True,
    metavar="MODEL",
    help="champion, a registered version (see `cellstorm models`), or a checkpoint's path.",
)
@click.option("--out", type=PATH, required=True, help="Stack to write, ending in .ome.tif.")
@pixel_size
@camera_numbers
@own_flat_field
@region
@frame_range
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="torch; openvino (install cellstorm[fast]); openvino-int8, faster and a little less "
    "precise; or auto: openvino where it is there, else torch.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--no-gate", is_flag=True, help="Compute every pixel, also where there is no light.")
@as_json
def denoise(
    file: Path,
    model: str,
    out: Path,
    *,
    pixel_size_nm: float | None,
    camera: str | None,
    offset_adu: float | None,
    gain_e_per_adu: float | None,
    read_noise_e: float | None,
    own_flat_field: bool,
    roi: str | None,
    frames: str | None,
    engine: str,
    device: str,
    no_gate: bool,
    wants_json: bool,
) -> None:
    """Turn FILE into a stack of the light of its molecules, which `localize` and Fiji read.

    Photoelectrons = value * photons_per_adu, which the stack keeps in its metadata along with
    pixel size, camera and network. Its frames keep the numbers they have in FILE.
    """
    from cellstorm_assets.denoising import network_of
    from cellstorm_assets.project import find_project
    from cellstorm_lib.errors import RecordingError, SettingsError
    from cellstorm_lib.pipeline.choice import RecordingChoice, calibration_for, pixel_size_for
    from cellstorm_lib.pipeline.denoise import denoise_recording
    from cellstorm_lib.pipeline.ledger import ledger_of
    from cellstorm_lib.pipeline.lineage_commands import of_frames
    from cellstorm_lib.video.read import open_recording

    if not out.name.lower().endswith(_ENDINGS):
        raise SettingsError(f"{out} must end in .ome.tif, so that the format is known")
    told = on_file("opening", file)
    source = open_recording(file, roi=roi, frames=parsed_range(frames), progress=told)
    if source.facts.is_denoised:
        raise RecordingError(f"{file} is denoised already; give the recording it was made from")
    pixel_nm = pixel_size_for(source, pixel_size_nm)
    network = network_of(find_project(), model, device=device, engine=engine, is_gated=not no_gate)
    given = given_camera(source, camera, offset_adu, gain_e_per_adu, read_noise_e)
    calibration, notes = calibration_for(source, given, own_flat_field=own_flat_field)
    choice = RecordingChoice(pixel_size_nm=pixel_size_nm, own_flat_field=own_flat_field)
    settings = find_project().settings()
    ledger = ledger_of(source.facts, given, choice, settings, model=network.named_input)
    report = denoise_recording(
        source, calibration, network, out,
        pixel_size_nm=pixel_nm, progress=announced()("denoise"),
        lineage=of_frames(ledger.note("denoised_stack"), frames).plain(),
    )  # fmt: skip
    for note in (*notes, *report.remarks):
        click.echo(note, err=True)
    tell(
        {
            "frames": f"{report.frames} ({report.frames_per_second:.0f} per second) in {out}",
            "model": report.model,
            "engine": report.engine,
            "computed": f"{report.active_share:.1%} of the cells of 8 x 8 pixels hold light",
            "camera": f"{calibration.name}: offset {calibration.offset_adu:.4g} grey values, "
            f"{calibration.gain_e_per_adu:.4g} e-/grey value, "
            f"read noise {calibration.read_noise_e:.3g} e- ({calibration.source})",
        },
        {
            "frames": report.frames,
            "frames_per_second": report.frames_per_second,
            "model": report.model,
            "model_digest": report.model_digest,
            "engine": report.engine,
            "active_share": report.active_share,
            "remarks": list(report.remarks),
            "camera": calibration.plain(),
        },
        wants_json=wants_json,
    )


@click.command("export-model")
@click.argument("model")
@click.option("--out", type=PATH, required=True, help="File to write, ending in .onnx.")
def export_model(model: str, out: Path) -> None:
    """Write MODEL as an ONNX file, for phones and other programs.

    It takes consecutive frames in photoelectrons, of any height and width, and gives the light of
    molecules in the middle one.
    """
    exported = announced()("export", "")

    from cellstorm_assets.project import find_project
    from cellstorm_assets.registry import checkpoint_path
    from cellstorm_lib.gan.checkpoint import read_checkpoint
    from cellstorm_lib.gan.onnx_file import write_onnx

    found = checkpoint_path(model, find_project())
    write_onnx(read_checkpoint(found.path), out)
    exported(1, 1)
    click.echo(f"{found.label} is in {out}")


COMMANDS = (denoise, export_model)
