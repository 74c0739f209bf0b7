"""What people see of a materialization: counts, figures, pictures, and errors in one sentence."""

import base64
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from cellstorm_assets.markdown import escaped
from cellstorm_lib.errors import CellstormError, ExportError
from cellstorm_lib.pipeline.result import CheckOutcome
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.report.rows import number_text, value_text
from cellstorm_lib.report.shots import Shot

#: Disk or quota full, device or network drive away for a moment, too much open at once.
_PASSING_NAMES = (
    "ENOSPC", "EDQUOT", "EIO", "EAGAIN", "EBUSY", "ETIMEDOUT", "ESTALE", "EMFILE", "ENFILE",
    "ENOMEM", "EHOSTDOWN", "ENETDOWN", "ENETUNREACH", "EHOSTUNREACH", "ECONNRESET",
)  # fmt: skip
_PASSING_ERRNOS = frozenset(getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name))
#: Of the project's own folders: someone will make them writable again.
_UNWRITABLE_ERRNOS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def said_plainly() -> Iterator[None]:
    """Turn an error about the input into a failed step with that sentence.

    It is tried again only when what was in the way may pass: a full disk, a store that does not
    answer.
    """
    try:
        yield
    except CellstormError as error:
        raise dg.Failure(description=str(error), allow_retries=may_pass(error)) from error


def may_pass(error: BaseException) -> bool:
    """Return whether an error, or one it came from, is of a kind that passes by itself."""
    passing = _PASSING_ERRNOS
    if isinstance(error, ExportError):
        passing = passing | _UNWRITABLE_ERRNOS
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or (isinstance(seen, OSError) and seen.errno in passing):
            return True
        seen = seen.__cause__
    return False


def as_metadata(report: Any, *, prefix: str = "") -> dict[str, dg.MetadataValue]:
    """Return the plain entries of a report or of facts; counts by reason become one entry each."""
    values: dict[str, dg.MetadataValue] = {}
    for entry in fields(report):
        value = getattr(report, entry.name)
        if is_dataclass(value):
            values |= {f"{entry.name}/{name}": item for name, item in as_metadata(value).items()}
        elif isinstance(value, Mapping):
            plain = {str(name): item for name, item in value.items()}
            values |= {f"{entry.name}/{name}": _shown(item) for name, item in plain.items()}
        elif entry.name.endswith("_interval") and value is not None:
            values[entry.name] = dg.MetadataValue.text(" to ".join(map(number_text, value)))
        elif not isinstance(value, np.ndarray) and value is not None and value != "":
            values[entry.name] = _shown(value)
    return {f"{prefix}{name}": value for name, value in values.items()}


def _shown(value: Any) -> dg.MetadataValue:
    """Return one plain value as Dagster shows it."""
    if isinstance(value, bool | np.bool_):
        return dg.MetadataValue.bool(bool(value))
    if isinstance(value, int | np.integer):
        return dg.MetadataValue.int(int(value))
    if isinstance(value, float | np.floating):
        return dg.MetadataValue.float(float(f"{value:.6g}"))
    return dg.MetadataValue.text(value_text(value))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.MetadataValue:
    """Return a table of texts; the first column names the row."""
    columns = [dg.TableColumn(heading, "string") for heading in headings]
    records = [dg.TableRecord(dict(zip(headings, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def bullets(sentences: Iterable[str]) -> dg.MetadataValue:
    """Return sentences, which may quote files, as a list that Dagster shows as it is written."""
    return dg.MetadataValue.md("\n".join(f"* {escaped(text)}" for text in sentences) or "none")


def picture(png: bytes, title: str) -> dg.MetadataValue:
    """Return a PNG as a picture that Dagster shows in the page."""
    return dg.MetadataValue.md(
        f"![{escaped(title)}](data:image/png;base64,{base64.b64encode(png).decode()})"
    )


def shown(shot: Shot) -> dg.MetadataValue:
    """Return a picture of a page as one that Dagster shows."""
    return dg.MetadataValue.md(f"![{escaped(shot.alt)}]({shot.address})")


def frame_picture(frame: npt.NDArray[Any], pixel_nm: float, title: str) -> dg.MetadataValue:
    """Return a frame in grey, with a scale bar."""
    shown = Picture(values=frame, pixel_nm=pixel_nm, colours="grey", is_sparse=False)
    return picture(preview_png(shown), title)


def as_check(outcome: CheckOutcome, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Return a check's outcome; one that could not be told passes as a warning with its reason."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=outcome.name,
        passed=outcome.passed is not False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "reason": outcome.reason,
            "answer": {True: "yes", False: "no", None: "cannot be told"}[outcome.passed],
        },
    )
