"""What a judge sees of an answer: a quality read from the text alone.

The reading knows nothing of who wrote the text. It counts what a reader counts: steps that say what to do and steps
that do not, edge cases, tests, known flaws, hedges. It takes any text: a real model's, a megabyte, none at all.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# All are searched for in lower case; each begins with plain characters, which is what keeps the search fast.
_STEP = re.compile(r"\n *\d{1,2}[.)] ([^\n]+)")
_VAGUE = re.compile(
    r"\b(?:somehow|assume that|ignore|probably|hopefully|whatever|should be fine|looks right|copy the same|for now)\b"
)
_BULLET = re.compile(r"\n *[-*] \S")
_TEST = re.compile(r"\n *(?:assert |self\.assert|def test_)")
_FLAW = re.compile(r"\b(?:fixme|todo)\b|except(?: exception)?:\s{1,80}pass\b")
_HEDGE = re.compile(r"\b(?:i am not sure|i'm not sure|i have not run|may not work|might have to|not tested|i cannot)\b")

_READ_AT_MOST = 20_000  # characters; a judge does not read on
_KEPT_AT_MOST = 8_000  # a longer text is read anew each time, so that the cache stays small


class Assessment(NamedTuple):
    """What was read: the quality in [0, 1], and the counts that it was made from.

    Attributes:
        quality: the weighted sum of what follows.
        steps: numbered steps.
        vague: of those, the ones that say nothing.
        edge_cases: list items.
        tests: assertions.
        flawed: whether the code says of itself that it is wrong, or hides errors.
        hedges: sentences that take the answer back.
        broken: no text, or a code block that never ends.
    """

    quality: float
    steps: int
    vague: int
    edge_cases: int
    tests: int
    flawed: bool
    hedges: int
    broken: bool


def assess(text: str) -> Assessment:
    """Read an answer."""
    return _assess_again(text) if len(text) <= _KEPT_AT_MOST else _assess(text[:_READ_AT_MOST])


def _assess(text: str) -> Assessment:
    text = "\n" + text.lower()
    steps = _STEP.findall(text)
    vague = sum(1 for step in steps if _VAGUE.search(step))
    bullets = len(_BULLET.findall(text))
    tests = len(_TEST.findall(text))
    flawed = _FLAW.search(text) is not None
    hedges = len(_HEDGE.findall(text))
    broken = not text.strip() or text.count("```") % 2 == 1
    share = (len(steps) - vague) / max(len(steps), 3) if steps else (0.4 if "```" in text else 0.1)
    sound = 0.0 if flawed or not text.strip() else 0.24
    quality = 0.4 * share + 0.055 * min(bullets, 4) + 0.14 / 3 * min(tests, 3) + sound
    quality -= 0.05 * min(hedges, 2) + (0.15 if broken else 0.0)
    return Assessment(min(1.0, max(0.0, quality)), len(steps), vague, bullets, tests, flawed, hedges, broken)


_assess_again = lru_cache(maxsize=1024)(_assess)
