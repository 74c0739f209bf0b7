"""Picasso's metadata: documents of keys and values, in a YAML file or in the table's own file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import MAX_IMAGE_PX, field_from, is_positive
from cellstorm_lib.tables import FieldOfView

_MAX_METADATA_BYTES = 4 << 20
_MAX_DEPTH = 50
_MAX_KEPT_CHARACTERS = 200
#: Largest numbers that can be meant.
_LIMITS = {"Width": MAX_IMAGE_PX, "Height": MAX_IMAGE_PX, "Frames": 2e9, "Pixelsize": 1e6}

Documents = Sequence[Mapping[str, str]]


def yaml_documents(path: Path) -> list[dict[str, str]]:
    """Return the plain top-level entries of every document; empty when there is no such file.

    The entries are picked from the parser's events, so that no alias is followed, no object
    built and no nesting recursed into.

    Raises
    ------
    TableError
        When the file is not YAML.
    """
    if not path.is_file():
        return []
    if path.stat().st_size > _MAX_METADATA_BYTES:
        raise TableError(f"{path} is larger than {_MAX_METADATA_BYTES} bytes; expected metadata")
    try:
        return _top_level_entries(path.read_bytes())
    except (yaml.YAMLError, ValueError) as error:
        raise TableError(
            f"{path} is not valid YAML ({' '.join(str(error).split())[:120]}); expected Picasso's "
            "metadata"
        ) from error


def embedded_documents(text: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Return the plain entries of ``/metadata``, and what this program added to it.

    Both are empty when the text is not what Picasso or this program writes.
    """
    try:
        documents = json.loads(text)
    except (ValueError, RecursionError):
        return [], {}
    if not isinstance(documents, list):
        return [], {}
    found = [document for document in documents if isinstance(document, dict)]
    ours = [document["cellstorm"] for document in found if "cellstorm" in document]
    plain = [
        {key: str(value) for key, value in document.items() if isinstance(value, str | int | float)}
        for document in found
    ]
    return plain, ours[-1] if ours and isinstance(ours[-1], dict) else {}


def stated_number(documents: Documents, key: str, path: Path) -> float | None:
    """Return a number above 0 from the last document that has the key, or None.

    Raises
    ------
    TableError
        When the entry is no such number.
    """
    for document in reversed(documents):
        if key in document:
            try:
                number = float(document[key])
            except ValueError:
                number = 0.0
            if not is_positive(number) or number > _LIMITS[key]:
                raise TableError(
                    f"{path} has {key} = {document[key][:40]!a} in its metadata; expected a "
                    f"number above 0 and up to {_LIMITS[key]:g}"
                )
            return number
    return None


def stated_field(
    documents: Documents, ours: Mapping[str, Any], size_nm: float, path: Path
) -> FieldOfView | None:
    """Return the field the metadata state, or None when they state none.

    Where it lies in the full frame is known only when this program wrote the file.
    """
    sides = {key: stated_number(documents, key, path) for key in ("Width", "Height", "Frames")}
    if sides["Width"] is None or sides["Height"] is None:
        return None
    field = FieldOfView(
        width_px=max(1, int(sides["Width"])),
        height_px=max(1, int(sides["Height"])),
        pixel_size_nm=size_nm,
        frame_count=int(sides["Frames"] or 0),
    )
    written = field_from(ours.get("field"))
    if written is None or (written.width_px, written.height_px) != (
        field.width_px,
        field.height_px,
    ):
        return field
    return replace(written, pixel_size_nm=size_nm, frame_count=field.frame_count)


def _top_level_entries(content: bytes) -> list[dict[str, str]]:
    """Return the keys of every document's mapping whose value is a single scalar."""
    documents: list[dict[str, str]] = []
    depth, key = 0, None
    for event in yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.DocumentStartEvent):
            documents.append({})
            depth, key = 0, None
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            text = event.value if isinstance(event, yaml.ScalarEvent) else None
            if depth == 1:
                if key is not None and text is not None:
                    documents[-1][key] = text
                key = (text or "") if key is None else None
            depth += isinstance(event, yaml.CollectionStartEvent)
            if depth > _MAX_DEPTH:
                raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    return documents


def kept_entries(documents: Documents) -> list[dict[str, str]]:
    """Return the short entries, which say how the table was made."""
    return [
        {key: text for key, text in document.items() if len(text) <= _MAX_KEPT_CHARACTERS}
        for document in documents
    ]
