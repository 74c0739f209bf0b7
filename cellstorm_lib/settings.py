"""Settings dataclasses built from plain content: names and types checked at the door."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from cellstorm_lib.errors import SettingsError

Settings = TypeVar("Settings")


def read_settings(kind: type[Settings], path: Path) -> Settings:
    """Read a settings dataclass from YAML; what is not named keeps its default.

    Raises
    ------
    SettingsError
        When the file cannot be read, is not YAML, names an unknown setting, or holds a value of
        the wrong type or out of range. The message names the file and the setting.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} cannot be read as YAML: {reason}") from error
    try:
        return settings_from(kind, {} if content is None else content)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def settings_from(kind: type[Settings], content: Any, *, where: str = "") -> Settings:
    """Build a settings dataclass from plain content, checking names and types.

    Parameters
    ----------
    kind : type
        A settings dataclass; nested dataclasses are built from nested mappings.
    content : mapping
        Values by name.
    where : str
        The path of `content` inside the whole, for messages.

    Raises
    ------
    SettingsError
        Naming the setting, what was found and what was expected.
    """
    if not isinstance(content, Mapping):
        raise SettingsError(f"{where or 'the settings'} must be names with values, got {content!r}")
    hints = get_type_hints(kind)
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    inside = f"{where}." if where else ""
    unknown = sorted(set(map(str, content)) - known)
    if unknown:
        raise SettingsError(f"unknown setting {inside}{unknown[0]}; known are {sorted(known)}")
    values = {
        name: _value(hints[name], value, where=f"{inside}{name}") for name, value in content.items()
    }
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f"{inside}{error}" if inside else str(error)) from error


def _value(hint: Any, value: Any, *, where: str) -> Any:
    """Return one value as its type, or say what is wrong with it."""
    options = _options(hint)
    if value is None and type(None) in options:
        return None
    for option in options:
        if is_dataclass(option) and isinstance(option, type):
            return settings_from(option, value, where=where)
        if get_origin(option) is Literal:
            if value not in get_args(option):
                choices = list(get_args(option))
                raise SettingsError(f"{where} must be one of {choices}, got {value!r}")
            return value
    plain = [option for option in options if isinstance(option, type)]
    if isinstance(value, bool):
        is_accepted = bool in plain
    elif isinstance(value, int):
        is_accepted = int in plain or float in plain
    else:
        is_accepted = isinstance(value, tuple(plain))
    if not is_accepted:
        names = [option.__name__ for option in plain]
        raise SettingsError(f"{where} must be {' or '.join(names)}, got {value!r}")
    return float(value) if isinstance(value, int) and int not in plain and float in plain else value


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the types a hint allows: those of a union, or itself."""
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
