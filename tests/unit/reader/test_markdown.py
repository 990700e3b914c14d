from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.read_runs import ATTACKS, Page
from tiltyard_jobs.reader import markdown

TAGS = {
    *("blockquote", "br", "code", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {("span", "class"), ("pre", "dir"), ("ol", "start")}


def harmless(html: str) -> None:
    for tag, attributes in Page(html).elements:
        assert tag in TAGS, html
        assert {(tag, name) for name in attributes} <= ATTRIBUTES, html


@pytest.mark.parametrize("text", ATTACKS)
def test_attacks_become_text(text: str) -> None:
    harmless(markdown.render(text))


PIECES = st.sampled_from(
    [
        *(
            "<",
            ">",
            "&",
            '"',
            "'",
            "`",
            "```",
            "~~~",
            "\n",
            "\n\n",
            "[",
            "](",
            ")",
            "![",
            "*",
            "_",
            "#",
            "|",
            "-|-",
            "\t",
        ),
        *(
            "<script>",
            "</p>",
            "<a href=",
            "javascript:alert(1)",
            "http://e/",
            " onload=",
            "&lt;",
            "&#x3c;",
            "x",
            " ",
            "\\",
        ),
        *("<!--", "-->", "<![CDATA[", "]]>", "<?", "data:text/html,", "\x00", "\u202e", "1. ", "> ", "- ", "\\", "\t"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_but_prose_comes_out_of_anything(text: str) -> None:
    harmless(markdown.render(text))


def test_a_link_shows_its_address_and_leads_nowhere() -> None:
    page = Page(markdown.render("see [our *page*](http://e.example/a?b=1&c=2), ![a bird](http://e.example/b.png)"))
    assert page.text.strip() == "see our page ⟨http://e.example/a?b=1&c=2⟩, [image: a bird] ⟨http://e.example/b.png⟩"


def test_code_and_tables_are_laid_out() -> None:
    html = markdown.render("# Title\n\n```python\nif a < b:\n    pass\n```\n\n| a |\n|--:|\n| 1 |\n")
    assert "<h4>Title</h4>" in html
    assert '<span class="language">python</span><pre dir="ltr"><code><span class="k">if</span> a &lt; b:\n' in html
    assert "<td>1</td>" in html


def test_characters_that_hide_or_reorder_are_visible() -> None:
    assert "⟨U+202E⟩" in markdown.render("a\u202eb")
