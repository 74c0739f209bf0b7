"""How names and values of settings, facts and reports are written for people."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

#: Endings of names that are units, and how they are written.
_UNITS = {
    "nm": "nm",
    "px": "px",
    "um": "µm",
    "ms": "ms",
    "s": "s",
    "hz": "Hz",
    "adu": "grey values",
    "e": "e⁻",
    "deg": "°",
}
_E_PER_ADU = "e_per_adu"
_LONGEST_LIST = 8
_ACRONYMS = re.compile(r"\b(frc|roi|crlb|psf|iso|rms)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: what it is, its value as text, and a remark where one helps."""

    name: str
    value: str
    remark: str = ""


def rows_of(content: Any) -> tuple[Row, ...]:
    """Return the entries of a mapping or a dataclass as rows, nested ones behind their parents.

    Arrays and tables are left out: they are drawn, not read.
    """
    rows = []
    for path, value in _flat(content):
        name = " · ".join(map(words, path))
        rows.append(
            Row(name=name[:1].upper() + name[1:], value=value_text(value, unit=unit_of(path[-1])))
        )
    return tuple(rows)


def words(name: str) -> str:
    """Return a name of the code as words without its unit: ``is_rms_nm`` is ``RMS``."""
    stem = name.removeprefix("is_")
    if unit_of(name):
        ending = _E_PER_ADU if stem.endswith(_E_PER_ADU) else stem.rpartition("_")[2]
        stem = stem.removesuffix(f"_{ending}")
    return _ACRONYMS.sub(lambda found: found[0].upper(), stem.replace("_", " "))


def unit_of(name: str) -> str:
    """Return the unit a name ends in, as it is written for people; empty for none."""
    stem, _, ending = name.rpartition("_")
    if name.endswith(f"_{_E_PER_ADU}"):
        return "e⁻/grey value"
    return _UNITS.get(ending, "") if stem and not stem.endswith("_per") else ""


def value_text(value: Any, *, unit: str = "") -> str:
    """Return a value as text with its unit; None is `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.integer | np.floating):
        return f"{number_text(float(value))} {unit}".strip()
    if isinstance(value, list | tuple):
        shown = ", ".join(value_text(entry) for entry in value[:_LONGEST_LIST])
        more = f", … ({len(value)})" if len(value) > _LONGEST_LIST else ""
        return f"{shown}{more} {unit}".strip() or "none"
    return str(value) or "(empty)"


def number_text(value: float) -> str:
    """Return a number with thousands separated, at most four digits after rounding."""
    if not np.isfinite(value):
        return "not finite"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def rounded_text(value: float) -> str:
    """Return a measured number with three digits, the rest of a large one kept."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def share_text(share: float | None) -> str:
    """Return a share of one in percent; ``none`` where there is none."""
    return "none" if share is None else f"{100 * share:.1f} %"


def interval_text(low: float | None, high: float | None, *, unit: str) -> str:
    """Return ``low to high unit``; empty when there is no interval."""
    if low is None or high is None:
        return ""
    return f"{rounded_text(low)} to {rounded_text(high)} {unit}".strip()


def _flat(content: Any, parents: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return the plain values of nested content in order, each with the names that lead to it."""
    if is_dataclass(content) and not isinstance(content, type):
        entries = [(field.name, getattr(content, field.name)) for field in fields(content)]
    else:
        entries = [(str(name), value) for name, value in content.items()]
    flat: list[tuple[tuple[str, ...], Any]] = []
    for name, value in entries:
        if isinstance(value, Mapping) or is_dataclass(value):
            flat += _flat(value, (*parents, name))
        elif _is_plain(value):
            flat.append(((*parents, name), value))
    return flat


def _is_plain(value: Any) -> bool:
    """Return whether a value can stand in a line of text."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_is_plain(entry) for entry in value)
    plain = (str, bool, int, float, np.integer, np.floating, np.bool_, PurePath)
    return value is None or isinstance(value, plain)
