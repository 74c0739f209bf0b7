"""Commands that make or read frames: simulate, localize."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import SettingsError

if TYPE_CHECKING:
    from cellstorm_lib.localize.localize import LocalizeReport
    from cellstorm_lib.pipeline.settings import PipelineSettings


@click.command()
@click.argument("scene", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder to write.")
@as_json
def simulate(scene: Path, out: Path, *, wants_json: bool) -> None:
    """Film the molecules of a SCENE.yaml with a simulated phone.

    Writes truth.parquet, the clean and the camera stack, and the compressed movie.
    """
    from cellstorm_lib.pipeline.film import film_scene
    from cellstorm_lib.simulate.scene import read_scene

    filmed = read_scene(scene)
    made = film_scene(filmed, out, progress=announced()("simulate"))
    tell(
        {
            "movie": f"{made.movie}, {made.frame_count} frames, {made.bits_per_px:.3g} bit/px",
            "truth": f"{made.truth}, {made.emission_count} emissions of "
            f"{made.molecule_count} molecules",
            "next": f"cellstorm process {made.movie} --pixel-size-nm "
            f"{filmed.field.pixel_size_nm:g} --camera {made.camera}",
        },
        {
            "movie": str(made.movie),
            "truth": str(made.truth),
            "frames": made.frame_count,
            "emissions": made.emission_count,
            "molecules": made.molecule_count,
            "bits_per_px": made.bits_per_px,
        },
        wants_json=wants_json,
    )


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="TABLE",
    help="Table to write, as spots.parquet; its ending chooses the format.",
)
@pixel_size
@camera_numbers
@own_flat_field
@region
@frame_range
@click.option(
    "--threshold",
    metavar="EXPR",
    help="'automatic' (default), or as in ThunderSTORM: 'std(Wave.F1)*1.5'.",
)
@click.option(
    "--z-calibration",
    type=PATH,
    metavar="Z.json",
    help="Tell z by the width of a spot, as `calibrate-z` measured it.",
)
@click.option(
    "--like",
    type=click.Choice(["thunderstorm", "picasso", "rapidstorm"]),
    help="Do what another program does, with its defaults.",
)
@click.option(
    "--like-settings", multiple=True, metavar="NAME=VALUE", help="A setting of that program."
)
@click.option("--protocol", type=PATH, help="Do what a ThunderSTORM protocol says.")
@as_json
def localize(
    file: Path,
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
    threshold: str | None,
    z_calibration: Path | None,
    like: str | None,
    like_settings: tuple[str, ...],
    protocol: Path | None,
    wants_json: bool,
) -> None:
    """Find and fit every blink in FILE; the ending of --out chooses the table's format.

    .parquet, .csv (ThunderSTORM), .hdf5 (Picasso), .txt (rapidSTORM), .smlm. Positions are nm
    from the field's top-left corner; photons are detected photoelectrons per frame.
    """
    from cellstorm_assets.project import find_project
    from cellstorm_lib.export.formats import require_ending, write_table
    from cellstorm_lib.pipeline.choice import RecordingChoice, calibration_for, pixel_size_for
    from cellstorm_lib.pipeline.ledger import ledger_of
    from cellstorm_lib.pipeline.like import find_spots_like, other_program
    from cellstorm_lib.pipeline.lineage_commands import note_of_spots, of_frames, with_note
    from cellstorm_lib.pipeline.spots import find_spots
    from cellstorm_lib.video.read import open_recording

    require_ending(out)
    program = other_program(like, like_settings, protocol)
    own = threshold is not None or own_flat_field or z_calibration is not None
    if program is not None and own:
        raise SettingsError(
            "--threshold, --own-flat-field and --z-calibration are not for --like "
            f"{program.name}; give its own settings with --like-settings"
        )
    told = on_file("opening", file)
    source = open_recording(file, roi=roi, frames=parsed_range(frames), progress=told)
    given = given_camera(source, camera, offset_adu, gain_e_per_adu, read_noise_e)
    settings = _settings_with(find_project().settings(), threshold, z_calibration)
    remarks: tuple[str, ...] = ()
    if program is not None:
        remarks = program.notes(given, pixel_size_nm)
        given = program.camera(source, given)
        pixel_size_nm = program.pixel_size_nm(pixel_size_nm)
    pixel_nm = pixel_size_for(source, pixel_size_nm)
    calibration, notes = calibration_for(source, given, own_flat_field=own_flat_field)
    progress = announced()("localize")
    if program is None:
        spots, report = find_spots(source, calibration, pixel_nm, settings, progress=progress)
    else:
        spots, report = find_spots_like(source, calibration, pixel_nm, program, progress=progress)
    choice = RecordingChoice(pixel_size_nm=pixel_size_nm, own_flat_field=own_flat_field)
    made_from = note_of_spots(
        file, ledger_of(source.facts, given, choice, settings), settings,
        is_denoised=source.facts.is_denoised, like=None if program is None else program.settings,
    )  # fmt: skip
    noted = with_note(spots, of_frames(made_from, frames))
    write_table(noted, out, progress=on_file("writing", out))
    for note in (*remarks, *notes):
        click.echo(note, err=True)
    _tell_localized(report, calibration, out, is_ours=program is None, wants_json=wants_json)


def _settings_with(
    settings: "PipelineSettings", threshold: str | None, z_calibration: Path | None
) -> "PipelineSettings":
    """Return the settings with another threshold and z calibration, where they are given."""
    from cellstorm_lib.z_calibration import read_z_calibration

    localize = settings.localize
    if threshold is not None:
        localize = replace(localize, detect=replace(localize.detect, threshold=threshold))
    if z_calibration is not None:
        localize = replace(localize, z_calibration=read_z_calibration(z_calibration))
    return replace(settings, localize=localize)


def _tell_localized(
    report: "LocalizeReport",
    calibration: CameraCalibration,
    out: Path,
    *,
    is_ours: bool,
    wants_json: bool,
) -> None:
    """Print what was found; of another program's thresholds, nothing is expected."""
    from cellstorm_assets.summary import false_spots_text
    from cellstorm_lib.report.rows import words

    figures: dict[str, Any] = {
        "frames": report.frames,
        "localizations": report.localizations,
        "frames_per_second": report.frames_per_second,
        "rejected": dict(report.rejected),
        "camera": calibration.plain(),
    }
    lines = {
        "frames": f"{report.frames} ({report.frames_per_second:.0f} per second)",
        "localizations": f"{report.localizations} in {out}",
    }
    if is_ours:
        figures["threshold"] = report.threshold_photons
        figures["expected_false_per_frame"] = report.expected_false_per_frame
        lines["threshold"] = (
            f"{report.threshold_photons:.1f} photoelectrons of the band-passed image"
        )
        lines["expected false"] = false_spots_text(report.expected_false_per_frame)
        if report.least_probability > 0:
            figures["least_probability"] = report.least_probability
            figures["false_share"] = report.false_share
            bright = report.least_probability_if_bright
            unless = f" ({bright:.2f} if bright)" if bright else ""
            lines["kept"] = (
                f"spots that are molecules with a probability of {report.least_probability:.2f} or "
                f"more{unless}; {report.false_share:.1%} of them are expected to be false"
            )
    else:
        figures["method"] = lines["method"] = report.threshold_mode
    rejected = ", ".join(
        f"{count} {words(reason)}" for reason, count in report.rejected.items() if count
    )
    lines["rejected"] = rejected or "none"
    lines["camera"] = (
        f"{calibration.name}: offset {calibration.offset_adu:.4g} grey values, "
        f"{calibration.gain_e_per_adu:.4g} e-/grey value, "
        f"read noise {calibration.read_noise_e:.3g} e- ({calibration.source})"
    )
    tell(lines, figures, wants_json=wants_json)


COMMANDS = (simulate, localize)
