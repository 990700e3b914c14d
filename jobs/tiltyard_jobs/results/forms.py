"""Rows of a run's tables in the forms that other tools read: pure functions from a row to a record.

What a form has no place for is left out and counted, never bent until it fits: a thought does not become part of the
answer, an earlier turn does not become part of the instruction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.results.columns import Row

Turn = dict[str, str]

CONVERSATIONS = {"sft": ("messages",), "preference": ("prompt", "chosen", "rejected")}
"""The columns of training rows that are conversations, by table."""

_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}
_READ = ("system", "tools")  # columns that readers look for, whatever the form
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_THOUGHTS = "thoughts (reasoning_content)"
_UNEVEN = "rows whose turns do not alternate between user and assistant"
_UNSAFE = "cells that a spreadsheet would take for a formula, with an apostrophe before them now"


@dataclass
class Losses:
    """What a form has no place for.

    Attributes:
        counts: how often, by what it is.
        columns: of the table.
        renamed: columns of the user's for whose names the form has a use of its own.
    """

    counts: Counter[str] = field(default_factory=Counter)
    columns: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)

    def sentences(self, form: ExportForm) -> list[str]:
        """One for each kind."""
        told = [
            f"{what}: {count}" if what == _UNSAFE else f"left out, as {form} has no place for them: {count} {what}"
            for what, count in sorted(self.counts.items())
            if count
        ]
        if self.columns:
            told.append(f"columns left out, as {form} has no place for them: {', '.join(self.columns)}")
        if self.renamed:
            pairs = ", ".join(f"{name} to {new}" for name, new in self.renamed.items())
            told.append(f"columns renamed, as readers of {form} take such a column for their own: {pairs}")
        return told


class Example(NamedTuple):
    """A training row.

    Attributes:
        asked: the turns up to the instruction.
        answers: the gold answer, and in a preference row the rejected one.
        rest: the other columns.
    """

    asked: list[Turn]
    answers: list[Turn]
    rest: Row

    @property
    def system(self) -> str | None:
        """The system message, if there is one."""
        return self.asked[0]["content"] if self.asked[0]["role"] == "system" else None

    @property
    def turns(self) -> list[Turn]:
        """What is asked without the system message."""
        return self.asked[self.system is not None :]

    @property
    def alternates(self) -> bool:
        """Whether user and assistant take turns, as some readers require."""
        return all(turn["role"] == ("user", "assistant")[place % 2] for place, turn in enumerate(self.turns))


def example_of(table: str, row: Row) -> Example:
    """The parts of a row of `sft` or `preference`; a turn has no member that is null."""
    rest = {name: value for name, value in row.items() if name not in CONVERSATIONS[table]}
    conversations = [[_whole(turn) for turn in row[name]] for name in CONVERSATIONS[table]]
    if table == "sft":
        return Example(conversations[0][:-1], conversations[0][-1:], rest)
    return Example(conversations[0], [*conversations[1], *conversations[2]], rest)


def _whole(turn: Turn) -> Turn:
    return {name: value for name, value in turn.items() if value is not None}


def _plain(turns: Sequence[Turn], losses: Losses) -> list[Turn]:
    """Turns of role and content alone."""
    losses.counts[_THOUGHTS] += sum("reasoning_content" in turn for turn in turns)
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def _openai(example: Example, losses: Losses) -> Row:
    asked, answers = _plain(example.asked, losses), _plain(example.answers, losses)
    if len(answers) == 1:
        return {"messages": asked + answers}
    return {"input": {"messages": asked}, "preferred_output": answers[:1], "non_preferred_output": answers[1:]}


def _sharegpt(example: Example, losses: Losses) -> Row:
    def said(turns: Sequence[Turn]) -> list[Turn]:
        return [{"from": _SHAREGPT[turn["role"]], "value": turn["content"]} for turn in _plain(turns, losses)]

    asked, answers = said(example.asked), said(example.answers)
    if len(answers) == 1:
        return _beside({"conversations": asked + answers}, example, losses)
    return _beside({"conversations": asked, "chosen": answers[0], "rejected": answers[1]}, example, losses)


def _llamafactory(example: Example, losses: Losses) -> Row | None:
    if not example.alternates:
        losses.counts[_UNEVEN] += 1
        return None
    asked, answers = _plain(example.asked, losses), _plain(example.answers, losses)
    if len(answers) == 1:
        return _beside({"messages": asked + answers}, example, losses)
    return _beside({"messages": asked, "chosen": answers[0], "rejected": answers[1]}, example, losses)


def _alpaca(example: Example, losses: Losses) -> Row | None:
    if not example.alternates:
        losses.counts[_UNEVEN] += 1
        return None
    *before, instruction = (turn["content"] for turn in example.turns)
    answers = [turn["content"] for turn in _plain(example.answers, losses)]
    named = {"output": answers[0]} if len(answers) == 1 else {"chosen": answers[0], "rejected": answers[1]}
    history = [list(pair) for pair in zip(before[::2], before[1::2], strict=True)]
    system = example.system or ""
    record = {"instruction": instruction, "input": "", **named, "system": system, "history": history}
    return _beside(record, example, losses)


def _conversations(example: Example) -> Row:
    if len(example.answers) == 1:
        return {"messages": example.asked + example.answers}
    return {"prompt": example.asked, "chosen": example.answers[:1], "rejected": example.answers[1:]}


def _jsonl(example: Example, losses: Losses) -> Row:
    return _beside(_conversations(example), example, losses)


def _csv(example: Example, losses: Losses) -> Row:
    """For people the instruction and the answers, for programs the conversations, as JSON."""
    names = ("answer",) if len(example.answers) == 1 else ("chosen_answer", "rejected_answer")
    answers = {name: turn["content"] for name, turn in zip(names, example.answers, strict=True)}
    record = {"instruction": example.asked[-1]["content"]} | answers | _conversations(example)
    return _beside(record, example, losses)


def _beside(record: Row, example: Example, losses: Losses) -> Row:
    """A record and the row's other columns; one of a name that the form uses gets another."""
    for name, value in example.rest.items():
        if name in record or name in _READ:
            name = losses.renamed.setdefault(name, f"source_{name}")
        record[name] = value
    return record


