"""Which battle a person is asked about next, and how far the person and the jury agree.

A hash of the run and the battle puts each battle into one of two parts of equal size. `sample` is in the order of the
hash: the first labels of it, however many, are a uniform sample of all battles, so rates by it are unbiased. `telling`
has those first of which a label tells most: judges that favour different answers, then judges that changed sides with
the order, then votes nearest to half and half. The parts take turns. Since no battle is in both, the choice of the
telling ones takes nothing from the sample.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import NamedTuple

import numpy as np

from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.labels import Label

SAMPLE, TELLING = "sample", "telling"
_EVEN = 1e-9
_NAME = re.compile(r"[0-9a-f]{16}")


class Agreement(NamedTuple):
    """How often a person and the jury favour the same answer.

    Attributes:
        labels: of this run.
        others: of battles that this run does not have.
        same: the same answer is better.
        compared: neither called it a tie.
    """

    labels: int
    others: int
    same: int
    compared: int


class Proposals:
    """The battles to be labelled: those with two answers and a vote.

    Args:
        index: the run.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        battles = index.battles
        where, a, b = battles.instruction, battles.a, battles.b
        there = ~np.isnan(battles.share)
        for player in (a, b):
            there &= (index.answer_row[where, player] >= 0) & ~index.void_answer[where, player]
        self.numbers = np.flatnonzero(there)
        words, ids = index.players.words, index.ids.to_pylist()
        digests = (
            hashlib.sha256("\0".join((index.source.run, ids[where[n]], words[a[n]], words[b[n]])).encode()).digest()
            for n in self.numbers.tolist()
        )
        draws = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 4).astype(np.uint64)
        self._name, self._left, self._sampled = draws[:, 0], draws[:, 1] % 2 == 0, draws[:, 2] % 2 == 0
        by_hash = np.argsort(draws[:, 3], kind="stable")
        mine = self.numbers
        distance = np.abs(battles.share[mine] - 0.5).round(6)
        telling = np.lexsort((draws[:, 3], distance, -battles.flips[mine], -battles.split[mine].round(6)))
        sample, telling = by_hash[self._sampled[by_hash]], telling[~self._sampled[telling]]
        turns = zip_longest(telling.tolist(), sample.tolist(), fillvalue=-1)
        self._order = [place for place in chain.from_iterable(turns) if place >= 0]
        self._sorted = np.argsort(self._name)
        self._found: dict[tuple[str, str, str], tuple[int, bool] | None] = {}

    def __iter__(self) -> Iterator[int]:
        """Places in the order in which they are proposed."""
        return iter(self._order)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._order)

    def name(self, place: int) -> str:
        """What the page calls the battle, which tells nothing of it."""
        return f"{int(self._name[place]):016x}"

    def find(self, name: str) -> int | None:
        """The place of a battle by its name; None where there is none."""
        if not _NAME.fullmatch(name) or not len(self._name):
            return None
        wanted = np.uint64(int(name, 16))
        at = int(np.searchsorted(self._name, wanted, sorter=self._sorted))
        found = at < len(self._sorted) and self._name[self._sorted[at]] == wanted
        return int(self._sorted[at]) if found else None

    def place_of(self, number: int) -> int | None:
        """The place of a battle by its number in the index; None where it is not proposed."""
        at = int(np.searchsorted(self.numbers, number))
        return at if at < len(self.numbers) and self.numbers[at] == number else None

    def a_is_left(self, place: int) -> bool:
        """Whether A's answer is on the left."""
        return bool(self._left[place])

    def part(self, place: int) -> str:
        """Which part the battle is in."""
        return SAMPLE if self._sampled[place] else TELLING

    def players(self, place: int) -> tuple[str, str, str]:
        """The instruction's id, A and B."""
        battles, number = self.index.battles, int(self.numbers[place])
        words = self.index.players.words
        identity: str = self.index.ids[int(battles.instruction[number])].as_py()
        return identity, words[int(battles.a[number])], words[int(battles.b[number])]

    def number_of(self, label: Label) -> tuple[int, bool] | None:
        """The battle that a label is about, and whether its A is the battle's; None where the run has no such one."""
        key = label[:3]
        if key not in self._found:
            self._found[key] = self._look_for(label)
        return self._found[key]

    def _look_for(self, label: Label) -> tuple[int, bool] | None:
        where = self.index.instruction(label.instruction_id)
        a, b = self.index.players.find(label.model_a), self.index.players.find(label.model_b)
        if where is None or a is None or b is None:
            return None
        for first, second, same in ((a, b, True), (b, a, False)):
            number = self.index.battle(where, first, second)
            if number is not None:
                return number, same
        return None


def agreement(proposals: Proposals, labels: Iterable[Label]) -> Agreement:
    """How far the labels and the jury agree."""
    count = others = same = compared = 0
    for label in labels:
        found = proposals.number_of(label)
        if found is None:
            others += 1
            continue
        count += 1
        number, same_way = found
        share = float(proposals.index.battles.share[number])
        if label.winner == "tie" or not abs(share - 0.5) > _EVEN:
            continue
        compared += 1
        same += ((label.winner == "model_a") == same_way) == (share > 0.5)
    return Agreement(count, others, same, compared)
