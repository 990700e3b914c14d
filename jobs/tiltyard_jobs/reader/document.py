"""Battles as documents for programs."""

from __future__ import annotations

from collections.abc import Sequence

from tiltyard_jobs.contracts.battles import (
    ShownAnswer,
    ShownBattle,
    ShownBattles,
    ShownProgram,
    ShownScore,
    ShownTurn,
    ShownVerdict,
)
from tiltyard_jobs.reader.battle import Answer, Battle
from tiltyard_jobs.reader.programs import Program
from tiltyard_jobs.reader.source import Source


def battles_document(source: Source, found: Sequence[Battle | Program]) -> ShownBattles:
    """Battles and programs of a run."""
    return ShownBattles(
        tournament=source.tournament,
        run=source.run,
        complete=source.complete,
        battles=tuple(_battle(one) for one in found if isinstance(one, Battle)),
        programs=tuple(_program(one) for one in found if isinstance(one, Program)),
    )


def _battle(one: Battle) -> ShownBattle:
    return ShownBattle(
        id=f"{one.identity}/{one.a.player}/{one.b.player}",
        instruction_id=one.identity,
        attacker=one.attacker,
        instruction=one.instruction,
        history=tuple(ShownTurn(role=role, content=content) for role, content in one.history),
        task_type=one.task_type or None,
        difficulty=one.difficulty,
        grade=one.grade or None,
        columns=dict(one.columns),
        a=_answer(one.a),
        b=_answer(one.b),
        share=one.share,
        verdicts=tuple(
            ShownVerdict(
                judge=each.judge,
                first=each.first,
                vote=each.vote,
                reason=each.reason or None,
                void=each.void or None,
                detail=each.detail or None,
            )
            for each in one.verdicts
        ),
        scores=tuple(ShownScore(**each._asdict() | {"void": each.void or None}) for each in one.standings),
        gold=one.gold,
        margin=one.margin,
        cut=one.cut,
    )


def _program(one: Program) -> ShownProgram:
    return ShownProgram(**one._asdict() | {"detail": one.detail or None})


def _answer(one: Answer) -> ShownAnswer:
    return ShownAnswer(
        player=one.player,
        text=one.text,
        thought=one.thought or None,
        void=one.void or None,
        detail=one.detail or None,
        cut=one.cut,
        tokens=one.tokens,
        existing=one.existing or None,
    )
