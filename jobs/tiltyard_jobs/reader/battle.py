"""One battle with all its texts, and one dropped instruction with its twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from tiltyard_jobs.reader.index import Index

_INSTRUCTION = ("instruction", "history", "difficulty", "grade", "task_type", "gold", "margin", "contaminated", "cut")
_ANSWER = ("answer", "finish_reason", "completion_tokens", "void", "detail", "thought")
_SCORES = ("score", "votes", "verdicts", "opponents", "gold", "void")


class Answer(NamedTuple):
    """One of the two answers.

    Attributes:
        text: None where it is void, or not there yet.
        void: why it is void; empty where it is not.
        existing: `answers from FILE`, where they existed before; else empty.
    """

    player: str
    text: str | None
    thought: str | None
    void: str
    detail: str
    cut: bool
    tokens: int | None
    existing: str


class Verdict(NamedTuple):
    """One judge's verdict, with the answers in one order.

    Attributes:
        first: the player whose answer was shown first.
        vote: for A; None where void.
    """

    judge: str
    first: str
    vote: float | None
    reason: str
    void: str
    detail: str


class Standing(NamedTuple):
    """What a player's answer to the instruction is worth."""

    player: str
    score: float | None
    votes: float | None
    verdicts: int | None
    opponents: int | None
    gold: bool
    void: str


@dataclass(frozen=True)
class Battle:
    """A battle.

    Attributes:
        number: in the index.
        instruction: what is asked; `history` are the turns before it.
        columns: the user's own columns.
        share: A's share of the votes; None where no judge voted.
        gold: who wrote the gold answer; None: nobody, or it is not known yet.
        cut: why there is no training row; None where there is one, or none is made yet.
        others: the instruction's other battles.
    """

    number: int
    identity: str
    attacker: str
    instruction: str
    history: Sequence[tuple[str, str]]
    task_type: str
    difficulty: int | None
    grade: str
    columns: Sequence[tuple[str, str]]
    a: Answer
    b: Answer
    share: float | None
    verdicts: Sequence[Verdict]
    standings: Sequence[Standing]
    gold: str | None
    margin: float | None
    cut: str | None
    others: Sequence[int]


def read_battle(index: Index, number: int) -> Battle:
    """Read a battle.

    Raises:
        PermanentError: a table is gone or damaged.
    """
    battles, tables = index.battles, index.source.tables
    place, a, b = int(battles.instruction[number]), int(battles.a[number]), int(battles.b[number])
    row = tables["instructions"].row(place, _INSTRUCTION)
    share = float(battles.share[number])
    first = int(np.searchsorted(battles.instruction, place))
    last = int(np.searchsorted(battles.instruction, place, side="right"))
    return Battle(
        number=number,
        identity=index.ids[place].as_py(),
        attacker=_word(index.players.words, int(index.attacker[place])),
        instruction=row["instruction"] or "",
        history=[(turn["role"] or "", turn["content"] or "") for turn in row["history"] or []],
        task_type=row["task_type"] or "",
        difficulty=row["difficulty"],
        grade=row["grade"] or "",
        columns=[(name, _word(words.words, int(codes[place]))) for name, (words, codes) in index.kept.items()],
        a=_answer(index, place, a),
        b=_answer(index, place, b),
        share=None if math.isnan(share) else share,
        verdicts=_verdicts(index, number),
        standings=_standings(index, place) if index.source.complete else (),
        gold=row["gold"],
        margin=row["margin"],
        cut=row["cut"],
        others=[other for other in range(first, last) if other != number],
    )


def _word(words: Sequence[str], number: int) -> str:
    return words[number] if number >= 0 else ""


def _answer(index: Index, place: int, player: int) -> Answer:
    name, number = index.players.words[player], int(index.answer_row[place, player])
    existing = index.source.existing.get(name, "")
    if number < 0:
        return Answer(name, None, None, "", "", False, None, existing)
    row = index.source.tables["answers"].row(number, _ANSWER)
    return Answer(
        player=name,
        text=None if row["void"] else row["answer"],
        thought=row["thought"],
        void=row["void"] or "",
        detail=row["detail"] or "",
        cut=row["finish_reason"] == "length",
        tokens=row["completion_tokens"],
        existing=existing,
    )


