"""Settings as YAML in which every value is explained beside it."""

import json
import textwrap
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import yaml

_WIDTH = 100


def settings_text(settings: Any, *, indent: str = "") -> str:
    """Return a settings object as YAML, each value with its meaning as a comment.

    Parameters
    ----------
    settings : dataclass
        Nested settings, and tuples of settings, are written with their own explanations.
    indent : str
        Put before each line.
    """
    lines: list[str] = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        about = str(entry.metadata.get("about", ""))
        if is_dataclass(value):
            lines += _explained(f"{indent}{entry.name}:", about)
            lines.append(settings_text(value, indent=indent + "  ").rstrip("\n"))
        elif isinstance(value, tuple) and value:
            lines += _explained(f"{indent}{entry.name}:", about)
            lines += [f"{indent}  - {_on_one_line(item)}" for item in value]
        else:
            lines += _explained(f"{indent}{entry.name}: {_on_one_line(value)}", about)
    return "\n".join(lines) + "\n"


def _explained(line: str, about: str) -> list[str]:
    """Return a line with its explanation behind it, or above it where there is no room."""
    if not about or len(line) + len(about) + 4 <= _WIDTH:
        return [f"{line}  # {about}" if about else line]
    margin = line[: len(line) - len(line.lstrip())] + "# "
    return [*textwrap.wrap(about, _WIDTH, initial_indent=margin, subsequent_indent=margin), line]


def _on_one_line(value: Any) -> str:
    """Return a value in YAML's short form."""
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    text = yaml.safe_dump(
        [plain], default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
    )
    return text.strip()[1:-1]
