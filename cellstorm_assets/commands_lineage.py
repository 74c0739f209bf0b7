"""The command lineage: what made a result, and what a camera or a network made."""

from pathlib import Path
from typing import Any

import click

from cellstorm_assets.command_options import announced, as_json, tell


@click.command()
@click.argument("file_or_key", metavar="FILE_OR_KEY")
@as_json
def lineage(file_or_key: str, *, wants_json: bool) -> None:
    """Tell what made a result, or which results a camera or a network made.

    FILE_OR_KEY is a table, image, picture or report of cellstorm; the key of a recording; the
    name of a camera; or a network: champion, a version, or a checkpoint file. What no longer
    fits the project is called stale, with the reason.
    """
    from cellstorm_assets.project import find_project

    lines, figures = answer(file_or_key, find_project())
    tell(lines, figures, wants_json=wants_json)


def answer(name: str, project: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what people and what programs read about a file or a key."""
    from cellstorm_assets.lineage import Present, stored_keys

    present, path = Present(project), Path(name)
    if path.is_file() and path.suffix.lower() != ".safetensors":
        return _of_file(path, present)
    if name in stored_keys(project):
        return _of_recording(name, present)
    return _of_input(name, present)


def _of_file(path: Path, present: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what made the result in a file."""
    from cellstorm_assets.lineage import file_note, file_standing
    from cellstorm_lib.pipeline.lineage import label_of

    note = file_note(path)
    standing = file_standing(present, path, note)
    code = {name: value for name, value in note.made_from.items() if name.startswith("code.")}
    lines = {
        "result": note.result,
        "recording": note.recording or "not known",
        **{name: label_of(value) for name, value in note.made_from.items() if name not in code},
        "program": note.program,
        **({"missing": note.missing} if note.missing else {}),
        "code": ", ".join(f"{name[5:]} {value}" for name, value in code.items()) or "not known",
        "state": f"{standing.state}: {standing.reason}",
    }
    figures = {**note.plain(), "state": standing.state, "reason": standing.reason}
    return lines, {"file": str(path), **figures}


def _of_recording(key: str, present: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return how each result of a recording stands."""
    from cellstorm_assets.lineage import recording_lineage
    from cellstorm_lib.pipeline.lineage import label_of

    found = recording_lineage(present, key)
    lines = {"key": key, "file": found.recording or "not known"}
    lines |= {
        f"{name} now": label_of(found.now[name])
        for name in ("film", "calibration", "model")
        if name in found.now
    }
    lines |= {name: _told(found, name) for name in found.standings}
    results = {
        name: {
            "state": it.state,
            "reason": it.reason,
            "missing": found.missing.get(name, ""),
            "made_from": dict(found.made_from[name]),
        }
        for name, it in found.standings.items()
    }
    return lines, {
        "key": key,
        "recording": found.recording,
        "now": dict(found.now),
        "results": results,
    }


def _told(found: Any, name: str) -> str:
    """Return how a result stands, and of one that could not be made, why."""
    standing, missing = found.standings[name], found.missing.get(name, "")
    told = f"{standing.state}: {standing.reason}"
    return f"none, for {missing}; {told}" if missing else told


def _of_input(name: str, present: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Return which results a camera or a network made, and which of them are stale."""
    from cellstorm_assets.lineage_search import made_with, searched_input

    wanted = searched_input(name, present.project)
    found = made_with(wanted, present, progress=announced("recordings")("lineage"))
    lines = {wanted.kind: wanted.label}
    figures: dict[str, Any] = {"kind": wanted.kind, "name": wanted.label, "recordings": []}
    stale_count = sum(len(each.stale) for each in found)
    for each in found:
        stale = f", {len(each.stale)} stale: {each.reason}" if each.stale else ", none stale"
        lines[each.key] = f"{len(each.results)} results{stale}"
        figures["recordings"].append(
            {
                "key": each.key,
                "results": list(each.results),
                "stale": list(each.stale),
                "reason": each.reason,
            }
        )
    lines["in all"] = (
        f"{sum(len(each.results) for each in found)} results of {len(found)} recordings, "
        f"{stale_count} stale"
    )
    return lines, figures


COMMANDS = (lineage,)
