"""What differs between two complete runs, in numbers, names and one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tiltyard_jobs.contracts.comparison import (
    ComparedBattle,
    ComparedPlayer,
    ComparedStage,
    Differences,
    OnlyInOne,
    RatedPlayer,
)
from tiltyard_jobs.reader.comparison import Shared, Side, missing
from tiltyard_jobs.report.formats import by_stage

_BEFORE_VERDICTS = ("prompts", "mine", "filter", "curate", "grade", "answer", "collect")


def differences(first: Side, second: Side, shared: Shared, most: int) -> Differences:
    """What differs.

    Args:
        first: one run.
        second: the other one.
        shared: the battles of both.
        most: battles that are named.
    """
    stages, differing = tuple(_stages(first, second)), shared.differing()
    return Differences(
        why=_why(first, second, stages),
        stages=stages,
        players=tuple(_players(first, second)),
        shared_battles=len(shared.first),
        other_winner=int(shared.winner.sum()),
        differing=len(differing),
        battles=tuple(_battle(first, second, shared, row) for row in differing[:most]),
        first_only=_only(first, second, shared.unvoted[1]),
        second_only=_only(second, first, shared.unvoted[0]),
    )


def _stages(first: Side, second: Side) -> Iterator[ComparedStage]:
    for stage in sorted(first.artifacts.keys() | second.artifacts.keys(), key=by_stage):
        one, other = first.artifacts.get(stage, frozenset()), second.artifacts.get(stage, frozenset())
        yield ComparedStage(
            stage=stage, both=len(one & other), first_only=len(one - other), second_only=len(other - one)
        )


def _why(first: Side, second: Side, stages: tuple[ComparedStage, ...]) -> str:
    """Where the runs part."""
    if first.index.source.run == second.index.source.run:
        return "Both manifests describe the same run."
    changed = [one.stage for one in stages if one.first_only or one.second_only]
    if not changed:
        return "Both runs are made of the same artifacts: what differs between the manifests changes no result."
    if any(stage in _BEFORE_VERDICTS for stage in changed):
        return (
            f"The runs differ from the stage {changed[0]} on: instructions or answers differ, so the ratings differ by"
            " more than the jury."
        )
    return (
        f"The runs have the same instructions and answers, and differ from the stage {changed[0]} on: that stage and"
        " those after it are the whole difference."
    )


def _players(first: Side, second: Side) -> Iterator[ComparedPlayer]:
    for name in dict.fromkeys([*first.players, *second.players]):
        one, other = _rated(first.players.get(name)), _rated(second.players.get(name))
        yield ComparedPlayer(name=name, first=one, second=other)


def _rated(row: Mapping[str, Any] | None) -> RatedPlayer | None:
    return None if row is None else RatedPlayer(**{name: row[name] for name in RatedPlayer.model_fields})


def _battle(first: Side, second: Side, shared: Shared, row: int) -> ComparedBattle:
    """A battle in both runs, with A and B as in the first."""
    one, other = int(shared.first[row]), int(shared.second[row])
    battles, again, words = first.index.battles, second.index.battles, first.index.players.words
    place, share = int(battles.instruction[one]), _share(again.share[other])
    names = (first.index.ids[place].as_py(), words[int(battles.a[one])], words[int(battles.b[one])])
    return ComparedBattle(
        id="/".join(names),
        first_share=_share(battles.share[one]),
        second_share=1 - share if share is not None and shared.swapped[row] else share,
        other_winner=bool(shared.winner[row]),
        first_gold=first.gold[place],
        second_gold=second.gold[int(again.instruction[other])],
    )


def _share(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _only(side: Side, other: Side, voted: int) -> OnlyInOne:
    found = missing(side, other)
    return OnlyInOne(
        instructions=found.instructions,
        battles_by_instruction=found.by_instruction,
        battles_by_player=found.by_player,
        battles_by_schedule=found.by_schedule,
        voted=voted,
    )
