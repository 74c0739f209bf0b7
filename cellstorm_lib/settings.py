"""Settings dataclasses built from plain content: names and types checked at the door."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from yaml.composer import Composer

from cellstorm_lib.errors import SettingsError, is_no_plain_file, refusing

Settings = TypeVar("Settings")
_MOST_BYTES = 1 << 20
_MOST_JSON_BYTES = 64 << 20
_LARGEST_WHOLE = 1 << 63


def read_settings(kind: type[Settings], path: Path) -> Settings:
    """Read a settings dataclass from YAML; what is not named keeps its default.

    Raises
    ------
    SettingsError
        When the file cannot be read, is not YAML, names an unknown setting, or holds a value of
        the wrong type or out of range. The message names the file and the setting.
    """
    try:
        content = plain_yaml(Path(path))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} cannot be read as YAML: {reason}") from error
    with refusing(SettingsError, Path(path), "cannot be used", "correct it"):
        return settings_from(kind, {} if content is None else content)


def in_words(value: Any) -> str:
    """Return settings as people read them: what differs from the defaults.

    Parameters
    ----------
    value : dataclass or plain value
        As ``detect.threshold=given, fit.box_px=9``, or ``defaults``; a plain value as itself, an
        empty text as ``none``.
    """
    if not is_dataclass(value) or isinstance(value, type):
        return str(value) or "none"
    return ", ".join(f"{name}={text}" for name, text in _changed(value)) or "defaults"


def _changed(value: Any, parents: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings that differ from their defaults, those of parts by their whole names."""
    for entry in fields(value):
        item, usual = getattr(value, entry.name), _default_of(entry)
        if item == usual:
            continue
        name = f"{parents}{entry.name}"
        if is_dataclass(item) and type(item) is type(usual):
            yield from _changed(item, f"{name}.")
        else:
            yield name, str(item.name if is_dataclass(item) and hasattr(item, "name") else item)


def _default_of(entry: Field[Any]) -> Any:
    """Return the default of one setting."""
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def plain_yaml(path: Path) -> Any:
    """Read a small YAML file of plain values, without aliases.

    By aliases a few lines can stand for more than any memory holds.

    Raises
    ------
    OSError, ValueError, RecursionError, yaml.YAMLError
        When it cannot be read, is too large or too deep, or is no plain YAML.
    """
    text = _text_of(path, _MOST_BYTES)
    with _yaml_faults():
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a safe loader


def first_of_yaml(text: str) -> Any:
    """Return the first of the documents in a text in YAML, as plain values without aliases.

    Raises
    ------
    ValueError, RecursionError, yaml.YAMLError
        When it is too deep, or is no plain YAML.
    """
    with _yaml_faults():
        return next(yaml.load_all(text, Loader=_PlainLoader), None)


@contextmanager
def _yaml_faults() -> Iterator[None]:
    """Name what the loader stumbles over, as over ``!!int ""``, as it names other faults."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise yaml.YAMLError(f"a value cannot be understood ({error})") from error


def plain_json(path: Path) -> Any:
    """Read a JSON file of plain values.

    Raises
    ------
    OSError, ValueError, RecursionError
        When it cannot be read, is too large or too deep, or is no JSON.
    """
    return json.loads(_text_of(path, _MOST_JSON_BYTES))


def _text_of(path: Path, most_bytes: int) -> str:
    """Return the text of a file; refuse what has no end, and what is too large for settings."""
    if is_no_plain_file(path):
        raise OSError("it is a folder or a device, not a file")
    with path.open("rb") as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes} bytes, which no such file is")
    return content.decode("utf-8")


if yaml.__with_libyaml__:
    # The parser in C is many times as fast. Composing is left to Python, which deep nests do not
    # crash as they do the composer in C.
    class _SafeLoader(Composer, yaml.CSafeLoader):
        """A safe loader of which only the parser is not Python."""

        def __init__(self, stream: Any) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            Composer.__init__(self)

else:
    _SafeLoader = yaml.SafeLoader  # type: ignore[assignment, misc]


class _PlainLoader(_SafeLoader):
    """A safe loader that knows no aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; compose anything else."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value itself")
        return super().compose_node(parent, index)


def settings_from(kind: type[Settings], content: Any, *, where: str = "") -> Settings:
    """Build a settings dataclass from plain content, checking names and types.

    Parameters
    ----------
    kind : type
        A settings dataclass; nested dataclasses are built from nested mappings, tuples from
        lists. Where a field allows several dataclasses, the value's `kind` says which, and
        without one the first is meant. Nested settings that are built already are taken as
        they are.
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
    hints = _hints(kind)  # type: ignore[arg-type]
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


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields."""
    return get_type_hints(kind)


def _value(hint: Any, value: Any, *, where: str) -> Any:
    """Return one value as its type, or say what is wrong with it."""
    options = _options(hint)
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if isinstance(option, type) and is_dataclass(option)]
    if kinds:
        return _nested(kinds, value, where=where)
    for option in options:
        if get_origin(option) is Literal:
            if value not in get_args(option):
                choices = list(get_args(option))
                raise SettingsError(f"{where} must be one of {choices}, got {value!r}")
            return value
        if get_origin(option) is tuple:
            return _sequence(get_args(option), value, where=where)
    return _plain(options, value, where=where)


def _nested(kinds: list[type[Any]], value: Any, *, where: str) -> Any:
    """Return nested settings; where several kinds are allowed, `kind` chooses, else the first."""
    if isinstance(value, tuple(kinds)):
        return value
    if len(kinds) == 1 or not isinstance(value, Mapping) or "kind" not in value:
        return settings_from(kinds[0], value, where=where)
    by_name = {get_args(_hints(kind)["kind"])[0]: kind for kind in kinds}  # type: ignore[arg-type]
    name = value["kind"]
    if not isinstance(name, str) or name not in by_name:
        raise SettingsError(f"{where}.kind must be one of {list(by_name)}, got {name!r}")
    return settings_from(by_name[name], value, where=where)


def _sequence(hints: tuple[Any, ...], value: Any, *, where: str) -> tuple[Any, ...]:
    """Return a list's values as a tuple of their types: of any length, or of one for each."""
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{where} must be a list, got {value!r}")
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(value) != len(hints):
        raise SettingsError(f"{where} must be a list of {len(hints)}, got {value!r}")
    return tuple(
        _value(hint, item, where=f"{where}[{number}]")
        for number, (hint, item) in enumerate(zip(hints, value, strict=True))
    )


def _plain(options: tuple[Any, ...], value: Any, *, where: str) -> Any:
    """Return a number, a text or a truth value; whole numbers are fine where a number is meant."""
    plain = [option for option in options if isinstance(option, type)]
    if isinstance(value, bool):
        is_accepted = bool in plain
    elif isinstance(value, int):
        is_accepted = (int in plain or float in plain) and abs(value) < _LARGEST_WHOLE
    else:
        is_accepted = isinstance(value, tuple(plain))
    if not is_accepted:
        names = [option.__name__ for option in plain]
        raise SettingsError(f"{where} must be {' or '.join(names)}, got {value!r}")
    return float(value) if isinstance(value, int) and int not in plain and float in plain else value


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the types a hint allows: those of a union, or itself."""
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
