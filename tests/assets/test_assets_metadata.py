"""What is quoted from files is shown by Dagster as it is written, and does nothing."""

import html
import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cellstorm_assets.markdown import quoted
from cellstorm_assets.metadata import bullets, picture


def shown(markdown: str) -> str:
    """Return the words that a Markdown page shows."""
    page = MarkdownIt("commonmark").render(markdown)
    assert set(re.findall(r"<(\w+)", page)) <= {"ul", "li", "p"}, page
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


@given(st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")),
                        min_size=1).filter(str.strip), min_size=1, max_size=3))  # fmt: skip
def test_remarks_are_shown_letter_by_letter(remarks: list[str]) -> None:
    expected = " ".join(" ".join(remarks).split())
    assert shown(str(bullets(remarks).value)) == expected


def test_links_pictures_and_pages_in_a_remark_are_not_made() -> None:
    remark = "<script>x</script> [a](http://b) ![c](d) `e`\n# f &amp; **g** | www.h.org"
    assert shown(str(bullets([remark]).value)) == " ".join(remark.split())


def test_no_remark_is_said_as_none() -> None:
    assert bullets([]).value == "none"


def test_the_title_of_a_picture_ends_where_it_ends() -> None:
    page = MarkdownIt("commonmark").render(str(picture(b"x", "a](http://b) ![c").value))
    assert page.count("<img") == 1
    assert "http://b" not in re.sub(r'alt="[^"]*"', "", page)


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1))
@example("`")
@example("``a` <b>x</b> [c](http://d)")
def test_a_quoted_name_is_shown_letter_by_letter(name: str) -> None:
    page = MarkdownIt("commonmark").render(f"of {quoted(name)}.")
    assert set(re.findall(r"<(\w+)", page)) == {"p", "code"}
    (told,) = re.findall("<code>(.*)</code>", page, re.DOTALL)
    assert html.unescape(told) == " ".join(name.split())
