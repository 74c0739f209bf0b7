"""What the results in an object store were made from, read from a few bytes of each."""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from upath import UPath

from cellstorm_assets.object_store import look_of, store_in_use, store_path, store_told_plainly
from cellstorm_lib.pipeline.lineage import STEPS
from cellstorm_lib.pipeline.lineage_files import (
    HEAD_BYTES,
    Note,
    note_in_stream,
    table_tail_bytes,
)

#: Notes kept in memory; a project of 1,000 recordings has 19,000.
_MOST_NOTES = 50_000
#: A store answers many questions at a time as fast as one.
_AT_A_TIME = 16
#: The end of a table, in which its note stands most of the time.
_TAIL_BYTES = 1 << 16
_LENGTH_BYTES = 8


class StoreNotes:
    """The results of recordings in a store, as they were when one of them was first asked for.

    Parameters
    ----------
    root : UPath
        Where the store keeps them.
    """

    def __init__(self, root: UPath) -> None:
        self.root = root

    @classmethod
    def in_use(cls) -> "StoreNotes | None":
        """Return the results in the store that the environment names; None without a store."""
        root = store_in_use()
        return None if root is None else cls(root)

    @cached_property
    def _found(self) -> dict[str, tuple[int, str]]:
        """Size and state of every file, by its name below the root."""
        files, base = self.root.fs, PurePosixPath(self.root.path)
        with store_told_plainly(str(self.root)):
            files.invalidate_cache()
            try:
                listed = files.find(self.root.path, detail=True)
            except FileNotFoundError:
                listed = {}
        return {
            PurePosixPath(name).relative_to(base).as_posix(): look_of(details)
            for name, details in listed.items()
        }

    def keys(self) -> list[str]:
        """Return the partition keys of the recordings that have results."""
        paths = (PurePosixPath(name) for name in self._found)
        return sorted(
            path.stem
            for path in paths
            if path.parent.as_posix() == "recording" and path.suffix == ".parquet"
        )

    def has(self, result: str, file_name: str) -> bool:
        """Return whether a result is there."""
        return f"{result}/{file_name}" in self._found

    def note(self, result: str, file_name: str) -> Note | None:
        """Return the note of a result; that of an image stands in the picture beside it."""
        path = PurePosixPath(result) / file_name
        path = path.with_suffix(".png") if path.suffix == ".tif" else path
        look = self._found.get(path.as_posix())
        if look is None:
            return None
        with store_told_plainly(str(self.root)):
            return _read(str(self.root), path.as_posix(), *look)

    def look_ahead(self, files: Iterable[tuple[str, str]]) -> None:
        """Read the notes of results and file names side by side, so that each is known later."""
        wanted = [(result, name) for result, name in files if result in STEPS]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda each: self.note(*each), wanted))


@lru_cache(maxsize=_MOST_NOTES)
def _read(root: str, name: str, size: int, state: str) -> Note | None:  # noqa: ARG001
    """Return the note in a file of a store as it is now."""
    place, ending = store_path(root) / name, PurePosixPath(name).suffix
    files, path = place.fs, place.path
    if ending != ".parquet":
        part = files.cat_file(path, start=0, end=min(size, HEAD_BYTES))
        return note_in_stream(io.BytesIO(part), ending)
    part = files.cat_file(path, start=max(0, size - _TAIL_BYTES), end=size)
    needed = table_tail_bytes(part[-_LENGTH_BYTES:])
    if len(part) < needed <= size:
        part = files.cat_file(path, start=size - needed, end=size)
    return note_in_stream(io.BytesIO(part), ending)
