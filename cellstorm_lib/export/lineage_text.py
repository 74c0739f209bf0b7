"""What a table says it was made from, as text for formats that keep nothing else of ours."""

import base64
import json
from typing import Any

from cellstorm_lib.tables import Localizations

#: Under which name a table's provenance keeps it.
LINEAGE = "lineage"
#: Longer than any chain of commands; what a stranger's file claims beyond that is not passed on.
_MOST_CHARACTERS = 1 << 19


def lineage_text(localizations: Localizations) -> str:
    """Return what a table was made from, as one line of JSON in ASCII; empty where it says nothing.

    So it is, too, where it says more than formats of text have room for.
    """
    lineage = localizations.provenance.get(LINEAGE)
    if not isinstance(lineage, dict):
        return ""
    text = json.dumps(lineage, sort_keys=True)
    return text if len(text) <= _MOST_CHARACTERS else ""


def as_attribute(text: str) -> str:
    """Return a text of ASCII in letters that no reader of XML or text stumbles over."""
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def of_attribute(attribute: bytes) -> Any:
    """Return the content of a text that `as_attribute` wrote.

    Raises
    ------
    ValueError, RecursionError
        When nobody wrote it so.
    """
    return json.loads(base64.b64decode(attribute, validate=True))
