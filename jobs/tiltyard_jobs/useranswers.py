"""Answers that exist already: which of a file's belong to which instructions, and what is read of each.

A file may hold answers to far more instructions than are asked. Of those that are asked the texts wait in a temporary
file, whatever their number; of all others no more than a digest of the id is in memory.
"""

from __future__ import annotations

import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import NamedTuple

from tiltyard_jobs.contracts.identity import AnswerFiles, ModelIdentity
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.tasks import Limits, StoreRef
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.reply import require_answer
from tiltyard_jobs.llm.thoughts import Parts, split_thought, with_own_pair
from tiltyard_jobs.usertexts import number_of, read_texts, refuse_repeated_id

_SHOWN = 5  # ids in a sentence


class Asked(NamedTuple):
    """An instruction, as answers are found by it."""

    id: str | None
    text: str

    def name(self, answers: AnswerFiles) -> int:
        """What stands for it in memory: its id, or its words, as repeats are found by them."""
        return _name_of((self.id or "") if answers.id_field is not None else self.text, answers)

    def called(self, answers: AnswerFiles) -> str:
        """What people know it by."""
        text = (self.id or "") if answers.id_field is not None else " ".join(self.text.split())
        return repr(text if len(text) <= 40 else f"{text[:40]}…")


class Answers:
    """The answers to some instructions.

    Args:
        model: whose answers they are, and the marks of its thoughts.

    Attributes:
        unasked: answers in the files that nobody asks for.
        repeats: answers to the words of an instruction that has one before them.
        notes: how the files were read, where that may surprise.
    """

    def __init__(self, model: ModelIdentity) -> None:
        self._pairs = with_own_pair(model.thought_marks)
        self._texts = tempfile.TemporaryFile(prefix="tiltyard-")  # noqa: SIM115  it lives as long as this does
        weakref.finalize(self, self._texts.close)
        self._places: dict[int, tuple[int, int]] = {}
        self.unasked = self.repeats = 0
        self.notes: tuple[str, ...] = ()

    def add(self, name: int, text: str) -> None:
        """Keep an answer."""
        data = text.encode()
        self._places[name] = (self._texts.seek(0, 2), len(data))
        self._texts.write(data)

    def take(self, name: int) -> Parts:
        """The answer to an instruction, without the thought before it.

        Raises:
            RecordVoidError: NotInFile, or what a model's reply may lack.
        """
        place = self._places.get(name)
        if place is None:
            raise RecordVoidError(VoidReason.NOT_IN_FILE)
        self._texts.seek(place[0])
        parts = split_thought(self._texts.read(place[1]).decode(), pairs=self._pairs)
        require_answer(parts, "", None)
        return parts


def read_answers(model: ModelIdentity, asked: Collection[int], store: StoreRef) -> Answers:
    """The answers to the instructions whose names are given.

    Args:
        model: a competitor with `answers`.
        asked: as `Asked.name`.
        store: S3's endpoint, region and certificates.

    Raises:
        ConfigurationError: a file is not there or damaged, holds no such column, or has two answers to one id.
        TransientError: a file cannot be fetched now.
    """
    where = model.answers
    assert where is not None, "a model has no existing answers"
    several = len(where.files) > 1
    texts = read_texts(
        "",
        where.field,
        store,
        files=tuple(file.model_copy(update={"name": readable(file.uri) if several else ""}) for file in where.files),
        on_bad_row=where.on_bad_row,
        id=where.id_field or where.instruction_field,
        answers=True,
    )
    found, seen, again = Answers(model), set[int](), set[int]()
    for given in texts.given():
        name = _name_of(given.id or "", where)
        if name in seen:
            found.repeats += 1
            again.add(name)
            continue
        seen.add(name)
        if name in asked:
            found.add(name, given.text)
        else:
            found.unasked += 1
    if where.id_field is not None and again:
        refuse_repeated_id(texts.again(), where.id_field, again)
    bad = (f"skipped: {texts.bad.count} bad ({texts.bad.places})",) if texts.bad.count else ()
    found.notes = (*texts.notes, *bad)
    return found


def _name_of(text: str, answers: AnswerFiles) -> int:
    return number_of(text.encode() if answers.id_field is not None else digest_of(text))


def check_answers(
    name: str, model: ModelIdentity, instructions: Callable[[], Iterable[Asked]], store: StoreRef, limits: Limits
) -> str:
    """One line about a competitor's answers.

    Args:
        name: the competitor's.
        model: what it is.
        instructions: all that may be asked; they are read more than once.
        store: as in `read_answers`.
        limits: how many of them may have no answer that can be judged.

    Raises:
        ConfigurationError: as in `read_answers`; or more instructions have none.
        TransientError: as in `read_answers`.
    """
    where = model.answers
    assert where is not None, "a model has no existing answers"
    asked = {one.name(where) for one in instructions()}
    found = read_answers(model, asked, store)
    reasons, lacking = Counter[str](), set[int]()
    for number in asked:
        try:
            found.take(number)
        except RecordVoidError as error:
            reasons[str(error.reason)] += 1
            lacking.add(number)
    called = (one.called(where) for one in instructions() if one.name(where) in lacking)
    first = ", ".join(islice(dict.fromkeys(called), _SHOWN)) + (", …" if len(lacking) > _SHOWN else "")
    if reasons[VoidReason.NOT_IN_FILE] == len(asked):
        column = f"idField {where.id_field!r}" if where.id_field else f"instructionField {where.instruction_field!r}"
        raise ConfigurationError(
            f"{where.place} has no answer to any of {len(asked)} instructions ({first}): {column} must hold what the"
            " instructions have"
        )
    lack = f"{len(lacking)} of {len(asked)} instructions ({_counts(reasons)}: {first})"
    most = limits.max_failures(len(asked))
    if len(lacking) > most:
        raise ConfigurationError(
            f"{where.place} lacks answers to {lack}, and spec.jobs.maxVoidFraction ({limits.max_void_fraction}) allows"
            f" {most}: add them, leave these instructions out, or raise the fraction"
        )
    line = [f"{name}: {len(asked) - len(lacking)} answers from {where.place}"]
    line += [f"none to {lack}"] if lacking else []
    line += [f"{found.unasked} to no instruction"] if found.unasked else []
    line += [f"{found.repeats} to the same words as one before"] if found.repeats else []
    return ", ".join([*line, *found.notes])


def _counts(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