class Form(NamedTuple):
    """A form of training rows.

    Attributes:
        record: a row in it; None where it has no place for such a row.
        keeps: whether the row's other columns go along.
    """

    record: Callable[[Example, Losses], Row | None]
    keeps: bool = True


FORMS: dict[ExportForm, Form] = {
    "openai": Form(_openai, keeps=False),
    "sharegpt": Form(_sharegpt),
    "alpaca": Form(_alpaca),
    "llamafactory": Form(_llamafactory),
    "csv": Form(_csv),
    "jsonl": Form(_jsonl),
}

ANY_TABLE: tuple[ExportForm, ...] = ("csv", "jsonl")
"""Forms that have a place for every table; the others have it for training rows alone."""


def csv_cell(value: object, losses: Losses) -> str:
    """A value as a cell: lists and records as JSON, a text so that no spreadsheet takes it for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        if value.startswith(_FORMULA):
            losses.counts[_UNSAFE] += 1
            return f"'{value}"
        return value
    return json.dumps(value, ensure_ascii=False)


def dataset_info(tables: dict[str, str], tournament: str) -> Row:
    """LLaMA-Factory's `dataset_info.json`: its name for each table, and what its columns are.

    Args:
        tables: file names by table.
        tournament: the name under which LLaMA-Factory knows them, before the table's.
    """
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }
    answers = {"preference": {"chosen": "chosen", "rejected": "rejected"}}
    return {
        f"{tournament}_{table}": {"file_name": file, "formatting": "sharegpt"}
        | ({"ranking": True} if table in answers else {})
        | {"columns": {"messages": "messages"} | answers.get(table, {}), "tags": tags}
        for table, file in tables.items()
    }
