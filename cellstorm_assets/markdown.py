"""Text that the pages of Dagster and MLflow show as Markdown."""

import re


def escaped(text: str) -> str:
    """Return a text so that Markdown shows it letter by letter, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def quoted(name: str) -> str:
    """Return a name between backticks, which reads well where Markdown is not shown, too."""
    words = " ".join(name.split()) or "?"
    fence = "`" * (1 + max(map(len, re.findall("`+", words)), default=0))
    gap = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{gap}{words}{gap}{fence}"
