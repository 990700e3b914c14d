"""Characters that hide or reorder other text, made visible: for terminals and pages.

Control characters move a terminal's cursor and change its title; bidirectional overrides ("Trojan Source",
CVE-2021-42574) and invisible characters let a text look like another. Escaping for HTML leaves them as they are.
"""

from __future__ import annotations

import re

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


def unhidden(text: str) -> str:
    """`text` with each hiding character shown by its number; tabs and newlines stay.

    Line ends become newlines, and of four or more combining marks in a row (which would be drawn over the lines above)
    three stay.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDING.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", _MARKS.sub(lambda match: match[0][:3], text))
