"""Commands that make or read frames: simulate, localize."""

from pathlib import Path
from typing import Any

import click

from cellstorm_assets.command_options import (
    PATH,
    announced,
    as_json,
    camera_numbers,
    frame_range,
    given_camera,
    out_file,
    own_flat_field,
    parsed_range,
    pixel_size,
    region,
    tell,
)


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

    made = film_scene(read_scene(scene), out, progress=announced()("simulate"))
    tell(
        {
            "movie": f"{made.movie}, {made.frame_count} frames, {made.bits_per_px:.3g} bit/px",
            "truth": f"{made.truth}, {made.emission_count} emissions of "
            f"{made.molecule_count} molecules",
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
@out_file
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
    wants_json: bool,
) -> None:
    """Find and fit every blink in FILE; the ending of --out chooses the table's format.

    .parquet, .csv (ThunderSTORM), .hdf5 (Picasso), .txt (rapidSTORM), .smlm. Positions are nm
    from the field's top-left corner; photons are detected photoelectrons per frame.
    """
    from dataclasses import replace

    from cellstorm_assets.project import find_project
    from cellstorm_assets.summary import false_spots_text
    from cellstorm_lib.export.formats import require_ending, write_table
    from cellstorm_lib.pipeline.choice import calibration_for, pixel_size_for
    from cellstorm_lib.pipeline.spots import find_spots
    from cellstorm_lib.video.read import open_recording

    require_ending(out)
    source = open_recording(file, roi=roi, frames=parsed_range(frames))
    pixel_nm = pixel_size_for(source, pixel_size_nm)
    given = given_camera(source, camera, offset_adu, gain_e_per_adu, read_noise_e)
    calibration, notes = calibration_for(source, given, own_flat_field=own_flat_field)
    settings = find_project().settings()
    if threshold is not None:
        detect = replace(settings.localize.detect, threshold=threshold)
        settings = replace(settings, localize=replace(settings.localize, detect=detect))
    spots, report = find_spots(
        source, calibration, pixel_nm, settings, progress=announced()("localize")
    )
    write_table(spots, out)
    for note in notes:
        click.echo(note, err=True)
    figures: dict[str, Any] = {
        "frames": report.frames,
        "localizations": report.localizations,
        "frames_per_second": report.frames_per_second,
        "rejected": dict(report.rejected),
        "threshold": report.threshold_photons,
        "expected_false_per_frame": report.expected_false_per_frame,
        "camera": calibration.plain(),
    }
    rejected = ", ".join(f"{count} {reason}" for reason, count in report.rejected.items() if count)
    tell(
        {
            "frames": f"{report.frames} ({report.frames_per_second:.0f} per second)",
            "localizations": f"{report.localizations} in {out}",
            "threshold": f"{report.threshold_photons:.1f} photoelectrons of the band-passed image",
            "expected false": false_spots_text(report.expected_false_per_frame),
            "rejected": rejected or "none",
            "camera": f"{calibration.name}: offset {calibration.offset_adu:.4g} grey values, "
            f"{calibration.gain_e_per_adu:.4g} e-/grey value, "
            f"read noise {calibration.read_noise_e:.3g} e- ({calibration.source})",
        },
        figures,
        wants_json=wants_json,
    )


COMMANDS = (simulate, localize)
