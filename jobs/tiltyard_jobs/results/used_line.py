"""One line for people: how many instructions there were, how many are used, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tiltyard_jobs.results.documents import Funnel

_REASONS = {
    "Repeat": ("exact repeat", "exact repeats"),
    "Duplicate": ("near duplicate", "near duplicates"),
    "Difficulty": ("left out by curation.difficulty",) * 2,
    "Diversity": ("left out by curation.diversity",) * 2,
    "Ungraded": ("without a grade",) * 2,
    "Secret": ("with a secret",) * 2,
    "PersonalData": ("with personal data",) * 2,
}

_FLAGGED = {"Secret": "a secret", "PersonalData": "personal data"}


def reasons(counts: Mapping[str, int]) -> str:
    """Counts by reason, the most frequent first: `2 exact repeats, 1 TooShort`."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{count} {_REASONS.get(name, (name, name))[count > 1]}" for name, count in ordered if count)


def used_line(funnels: Sequence[Funnel], origin: str, flagged: Mapping[str, Mapping[str, int]]) -> str:
    """The line of a tournament that is complete: `60 given, 58 used: 2 exact repeats`.

    Of mined texts it goes on with what was cut off those that passed lint and deduplication: `; cut off: 7 answers`. It
    ends with what is flagged: `; flagged: 2 instructions and 1 answer with personal data`.

    Args:
        funnels: of all attackers.
        origin: given or mined.
        flagged: texts by table, then by flag.
    """
    dropped = sum((Counter(one.dropped) for one in funnels), Counter[str]())
    line = f"{sum(one.asked for one in funnels)} {origin}, {sum(one.curated for one in funnels)} used"
    if why := reasons(dropped):
        line += f": {why}"
    cut_off = sum((Counter(one.cut_off) for one in funnels), Counter[str]())
    parts = [f"{count} {name}{'s' * (count > 1)}" for name, count in sorted(cut_off.items())]
    line += f"; cut off: {', '.join(parts)}" if parts else ""
    found = flagged_texts(flagged)
    return f"{line}; flagged: {found}" if found else line


def flagged_texts(flagged: Mapping[str, Mapping[str, int]]) -> str:
    """How many instructions and answers are flagged: `1 instruction and 2 answers with a secret`; empty: none.

    Args:
        flagged: texts by table, then by flag.
    """
    parts = []
    for flag, words in _FLAGGED.items():
        counts = [(flagged.get(name, {}).get(flag, 0), name) for name in ("instructions", "answers")]
        told = [f"{count} {name if count > 1 else name[:-1]}" for count, name in counts if count]
        if told:
            parts.append(f"{' and '.join(told)} with {words}")
    return ", ".join(parts)
