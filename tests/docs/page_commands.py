"""What the pages of the documentation ask a reader to type, and how to do it in a scratch folder.

Marks in a page, as HTML comments before a block, which a reader does not see:

    <!-- given: film my-film.mp4 | camera NAME -->      what the reader has already
    <!-- file: cell.yaml, frame_count 300 -->           save the block (with smaller numbers)
    <!-- not run: REASON -->                            why a test does not run the block
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("**/*.md"))
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (given|file|not run): (.*?) -->\s*$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page, with its mark."""

    language: str
    text: str
    given: tuple[tuple[str, str], ...] = ()
    file: str | None = None
    smaller: dict[str, str] = field(default_factory=dict)
    reason_not_run: str | None = None

    @property
    def is_runnable(self) -> bool:
        return self.language in {"bash", "python"} and self.reason_not_run is None

    @property
    def commands(self) -> list[str]:
        """Return the lines of a shell block, those that were broken in one."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip()]

    @property
    def content(self) -> str:
        """Return the file that the block stands for, with the smaller numbers."""
        text = self.text
        for key, value in self.smaller.items():
            text, count = re.subn(rf"\b{key}: [\w.]+", f"{key}: {value}", text)
            assert count, f"the block has no {key} to make smaller"
        return text


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        marked(found[1], found[2], _MARK.search(text[: found.start()]))
        for found in _FENCE.finditer(text)
    ]


def marked(language: str, text: str, mark: "re.Match[str] | None") -> Block:
    """Return a block with what the mark before it says."""
    if mark is None:
        return Block(language=language, text=text)
    kind, words = mark[1], mark[2]
    if kind == "not run":
        return Block(language=language, text=text, reason_not_run=words)
    if kind == "given":
        given = tuple(tuple(part.split()) for part in words.split("|"))
        return Block(language=language, text=text, given=given)  # type: ignore[arg-type]
    name, *smaller = words.split(", ")
    return Block(
        language=language, text=text, file=name, smaller=dict(one.split() for one in smaller)
    )


def page_name(page: Path) -> str:
    """Return a page's path below docs/."""
    return page.relative_to(ROOT / "docs").as_posix()
