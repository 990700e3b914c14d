"""The seven kinds of task (paper, section 4.4), and what a reader sees of an instruction: its kind and its difficulty.

An expert that answers and a judge that grades have the instruction's text alone, as a real model has. So the kind and
the difficulty are read from words, for mined instructions and for a user's own alike.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class Domain(StrEnum):
    """A kind of task; its value is the name in `skill.DOMAIN`."""

    GENERATION = "generation"
    DEBUGGING = "debugging"
    REFACTORING = "refactoring"
    ALGORITHMS = "algorithms"
    EXPLANATION = "explanation"
    TESTING = "testing"
    DATA = "data"


class Reading(NamedTuple):
    """What an instruction's text shows: its kind, and its difficulty in [0, 1] (0 where it is no instruction)."""

    domain: Domain
    difficulty: float


# Beginnings of words and phrases, in lower case. A strong cue names the kind of work and counts three times; "write a"
# is said of any kind and counts twice; a weak cue names a subject.
_STRONG: dict[Domain, tuple[str, ...]] = {
    Domain.DEBUGGING: (
        "debug",
        "fix the",
        "fix this",
        "fix my",
        "fix it",
        "what is wrong",
        "root cause",
        "stack trace",
    ),
    Domain.REFACTORING: ("refactor", "restructure", "clean up", "speed up", "optimi", "rewrite th", "rewrite my"),
    Domain.ALGORITHMS: (
        "algorithm",
        "data structure",
        "dynamic programming",
        "asymptotic",
        "shortest path",
        "permutation",
    ),
    Domain.EXPLANATION: ("explain", "describe how", "walk me through", "what is the difference", "compare", "teach"),
    Domain.TESTING: ("unit test", "write tests", "test suite", "property-based", "test plan", "test case", "pytest"),
    Domain.DATA: ("sql", "a query", "postgres", "sqlite", "duckdb", "pandas", "dataframe", "schema", "a migration"),
    Domain.GENERATION: tuple(
        f"{verb} {article} "
        for verb in ("write", "implement", "build", "create", "develop", "design")
        for article in ("a", "an")
    ),
}
_WEAK: dict[Domain, tuple[str, ...]] = {
    Domain.DEBUGGING: ("bug", "fails", "crash", "wrong", "error", "traceback", "broken", "hangs", "unexpected"),
    Domain.REFACTORING: ("readab", "maintain", "slow", "duplicat", "legacy", "faster", "too long"),
    Domain.ALGORITHMS: ("graph", "tree", "heap", "trie", "interval", "subsequence", "node", "edge"),
    Domain.EXPLANATION: ("why", "how does", "understand", "in your own words", "newcomer", "trade-off"),
    Domain.TESTING: ("fixture", "mock", "coverage", "flaky", "assert", "regression"),
    Domain.DATA: ("table", "column", "rows", "join", "index", "aggregat", "csv", "warehouse"),
    Domain.GENERATION: ("function", "class", "module", "script", "command-line", "library", "service", "endpoint"),
}
_CUES = {
    **{cue: (domain, 1) for domain, cues in _WEAK.items() for cue in cues},
    **{cue: (domain, 3) for domain, cues in _STRONG.items() for cue in cues},
    **dict.fromkeys(_STRONG[Domain.GENERATION], (Domain.GENERATION, 2)),
}
_CUE = re.compile(r"\b(?:" + "|".join(re.escape(cue) for cue in sorted(_CUES, reverse=True)) + ")")
_FIRST_WORDS = 160  # characters in which the kind of work is usually said; cues there count twice

_DEMAND = re.compile(
    r"\b(?:must|never|without|at most|at least|no more than|guarantee|exactly once|in o\(|constant memory|concurren"
    r"|thread-safe|worst case|prove |race condition|deadlock|idempoten|back ?pressure|streaming|invariant)"
)
_ASK = re.compile(
    r"\b(?:write|implement|build|create|develop|design|explain|describe|walk|compare|teach|fix|debug|find|refactor"
    r"|restructure|optimi[sz]e|speed|clean|rewrite|reduce|return|compute|give|show|why|how|what|which|can you|could you"
    r"|help|need|list|name|add|propose|turn|sort|merge|count)\b"
)
_READ_AT_MOST = 6_000  # characters; a longer text is judged by its beginning
_MIN_LENGTH = 20  # characters
_ENDINGS = frozenset(".?!`:)")
_EASIEST, _PER_DEMAND = 0.12, 0.13


def read_instruction(text: str) -> Reading:
    """Read the kind and the difficulty of an instruction.

    Difficulty grows with the demands made: a bare task is 0.12, and each demand (`must`, `without`, `in O(`, …) adds
    0.13. A text that asks for nothing, is very short, breaks off or is markup has difficulty 0.
    """
    text = text.strip()
    return _read(text[:_READ_AT_MOST], text[-1:] in _ENDINGS)


@lru_cache(maxsize=2048)
def _read(head: str, ends: bool) -> Reading:
    head = head.lower()
    scores = dict.fromkeys(_STRONG, 0)
    for match in _CUE.finditer(head):
        domain, weight = _CUES[match[0]]
        scores[domain] += weight * (2 if match.start() < _FIRST_WORDS else 1)
    domain = max(scores, key=scores.__getitem__)  # the first of equals, in the order above: the more telling kind
    if scores[domain] == 0:
        domain = Domain.GENERATION
    if len(head) < _MIN_LENGTH or head.startswith("<") or not ends or not _ASK.search(head):
        return Reading(domain, 0.0)
    demands = sum(1 for _ in _DEMAND.finditer(head))
    return Reading(domain, min(1.0, _EASIEST + _PER_DEMAND * demands))
