"""Tally: from verdicts to the local score of each battle.

A verdict is one judge's vote on one battle in one order of the answers. Both orders are votes, so a judge that flips
with the order gives a vote to each side, and the local score stays linear in the votes. A void verdict (no reply, an
abstention, an answer that was void) has NaN for its vote: it is counted as asked, never scored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.battles import Battles, ratio, sum_by

QUORUM = 2
"""Judges that must have answered for a battle to have a quorum ..."""
QUORUM_ASKED = 3
"""... where at least so many were asked: with fewer, one may be all there is."""


class Verdicts(NamedTuple):
    """Columns of equal length V, one row for each verdict asked; no battle, judge and order twice."""

    instruction: NDArray[np.int64]
    attacker: NDArray[np.int64]
    defender: NDArray[np.int64]
    judge: NDArray[np.int64]
    """In 0..judges-1; judges are numbered apart from players."""
    attacker_first: NDArray[np.bool_]
    """True for order AB: the attacker's answer was shown first."""
    vote: NDArray[np.float64]
    """Share of the vote that went to the attacker, in [0, 1]; NaN: void."""
    players: int
    judges: int

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Verdicts:
        """The verdicts of these rows: a mask, or indices in any order."""
        return self._replace(**{name: getattr(self, name)[rows] for name in self._fields[:6]})


class Tally(NamedTuple):
    """Columns of length M, one row for each battle, sorted by instruction, attacker, defender."""

    instruction: NDArray[np.int64]
    attacker: NDArray[np.int64]
    defender: NDArray[np.int64]
    votes_attacker: NDArray[np.float64]
    """t_A: sum of the votes' shares for the attacker."""
    votes_defender: NDArray[np.float64]
    """t_B; t_A + t_B is the number of verdicts answered."""
    judges_asked: NDArray[np.int64]
    judges_answered: NDArray[np.int64]
    """Judges that answered in at least one order."""
    score: NDArray[np.float64]
    """x(A>B) = t_A / (t_A + t_B); NaN where no judge answered."""
    lacks_quorum: NDArray[np.bool_]
    """Fewer than two judges answered where three or more were asked."""
    players: int

    def battles(self) -> Battles:
        """The battles that have a score."""
        battles = Battles(self.instruction, self.attacker, self.defender, self.score, self.players)
        return battles.select(~np.isnan(self.score))


class Matches(NamedTuple):
    """Verdicts grouped: which battle and which (battle, judge) pair each verdict belongs to."""

    battle: NDArray[np.int64]
    """(V,): index of the verdict's battle."""
    first: NDArray[np.int64]
    """(M,): a verdict of each battle, in the order of the battles."""
    seat: NDArray[np.int64]
    """(V,): index of the verdict's (battle, judge) pair."""
    seat_battle: NDArray[np.int64]
    """(S,): battle of each pair."""
    seat_judge: NDArray[np.int64]
    """(S,): judge of each pair."""


def group(verdicts: Verdicts) -> Matches:
    """Number the battles (sorted by instruction, attacker, defender) and the (battle, judge) pairs within them.

    Raises:
        ValueError: columns of different lengths, an index out of range, a player against itself, a vote outside
            [0, 1], or a verdict given twice.
    """
    _check(verdicts)
    # Instructions may be any integers; ranks keep the combined key small enough for 64 bits.
    rank = np.unique(verdicts.instruction, return_inverse=True)[1].astype(np.int64)
    key = (rank * verdicts.players + verdicts.attacker) * verdicts.players + verdicts.defender
    _, first, battle = np.unique(key, return_index=True, return_inverse=True)
    seats, seat = np.unique(battle * verdicts.judges + verdicts.judge, return_inverse=True)
    order = np.sort(seat * 2 + verdicts.attacker_first)
    if np.any(order[1:] == order[:-1]):
        raise ValueError("a judge's verdict on one battle in one order is given twice")
    return Matches(battle, first, seat, seats // max(verdicts.judges, 1), seats % max(verdicts.judges, 1))


def tally(verdicts: Verdicts) -> Tally:
    """Count the votes of each battle.

    Raises:
        ValueError: see `group`.
    """
    matches = group(verdicts)
    size = len(matches.first)
    answered = ~np.isnan(verdicts.vote)
    vote = np.where(answered, verdicts.vote, 0.0)
    for_attacker = sum_by(matches.battle, vote, size)
    for_defender = sum_by(matches.battle, answered - vote, size)
    seat_answered = sum_by(matches.seat, answered, len(matches.seat_battle)) > 0
    judges_asked = np.bincount(matches.seat_battle, minlength=size)
    judges_answered = np.bincount(matches.seat_battle[seat_answered], minlength=size)
    return Tally(
        instruction=verdicts.instruction[matches.first],
        attacker=verdicts.attacker[matches.first],
        defender=verdicts.defender[matches.first],
        votes_attacker=for_attacker,
        votes_defender=for_defender,
        judges_asked=judges_asked,
        judges_answered=judges_answered,
        # The minimum keeps a rounded sum of shares from passing 1.
        score=np.minimum(ratio(for_attacker, sum_by(matches.battle, answered, size)), 1.0),
        lacks_quorum=(judges_answered < QUORUM) & (judges_asked >= QUORUM_ASKED),
        players=verdicts.players,
    )


def shorter_wins(verdicts: Verdicts, difference: NDArray[np.float64]) -> Verdicts:
    """The verdicts with each tie as a vote for the shorter answer; it stays a tie where both are as long.

    Args:
        verdicts: as they were given.
        difference: (V,): above 0 where the attacker's answer is the longer one.
    """
    vote = np.where(verdicts.vote == 0.5, (1.0 - np.sign(difference)) / 2, verdicts.vote)
    return verdicts._replace(vote=vote)


def forfeits_lose(counted: Tally, of_attacker: NDArray[np.bool_], of_defender: NDArray[np.bool_]) -> Tally:
    """The tally with a loss, without any vote, for the one side that gave no answer.

    Args:
        counted: as the votes have it.
        of_attacker: (M,): whether the attacker answered.
        of_defender: (M,): whether the defender did.
    """
    forfeit = np.isnan(counted.score) & (of_attacker != of_defender)
    return counted._replace(score=np.where(forfeit, of_attacker.astype(np.float64), counted.score))


def _check(verdicts: Verdicts) -> None:
    columns = verdicts[:6]
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"verdict columns differ in length: {[len(column) for column in columns]}")
    if not len(verdicts.vote):
        return
    for name, column, bound in (
        ("attacker", verdicts.attacker, verdicts.players),
        ("defender", verdicts.defender, verdicts.players),
        ("judge", verdicts.judge, verdicts.judges),
    ):
        if column.min() < 0 or column.max() >= bound:
            raise ValueError(f"a verdict's {name} is out of range: {column.min()}..{column.max()} of {bound}")
    if np.any(verdicts.attacker == verdicts.defender):
        raise ValueError("a verdict sets a player against itself")
    if np.any((verdicts.vote < 0.0) | (verdicts.vote > 1.0)):
        raise ValueError("a vote is outside [0, 1]")
