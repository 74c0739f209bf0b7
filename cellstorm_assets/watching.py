"""What the watched folder holds: which files are whole, which are copies, which are to be run.

Told from the folder and from what was seen on the tick before; nothing here knows Dagster.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cellstorm_assets.project import Project, partition_key
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of, digest_of_file, is_inside
from cellstorm_lib.pipeline.choice import sidecar_of
from cellstorm_lib.settings import settings_from

#: Bytes read in one tick, so that a tick ends in time however much arrives; one file at least.
MOST_BYTES = 8 << 30
#: Runs asked for in one tick; the others follow on the next.
MOST_RUNS = 100
_SIDECAR_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFile:
    """What is known of one file.

    Attributes
    ----------
    look : tuple of int
        Size, time of change and time of the last change of anything, in bytes and ns: what
        differs while a file is copied, and after it was replaced.
    digest : str
        SHA-256 of the content; empty until it looked the same on two ticks and was read.
    beside : str
        Digest of its sidecar and of the file that belongs to a ``.dax``.
    asked : str
        Digest and beside for which a run was asked for, or found to be there.
    remark : str
        Why it is left out; empty when it is not.
    """

    look: tuple[int, ...]
    digest: str = ""
    beside: str = ""
    asked: str = ""
    remark: str = ""

    @property
    def wanted(self) -> str:
        """What `asked` is once a run was asked for."""
        return f"{self.digest}-{self.beside}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is known of the folder.

    Attributes
    ----------
    files : dict of str to WatchedFile
        By file name.
    unread : tuple of str
        Files that could not be looked at this time, and why.
    """

    files: Mapping[str, WatchedFile] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def to_run(self) -> tuple[str, ...]:
        """Return the names of files that are whole, no copies, and not asked for yet."""
        return tuple(
            name
            for name, file in self.files.items()
            if file.digest and not file.remark and file.asked != file.wanted
        )

    def key_of(self, name: str) -> str:
        """Return the partition key of a file that was read."""
        return partition_key(name, self.files[name].digest)

    def names_by_key(self) -> dict[str, str]:
        """Return the file of each recording that was read, by its key; of copies the original."""
        names: dict[str, str] = {}
        for name, file in sorted(self.files.items(), key=lambda item: bool(item[1].remark)):
            if file.digest:
                names.setdefault(self.key_of(name), name)
        return names

    def remarks(self) -> tuple[str, ...]:
        """Return what there is to say of files that are left out."""
        return (*(file.remark for file in self.files.values() if file.remark), *self.unread)

    def new_remarks(self, before: "Watch") -> tuple[str, ...]:
        """Return what was not said before."""
        said = set(before.remarks())
        return tuple(remark for remark in self.remarks() if remark not in said)

    def with_asked(self, names: Iterable[str]) -> "Watch":
        """Return the same with runs of these files asked for."""
        asked = {name: replace(self.files[name], asked=self.files[name].wanted) for name in names}
        return replace(self, files={**self.files, **asked})

    def text(self) -> str:
        """Return it as text, for the sensor's cursor."""
        return json.dumps({name: asdict(file) for name, file in self.files.items()}, sort_keys=True)

    @classmethod
    def parsed(cls, text: str | None) -> "Watch":
        """Read what `text` wrote; nothing is known when someone else wrote it."""
        try:
            content: dict[str, Any] = json.loads(text or "{}")
            files = {name: settings_from(WatchedFile, entry) for name, entry in content.items()}
        except (ValueError, AttributeError, SettingsError):
            return cls()
        return cls(files=files)


def watch(project: Project, before: Watch, *, most_bytes: int = MOST_BYTES) -> Watch:
    """Look at the watched folder once.

    Parameters
    ----------
    project : Project
        Whose folder it is.
    before : Watch
        What was known after the last look.
    most_bytes : int
        Content to read at most, beyond the first file; the rest is read next time.

    Returns
    -------
    Watch
        What is known now. A file is read when it looks the same as on the last look; one that
        vanishes meanwhile, or cannot be looked at, is left out and looked at anew.
    """
    files: dict[str, WatchedFile] = {}
    unread: list[str] = []
    budget = most_bytes
    for path in project.recording_files():
        try:
            file = _looked_at(path, before.files.get(path.name))
            if _may_be_read(file, before.files.get(path.name)) and budget > 0:
                budget -= file.look[0]
                file = _read(path, file)
            files[path.name] = file
        except FileNotFoundError:
            continue
        except OSError as error:
            if path.name in before.files:
                files[path.name] = before.files[path.name]
            unread.append(f"{path.name} cannot be read now: {error.strerror}; tried again later")
    return Watch(files=_with_copies(files), unread=tuple(unread))


def _looked_at(path: Path, before: WatchedFile | None) -> WatchedFile:
    """Return what is known of a file; its content when it looks as it did."""
    look, beside = _look(path), _beside(path)
    if not is_inside(path.parent, path.name):
        remark = (
            f"{path.name} is a link out of the folder, which is not followed; put the file itself "
            "there"
        )
        return WatchedFile(look=look, remark=remark)
    if before is None:
        return WatchedFile(look=look, beside=beside)
    if before.look != look:
        return WatchedFile(look=look, beside=beside, asked=before.asked)
    return replace(before, beside=beside, remark="")


def _may_be_read(file: WatchedFile, before: WatchedFile | None) -> bool:
    """Return whether a file has stopped growing and was not read yet."""
    return not file.digest and not file.remark and before is not None and before.look == file.look


def _read(path: Path, file: WatchedFile) -> WatchedFile:
    """Return a file with the digest of its content; without when it changed meanwhile."""
    digest = digest_of_file(path)
    look = _look(path)
    return replace(file, digest=digest) if look == file.look else replace(file, look=look)


def _look(path: Path) -> tuple[int, int, int]:
    """Return what differs when a file was changed or replaced."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _beside(path: Path) -> str:
    """Return the digest of what lies beside a recording and belongs to it."""
    parts: list[str] = []
    companions = [path.with_suffix(".inf")] if path.suffix.lower() == ".dax" else []
    for companion in (sidecar_of(path), *companions):
        try:
            with companion.open("rb") as stream:
                parts.append(stream.read(_SIDECAR_BYTES).hex())
        except OSError:
            parts.append("")
    return digest_of(parts)[:16] if any(parts) else ""


def _with_copies(files: dict[str, WatchedFile]) -> dict[str, WatchedFile]:
    """Return the files with a remark on those that have the content and sidecar of another.

    Of several the one that was asked for stays, or else the first by name.
    """
    first: dict[str, str] = {}
    for name, file in sorted(files.items(), key=lambda item: (not item[1].asked, item[0])):
        if not file.digest:
            continue
        original = first.setdefault(file.wanted, name)
        if original != name:
            remark = f"{name} has the content of {original} and is left out"
            files[name] = replace(file, remark=remark)
    return files
