"""Reference pages written from the code, so that they cannot differ from it."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cellstorm_lib.tables import COLUMNS, REQUIRED_COLUMNS

_UNITS = {
    "nm": "nm",
    "um": "µm",
    "px": "px",
    "ms": "ms",
    "s": "s",
    "hz": "Hz",
    "adu": "grey values",
    "e": "electrons",
    "photons": "photoelectrons",
    "frames": "frames",
    "percent": "%",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives `settings`, `columns` and `modules`."""
    app.add_directive("settings", SettingsTables)
    app.add_directive("columns", ColumnsTable)
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", _with_plain_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class _Written(SphinxDirective):
    """A directive that writes Markdown."""

    required_arguments = 0
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what the Markdown stands for."""
        return self.parse_text_to_nodes(self.written(), allow_section_headings=True)

    def written(self) -> str:
        """Return the Markdown."""
        raise NotImplementedError


class SettingsTables(_Written):
    """Every setting of a dataclass and of those within it: name, default, unit, meaning."""

    def written(self) -> str:
        """Return a table for each group of settings."""
        module, _, name = self.arguments[0].rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        return "\n\n".join(_tables(kind, ""))


def _tables(kind: type, prefix: str) -> Iterator[str]:
    """Yield the table of one group of settings, then those of the groups within it."""
    inner: list[tuple[type, str]] = []
    rows = []
    hints = get_type_hints(kind)
    abouts = _described(kind)
    for entry in fields(kind):
        default = _default(entry)
        if is_dataclass(default):
            inner.append((type(default), f"{prefix}{entry.name}."))
            continue
        about = str(entry.metadata.get("about", "")) or abouts.get(entry.name, "")
        rows.append(
            f"| `{prefix}{entry.name}` | {_shown(default)} | {unit_of(entry.name)} "
            f"| {_cell(about)}{_choices(hints[entry.name])} |"
        )
    if rows:
        yield "\n".join(["| setting | default | unit | what it is |", "|---|---|---|---|", *rows])
    for group, name in inner:
        yield from _tables(group, name)


def _default(entry: "Field[Any]") -> Any:
    """Return the default of a setting, `MISSING` where it has to be given."""
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


def _described(kind: type) -> dict[str, str]:
    """Return what the docstring says of each attribute."""
    said: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.getdoc(kind).partition("Attributes\n")[2].splitlines()[1:]:  # type: ignore[union-attr]
        if line and not line.startswith(" ") and " : " in line:
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        elif line.startswith(" "):
            for name in names:
                said[name] = f"{said.get(name, '')} {line.strip()}".strip()
    return said


def _choices(hint: Any) -> str:
    """Return the words a setting may take, where it takes words of a list."""
    words = [word for word in getattr(hint, "__args__", ()) if isinstance(word, str)]
    return f" ({', '.join(f'`{word}`' for word in words)})" if words else ""


def _shown(value: Any) -> str:
    """Return a default as people write it in YAML."""
    if value is MISSING:
        return "to be given"
    if value is None:
        return "none"
    if value in ("", ()):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def unit_of(name: str) -> str:
    """Return the unit that a name ends in."""
    head, per, tail = name.rpartition("_per_")
    if per:
        unit = _UNITS.get(tail, tail)
        return f"{_UNITS.get(head.rpartition('_')[2], '')}/{unit}"
    return _UNITS.get(name.rpartition("_")[2], "")


def _cell(text: str) -> str:
    """Return a text that may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


class ColumnsTable(_Written):
    """The columns of a table of localizations."""

    def written(self) -> str:
        """Return one row per column."""
        return "\n".join(
            ["| column | type | unit | what it is |", "|---|---|---|---|"]
            + [
                f"| `{name}`{' (required)' if name in REQUIRED_COLUMNS else ''} "
                f"| {kind} | {unit} | {_cell(about)} |"
                for name, (kind, unit, about) in COLUMNS.items()
            ]
        )


class Modules(_Written):
    """The public functions and types of a package, module by module."""

    required_arguments = 1
    optional_arguments = 50

    def written(self) -> str:
        """Return a heading and the documentation of each module."""
        return "\n\n".join(
            f"## {name.partition('.')[2]}\n\n"
            f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```"
            for argument in self.arguments
            for name in _public_modules(argument)
        )


def _with_plain_bars(*told: Any) -> None:
    """Keep the bars of a docstring, as in abs values, from being read as markup."""
    lines: list[str] = told[-1]
    lines[:] = [
        "``".join(
            part if index % 2 else part.replace("|", "\\|")
            for index, part in enumerate(line.split("``"))
        )
        for line in lines
    ]


def _public_modules(name: str) -> Iterator[str]:
    """Yield a module, or the modules of a package that hold something public of their own."""
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        yield name
        return
    for found in sorted(
        pkgutil.walk_packages(module.__path__, f"{name}."), key=lambda one: one.name
    ):
        if not found.ispkg and _has_public(importlib.import_module(found.name)):
            yield found.name


def _has_public(module: Any) -> bool:
    """Return whether a module defines a public function or class."""
    return any(
        getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
        for name, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value)
    )
