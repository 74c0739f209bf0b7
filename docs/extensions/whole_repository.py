"""Other documents of the repository become pages, and links to them lead there."""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
#: Documents outside docs/ and the pages that stand for them.
SHOWN = {
    "ARCHITECTURE.md": "project/architecture",
    "CHANGELOG.md": "project/changelog",
    "CONTRIBUTING.md": "project/contributing",
    "benchmarks/RESULTS.md": "project/results",
}
PAGES = {page: ROOT / path for path, page in SHOWN.items()}
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at each page before it is read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the document in the place of its page, and lead the links."""
    written_in = shown_in = (Path(app.srcdir) / page).parent
    document = PAGES.get(page)
    if document is not None:
        app.env.note_dependency(str(document))
        source[0], written_in = document.read_text(encoding="utf-8"), document.parent
    source[0] = with_links(source[0], written_in, shown_in)


def with_links(text: str, written_in: Path, shown_in: Path) -> str:
    """Return a document whose links to the repository's files hold where it is shown."""

    def led(match: re.Match[str]) -> str:
        target = (written_in / match[1]).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return match[0]
        page = SHOWN.get(target.relative_to(ROOT).as_posix())
        if page is not None:
            target = ROOT / "docs" / f"{page}.md"
        return Path(os.path.relpath(target, shown_in)).as_posix()

    return _LINK.sub(led, text)
