"""Launchpad forms made from the library's settings, so names, defaults and help exist once."""

from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import dagster as dg
from pydantic import Field, create_model

Settings = TypeVar("Settings")


def config_for(kind: type[Any]) -> type[dg.Config]:
    """Return a form with one optional entry per plain field of a settings dataclass.

    An entry left empty keeps the project's setting. Nested settings get forms of their own.
    """
    hints = get_type_hints(kind)
    entries: dict[str, Any] = {}
    for entry in fields(kind):
        hint = _form_type(hints[entry.name])
        if hint is None:
            continue
        default = "" if entry.default is MISSING else f" (default {entry.default!r})"
        about = f"{entry.metadata.get('about', entry.name)}{default}"
        entries[entry.name] = (hint | None, Field(default=None, description=about))
    return create_model(f"{kind.__name__}Form", __base__=dg.Config, **entries)


def with_changes(settings: Settings, form: dg.Config) -> Settings:
    """Return the settings with those of their entries that were filled in on a form."""
    names = {entry.name for entry in fields(settings)}  # type: ignore[arg-type]
    changes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in form.model_dump().items()
        if name in names and value is not None
    }
    return replace(settings, **changes)  # type: ignore[type-var]


def _form_type(hint: Any) -> Any:
    """Return the type a form shows for a field; None when it has no plain type."""
    if is_dataclass(hint):
        return None
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) is tuple:
        kind, *more = get_args(hint)
        return list[kind] if more == [...] else None  # type: ignore[valid-type]
    options = [option for option in get_args(hint) if option is not type(None)]
    plain = options[0] if options else hint
    return plain if plain in {int, float, str, bool} else None
