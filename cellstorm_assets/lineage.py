"""What the stored results of a project were made from, and which of them no longer fit it.

Told from the files alone, so the check in the page, the schedule and the command say the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cellstorm_assets.project import Project
from cellstorm_assets.registry import champion_of, registered_versions
from cellstorm_assets.store_notes import StoreNotes
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CellstormError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.choice import read_choice
from cellstorm_lib.pipeline.lineage import (
    STEPS,
    Record,
    Standing,
    calibration_input,
    code_inputs,
    film_digest,
    film_input,
    model_input,
    settings_inputs,
    standing_of,
    standing_of_command,
)
from cellstorm_lib.pipeline.lineage_files import Note, needed_note, note_in

#: Notes kept in memory; a project of 1,000 recordings has 19,000.
_MOST_NOTES = 50_000
#: Of the digest of a film, and what of it stands in the key of its recording.
_DIGEST_LENGTH, _KEY_LENGTH = 64, 8
_STACK = ".ome.tif"
_IMAGES = ("widefield", "super_resolution")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingLineage:
    """The results of one recording.

    Attributes
    ----------
    key : str
        Its partition key.
    recording : str
        Its file name; empty where no result says.
    now : mapping of str to str
        The inputs as they are now.
    made_from : mapping of str to (mapping of str to str)
        The record of each result that is there; empty for one that has none.
    standings : mapping of str to Standing
        By the name of the result.
    missing : mapping of str to str
        Why some of them hold nothing: the recording could not be denoised.
    """

    key: str
    recording: str
    now: Record
    made_from: Mapping[str, Record]
    standings: Mapping[str, Standing]
    missing: Mapping[str, str]

    def stale(self, *, with_deliberate: bool = True) -> list[str]:
        """Return the results that no longer fit, in the order of the work.

        `with_deliberate`: also those that only differ by what someone chose on the launchpad.
        """
        return [
            name
            for name, standing in self.standings.items()
            if standing.state == "stale" and (with_deliberate or not standing.is_deliberate)
        ]


class Present:
    """The inputs that results would be made from now; settings and champion are read once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.store = StoreNotes.in_use()
        self._common = {
            **code_inputs(),
            **settings_inputs(project.settings()),
            "model": champion_input(project),
        }
        self._cameras: dict[str, CameraCalibration] = {}

    def inputs(self, recording: str, recorded: Record) -> dict[str, str]:
        """Return the inputs of a recording as they are now.

        Parameters
        ----------
        recording : str
            Its file name. Of a film that is no longer there nothing can have changed.
        recorded : mapping
            What is on record; the digest of the film is taken from there, for a film of other
            content has another key.
        """
        kept = {name: recorded[name] for name in ("film", "calibration") if name in recorded}
        path = self.project.recordings_folder / Path(recording).name
        if "film" not in kept or not recording or not path.is_file():
            return {**self._common, **kept}
        try:
            choice = read_choice(path)
            film = film_input(path.name, film_digest(kept["film"]), choice.roi)
            calibration = calibration_input(self._camera(choice.camera), choice)
        except (CellstormError, OSError) as error:  # a name too long for a sidecar, say
            return {**self._common, **kept, "calibration": f"what cannot be read: {error} #"}
        return {**self._common, "film": film, "calibration": calibration}

    def _camera(self, name: str | None) -> CameraCalibration | None:
        """Return a camera by its name, read once."""
        if name is None:
            return None
        if name not in self._cameras:
            self._cameras[name] = self.project.cameras.camera(name)
        return self._cameras[name]


def champion_input(project: Project) -> str:
    """Return the network in use as an input; without one, why there is none."""
    try:
        for entry in registered_versions(project):
            if entry.is_champion and "weights_digest" in entry.tags:
                return model_input(entry.label, entry.tags["weights_digest"])
        found = champion_of(project)
    except CellstormError as error:
        return f"none: {error} #"
    return "none #" if found is None else model_input(found.label, digest_of_file(found.path))


def stored_records(project: Project, key: str) -> dict[str, Record]:
    """Return the records of a recording's results, as far as they have any."""
    notes = _stored_notes(project, StoreNotes.in_use(), key)
    return {name: note.made_from for name, note in notes.items() if note is not None}


def why_not_denoised(project: Project, key: str) -> str:
    """Return why a recording could not be denoised; nothing where it was, or was not tried."""
    note = _stored_notes(project, StoreNotes.in_use(), key).get("denoised_stack")
    return "" if note is None else note.missing


