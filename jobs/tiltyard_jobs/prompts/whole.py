"""What a reply says, without what some models put around all of it."""

from __future__ import annotations

import re

_END = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|eot|end|end_of_turn|end_of_text|endoftext|return)\|>|<end_of_turn>|</s>|<eos>"
    r"|<｜end▁of▁sentence｜>))+\s*\Z"
)
_LONGEST_END = 200  # characters at the end of a text that are looked at
_FENCE = re.compile(r"(`{3,32}|~{3,32})(?![`~])[^\n`]*\n(.*?)\n?\1\s*", re.DOTALL)


def without_end(text: str) -> str:
    """A reply without the tokens that end a turn: servers leave them in the text of a model whose end they mistake."""
    end = _END.search(text, max(0, len(text) - _LONGEST_END))
    is_struck = end is not None and "</s>" in end[0] and "<s>" in text  # HTML
    return text if end is None or is_struck else text[: end.start()]


def unwrapped(text: str) -> str:
    """A reply without its byte order mark, the blanks and ends of turns around it, and one fence that holds all of it.

    Nothing is searched for: a fence with words before or after it is no fence around the reply.
    """
    text = without_end(text).strip().removeprefix("\ufeff").strip()
    fenced = _FENCE.fullmatch(text)
    return fenced[2].strip() if fenced is not None else text
