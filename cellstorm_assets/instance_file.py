"""The project's dagster.yaml, written once when the project was made, kept up to date.

One that an older version wrote and nobody changed is brought up to date; of one that someone
changed it is said what it lacks.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cellstorm_assets.project import INSTANCE_TEMPLATE, Project
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import written_whole

#: SHA-256 of this version's file, and of those that came before; whoever changes the file moves
#: its digest from here to there.
PRESENT = "4c8ed8c44f086f636f91dfdac78a4dfe9910116540c4e3b5b902aeff96209618"
EARLIER = frozenset(
    {
        "b7c18aeb8859038557d34a86d7ad2bc21920297f32311d26c02cad1e193350c4",
        "b946cd6b5694b9b6bc80febd0d3f1a46c6ec3990d750fba64de59d7f748907b7",
    }
)
#: Entries whose inside is one choice: who chose another has no need of what stands in ours.
_CHOICES = frozenset({"run_coordinator", "run_launcher"})


def digest_of_text(path: Path) -> str:
    """Return the SHA-256 of a text, the same however its lines end."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def bring_up_to_date(project: Project) -> str:
    """Bring the project's dagster.yaml up to date, unless someone changed it.

    The old one is kept beside it as ``dagster.yaml.old``.

    Returns
    -------
    str
        What to say of it, in one sentence; empty where there is nothing to say.

    Raises
    ------
    ExportError
        When it cannot be written.
    SettingsError
        When it cannot be read.
    """
    path = project.home / "dagster.yaml"
    try:
        digest = digest_of_text(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}; put it back, or remove it to have it "
            "written anew"
        ) from error
    if digest == PRESENT:
        return ""
    if digest not in EARLIER:
        lacking = missing_entries(path)
        return _told_missing(path, lacking) if lacking else ""
    old = path.with_name("dagster.yaml.old")
    for source, target in ((path, old), (INSTANCE_TEMPLATE, path)):
        with written_whole(target) as temporary:
            shutil.copyfile(source, temporary)
    return f"{path} was of an older version and is brought up to date; the old one is {old.name}"


def missing_entries(path: Path) -> list[str]:
    """Return the entries of this version's dagster.yaml that another one lacks, as ``a.b.c``.

    Other values are someone's choice and are not named.

    Raises
    ------
    SettingsError
        When it is no YAML.
    """
    ours = yaml.safe_load(INSTANCE_TEMPLATE.read_text(encoding="utf-8"))
    try:
        theirs = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} is no YAML: {reason}; correct it") from error
    return list(_missing(ours, theirs))


def _missing(ours: Mapping[str, Any], theirs: Any, prefix: str = "") -> Iterator[str]:
    """Yield the names of entries that are not there at all."""
    if not isinstance(theirs, Mapping):
        return
    for name, value in ours.items():
        full = f"{prefix}{name}"
        if name not in theirs:
            yield full
        elif isinstance(value, Mapping) and full not in _CHOICES:
            yield from _missing(value, theirs[name], f"{full}.")


def _told_missing(path: Path, lacking: list[str]) -> str:
    """Return what a file that someone changed lacks."""
    return (
        f"{path} was changed by hand and lacks {', '.join(lacking)}, which this version has for "
        f"runs that get lost or meet each other; compare it with {INSTANCE_TEMPLATE} and add them"
    )
