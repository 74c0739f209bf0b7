"""What a step of a run really used, on its way from the asset to the file of its result."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from cellstorm_assets.metadata import table
from cellstorm_lib.pipeline.lineage import STEPS, label_of, record_of
from cellstorm_lib.pipeline.lineage_files import Note

#: The entries of a materialization: what it read itself, and everything it was made from.
INPUTS = "inputs"
MADE_FROM = "made from"
_RECORDING, _MISSING = "recording", "missing"
#: Of what was not denoised, nothing else of that branch is there either.
_DENOISED = "denoised/"
#: The notes of what each running step has read, gone with the step.
_read_by: WeakKeyDictionary[Any, dict[str, Note]] = WeakKeyDictionary()


def used(
    inputs: Mapping[str, str], *, recording: str = "", missing: str = ""
) -> dict[str, dg.MetadataValue]:
    """Return the metadata by which an asset tells its store what it read itself.

    Parameters
    ----------
    inputs : mapping of str to str
        By name, as `STEPS` has them; more than the result needs do no harm.
    recording : str
        File name of the recording, for the asset that all others are made from.
    missing : str
        Why there is no such result of these inputs; empty where there is one.
    """
    about = {_RECORDING: recording, _MISSING: missing}
    told = {**inputs, **{name: text for name, text in about.items() if text}}
    return {INPUTS: dg.MetadataValue.json(told)}


def remember(context: dg.InputContext, note: Note) -> None:
    """Keep the note of a value that a step reads, until its results are written."""
    _read_by.setdefault(context.step_context, {})[note.result] = note


def note_for(context: dg.OutputContext) -> Note | None:
    """Return what to write into the file of a result; None for what is no result of a recording.

    It is shown with the materialization, too.
    """
    result = "/".join(context.asset_key.path) if context.has_asset_key else ""
    if result not in STEPS:
        return None
    sources = _read_by.get(context.step_context, {})
    given = context.output_metadata.get(INPUTS)
    own = dict(given.value) if isinstance(given, dg.JsonMetadataValue) else {}  # type: ignore[arg-type]
    names = [own.pop(_RECORDING, ""), *(note.recording for note in sources.values())]
    reasons = [own.pop(_MISSING, "")]
    if result.startswith(_DENOISED):
        reasons += [note.missing for note in sources.values()]
    note = Note(
        result=result,
        recording=next(filter(None, names), ""),
        made_from=record_of(result, own, {name: it.made_from for name, it in sources.items()}),
        missing=next(filter(None, reasons), ""),
    )
    context.add_output_metadata({MADE_FROM: _shown(note)})
    return note


def _shown(note: Note) -> dg.MetadataValue:
    """Return a note as the table that people see; the versions of the code in one row."""
    code = ", ".join(
        f"{name.removeprefix('code.')} {version}"
        for name, version in note.made_from.items()
        if name.startswith("code.")
    )
    rows = [
        (name, label_of(value))
        for name, value in note.made_from.items()
        if not name.startswith("code.")
    ]
    rows += [("program", note.program), ("versions of the code", code)]
    rows += [("missing, because", note.missing)] if note.missing else []
    return table(("made from", "which"), rows)
