"""Rows of a comparison from tables and recordings."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cellstorm_assets.project import RECORDINGS, Project
from cellstorm_lib.export.formats import read_table
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.steps import linked
from cellstorm_lib.progress import Announce, in_parts
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.reconstruct.render import render
from cellstorm_lib.report.comparison import ComparisonRow
from cellstorm_lib.video.read import open_recording


def compared_rows(
    files: Sequence[Path],
    project: Project,
    pixel_size_nm: float | None,
    camera: str | None,
    announce: Announce,
) -> list[ComparisonRow]:
    """Return one row per table or recording; recordings are localized raw, by the same settings."""
    settings = project.settings()
    rows = []
    for file in files:
        if file.suffix.lower() in RECORDINGS:
            rows.append(_processed(file, project, settings, pixel_size_nm, camera, announce))
        else:
            rows.append(_table(file, settings, pixel_size_nm, announce))
    return rows


def _processed(
    file: Path,
    project: Project,
    settings: PipelineSettings,
    pixel_size_nm: float | None,
    camera: str | None,
    announce: Announce,
) -> ComparisonRow:
    """Return the row of a recording."""
    with tempfile.TemporaryDirectory() as folder:
        result = process_recording(
            open_recording(file, progress=announce(f"opening {file.name}", "")),
            Path(folder),
            camera=project.cameras.camera_or_file(camera) if camera else None,
            pixel_size_nm=pixel_size_nm,
            settings=settings,
            announce=announce,
        )
    branch = result.branches["raw"]
    return ComparisonRow(
        name=file.name,
        localizations=branch.localizations,
        image=branch.image,
        frc=next(iter(branch.frc.values())),
        notes=result.notes,
    )


def _table(
    file: Path, settings: PipelineSettings, pixel_size_nm: float | None, announce: Announce
) -> ComparisonRow:
    """Return the row of a table."""
    told = in_parts(announce(file.name, ""), 1.0, 0.4, 0.6, 2.0)
    read, linking, drawn, resolved = told
    table = read_table(file, pixel_size_nm=pixel_size_nm, progress=read)
    table = linked(table, settings.merge)
    linking(1, 1)
    notes = ("The field is inferred from the table's extent.",) if table.field.is_inferred else ()
    return ComparisonRow(
        name=file.name,
        localizations=table,
        image=render(table, settings.render, progress=drawn),
        frc=measure_frc(table, settings.frc, progress=resolved),
        notes=notes,
    )
