"""What a single command made its file from: the record of what it read, and what it did to it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import digest_of, digest_of_file
from cellstorm_lib.pipeline.ledger import Ledger
from cellstorm_lib.pipeline.lineage import STEPS
from cellstorm_lib.pipeline.lineage_files import Note, found_note
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.settings import in_words
from cellstorm_lib.tables import Localizations

#: The step whose code a command runs.
_STEP_OF = {
    "localize": "raw/spots",
    "drift": "raw/drift",
    "merge": "raw/localizations",
    "select": "raw/localizations",
    "render": "raw/super_resolution",
    "frc": "raw/frc_report",
    "quality": "raw/quality",
}


def note_of_command(command: str, source: Path, **settings: Any) -> Note:
    """Return what to write into the file that a command makes of another.

    Parameters
    ----------
    command : str
        Its name.
    source : Path
        The file it read. What that one was made from stands in the note, too.
    **settings : settings or text
        By the name of their section, as in `PipelineSettings`.

    Returns
    -------
    Note
        With ``input of COMMAND``, its settings and the version of its code; those of a command
        that ran before are kept, numbered from the second time on.
    """
    before = found_note(source)
    made_from = {} if before is None else dict(before.made_from)
    again = sum(name.startswith(f"input of {command}") for name in made_from)
    suffix = f" {again + 1}" if again else ""
    made_from[f"input of {command}{suffix}"] = file_input(source)
    for name, value in settings.items():
        made_from[f"settings.{name}{suffix}"] = f"{in_words(value)} #{digest_of(value)}"
    if command in _STEP_OF:
        step = _STEP_OF[command]
        made_from[f"code.{step}"] = STEPS[step].code
    recording = "" if before is None else before.recording
    return Note(result=f"cellstorm {command}", recording=recording, made_from=made_from)


def note_of_spots(
    file: Path, ledger: Ledger, settings: PipelineSettings, *, is_denoised: bool, like: Any = None
) -> Note:
    """Return what to write into a table of spots that were found without a project.

    Parameters
    ----------
    file : Path
        The film, or the denoised stack.
    ledger : Ledger
        Of that file.
    settings : PipelineSettings
        As they were used.
    is_denoised : bool
        Whether the file is a stack that a network made, which says itself of which film.
    like : settings, optional
        Those of another program, whose work was done.
    """
    if is_denoised:
        return note_of_command("localize", file, localize=like or settings.localize)
    if like is None:
        return ledger.note("raw/spots")
    kept = ledger.note("recording")
    theirs = {"settings.localize": f"{in_words(like)} #{digest_of(like)}"}
    return replace(kept, result="cellstorm localize", made_from={**kept.made_from, **theirs})


def of_frames(note: Note, frames: str | None) -> Note:
    """Return a note of only some frames of a film, as ``START:STOP``."""
    if frames is None:
        return note
    return replace(note, made_from={**note.made_from, "frames": f"{frames} #{frames}"})


def note_of_files(command: str, sources: Sequence[Path]) -> Note:
    """Return what to write into a file that a command makes of several."""
    inputs = {f"input {number}": file_input(path) for number, path in enumerate(sources, start=1)}
    return Note(result=f"cellstorm {command}", made_from=inputs)


def with_note(table: Localizations, note: Note) -> Localizations:
    """Return a table that says what it was made from."""
    return table.with_provenance(**{LINEAGE: note.plain()})


def file_input(path: Path) -> str:
    """Return a file as an input."""
    return f"{Path(path).name} #{digest_of_file(path)}"
