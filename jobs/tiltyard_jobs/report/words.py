"""Text of models and users on a page: bounded, and without characters that hide or reorder other text.

Escaping is the template's work. This is about what survives escaping: control characters, bidirectional overrides
("Trojan Source", CVE-2021-42574) and invisible characters become visible marks.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LABEL = 80
"""Characters of a name or a reason; more are cut."""

_HIDING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls other than tab and newline
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ufffe\uffff"  # invisible, reordering, or no characters at all
    "\ud800-\udfff"  # halves of pairs: not UTF-8
    "\U000e0000-\U000e0fff"  # tags and variation selectors that carry unseen text
    "]"
)
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


class Excerpt(NamedTuple):
    """The beginning of a text, and how many characters follow it."""

    text: str
    omitted: int


def visible(text: str, limit: int = LABEL) -> str:
    """`text` in at most `limit` characters, with hiding characters shown by their number; an ellipsis where it is cut.

    Line ends become newlines, and of four or more combining marks in a row (which would be drawn over the lines above)
    three stay.
    """
    shown = _shown(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def excerpt(text: str, limit: int) -> Excerpt:
    """The first `limit` characters, for a reader."""
    return Excerpt(_shown(text[:limit]), max(0, len(text) - limit))


def _shown(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDING.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", _MARKS.sub(lambda match: match[0][:3], text))
