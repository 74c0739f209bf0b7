"""The command that measures the quality of a table."""

from pathlib import Path
from typing import Any

import click

from cellstorm_assets.command_options import PATH, announced, as_json, on_file, pixel_size, tell
from cellstorm_lib.export.formats import read_table
from cellstorm_lib.pipeline.quality import Quality


@click.command()
@click.argument("table", type=PATH)
@click.option(
    "--widefield",
    type=PATH,
    metavar="FILE",
    help="Mean of the frames as TIFF with its pixel size, for the error map.",
)
@pixel_size
@as_json
def quality(
    table: Path, *, widefield: Path | None, pixel_size_nm: float | None, wants_json: bool
) -> None:
    """Measure how good TABLE is: precision, resolution from place to place, molecules, artefacts.

    Give spots as found, drift-corrected: they are merged here. A merged table tells everything but
    the localization precision.
    """
    from cellstorm_lib.export.lineage_text import LINEAGE
    from cellstorm_lib.pipeline.lineage_commands import note_of_command
    from cellstorm_lib.pipeline.quality import quality_of_table
    from cellstorm_lib.report.quality import quality_rows
    from cellstorm_lib.video.tiff import read_image

    told = on_file("reading", table)
    localizations = read_table(table, pixel_size_nm=pixel_size_nm, progress=told)
    image, image_pixel_nm = (None, None) if widefield is None else read_image(widefield)
    measured = quality_of_table(
        localizations,
        widefield=image,
        widefield_pixel_nm=image_pixel_nm,
        progress=announced()("quality", ""),
    )
    tell(
        {
            row.name: f"{row.value}{': ' if row.remark else ''}{row.remark}"
            for row in quality_rows(measured)
        },
        quality_figures_of(measured) | {LINEAGE: note_of_command("quality", table).plain()},
        wants_json=wants_json,
    )


def quality_figures_of(measured: Quality) -> dict[str, Any]:
    """Return the figures as plain content; null with a reason where nothing can be told."""
    told: dict[str, tuple[Any, tuple[str, ...]]] = {
        "precision": (
            measured.precision,
            ("precision_nm", "low_nm", "high_nm", "claimed_nm", "claim_ratio", "is_lower_bound",
             "copied", "reason"),
        ),
        "repeats": (
            measured.repeats,
            ("repeats", "repeats_error", "told_by", "uncorrected_nm", "corrected_nm",
             "corrected_low_nm", "corrected_high_nm", "reason"),
        ),
        "frc_map": (
            measured.frc_map, ("median_nm", "finest_nm", "coarsest_nm", "block_nm", "reason")
        ),
        "decorrelation": (measured.decorrelation, ("resolution_nm", "height", "reason")),
        "error_map": (measured.error_map, ("rsp", "rsp_detail", "rse", "blur_nm", "reason")),
        "molecules": (
            measured.molecules,
            ("molecules", "low", "high", "blinks", "blinks_per_molecule", "dark_frames", "reason"),
        ),
        **{
            name: (getattr(measured, name), ("passed", "p_value", "effect", "effect_low",
                                             "effect_high", "reason"))
            for name in ("codec_grid", "subpixel_bias")
        },
    }  # fmt: skip
    return {"resolution_nm": measured.resolution_nm} | {
        name: {field: getattr(report, field) for field in wanted}
        for name, (report, wanted) in told.items()
    }


COMMANDS = (quality,)
