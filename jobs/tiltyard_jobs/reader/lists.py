"""Which battles are worth reading: the lists, their order, and the filters that narrow them down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tiltyard_jobs.reader.index import Index, Numbers, Reals, disagreements

Mask = NDArray[np.bool_]

_EVEN = 1e-9
_REMEMBERED = 8  # searches


@dataclass(frozen=True)
class Filter:
    """What a battle must be to stay in a list; an empty value asks for nothing.

    Attributes:
        player: it plays.
        judge: it was asked; of flipped orders: it flipped; of split juries: it favours the answer that lost.
        task_type: of the instruction.
        difficulty: of the instruction, a number from 1 to 10.
        column: one of the user's own columns, or `source_id`.
        value: what that column has.
        text: is in the instruction or in one of the two answers, in any case of letters.
    """

    player: str = ""
    judge: str = ""
    task_type: str = ""
    difficulty: str = ""
    column: str = ""
    value: str = ""
    text: str = ""


class BattleList(NamedTuple):
    """A list.

    Attributes:
        title: its name.
        about: one sentence for its page.
        order: from the index to what battles are sorted by, lowest first, and which of them belong to the list.
    """

    title: str
    about: str
    order: Callable[[Index], tuple[Reals, Mask]]


def _all(index: Index) -> tuple[Reals, Mask]:
    many = len(index.battles.a)
    return np.zeros(many), np.ones(many, np.bool_)


def _close(index: Index) -> tuple[Reals, Mask]:
    distance: Reals = np.abs(index.battles.share - 0.5).round(6)
    return distance, ~np.isnan(distance)


def _flips(index: Index) -> tuple[Reals, Mask]:
    firmness: Reals = index.battles.flips + np.minimum(index.battles.swing, 1) / 2
    return -firmness, index.battles.flips > 0


def _split(index: Index) -> tuple[Reals, Mask]:
    apart: Reals = index.battles.split.round(6)
    return -apart, index.battles.split > 0


def _upsets(index: Index) -> tuple[Reals, Mask]:
    battles, rating = index.battles, index.rating
    expected = 1 / (1 + 10 ** ((rating[battles.b] - rating[battles.a]) / 400))
    other_side = (battles.share - 0.5) * (expected - 0.5) < -_EVEN
    surprise: Reals = np.abs(battles.share - expected).round(6)
    return -surprise, other_side


def _voids(index: Index) -> tuple[Reals, Mask]:
    battles = index.battles
    silent = index.void_answer[battles.instruction, battles.a] | index.void_answer[battles.instruction, battles.b]
    voids: Reals = (battles.voids + silent).astype(np.float64)
    return -voids, voids > 0


LISTS: Mapping[str, BattleList] = {
    "close": BattleList("Close calls", "Battles whose votes are nearest to half and half.", _close),
    "flips": BattleList(
        "Flipped orders",
        "Battles in which a judge favoured one answer, and the other one when the answers changed places.",
        _flips,
    ),
    "split": BattleList(
        "Split juries", "Battles in which judges favour different answers, the firmest disagreement first.", _split
    ),
    "upsets": BattleList(
        "Upsets", "Battles won by the player with the lower rating, the least expected first.", _upsets
    ),
    "voids": BattleList("Voids", "Battles with verdicts or answers that could not be made.", _voids),
    "all": BattleList("All battles", "Every battle, by instruction.", _all),
}
"""By name, in the order of the navigation."""

DROPPED = "dropped"
"""The list of instructions that were dropped, which has no battles."""
PROGRAMS = "programs"
"""The list of programs that models wrote for benchmarks, which has no battles."""


def choose(index: Index, name: str, wanted: Filter, stop: threading.Event | None = None) -> Numbers:
    """The numbers of a list's battles, in order.

    Raises:
        KeyError: there is no such list.
    """
    order, mask = LISTS[name].order(index)
    mask = mask & _matching(index, name, wanted, stop)
    numbers = np.flatnonzero(mask)
    chosen: Numbers = numbers[np.argsort(order[numbers], kind="stable")]
    return chosen


def _matching(index: Index, name: str, wanted: Filter, stop: threading.Event | None) -> Mask:
    battles = index.battles
    mask = np.ones(len(battles.a), np.bool_)
    if wanted.player:
        player = index.players.find(wanted.player)
        mask &= ((battles.a == player) | (battles.b == player)) if player is not None else False
    if wanted.judge:
        mask &= _judged(index, name, wanted.judge)
    if wanted.task_type:
        kind = index.types.find(wanted.task_type)
        mask &= index.task_type[battles.instruction] == (-2 if kind is None else kind)
    if wanted.difficulty:
        level = int(wanted.difficulty) if wanted.difficulty.isdecimal() and len(wanted.difficulty) < 4 else -1
        mask &= index.difficulty[battles.instruction] == level
    if wanted.column:
        words, codes = index.kept.get(wanted.column, (None, None))
        value = words.find(wanted.value) if words is not None else None
        mask &= codes[battles.instruction] == value if codes is not None and value is not None else False
    if wanted.text:
        asked, answered = search(index, wanted.text, stop)
        where = battles.instruction
        mask &= asked[where] | answered[where, battles.a] | answered[where, battles.b]
    return mask


def _judged(index: Index, name: str, judge: str) -> Mask:
    """Battles that a judge was asked about; in lists of disagreements those in which it takes part in one."""
    number, many = index.judges.find(judge), len(index.battles.a)
    if number is None:
        return np.zeros(many, np.bool_)
    votes = index.votes
    battle = np.repeat(np.arange(many), np.diff(votes.starts))
    own = votes.judge == number
    asked = np.bincount(battle[own], minlength=many) > 0
    there = own & ~np.isnan(votes.vote)
    if name == "flips":
        flips, _, _ = disagreements(battle, votes, there, many, len(index.judges.words))
        return flips > 0
    if name == "split":
        count = np.bincount(battle[there], minlength=many)
        total = np.bincount(battle[there], weights=votes.vote[there], minlength=many)
        with np.errstate(invalid="ignore", divide="ignore"):
            against: Mask = (total / count - 0.5) * (index.battles.share - 0.5) < -_EVEN
        return against
    return asked


def search(index: Index, text: str, stop: threading.Event | None = None) -> tuple[Mask, Mask]:
    """Where a text is: by instruction, and by instruction and player.

    The last searches are remembered. A search that is told to stop finds nothing and is forgotten.
    """
    key = text.casefold()
    known = index.searched.get(key)
    if known is not None:
        return known
    asked = np.zeros(len(index.ids), np.bool_)
    answered = np.zeros(index.answer_row.shape, np.bool_)
    found_rows = np.zeros(index.source.tables["answers"].rows + 1, np.bool_)  # the last one is that of no answer
    for name, column, found in (("instructions", "instruction", asked), ("answers", "answer", found_rows)):
        for first, table in index.source.tables[name].scan([column]):
            if stop is not None and stop.is_set():
                return asked, answered
            if pa.types.is_string(table[column].type):
                there: Any = pc.match_substring(table[column], text, ignore_case=True)
                found[first : first + table.num_rows] = there.fill_null(False).to_numpy()
    answered = found_rows[index.answer_row]
    while len(index.searched) >= _REMEMBERED:
        index.searched.pop(next(iter(index.searched)), None)
    index.searched[key] = (asked, answered)
    return asked, answered
