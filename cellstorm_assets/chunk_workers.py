"""Where the pieces of one recording are worked on: here, in processes, or on a Ray cluster."""

import os

from cellstorm_lib.chunks import LocalProcesses, MapChunks
from cellstorm_lib.errors import SettingsError

#: ``threads`` (the default), ``processes``, ``processes:4`` or ``ray``.
CHUNKS_VARIABLE = "CELLSTORM_CHUNKS"


def map_chunks_in_use() -> MapChunks | None:
    """Return what works on pieces of a recording; None for threads of this process.

    Raises
    ------
    SettingsError
        When the variable names nothing known, or the cluster cannot be used.
    """
    given = os.environ.get(CHUNKS_VARIABLE, "") or "threads"
    kind, _, count = given.partition(":")
    if kind == "threads" and not count:
        return None
    if kind == "processes" and (not count or count.isdecimal()):
        return LocalProcesses(count=int(count or os.cpu_count() or 1))
    if given == "ray":
        from cellstorm_assets.ray_chunks import RayChunks  # noqa: PLC0415 - an optional part

        return RayChunks.connected()
    raise SettingsError(
        f"{CHUNKS_VARIABLE} must be threads, processes, processes:NUMBER or ray, got {given!r}"
    )
