"""Where the pieces of one recording are worked on, and how large they are."""

import os

from cellstorm_lib.chunks import FAN_OUT_PX, LocalProcesses, MapChunks
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.threads import processor_count

#: ``threads`` (the default), ``processes``, ``processes:4`` or ``ray``.
CHUNKS_VARIABLE = "CELLSTORM_CHUNKS"
#: Pixels of all frames of a piece, at least.
PIECE_VARIABLE = "CELLSTORM_PIECE_PX"


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
        return LocalProcesses(count=int(count or processor_count()))
    if given == "ray":
        from cellstorm_assets.ray_chunks import RayChunks  # noqa: PLC0415 - an optional part

        return RayChunks.connected()
    raise SettingsError(
        f"{CHUNKS_VARIABLE} must be threads, processes, processes:NUMBER or ray, got {given!r}"
    )


def fan_out_px_in_use() -> int:
    """Return how many pixels all frames of a piece have at least.

    Raises
    ------
    SettingsError
        When the variable is no number above 0.
    """
    given = os.environ.get(PIECE_VARIABLE, "")
    if not given:
        return FAN_OUT_PX
    if not (given.isascii() and given.isdecimal() and int(given) > 0):
        raise SettingsError(f"{PIECE_VARIABLE} must be a whole number above 0, got {given!r}")
    return int(given)
