"""No link of the documentation leads nowhere."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_commands import PAGES, ROOT, page_name

DOCUMENTS = [*PAGES, *sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "RESULTS.md"]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Hosts that pages may point to; what stands there is not looked at.
OUTSIDE = {"arxiv.org", "dagster.io", "doi.org", "mlflow.org", "www.itu.int"}


def links_of(path: Path) -> list[str]:
    """Return where the links of a document lead, without those in code."""
    return _LINK.findall(_FENCED.sub("", path.read_text(encoding="utf-8")))


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and the site make them."""
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def dead_links(path: Path) -> list[str]:
    """Return the links of a document to files or headings that are not there."""
    dead = []
    for link in links_of(path):
        target, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        file = path if not target else (path.parent / target).resolve()
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(path: Path) -> None:
    assert dead_links(path) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, here\n[a](#a-heading-here) [b](#nowhere) [c](gone.md)\n```\n[d](code.md)\n```"
    )
    assert dead_links(page) == ["#nowhere", "gone.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_the_outside_are_encrypted_and_to_places_that_last(path: Path) -> None:
    outside = [urlsplit(link) for link in links_of(path) if urlsplit(link).scheme]
    assert {link.scheme for link in outside} <= {"https"}
    assert {link.hostname for link in outside} <= OUTSIDE


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=page_name)
def test_every_page_can_be_reached_from_the_front(page: Path) -> None:
    text = (page.parent / "index.md").read_text(encoding="utf-8")
    trees = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL))
    entries = trees.split()
    elsewhere = [tree for tree in PAGES if f"../{page.stem}" in tree.read_text(encoding="utf-8")]
    assert page.stem in entries or "*" in entries or "0*" in entries or elsewhere
