"""Models that did badly: a sentence for each, for the end of a run, its status and its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.errors import VoidReason

MAX_VOID = 0.05
"""A model did badly where more than this share of its records is void, and more than one: chance alone makes some."""
MOST_SENTENCES = 8  # that have room in a shard's summary
_MOST_REASONS = 3

_DID = {
    "mine": ("wrote", "instructions"),
    "grade": ("graded", "instructions"),
    "answer": ("answered", "instructions"),
    "collect": ("answered", "instructions"),
    "judge": ("decided", "verdicts"),
    "solve": ("replied to", "tasks"),
}
"""What a model does in each stage that asks one, and what is counted there."""

_WHY = {
    VoidReason.EMPTY: "it says nothing",
    VoidReason.TRUNCATED: "the token limit cuts its reply or its thought",
    VoidReason.THOUGHT_UNFINISHED: "its thought does not end",
    VoidReason.NO_ANSWER: "no answer follows its thought",
    VoidReason.NOT_IN_FILE: "its file has no answer to them",
    VoidReason.REFUSED_BY_SERVER: "its server refuses the request",
    VoidReason.UNAVAILABLE: "its server is not available",
    VoidReason.KILLED_SERVER: "the request kills its server",
    VoidReason.MALFORMED: "its reply does not have the form that was requested",
    VoidReason.UNDECIDED: "it names no side",
}


class Account(NamedTuple):
    """What became of the records that a model was asked for in one stage.

    Attributes:
        voids: by reason. What was not asked, since its input is void, is in neither number: it says nothing of the
            model.
    """

    model: str
    stage: str
    asked: int
    voids: Mapping[str, int]

    @property
    def usable(self) -> int:
        """How many records are not void."""
        return self.asked - sum(self.voids.values())

    @property
    def is_bad(self) -> bool:
        """Whether a reader of the results should know of it."""
        return fell_short(self.asked, self.asked - self.usable)

    def __str__(self) -> str:
        """Such as `thinker decided 0 of 108 verdicts: its thought does not end (108)`."""
        did, what = _DID[self.stage]
        reasons = sorted(self.voids.items(), key=lambda one: (-one[1], one[0]))[:_MOST_REASONS]
        why = ", ".join(f"{_WHY[VoidReason(reason)]} ({count})" for reason, count in reasons)
        return f"{self.model} {did} {self.usable} of {self.asked} {what}: {why}"


def fell_short(asked: int, lost: int) -> bool:
    """Whether so many of the records are lost that a reader of the results should know of it."""
    return lost > max(1, MAX_VOID * asked) or (lost > 0 and lost == asked)


def accounts(sealed: Iterable[tuple[str, Iterable[Seal]]]) -> list[Account]:
    """One account for each model and stage, in the order in which they come.

    Args:
        sealed: artifacts by their names in a run's manifest, or the beginning of these: `judge/NAME`, with their seals.
    """
    asked: Counter[tuple[str, str]] = Counter()
    voids: dict[tuple[str, str], Counter[str]] = {}
    for role, seals in sealed:
        stage, _, rest = role.partition("/")
        if stage not in _DID:
            continue
        who = stage, rest.partition("/")[0]
        for seal in seals:
            not_asked = seal.voids.get(VoidReason.INPUT_VOID, 0)
            asked[who] += seal.rows - not_asked
            voids.setdefault(who, Counter()).update(seal.voids)
            del voids[who][VoidReason.INPUT_VOID]
    return [Account(model, stage, count, voids[stage, model]) for (stage, model), count in asked.items()]


def shortfalls(given: Iterable[Account]) -> tuple[str, ...]:
    """A sentence for each model that did badly, the worst first."""
    bad = sorted((one for one in given if one.is_bad), key=lambda one: (one.usable / one.asked, one.model, one.stage))
    told = [str(one) for one in bad[:MOST_SENTENCES]]
    if len(bad) > len(told):
        told.append(f"{len(bad) - len(told)} more have many voids: see the report")
    return tuple(told)
