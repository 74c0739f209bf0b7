"""Old denoised stacks are removed; what they told is kept in tables, and they can be made again."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from cellstorm_assets.denoising import stack_of
from cellstorm_assets.object_store import STORE_VARIABLE, store_path, store_told_plainly
from cellstorm_assets.project import Project, recording_of
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.progress import Progress

_DAY_S = 86400.0
_ENDING = ".ome.tif"
#: The last table made from a stack: with it, nothing more is read from the stack.
_LAST = "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class TidyReport:
    """What was removed.

    Attributes
    ----------
    removed : tuple of str
        Keys of the recordings whose stack was removed, or would be.
    freed_bytes : int
        Their size.
    kept : int
        Stacks that are too young.
    kept_for_reason : dict of str to str
        Stacks that are old and were kept, with the reason.
    """

    removed: tuple[str, ...]
    freed_bytes: int
    kept: int
    kept_for_reason: dict[str, str]


def tidy_stacks(
    project: Project,
    *,
    older_than_days: float,
    now: float | None = None,
    is_trial: bool = False,
    progress: Progress | None = None,
) -> TidyReport:
    """Remove denoised stacks that can be made again and whose tables are there.

    Parameters
    ----------
    project : Project
        Its store of tables is the folder, or the one the environment names.
    older_than_days : float
        Stacks written later are kept.
    now : float, optional
        Seconds since 1970; by default the clock.
    is_trial : bool
        Only tell.
    progress : callable, optional
        Called with the stacks looked at and all stacks; the film of an old one is read.

    Raises
    ------
    SettingsError
        When the number of days is impossible.
    """
    if not older_than_days >= 0:
        raise SettingsError(f"the age in days must be 0 or more, got {older_than_days}")
    limit = (time.time() if now is None else now) - older_than_days * _DAY_S
    removed, freed, kept, reasons = [], 0, 0, {}
    stacks = sorted(stack_of(project, "any").parent.glob(f"[!.]*{_ENDING}"))
    for number, path in enumerate(stacks, start=1):
        key, status = path.name.removesuffix(_ENDING), path.stat()
        if status.st_mtime > limit:
            kept += 1
        elif reason := _reason_to_keep(project, key):
            reasons[key] = reason
        else:
            removed.append(key)
            freed += status.st_size
            if not is_trial:
                path.unlink(missing_ok=True)
        if progress is not None:
            progress(number, len(stacks))
    return TidyReport(removed=tuple(removed), freed_bytes=freed, kept=kept, kept_for_reason=reasons)


def _reason_to_keep(project: Project, key: str) -> str:
    """Return why a stack cannot be made again or is still needed; nothing when it is neither."""
    if not _has_last_table(project.assets_folder, key):
        return "its tables are not finished"
    try:
        recording_of(project, key)
    except RecordingError:
        return "its film is no longer there"
    return ""


def _has_last_table(folder: Path, key: str) -> bool:
    """Return whether the last table of a recording is in the folder or in the store."""
    uri = os.environ.get(STORE_VARIABLE, "")
    results = store_path(uri) if uri else UPath(folder)
    with store_told_plainly(str(results)):
        return bool((results / _LAST / f"{key}.parquet").exists())
