"""What a reply says, without what some models put around all of it."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(`{3,32}|~{3,32})(?![`~])[^\n`]*\n(.*?)\n?\1\s*", re.DOTALL)


def unwrapped(text: str) -> str:
    """A reply without its byte order mark, the blanks around it, and one code fence that holds all of it.

    Nothing is searched for: a fence with words before or after it is no fence around the reply.
    """
    text = text.strip().removeprefix("\ufeff").strip()
    fenced = _FENCE.fullmatch(text)
    return fenced[2].strip() if fenced is not None else text
