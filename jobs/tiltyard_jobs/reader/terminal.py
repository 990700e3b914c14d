"""Battles on a terminal: nothing that a model wrote can move its cursor or change its colours."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard_jobs.contracts.hiding import unhidden
from tiltyard_jobs.reader.battle import Answer, Battle
from tiltyard_jobs.reader.programs import Program
from tiltyard_jobs.reader.sentences import about_answer, about_battle, gold_sentence, outcome


def lines(battle: Battle, *, complete: bool) -> Iterator[str]:
    """A battle as text.

    Args:
        battle: the battle.
        complete: the run is.
    """
    yield f"=== {battle.identity}/{battle.a.player}/{battle.b.player}"
    yield about_battle(battle)
    yield outcome(battle)
    for role, text in battle.history:
        yield from _titled(f"turn before: {role}", text)
    yield from _titled("instruction", battle.instruction)
    for answer in (battle.a, battle.b):
        yield from _answer(battle, answer)
    yield ""
    yield f"--- votes: {battle.a.player}'s share of each (1: all for {battle.a.player}, 0: all for {battle.b.player})"
    for one in battle.verdicts:
        vote = f"void: {one.void}" if one.vote is None else f"{one.vote:.2f}"
        yield f"{one.judge}, {one.first} shown first: {vote}"
        for text in (one.reason, one.detail):
            if text:
                yield from (f"    {line}" for line in unhidden(text).splitlines())
    yield ""
    yield gold_sentence(battle, complete=complete)
    for standing in battle.standings:
        score = "void" if standing.void else "–" if standing.score is None else f"{standing.score:.3f}"
        yield f"  {score}  {standing.player}"


def program_lines(program: Program) -> Iterator[str]:
    """What a program did that a model wrote for a benchmark, and the program, as text."""
    yield f"=== {unhidden(program.benchmark)} {unhidden(program.task)}: {program.player}"
    yield unhidden(program.outcome)
    if program.detail:
        yield from _titled("what it did", program.detail)
    if program.reply is not None:
        yield from _titled("the model's reply", program.reply)


def _answer(battle: Battle, answer: Answer) -> Iterator[str]:
    yield ""
    yield f"--- {answer.player}: {about_answer(battle, answer)}"
    if answer.text is not None:
        yield unhidden(answer.text)


def _titled(title: str, text: str) -> Iterator[str]:
    yield ""
    yield f"--- {unhidden(title)}"
    yield unhidden(text)
