"""Calibration series: folders and files put together to runs of frames taken alike."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource, RecordingFacts, Roi
from cellstorm_lib.video.containers import container_of
from cellstorm_lib.video.loss import FrameLog
from cellstorm_lib.video.read import named_kind, open_recording
from cellstorm_lib.video.stack import Pages, ReadPage, StackSource

_UNREAD = {None, "camera_raw"}
_EXPECTED = "DNG raw files, TIFF files, other stacks or videos"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilePages:
    """Frames that each are a file of their own.

    Attributes
    ----------
    files : tuple of Pages
        The files, each a stack of one frame.
    """

    files: tuple[Pages, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the grey values as they are read."""
        return self.files[0].dtype

    @contextmanager
    def opened(self, roi: Roi) -> Iterator[ReadPage]:
        """Give a function that opens the file of a frame, reads the region and closes it."""

        def read(frame: int) -> Any:
            with self.files[frame].opened(roi) as read_page:
                return read_page(0)

        yield read


class _File(NamedTuple):
    """A file with one frame."""

    path: Path
    source: StackSource


def open_series(
    paths: Sequence[Path], *, progress: Progress | None = None
) -> tuple[FrameSource, ...]:
    """Open folders and files of frames taken for a calibration.

    Files of one frame each (DNG raw files, TIFF files of a single page) that lie in one folder
    and have the same exposure time form one series, in the order of their names with numbers
    counted (``9`` before ``10``). Every other file, a stack or a video, is a series by itself. Of
    a folder all recordings directly in it are taken; hidden files, folders within it and files
    of other kinds (pictures, notes) are passed over. Frames are always whole.

    Parameters
    ----------
    paths : sequence of Path
        Folders and files; what is named twice is taken once.
    progress : callable, optional
        Called with the files opened and all files.

    Returns
    -------
    tuple of FrameSource
        In the order given. A series of files is named after its folder; its digest is that of
        its files' digests in order. A file that turns out to be damaged raises when its frame
        is read.

    Raises
    ------
    RecordingError
        When a file cannot be read, a folder holds nothing to read, or the files of a folder
        differ in frame size, bit depth, sensitivity (ISO) or colour mosaic.
    """
    series: list[FrameSource] = []
    single: dict[tuple[Path, str], list[_File]] = {}
    place: dict[tuple[Path, str], int] = {}
    files = _files(paths)
    for number, path in enumerate(files, start=1):
        source = open_recording(path)
        if progress is not None:
            progress(number, len(files))
        whole = Roi(width_px=source.facts.frame_width_px, height_px=source.facts.frame_height_px)
        if isinstance(source, StackSource) and source.facts.frame_count == 1:
            key = path.parent, source.facts.kind
            place.setdefault(key, len(series))
            single.setdefault(key, []).append(_File(path, source))
        else:
            series.append(replace(source, facts=replace(source.facts, roi=whole)))
    for key in reversed(single):
        series[place[key] : place[key]] = _by_exposure(single[key])
    return tuple(series)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files to open, each once."""
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        for file in _recordings_in(path) if path.is_dir() else [path]:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _recordings_in(folder: Path) -> list[Path]:
    """Return the recordings of a folder in the order of their names."""
    files = sorted(
        (path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")),
        key=lambda path: _name_order(path.name),
    )
    if not files:
        raise RecordingError(f"{folder} holds no files; put the series into it, as {_EXPECTED}")
    readable = [
        path for path in files if named_kind(path) is not None or container_of(path) not in _UNREAD
    ]
    if not readable:
        raise RecordingError(
            f"{folder} holds nothing that can be read ({len(files)} files, the first is "
            f"{files[0].name}); {_EXPECTED} are expected"
        )
    return readable


def _name_order(name: str) -> list[str | int]:
    """Return what to sort by, so that numbers in names count: frame9 before frame10."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


def _by_exposure(files: list[_File]) -> list[FrameSource]:
    """Return one series for each exposure time among the files of a folder."""
    files = sorted(files, key=lambda file: _name_order(file.path.name))
    _refuse_mixed(files)
    groups: dict[float | None, list[_File]] = {}
    for file in files:
        groups.setdefault(file.source.facts.details.get("exposure_s"), []).append(file)
    return [_series_of(group, exposure_s) for exposure_s, group in groups.items()]


def _series_of(files: list[_File], exposure_s: float | None) -> StackSource:
    """Return single frames as one stack."""
    first = files[0].source.facts
    folder = files[0].path.resolve().parent.name or first.name
    facts = replace(
        first,
        name=folder if exposure_s is None else f"{folder}, {exposure_s:.6g} s",
        digest=digest_of([file.source.facts.digest for file in files]),
        frame_count=len(files),
        details={
            **first.details,
            "first_file": files[0].path.name,
            "last_file": files[-1].path.name,
        },
    )
    pages = FilePages(files=tuple(file.source.pages for file in files))
    count = len(files)
    return StackSource(facts=facts, frame_range=range(count), pages=pages, log=FrameLog(count))


def _refuse_mixed(files: list[_File]) -> None:
    """Raise when a file was not taken like the first one."""
    first = files[0]
    for file in files[1:]:
        for what, ours, its in zip(
            ("frame size", "bit depth", "sensitivity", "colour mosaic"),
            _way_of_taking(first.source.facts),
            _way_of_taking(file.source.facts),
            strict=True,
        ):
            if ours != its:
                raise RecordingError(
                    f"{first.path} and {file.path.name} cannot form one series: their {what} "
                    f"differs ({ours} and {its}); put files taken alike into a folder of their own"
                )


def _way_of_taking(facts: RecordingFacts) -> tuple[str, str, str, str]:
    """Return frame size, bit depth, sensitivity and mosaic in words."""
    return (
        f"{facts.frame_width_px} x {facts.frame_height_px} pixels",
        f"{facts.bit_depth} bits",
        "ISO unknown" if facts.iso is None else f"ISO {facts.iso}",
        str(facts.details.get("mosaic", "none")),
    )
