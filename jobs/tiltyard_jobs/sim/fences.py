"""The fenced parts of a judge's prompt, found as a careful reader finds them.

A part opens with a line `<<<NAME tag>>>` and ends with the line `<<<END NAME tag>>>` of the same tag, a run of hex
digits. What stands inside cannot close it, as it cannot know the tag; what stands inside is never looked at for parts.
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"^<<<(CONVERSATION|INSTRUCTION|ANSWER [12]) ([0-9a-f]{4,64})>>>\n", re.MULTILINE)


def fenced_parts(text: str) -> dict[str, str]:
    """The content of each part by its name (`CONVERSATION`, `INSTRUCTION`, `ANSWER 1`, …), the first of each name."""
    parts: dict[str, str] = {}
    place = 0
    while opening := _OPENING.search(text, place):
        name, tag = opening.groups()
        start = opening.end()
        end = text.find(f"\n<<<END {name} {tag}>>>", start - 1)
        if end < 0:
            place = start
            continue
        parts.setdefault(name, text[start:end] if end >= start else "")
        place = end + 1 + len(f"<<<END {name} {tag}>>>")
    return parts
