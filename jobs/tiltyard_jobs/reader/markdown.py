"""Markdown of models as HTML: nothing in it can run, load or lead away.

markdown-it-py with HTML off escapes every tag. Links and images become text that shows their address: the one leads to
where a model wants it to, the other one would ask a server for a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from tiltyard_jobs.reader.highlight import highlighted
from tiltyard_jobs.report.formats import excerpt

LONGEST = 20_000
"""Characters that are rendered; a longer text is shown as it was written."""

_HEADING = 3  # a model's first heading comes below those of the page


def render(text: str) -> Markup:
    """A text of at most `LONGEST` characters as HTML."""
    return Markup(_parser().render(excerpt(text, LONGEST).text))  # noqa: S704 - escaped by the renderer, see above


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    for name, rule in (
        ("link_open", _nothing),
        ("link_close", _address),
        ("image", _image),
        ("fence", _code),
        ("code_block", _code),
        ("heading_open", _heading),
        ("heading_close", _heading),
        ("th_open", _cell),
        ("td_open", _cell),
    ):
        parser.add_render_rule(name, rule)
    return parser


def _nothing(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return ""


def _address(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    """After a link's text: where it leads."""
    depth, before = 0, place
    while before >= 0:
        depth += {"link_close": 1, "link_open": -1}.get(tokens[before].type, 0)
        if not depth:
            break
        before -= 1
    return _shown(tokens[before].attrGet("href"))


def _image(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    return f"[image: {escape(token.content)}]{_shown(token.attrGet('src'))}"


def _shown(address: object) -> str:
    return f' <span class="address">⟨{escape(address or "")}⟩</span>'


def _code(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    words = tokens[place].info.split()
    label = f'<span class="language">{escape(words[0])}</span>' if words else ""
    code = highlighted(tokens[place].content, words[0] if words else "")
    return f'{label}<pre dir="ltr"><code>{code}</code></pre>\n'


def _heading(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    tag = f"h{min(6, int(token.tag[1:]) + _HEADING)}"
    return f"<{tag}>" if token.nesting == 1 else f"</{tag}>\n"


def _cell(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    """Without the style of an aligned column, which the pages' policy forbids."""
    return f"<{tokens[place].tag}>"
