"""Ratings by kind of instruction, and the simpler rules beside the gold answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tiltyard_jobs.report.formats import DASH, count, percent, points, visible, within
from tiltyard_jobs.results.documents import PartStanding, Standings
from tiltyard_jobs.results.facets import KEPT

_TITLES = {"attacker": "By attacker", "task_type": "By task type", "difficulty": "By difficulty"}
_RULES = {
    "Gold": "The gold answers",
    "Ratings": "The ratings alone, without a vote on the instruction",
    "Votes": "The votes on the instruction alone",
    "Leader": "The leader's answer, always",
    "Longest": "The longest answer",
    "MostAgreed": "The answer most like the others",
    "Random": "Any answer, by chance",
}


class PartTable(NamedTuple):
    """The ratings by one column: a row for each player, a column for each value."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def breakdowns(standings: Standings) -> tuple[PartTable, ...]:
    """A table for each column by which there are parts; players in the order of the leaderboard."""
    return tuple(_tables(standings))


def _tables(standings: Standings) -> Iterator[PartTable]:
    for by in dict.fromkeys(part.by for part in standings.breakdowns):
        parts = [part for part in standings.breakdowns if part.by == by]
        found = [{one.name: one for one in part.players} for part in parts]
        yield PartTable(
            _TITLES.get(by, f"By your column {visible(by.removeprefix(KEPT))}"),
            tuple(f"{visible(part.value)} ({count(part.instructions)})" for part in parts),
            tuple(
                (visible(player.name), tuple(_cell(players[player.name]) for players in found))
                for player in standings.players
            ),
        )


def _cell(one: PartStanding) -> str:
    if one.rating is None:
        return DASH
    known = one.low is not None or one.high is not None
    return f"{points(one.rating)} ({within(one.low, one.high)})" if known else points(one.rating)


def control_rows(standings: Standings) -> tuple[tuple[str, str, str], ...]:
    """Each rule, the share of gold answers that it picks, and the share of the votes that its picks won."""
    return tuple((_RULES[one.rule], percent(one.same, 1), percent(one.win_rate, 1)) for one in standings.controls)
