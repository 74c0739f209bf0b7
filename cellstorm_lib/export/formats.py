"""Read and write tables by the ending of the file; ground truth from any of them.

Conventions (frame base, pixel centre, unit) are converted in this package only: what comes out
of `read_table` counts frames from 0 and nm from the outer top-left corner of the field.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cellstorm_lib.errors import ExportError, SettingsError, TableError
from cellstorm_lib.export.adopt import is_positive
from cellstorm_lib.export.hdf5 import read_hdf5
from cellstorm_lib.export.picasso import read_picasso, write_picasso
from cellstorm_lib.export.rapidstorm import RAPIDSTORM_START, read_rapidstorm, write_rapidstorm
from cellstorm_lib.export.smlm import read_smlm, write_smlm
from cellstorm_lib.export.storm_analysis import (
    read_insight3,
    read_storm_analysis,
)
from cellstorm_lib.export.text_tables import read_csv, read_elyra
from cellstorm_lib.export.thunderstorm import write_thunderstorm
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.tables import (
    EMITTER_COLUMNS,
    Emitters,
    Localizations,
    inferred_field,
    read_localizations,
    write_localizations,
)

#: Endings that can be read, with whose tables they are.
READ_ENDINGS = {
    ".parquet": "cellstorm",
    ".csv": "ThunderSTORM, Nanoimager, SMLM challenge",
    ".hdf5": "Picasso, storm-analysis",
    ".h5": "Picasso, storm-analysis",
    ".txt": "rapidSTORM, Elyra",
    ".smlm": "ShareLoc",
    ".bin": "Insight3",
}
#: Endings that can be written, with whose tables they are.
WRITE_ENDINGS = {
    ".parquet": "cellstorm",
    ".csv": "ThunderSTORM",
    ".hdf5": "Picasso",
    ".h5": "Picasso",
    ".txt": "rapidSTORM",
    ".smlm": "ShareLoc",
}
#: Endings whose writers, and whose readers, tell how far they are; the others take no time.
_TELLING_WRITERS = (".csv", ".txt", ".smlm")
_TELLING_READERS = (*_TELLING_WRITERS, ".hdf5", ".h5")
#: How long it takes to read columns beside checking them; to prepare, to write and to keep them.
_READING_TIMES, _WRITING_TIMES = (2.0, 1.0), (1.0, 6.0, 1.0)
_WRITERS: dict[str, Callable[..., None]] = {
    ".parquet": write_localizations,
    ".csv": write_thunderstorm,
    ".hdf5": write_picasso,
    ".h5": write_picasso,
    ".txt": write_rapidstorm,
    ".smlm": write_smlm,
}


def read_table(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Localizations:
    """Read a table of localizations in any format, chosen by its ending.

    Parameters
    ----------
    path : Path
        A file with one of the `READ_ENDINGS`; it is not changed.
    pixel_size_nm : float or None
        Object-side camera pixel. Needed for formats that count in pixels or from the centre
        of one without stating its size; elsewhere it gives the field of view its pixels.
    progress : callable, optional
        Called with what is done and the whole; of Parquet, read in no time, once at the end.

    Returns
    -------
    Localizations
        Its provenance says under ``imported`` what was dropped or taken to be so.

    Raises
    ------
    TableError
        When the file is missing, empty, damaged, of another kind, or needs a pixel size.
    SettingsError
        When the pixel size is not above 0.
    """
    path = Path(path)
    if pixel_size_nm is not None and not is_positive(pixel_size_nm):
        raise SettingsError(
            f"pixel_size_nm must be above 0, got {pixel_size_nm}; are the units right?"
        )
    ending = path.suffix.lower()
    if ending not in READ_ENDINGS:
        raise TableError(
            f"{path} has the ending {path.suffix!r}, which is no table this program reads; known "
            f"are {_listed(READ_ENDINGS)}"
        )
    _check_content(path)
    of_columns, of_check = in_parts(progress, *_READING_TIMES)
    told = {"progress": of_columns} if ending in _TELLING_READERS else {}
    try:
        with np.errstate(all="ignore"):  # what is no finite number is dropped and counted later
            table = _READERS[ending](path, pixel_size_nm=pixel_size_nm, **told)
    except OSError as error:
        raise TableError(
            f"{path} cannot be read: {error.strerror or error}; check that you may read it"
        ) from error
    of_check(1, 1)
    return table


def write_table(
    localizations: Localizations, path: Path, *, progress: Progress | None = None
) -> None:
    """Write a table in the format of the file's ending, whole or not at all.

    Parameters
    ----------
    localizations : Localizations
        The table. Parquet keeps everything; the others what they have room for.
    path : Path
        A file with one of the `WRITE_ENDINGS`. Picasso's gets a ``.yaml`` beside it, and
        ThunderSTORM's a ``-protocol.txt`` when the table says what it was made from.
    progress : callable, optional
        Called with what is done and the whole; of what is written in no time, once at the end.

    Raises
    ------
    ExportError
        When the ending is unknown, or the file cannot be written.
    TableError
        When the format needs a pixel size that the table does not know.
    """
    path = Path(path)
    require_ending(path)
    ending = path.suffix.lower()
    _, of_rows, of_keeping = in_parts(progress, *_WRITING_TIMES)
    told = {"progress": of_rows} if ending in _TELLING_WRITERS else {}
    _WRITERS[ending](localizations, path, **told)
    of_keeping(1, 1)


def require_ending(path: Path) -> None:
    """Raise unless `write_table` can write a file of this name; for use before long work.

    Raises
    ------
    ExportError
        When the ending is unknown.
    """
    if Path(path).suffix.lower() not in WRITE_ENDINGS:
        raise ExportError(
            f"{path} has the ending {Path(path).suffix!r}, which is no table this program writes; "
            f"known are {_listed(WRITE_ENDINGS)}"
        )


def read_truth(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Emitters:
    """Read ground truth from a table in any format.

    Parameters
    ----------
    path : Path
        A file that `read_table` reads.
    pixel_size_nm : float or None
        As in `read_table`.
    progress : callable, optional
        As in `read_table`.

    Returns
    -------
    Emitters
        The emitter from the column ``emitter``, else ``molecule``, else the running number of
        the row; photons from the table, else 1 for every row.

    Raises
    ------
    TableError
        As in `read_table`.
    """
    table = read_table(path, pixel_size_nm=pixel_size_nm, progress=progress)
    rows = len(table)
    identity = next((name for name in ("emitter", "molecule") if name in table), None)
    data = pd.DataFrame(
        {
            "frame": table.column("frame"),
            "emitter": table.column(identity) if identity else np.arange(rows),
            "x_nm": table.column("x_nm"),
            "y_nm": table.column("y_nm"),
            "photons": table.column("photons") if "photons" in table else np.ones(rows),
        },
        columns=list(EMITTER_COLUMNS),
    )
    return Emitters(data=data, field=table.field, provenance=table.provenance)


def _check_content(path: Path) -> None:
    """Raise unless the file exists and holds something."""
    if path.is_dir():
        raise TableError(f"{path} is a folder; give the table file in it")
    if not path.is_file():
        raise TableError(f"{path} does not exist; check its name")
    if path.stat().st_size == 0:
        raise TableError(f"{path} is empty (0 bytes); expected a table of localizations")


def _read_any_hdf5(path: Path, *, pixel_size_nm: float | None, progress: Progress) -> Localizations:
    """Return Picasso's or storm-analysis's table; the process that reads it tells nothing."""
    content = read_hdf5(path)
    progress(1, 1)
    reader = read_storm_analysis if content.is_frames else read_picasso
    return reader(path, content, pixel_size_nm=pixel_size_nm)


def _read_any_text(path: Path, *, pixel_size_nm: float | None, progress: Progress) -> Localizations:
    """Return rapidSTORM's or Elyra's table."""
    with path.open("rb") as stream:
        is_rapidstorm = stream.read(len(RAPIDSTORM_START)) == RAPIDSTORM_START
    reader = read_rapidstorm if is_rapidstorm else read_elyra
    return reader(path, pixel_size_nm=pixel_size_nm, progress=progress)


def _read_parquet(path: Path, *, pixel_size_nm: float | None) -> Localizations:
    """Return a Parquet table; the pixel size may only fill in what the file does not say."""
    table = read_localizations(path)
    stated_nm = table.field.pixel_size_nm
    if not table.field.is_inferred:
        if pixel_size_nm is not None and not math.isclose(pixel_size_nm, stated_nm, rel_tol=1e-6):
            raise TableError(
                f"{path} was made with {stated_nm:g} nm a pixel, which {pixel_size_nm:g} nm "
                "contradicts; leave the pixel size out"
            )
        return table
    imported = dict(table.provenance.get("imported", {"format": "Parquet", "file": path.name}))
    if pixel_size_nm is None:
        imported.setdefault("is_pixel_size_assumed", True)
        return table.with_provenance(imported=imported)
    field = inferred_field(table.data, pixel_size_nm=pixel_size_nm, path=path)
    provenance = {**table.provenance, "imported": {**imported, "is_pixel_size_assumed": False}}
    return Localizations(data=table.data, field=field, provenance=provenance)


def _listed(endings: dict[str, str]) -> str:
    """Return endings with whose tables they are, for a message."""
    return ", ".join(f"{ending} ({owner})" for ending, owner in endings.items())


_READERS: dict[str, Callable[..., Localizations]] = {
    ".parquet": _read_parquet,
    ".csv": read_csv,
    ".hdf5": _read_any_hdf5,
    ".h5": _read_any_hdf5,
    ".txt": _read_any_text,
    ".smlm": read_smlm,
    ".bin": read_insight3,
}
