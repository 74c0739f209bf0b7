"""How a setting says what it means and which values make sense."""

import math
from dataclasses import fields
from typing import Any

from cellstorm_lib.errors import SettingsError


def about(
    text: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    is_file: bool = False,
) -> dict[str, Any]:
    """Return the metadata of a settings field: its meaning, and the range `check_ranges` checks.

    Parameters
    ----------
    text : str
        What the setting is, in the user's words.
    above, at_least, at_most : float, optional
        Limits of the value, in the field's own unit.
    is_file : bool
        The value is the path of a file, relative to the scene's.
    """
    limits = {"above": above, "at_least": at_least, "at_most": at_most}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {"about": text, **given, **({"is_file": True} if is_file else {})}


def check_ranges(settings: Any) -> None:
    """Check every number of a settings object against the limits in its fields' metadata.

    A setting that is None is switched off and not checked.

    Raises
    ------
    SettingsError
        Naming the first setting out of its range, the rule and the value.
    """
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        broken = not math.isfinite(value) or (
            ("above" in entry.metadata and not value > entry.metadata["above"])
            or ("at_least" in entry.metadata and value < entry.metadata["at_least"])
            or ("at_most" in entry.metadata and value > entry.metadata["at_most"])
        )
        if broken:
            raise SettingsError(f"{entry.name} must be {_rule(entry.metadata)}, got {value}")


def _rule(metadata: Any) -> str:
    """Return the limits in words."""
    words = [
        f"{word} {metadata[name]:g}"
        for name, word in (("above", "above"), ("at_least", "at least"), ("at_most", "at most"))
        if name in metadata
    ]
    return " and ".join(words) if words else "a finite number"
