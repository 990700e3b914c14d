"""Pairs of answers whose better one is known, from a file of the user's: read, checked, and each kept once.

How a file is read, `userfiles` knows; where it lies, `sources`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.conversation import BadConversationError, Turns, read_conversation, turns_of
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.recipes import PairsRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfield import MISSING, field_advice, value_at
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sources import LocalFile, fetched
from tiltyard_jobs.textrows import BadRowError, BadRows
from tiltyard_jobs.userfiles import listed, records_of

_FIRST = ("model_a", "answer_a", "a", "a>b", "first", "1")
_SECOND = ("model_b", "answer_b", "b", "b>a", "second", "2")
_TIE = ("tie", "tie (bothbad)", "both", "neither", "a=b")
_SHOWN = 40  # characters of what is no label
_LABELS = dict.fromkeys(_FIRST, 1.0) | dict.fromkeys(_SECOND, 0.0) | dict.fromkeys(_TIE, 0.5)


class LabelledPair(NamedTuple):
    """An instruction and two answers.

    Attributes:
        row: the first record that has them, from 0.
        first_better: the first answer is the better one.
    """

    row: int
    instruction: str
    history: Turns
    answers: tuple[str, str]
    first_better: bool


class LabelledPairs(NamedTuple):
    """What a file holds.

    Attributes:
        pairs: those that are taken, in the file's order.
        all: pairs with a better answer.
        ties: pairs without.
        bad: rows that are passed over.
    """

    pairs: tuple[LabelledPair, ...]
    all: int
    ties: int
    bad: BadRows

    def __str__(self) -> str:
        """One line for people: `5 labelled pairs of 7, 2 without a better answer, skipped: 1 bad (line 3)`."""
        line = [f"{len(self.pairs)} labelled pairs" + (f" of {self.all}" if self.all > len(self.pairs) else "")]
        line += [f"{self.ties} without a better answer"] if self.ties else []
        line += [f"skipped: {self.bad.count} bad ({self.bad.places})"] if self.bad.count else []
        return ", ".join(line)


def read_pairs(recipe: PairsRecipe, store: StoreRef) -> LabelledPairs:
    """The pairs of a file. Of several records about one pair, either way round, the majority counts.

    Raises:
        ConfigurationError: the file is not there, is damaged, has another digest, or names not one better answer.
    """
    file = fetched(LocatedFile(uri=recipe.uri, sha256=recipe.sha256), store)
    found: dict[bytes, _Votes] = {}
    bad = BadRows()
    for pair, label in _records(file, recipe, bad):
        digest, turned = _digest(pair)
        votes = found.setdefault(digest, _Votes(pair, turned, []))
        votes.labels.append(label if turned == votes.turned else 1.0 - label)
    if bad.count and recipe.on_bad_row == "Refuse":
        raise ConfigurationError(str(bad))
    told = {digest: votes for digest, votes in found.items() if votes.mean != 0.5}
    if not told:
        raise ConfigurationError(
            f"{file.place}: none of {len(found)} pairs has a better answer" + (f"; {bad}" if bad.count else "")
        )
    chosen = sorted(told, key=lambda digest: hashlib.sha256(b"%d/" % recipe.seed + digest).digest())[: recipe.rows]
    taken = sorted((told[digest] for digest in chosen), key=lambda votes: votes.pair.row)
    return LabelledPairs(
        tuple(votes.pair._replace(first_better=votes.mean > 0.5) for votes in taken),
        len(told),
        len(found) - len(told),
        bad,
    )


class _Votes(NamedTuple):
    """What the records say of a pair, as its first record has it."""

    pair: LabelledPair
    turned: bool
    labels: list[float]

    @property
    def mean(self) -> float:
        return sum(self.labels) / len(self.labels)


def _digest(pair: LabelledPair) -> tuple[bytes, bool]:
    """What stands for a pair whichever answer comes first, and whether the first one is the later in order."""
    answers = sorted(pair.answers)
    text = json.dumps([pair.instruction, [dict(turn) for turn in pair.history], answers])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), answers[0] != pair.answers[0]


def _records(file: LocalFile, recipe: PairsRecipe, bad: BadRows) -> Iterator[tuple[LabelledPair, float]]:
    named = (recipe.winner_field,) if recipe.better == "Named" else ()
    wanted = (recipe.field, *recipe.answers, *named)
    for number, (place, row, problem) in enumerate(records_of(file, [*wanted]).rows):
        if problem is not None:
            bad.add(place, f"{file.place}: {place} {problem}")
            continue
        values = [value_at(row, path) for path in wanted]
        if MISSING in values:
            missing = wanted[values.index(MISSING)]
            bad.add(
                place, f"{file.place}: {place} has no {missing!r}; it has {listed(row)}{_advice(row, missing, recipe)}"
            )
            continue
        try:
            instruction, history = _asked(values[0], recipe.field)
            first, second = (_answer(value, path) for value, path in zip(values[1:3], recipe.answers, strict=True))
            if first == second:
                raise BadRowError("has the same answer twice")
            label = _label(values[3], recipe) if named else 1.0
        except BadRowError as error:
            bad.add(place, f"{file.place}: {place} {error}")
            continue
        yield LabelledPair(number, instruction, history, (first, second), first_better=True), label


def _advice(row: Mapping[str, Any], missing: str, recipe: PairsRecipe) -> str:
    if missing == recipe.field:
        return field_advice(row, missing)
    if {"chosen", "rejected"} <= row.keys():
        return "; write answers: [chosen, rejected] and better: First"
    return "; name them in answers" if missing in recipe.answers else "; name it in winnerField, or write better: First"


def _asked(value: Any, path: str) -> tuple[str, Turns]:
    if isinstance(value, str) and value.strip():
        return value, ()
    if not isinstance(value, list):
        raise BadRowError(f"has no text in {path!r}")
    try:
        asked = read_conversation(value)
    except BadConversationError as error:
        raise BadRowError(f"has {path!r}, which {error}") from None
    if not asked.instruction.strip():
        raise BadRowError(f"has no text in {path!r}")
    return asked.instruction, asked.history


def _answer(value: Any, path: str) -> str:
    if isinstance(value, list):
        try:
            turns = turns_of(value)
        except BadConversationError as error:
            raise BadRowError(f"has {path!r}, which {error}") from None
        value = turns[-1]["content"] if turns and turns[-1]["role"] == "assistant" else None
    if not isinstance(value, str) or not value.strip():
        raise BadRowError(f"has no answer in {path!r}")
    return value


def _label(value: Any, recipe: PairsRecipe) -> float:
    own: Mapping[str, float] = {path.casefold(): 1.0 - place for place, path in enumerate(recipe.answers)}
    said = str(value).strip().casefold()
    label = own.get(said, _LABELS.get(said))
    if label is None or isinstance(value, bool):
        known = ", ".join(islice(_FIRST, 3)) + ", " + ", ".join(islice(_SECOND, 3)) + " or tie"
        shown = value if len(str(value)) <= _SHOWN else f"{str(value)[:_SHOWN]}…"
        raise BadRowError(f"has {shown!r} in {recipe.winner_field!r}, but must have {known}")
    return label