def recording_lineage(present: Present, key: str) -> RecordingLineage:
    """Return what the results of one recording were made from, and how they stand."""
    notes = _stored_notes(present.project, present.store, key)
    known = [note for note in notes.values() if note is not None]
    recording = next((note.recording for note in known if note.recording), "")
    recorded: dict[str, str] = {}
    for note in reversed(known):  # the first results are nearest to the film
        recorded |= note.made_from
    now = present.inputs(recording, recorded)
    made_from = {name: note.made_from if note else {} for name, note in notes.items()}
    standings = {name: standing_of(name, record, now) for name, record in made_from.items()}
    return RecordingLineage(
        key=key,
        recording=recording,
        now=now,
        made_from=made_from,
        standings=standings,
        missing={name: note.missing for name, note in notes.items() if note and note.missing},
    )


def lineages(present: Present, keys: Iterable[str] | None = None) -> Iterator[RecordingLineage]:
    """Yield the lineage of each recording; of all that have results when no keys are given."""
    wanted = list(stored_keys(present.project) if keys is None else keys)
    if present.store is not None:
        present.store.look_ahead((name, file_name(name, key)) for key in wanted for name in STEPS)
    for key in wanted:
        yield recording_lineage(present, key)


def stored_keys(project: Project) -> list[str]:
    """Return the partition keys of the recordings that have results."""
    store = StoreNotes.in_use()
    if store is not None:
        return store.keys()
    return sorted(
        path.stem
        for path in (project.assets_folder / "recording").glob("*.parquet")
        if not path.name.startswith(".")
    )


def file_name(result: str, key: str) -> str:
    """Return the name of the file that holds a result of a recording."""
    if result == "recording_report":
        return f"{key}.html"
    return f"{key}{'.tif' if result.rpartition('/')[2] in _IMAGES else '.parquet'}"


def result_file(project: Project, result: str, key: str) -> Path:
    """Return where a result of a recording is kept, in a project that keeps its results."""
    return project.assets_folder / result / file_name(result, key)


def has_results(project: Project, results: Iterable[str], key: str) -> bool:
    """Return whether all of some results of a recording are there."""
    store = StoreNotes.in_use()
    if store is not None:
        return all(store.has(name, file_name(name, key)) for name in results)
    return all(result_file(project, name, key).is_file() for name in results)


def file_note(path: Path) -> Note:
    """Return what the result in a file was made from; of a stored stack, what its report says.

    Raises
    ------
    TableError
        When the file does not say.
    """
    report = path.with_name(f"{path.name.removesuffix(_STACK)}.parquet")
    beside = note_in(report) if path.name.endswith(_STACK) else None
    is_its_own = beside is not None and beside.result == "denoised_stack"
    return beside if beside is not None and is_its_own else needed_note(path)


def file_standing(present: Present, path: Path, note: Note) -> Standing:
    """Return how the result in a file stands, wherever the file is.

    Of a file that is not in the project's store only model, settings and program are compared
    with the project: its film may be anywhere.
    """
    key = path.name.removesuffix(path.suffix).removesuffix(".ome")
    folder = present.project.assets_folder / note.result
    if note.result in STEPS and path.resolve().parent == folder.resolve():
        found = recording_lineage(present, key).standings
        if note.result in found:
            return found[note.result]
    now = present.inputs("", note.made_from)
    if note.result not in STEPS:
        return standing_of_command(note.made_from, now)
    return standing_of(note.result, note.made_from, now)


def _stored_notes(project: Project, store: StoreNotes | None, key: str) -> dict[str, Note | None]:
    """Return the note of each result that a recording has."""
    names = {name: file_name(name, key) for name in STEPS}
    if store is not None:
        there = {name: file for name, file in names.items() if store.has(name, file)}
        return {name: _own(store.note(name, file), name, key) for name, file in there.items()}
    files = {name: project.assets_folder / name / file for name, file in names.items()}
    return {name: _note_of(path, name, key) for name, path in files.items() if path.is_file()}


def _note_of(path: Path, result: str, key: str) -> Note | None:
    """Return the note of a stored result, read again only when the file changed."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _own(_read(path, status.st_size, status.st_mtime_ns, status.st_ino), result, key)


def _own(note: Note | None, result: str, key: str) -> Note | None:
    """Return a note, unless it is that of another result or recording, which says nothing."""
    if note is None or note.result != result:
        return None
    digest = film_digest(note.made_from.get("film", ""))
    is_foreign = len(digest) == _DIGEST_LENGTH and not key.endswith(digest[:_KEY_LENGTH])
    return None if is_foreign else note


@lru_cache(maxsize=_MOST_NOTES)
def _read(path: Path, size: int, changed_ns: int, number: int) -> Note | None:  # noqa: ARG001
    """Return the note in a file as it is now."""
    return note_in(path)
