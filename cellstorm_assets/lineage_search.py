"""From a camera or a network to the results that it made."""

from dataclasses import dataclass

from cellstorm_assets.lineage import Present, lineages, stored_keys
from cellstorm_assets.object_store import store_in_use
from cellstorm_assets.project import Project
from cellstorm_assets.registry import checkpoint_path
from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.errors import CellstormError, SettingsError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.lineage import identity_of
from cellstorm_lib.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedInput:
    """What results are looked for by.

    Attributes
    ----------
    kind : str
        ``calibration`` or ``model``.
    label : str
        Its name.
    digest : str
        Of a network; a camera is found by its name in whatever state it was.
    """

    kind: str
    label: str
    digest: str = ""

    def is_in(self, value: str) -> bool:
        """Return whether the value of an input is this one."""
        if self.kind == "model":
            return identity_of(value) == self.digest
        return value.rpartition(" #")[0].split(", ")[0] == self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWith:
    """The results of one recording that an input made, the stale ones among them, and why."""

    key: str
    results: tuple[str, ...]
    stale: tuple[str, ...]
    reason: str


def searched_input(name: str, project: Project) -> SearchedInput:
    """Return the camera or the network that someone names.

    Raises
    ------
    SettingsError
        When there is neither, nor a recording of that key.
    """
    if name in CAMERA_PRESETS or name in project.cameras.names():
        return SearchedInput(kind="calibration", label=name)
    try:
        found = checkpoint_path(name, project)
    except CellstormError as error:
        raise SettingsError(
            f"{name} is neither a file of cellstorm, nor the key of a recording with results, nor "
            f"a camera of the project, nor a network; keys are the file names in "
            f"{(store_in_use() or project.assets_folder) / 'recording'}"
        ) from error
    return SearchedInput(kind="model", label=found.label, digest=digest_of_file(found.path))


def made_with(
    wanted: SearchedInput, present: Present, *, progress: Progress | None = None
) -> list[MadeWith]:
    """Return the results that a camera or a network made, by recording.

    `progress`, where it is given, is called with the recordings looked at and all recordings.
    """
    rows = []
    keys = stored_keys(present.project)
    for number, found in enumerate(lineages(present, keys), start=1):
        if progress is not None:
            progress(number, len(keys))
        results = [
            name
            for name, record in found.made_from.items()
            if wanted.kind in record and wanted.is_in(record[wanted.kind])
        ]
        stale = [name for name in results if found.standings[name].state == "stale"]
        if results:
            reason = found.standings[stale[0]].reason if stale else ""
            rows.append(
                MadeWith(key=found.key, results=tuple(results), stale=tuple(stale), reason=reason)
            )
    return rows
