"""The leaderboard: a row for each player, with its interval drawn on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.report.charts import Axis, Whisker
from tiltyard_jobs.report.formats import count, percent, points, share, visible, within
from tiltyard_jobs.results.documents import PlayerStanding, Standings


class LeaderboardRow(NamedTuple):
    """A player, as text."""

    rank: str
    name: str
    uri: str
    rating: str
    interval: str
    mark: Whisker | None
    controlled: str
    elo: str
    win_rate: str
    matches: str
    gold: str
    gold_share: str
    answered: str
    other: str


class Leaderboard(NamedTuple):
    """All rows and their scale.

    Attributes:
        other: which kind of votes the other rating is by, plain or calibrated; empty: there is none.
        band: the leader's interval, drawn behind all rows: a whisker that touches it may be the leader's equal.
    """

    rows: tuple[LeaderboardRow, ...]
    axis: Axis
    band: Whisker | None
    other: str


def leaderboard(standings: Standings) -> Leaderboard:
    """Rows by rank."""
    players = standings.players
    axis = Axis.over(value for one in players for value in (one.rating, one.low, one.high))
    judged = sum(one.gold for one in players)
    rows = tuple(_row(one, axis, judged) for one in players)
    first = next((row.mark for row in rows if row.mark), None)
    return Leaderboard(rows, axis, first if first and first.low is not None else None, _other(players))


def _other(players: Sequence[PlayerStanding]) -> str:
    """The kind of votes by which there is another rating; empty: there is none."""
    told = [one for one in players if one.rating is not None and one.calibrated is not None]
    if not told:
        return ""
    return "Plain" if all(one.rating == one.calibrated for one in told) else "Calibrated"


def _row(one: PlayerStanding, axis: Axis, judged: int) -> LeaderboardRow:
    return LeaderboardRow(
        rank=count(one.rank),
        name=visible(one.name),
        uri=visible(one.uri, 160),
        rating=points(one.rating),
        interval=within(one.low, one.high),
        mark=Whisker.on(axis, one.rating, one.low, one.high),
        controlled=points(one.length_controlled),
        elo=points(one.elo),
        win_rate=percent(one.win_rate, 1),
        matches=count(one.matches),
        gold=count(one.gold),
        gold_share=share(one.gold, judged),
        answered=percent(one.answered),
        other=points(one.plain if one.rating == one.calibrated else one.calibrated),
    )