def _verdicts(index: Index, number: int) -> list[Verdict]:
    votes, battles = index.votes, index.battles
    a, b = index.players.words[int(battles.a[number])], index.players.words[int(battles.b[number])]
    verdicts = []
    for place in range(int(votes.starts[number]), int(votes.starts[number + 1])):
        row = index.source.tables["verdicts"].row(int(votes.row[place]), ("reason", "void", "detail"))
        vote = float(votes.vote[place])
        verdicts.append(
            Verdict(
                judge=_word(index.judges.words, int(votes.judge[place])),
                first=a if votes.first[place] else b,
                vote=None if math.isnan(vote) else vote,
                reason=row["reason"] or "",
                void=row["void"] or "",
                detail=row["detail"] or "",
            )
        )
    return sorted(verdicts, key=lambda one: (index.judges.find(one.judge) or 0, one.first != a))


def _standings(index: Index, place: int) -> list[Standing]:
    standings = []
    for player, name in enumerate(index.players.words):
        number = int(index.answer_row[place, player])
        if number >= 0:
            row = index.source.tables["answers"].row(number, _SCORES)
            standings.append(
                Standing(
                    player=name,
                    score=row["score"],
                    votes=row["votes"],
                    verdicts=row["verdicts"],
                    opponents=row["opponents"],
                    gold=bool(row["gold"]),
                    void=row["void"] or "",
                )
            )
    return sorted(standings, key=lambda one: -1.0 if one.score is None else one.score, reverse=True)


class Dropped(NamedTuple):
    """An instruction that was dropped.

    Attributes:
        text: None where it was never written.
        twin: the text that was kept instead; None where there is none.
    """

    identity: str
    attacker: str
    stage: str
    reason: str
    text: str | None
    twin_id: str
    twin: str | None


class DroppedList:
    """The instructions that were dropped. Made once for an index, since it looks for twins.

    Args:
        index: has the run's tables; a run may have no table of them.
    """

    def __init__(self, index: Index) -> None:
        self._source = index.source
        table = index.source.tables.get("dropped")
        rows: list[dict[str, Any]] = []
        for part in table.columns(("instruction_id", "attacker", "stage", "reason", "twin_id")) if table else ():
            rows += part.to_pylist()
        self.rows = rows
        self.reasons = sorted({row["reason"] or "" for row in rows})
        self._places: dict[str, int] = {}
        if index.source.written is not None:
            wanted = {row["instruction_id"] for row in rows} | {row["twin_id"] for row in rows}
            first = 0
            for part in index.source.written.columns(("instruction_id",)):
                for place, identity in enumerate(part["instruction_id"].to_pylist(), first):
                    if identity is not None and identity in wanted:
                        self._places[identity] = place
                first += part.num_rows

    def choose(self, *, player: str = "", reason: str = "") -> list[int]:
        """The numbers of those of one player, or for one reason: those with a twin first."""
        chosen = [
            number
            for number, row in enumerate(self.rows)
            if player in ("", row["attacker"]) and reason in ("", row["reason"])
        ]
        return sorted(chosen, key=lambda number: not self.rows[number]["twin_id"])

    def read(self, number: int) -> Dropped:
        """One of them with its texts."""
        row = self.rows[number]
        if self._source.written is None:
            texts = self._source.tables["dropped"].row(number, ("instruction", "twin"))
        else:
            texts = {"instruction": self._text(row["instruction_id"]), "twin": self._text(row["twin_id"])}
        return Dropped(
            identity=row["instruction_id"] or "",
            attacker=row["attacker"] or "",
            stage=row["stage"] or "",
            reason=row["reason"] or "",
            text=texts["instruction"],
            twin_id=row["twin_id"] or "",
            twin=texts["twin"],
        )

    def _text(self, identity: str | None) -> str | None:
        place = self._places.get(identity or "")
        if place is None or self._source.written is None:
            return None
        text: str | None = self._source.written.row(place, ("instruction",))["instruction"]
        return text


def instructions_of(index: Index, beginning: str) -> int:
    """How many instructions have an id that begins so."""
    return len(_places(index, beginning))


def _places(index: Index, beginning: str) -> npt.NDArray[np.int64]:
    return np.flatnonzero(pc.starts_with(index.ids, beginning).to_numpy(zero_copy_only=False))


def resolve(index: Index, name: str) -> list[int]:
    """The battles that an id names; none where it is wrong.

    Args:
        index: of the run.
        name: `INSTRUCTION`, its first digits, or `INSTRUCTION/A/B` with the players in any order.
    """
    identity, *players = name.split("/")
    if not identity or len(players) not in (0, 2):
        return []
    places = _places(index, identity)
    if len(places) != 1:
        return []
    place, battles = int(places[0]), index.battles
    if players:
        a, b = (index.players.find(player) for player in players)
        if a is None or b is None:
            return []
        both = (index.battle(place, a, b), index.battle(place, b, a))
        return [found for found in both if found is not None][:1]
    first = int(np.searchsorted(battles.instruction, place))
    return list(range(first, int(np.searchsorted(battles.instruction, place, side="right"))))
