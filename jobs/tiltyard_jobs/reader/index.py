"""The small columns of a run's tables, in memory: which battles there are, who voted for what, and where texts lie.

Instructions, players, judges and battles are numbered. Memory is some forty bytes for a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tiltyard_jobs.reader.source import Source
from tiltyard_jobs.reader.tables import Vocabulary

Numbers = NDArray[np.int64]
Codes = NDArray[np.int32]
Reals = NDArray[np.float64]

_EVEN = 1e-9  # half of the votes, but for rounding


@dataclass(frozen=True)
class Votes:
    """All verdicts, battle by battle; those of battle n are rows [starts[n], starts[n + 1]).

    Attributes:
        row: in the table of verdicts.
        judge: its number.
        first: A's answer was shown first.
        vote: for A; NaN where void.
    """

    starts: Numbers
    row: Numbers
    judge: Codes
    first: NDArray[np.bool_]
    vote: Reals


@dataclass(frozen=True)
class Battles:
    """A row for each battle, by instruction, then A, then B.

    Attributes:
        share: A's share of the votes; NaN where no judge voted.
        voids: verdicts without a vote.
        flips: judges that favoured one answer in one order and the other one in the other.
        swing: the largest difference of a judge's votes between the orders.
        split: how far judges are apart that favour different answers: the distance of the weaker side from a tie; 0
            where all favour one.
    """

    instruction: Numbers
    a: Codes
    b: Codes
    share: Reals
    voids: Numbers
    flips: Numbers
    swing: Reals
    split: Reals


@dataclass(frozen=True)
class Index:
    """A run in numbers.

    Attributes:
        ids: of the instructions.
        difficulty: 0 where nothing was graded.
        kept: the user's own columns, and `source_id`.
        answer_row: answer_row[instruction, player]: in the table of answers; -1: not there.
        void_answer: likewise.
        rating: by player; NaN where there is none.
        battle_of: the number of a battle by `key`.
    """

    source: Source
    players: Vocabulary
    judges: Vocabulary
    types: Vocabulary
    ids: pa.Array[Any]
    attacker: Codes
    difficulty: Numbers
    task_type: Codes
    kept: Mapping[str, tuple[Vocabulary, Codes]]
    answer_row: Numbers
    void_answer: NDArray[np.bool_]
    rating: Reals
    battles: Battles
    votes: Votes
    keys: Numbers
    searched: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = field(default_factory=dict)

    def battle(self, instruction: int, a: int, b: int) -> int | None:
        """The number of a battle; None where there is none."""
        key = (instruction * len(self.players.words) + a) * len(self.players.words) + b
        place = int(np.searchsorted(self.keys, key))
        return place if place < len(self.keys) and self.keys[place] == key else None

    def instruction(self, identity: str) -> int | None:
        """The number of an instruction by its id; None where there is none."""
        place = pc.index(self.ids, identity).as_py()
        return None if place < 0 else int(place)


def build_index(source: Source) -> Index:
    """Read the small columns of all tables.

    Raises:
        PermanentError: a table is gone or damaged.
    """
    players, judges, types = Vocabulary(source.players), Vocabulary(source.judges), Vocabulary()
    instructions = _read(source, "instructions", ["instruction_id", "attacker", "difficulty", "task_type"])
    ids = _whole(instructions["instruction_id"])
    answers = _read(source, "answers", ["instruction_id", "model", "void"])
    answerer = players.numbers(answers["model"])  # first, so that players have the manifest's order
    attacker = players.numbers(instructions["attacker"])
    verdicts = _read(source, "verdicts", ["instruction_id", "model_a", "model_b", "judge", "order", "vote"])
    a, b = players.numbers(verdicts["model_a"]), players.numbers(verdicts["model_b"])
    width = max(1, len(players.words))
    answer_row, void_answer = np.full((len(ids), width), -1, np.int64), np.zeros((len(ids), width), np.bool_)
    place = _places(answers["instruction_id"], ids)
    known = place >= 0
    answer_row[place[known], answerer[known]] = np.flatnonzero(known)
    void_answer[place[known], answerer[known]] = pc.is_valid(answers["void"]).to_numpy()[known]
    keys, battles, votes = _battles(verdicts, _places(verdicts["instruction_id"], ids), a, b, judges, width)
    index = Index(
        source=source,
        players=players,
        judges=judges,
        types=types,
        ids=ids,
        attacker=attacker,
        difficulty=_integers(instructions["difficulty"]),
        task_type=types.numbers(instructions["task_type"]),
        kept=_kept(source),
        answer_row=answer_row,
        void_answer=void_answer,
        rating=_ratings(source, players),
        battles=battles,
        votes=votes,
        keys=keys,
    )
    _take_scores(index)
    return index


def _read(source: Source, name: str, columns: list[str]) -> pa.Table:
    tables = [one for one in source.tables[name].columns(columns) if one.num_rows]
    if not tables:
        return pa.table({column: pa.array([], pa.string()) for column in columns})
    names = {
        column: pa.chunked_array([c for one in tables for c in one[column].chunks])
        for column in columns
        if len({one[column].type for one in tables}) == 1
    }
    mixed = {
        column: pa.chunked_array([c.cast(pa.string()) for one in tables for c in one[column].chunks])
        for column in columns
        if column not in names
    }
    return pa.table(names | mixed)


def _whole(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else whole.chunk(0)


def _places(column: pa.ChunkedArray[Any], ids: pa.Array[Any]) -> Numbers:
    """Where each id stands among `ids`; -1 where it does not."""
    if not len(column):
        return np.zeros(0, np.int64)
    places: Any = pc.index_in(column, value_set=ids)  # of the whole column: it hashes `ids` each time
    numbers: Numbers = places.fill_null(-1).to_numpy().astype(np.int64)
    return numbers


def _integers(column: pa.ChunkedArray[Any]) -> Numbers:
    if pa.types.is_string(column.type):
        return np.zeros(len(column), np.int64)
    filled: Any = column
    numbers: Numbers = filled.fill_null(0).to_numpy().astype(np.int64)
    return numbers


def _battles(
    verdicts: pa.Table, place: Numbers, a: Codes, b: Codes, judges: Vocabulary, width: int
) -> tuple[Numbers, Battles, Votes]:
    judge = judges.numbers(verdicts["judge"])
    first = Vocabulary(["AB"]).numbers(verdicts["order"]) == 0
    vote: Any = verdicts["vote"]
    given: Reals = (
        np.full(len(vote), np.nan)
        if pa.types.is_string(vote.type)
        else vote.fill_null(float("nan")).to_numpy().astype(np.float64)
    )
    key = (place * width + a) * width + b
    key[place < 0] = -1
    order = np.argsort(key, kind="stable")
    order = order[key[order] >= 0]
    keys, starts = np.unique(key[order], return_index=True)
    votes = Votes(np.append(starts, len(order)).astype(np.int64), order, judge[order], first[order], given[order])
    battle = np.repeat(np.arange(len(keys)), np.diff(votes.starts))
    there = ~np.isnan(votes.vote)
    count = np.bincount(battle[there], minlength=len(keys))
    total = np.bincount(battle[there], weights=votes.vote[there], minlength=len(keys))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = total / count
    voids = np.bincount(battle[~there], minlength=len(keys))
    flips, swing, split = disagreements(battle, votes, there, len(keys), max(1, len(judges.words)))
    battles = Battles(
        instruction=keys // (width * width),
        a=(keys // width % width).astype(np.int32),
        b=(keys % width).astype(np.int32),
        share=share,
        voids=voids,
        flips=flips,
        swing=swing,
        split=split,
    )
    return keys, battles, votes


def disagreements(
    battle: Numbers, votes: Votes, there: NDArray[np.bool_], many: int, judges: int
) -> tuple[Numbers, Reals, Reals]:
    """Of each battle: judges that flipped with the order, the largest swing, and how far judges are apart."""
    pair, which = np.unique(battle[there] * judges + votes.judge[there], return_inverse=True)
    vote, ab = votes.vote[there], votes.first[there]
    means = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for chosen in (ab, ~ab):
            count = np.bincount(which[chosen], minlength=len(pair))
            means.append(np.bincount(which[chosen], weights=vote[chosen], minlength=len(pair)) / count)
    shown_first, shown_last = means
    difference = np.abs(shown_first - shown_last)
    flipped = (shown_first - 0.5) * (shown_last - 0.5) < -_EVEN
    mean = np.bincount(which, weights=vote, minlength=len(pair)) / np.maximum(
        1, np.bincount(which, minlength=len(pair))
    )
    of = pair // judges
    swing, low, high = np.zeros(many), np.full(many, 0.5), np.full(many, 0.5)
    np.maximum.at(swing, of, np.nan_to_num(difference))
    np.minimum.at(low, of, mean)
    np.maximum.at(high, of, mean)
    split = np.maximum(0, np.minimum(0.5 - low, high - 0.5))
    return np.bincount(of, weights=flipped, minlength=many).astype(np.int64), swing, np.where(split > _EVEN, split, 0.0)


def _kept(source: Source) -> dict[str, tuple[Vocabulary, Codes]]:
    """The user's own columns by instruction."""
    names = [*source.keep]
    table = source.tables["instructions"]
    if table.has("source_id"):
        names.append("source_id")
    found: dict[str, tuple[Vocabulary, Codes]] = {}
    if not names:
        return found
    if source.complete:
        rows = _read(source, "instructions", names)
        for name in names:
            words = Vocabulary()
            found[name] = (words, words.numbers(rows[name].cast(pa.string())))
        return found
    rows = _read(source, "instructions", ["kept", "source_id"])
    kept = [json.loads(text) if text else {} for text in rows["kept"].to_pylist()]
    for name in source.keep:
        words = Vocabulary()
        found[name] = (words, np.array([words.number(one.get(name)) for one in kept], np.int32))
    words = Vocabulary()
    return found | {"source_id": (words, words.numbers(rows["source_id"]))}


def _ratings(source: Source, players: Vocabulary) -> Reals:
    rating = np.full(max(1, len(players.words)), np.nan)
    if "ratings" in source.tables:
        for table in source.tables["ratings"].columns(["player", "rating"]):
            for row in table.to_pylist():
                number = players.find(row["player"])
                if number is not None and row["rating"] is not None:
                    rating[number] = row["rating"]
    return rating


def _take_scores(index: Index) -> None:
    """A's shares as the run has them: a rule on ties may have changed what the votes say."""
    if "battles" not in index.source.tables:
        return
    table = _read(index.source, "battles", ["instruction_id", "model_a", "model_b", "score"])
    width = max(1, len(index.players.words))
    place = _places(table["instruction_id"], index.ids)
    a, b = index.players.numbers(table["model_a"]), index.players.numbers(table["model_b"])
    key = (place * width + a) * width + b
    found = np.searchsorted(index.keys, key)
    known = (found < len(index.keys)) & (place >= 0)
    known[known] = index.keys[found[known]] == key[known]
    index.battles.share[found[known]] = table["score"].to_numpy()[known]
