"""What tables in the formats of other programs say they were made from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from cellstorm_lib.errors import CellstormError, TableError
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.export.picasso_lineage import picasso_lineage
from cellstorm_lib.export.rapidstorm import rapidstorm_lineage
from cellstorm_lib.export.smlm import smlm_provenance
from cellstorm_lib.export.thunderstorm_protocol import protocol_lineage, refuse_protocol
from cellstorm_lib.pipeline.lineage import LATER
from cellstorm_lib.video.tiff_pages import UNREADABLE

#: What the readers of notes raise on files that are damaged, or of others.
DAMAGES = (*UNREADABLE, AttributeError, pa.ArrowException, CellstormError)


def why_no_note(path: Path) -> str:
    """Return what is wrong with what a table says, and the remedy; empty where it says nothing."""
    asked = {".csv": protocol_lineage, ".txt": refuse_protocol}.get(path.suffix.lower())
    try:
        if asked is not None and path.is_file():
            asked(path)
    except TableError as error:
        return str(error)
    except DAMAGES:
        pass  # a damaged protocol
    return ""


def _in_archive(path: Path) -> Any:
    """Return what the manifest of an .smlm file says."""
    return smlm_provenance(path).get(LINEAGE)


def _in_picasso(path: Path) -> Any:
    """Return what a Picasso table says, with what Picasso has done to it since."""
    content, steps = picasso_lineage(path)
    if content is None or not steps:
        return content
    made_from = dict(content["made_from"])
    before = sum(name.startswith(LATER) for name in made_from)
    made_from |= {f"{LATER} {number}": step for number, step in enumerate(steps, before + 1)}
    return {**content, "result": steps[-1].rpartition(" #")[0], "made_from": made_from}


#: Of each ending, what reads there what the table was made from: plain content, None for nothing.
EXCHANGED: Mapping[str, Callable[[Path], Any]] = {
    ".smlm": _in_archive,
    ".csv": protocol_lineage,
    ".hdf5": _in_picasso,
    ".h5": _in_picasso,
    ".txt": rapidstorm_lineage,
}
