"""Two runs side by side: which battles both have, which of them ended otherwise, and what is in one run only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.reader.index import Index, build_index
from tiltyard_jobs.reader.source import folder_of, read_manifest, run_folder
from tiltyard_jobs.results.run_folder import LEADERBOARD
from tiltyard_jobs.store.base import Store

Numbers = NDArray[np.int64]
Reals = NDArray[np.float64]

_EVEN = 1e-9
_NO_VOTE = 2  # beside 1, 0 and -1: A won, a tie, B won


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        players: rows of its leaderboard by name.
        judges: report cards by name.
        artifacts: keys by stage.
        gold: who wrote the gold answer, by instruction's number; None: nobody.
    """

    index: Index
    players: Mapping[str, Mapping[str, Any]]
    judges: Mapping[str, Mapping[str, Any]]
    artifacts: Mapping[str, frozenset[str]]
    gold: list[str | None]


class Missing(NamedTuple):
    """Battles that the other run has not, by why.

    Attributes:
        instructions: of which the other run has none.
        by_instruction: battles on them.
        by_player: battles of a player that the other run has not.
        by_schedule: the other run has the instruction and both players, and does not let them meet on it.
    """

    instructions: int
    by_instruction: int
    by_player: int
    by_schedule: int


class Shared(NamedTuple):
    """The battles that both runs have, a row for each.

    Attributes:
        first: the battle's number in the first run; `second` in the second one.
        swapped: the second run calls A what the first one calls B.
        moved: by how much A's share of the votes differs; 0 where a run has no vote.
        winner: the winners differ.
        gold: the gold answers of the instruction differ, and one of them is in this battle.
        unvoted: battles in which judges voted in the other run only: in the first, in the second.
    """

    first: Numbers
    second: Numbers
    swapped: NDArray[np.bool_]
    moved: Reals
    winner: NDArray[np.bool_]
    gold: NDArray[np.bool_]
    unvoted: tuple[int, int]

    def differing(self) -> list[int]:
        """The rows whose winner or gold answer differs, those first whose votes differ most."""
        rows = np.flatnonzero(self.winner | self.gold)
        return [int(row) for row in rows[np.argsort(-self.moved[rows], kind="stable")]]


def read_side(store: Store, run: str) -> Side:
    """Read a complete run.

    Raises:
        ConfigurationError: it is not complete.
        PermanentError: a table is gone or damaged.
    """
    prefix = folder_of(run)
    manifest = read_manifest(store, prefix)
    if manifest is None:
        raise ConfigurationError(
            f"run {run} is not complete in {store.place}, and the page shows complete runs: finish it with"
            " `tiltyard run`, or leave --html out"
        )
    index = build_index(run_folder(store, prefix))
    board = json.loads(store.get(prefix + LEADERBOARD) or b"{}")
    artifacts: dict[str, set[str]] = {}
    for one in manifest.artifacts:
        artifacts.setdefault(one.stage, set()).add(one.key)
    columns = index.source.tables["instructions"].columns(["gold"])
    return Side(
        index=index,
        players={one["name"]: one for one in board.get("players", [])},
        judges={one["name"]: one for one in board.get("judges", [])},
        artifacts={stage: frozenset(keys) for stage, keys in artifacts.items()},
        gold=[name for part in columns for name in part["gold"].to_pylist()],
    )


def shared_battles(first: Side, second: Side) -> Shared:
    """The battles that both runs have, and how they differ."""
    one, other = first.index, second.index
    found, swap = _find(one, other)
    mine = np.flatnonzero(found >= 0)
    theirs, swapped = found[mine], swap[mine]
    share, again = one.battles.share[mine], other.battles.share[theirs]
    again = np.where(swapped, 1 - again, again)
    winner, winner_again = _winner(share), _winner(again)
    return Shared(
        first=mine,
        second=theirs,
        swapped=swapped,
        moved=np.nan_to_num(np.abs(share - again)),
        winner=(winner != winner_again) & (winner != _NO_VOTE) & (winner_again != _NO_VOTE),
        gold=np.array(
            [_other_gold(first, second, int(a), int(b)) for a, b in zip(mine, theirs, strict=True)], np.bool_
        ),
        unvoted=(
            int(((winner == _NO_VOTE) & (winner_again != _NO_VOTE)).sum()),
            int(((winner != _NO_VOTE) & (winner_again == _NO_VOTE)).sum()),
        ),
    )


def missing(side: Side, other: Side) -> Missing:
    """What a run has and the other one has not."""
    index, battles = side.index, side.index.battles
    found, _ = _find(index, other.index)
    there = _places(index, other.index) >= 0
    known = np.array([other.index.players.find(name) is not None for name in index.players.words], np.bool_)
    alone = found < 0
    asked = there[battles.instruction]
    met = known[battles.a] & known[battles.b]
    return Missing(
        instructions=int((~there).sum()),
        by_instruction=int((alone & ~asked).sum()),
        by_player=int((alone & asked & ~met).sum()),
        by_schedule=int((alone & asked & met).sum()),
    )


def verdict_counts(index: Index) -> dict[str, tuple[int, int]]:
    """By judge: the verdicts that it gave, and those that are void."""
    void = np.isnan(index.votes.vote)
    given, voids = Counter(index.votes.judge[~void].tolist()), Counter(index.votes.judge[void].tolist())
    return {name: (given[number], voids[number]) for number, name in enumerate(index.judges.words)}


def _places(index: Index, other: Index) -> Numbers:
    """The other run's number of each instruction; -1 where it has none."""
    if not len(index.ids):
        return np.zeros(0, np.int64)
    ids: Any = index.ids.cast(pa.string())
    places: Any = pc.index_in(ids, value_set=other.ids.cast(pa.string()))
    numbers: Numbers = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _find(index: Index, other: Index) -> tuple[Numbers, NDArray[np.bool_]]:
    """The other run's number of each battle, -1 where it has none; and whether A and B change places there."""
    battles, width = index.battles, max(1, len(other.players.words))
    players = [other.players.find(name) for name in index.players.words]
    player = np.array([-1 if number is None else number for number in players] or [-1], np.int64)
    place, a, b = _places(index, other)[battles.instruction], player[battles.a], player[battles.b]
    known = (place >= 0) & (a >= 0) & (b >= 0)

    def look(left: Numbers, right: Numbers) -> Numbers:
        key = np.where(known, (place * width + left) * width + right, -1)
        at = np.searchsorted(other.keys, key)
        hit = known & (at < len(other.keys))
        hit[hit] = other.keys[at[hit]] == key[hit]
        return np.where(hit, at, -1)

    straight, crossed = look(a, b), look(b, a)
    return np.where(straight >= 0, straight, crossed), (straight < 0) & (crossed >= 0)


def _winner(share: Reals) -> Numbers:
    won = (share > 0.5 + _EVEN).astype(np.int64) - (share < 0.5 - _EVEN).astype(np.int64)
    return np.where(np.isnan(share), _NO_VOTE, won)


def _other_gold(first: Side, second: Side, mine: int, theirs: int) -> bool:
    battles = first.index.battles
    gold = first.gold[int(battles.instruction[mine])]
    again = second.gold[int(second.index.battles.instruction[theirs])]
    if gold is None or again is None or gold == again:
        return False
    words = first.index.players.words
    return bool({words[int(battles.a[mine])], words[int(battles.b[mine])]} & {gold, again})
