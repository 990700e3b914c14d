"""Heat maps: who won against whom, and whom each judge voted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.report.formats import DASH, compact, count, percent, share, visible
from tiltyard_jobs.results.documents import JudgeReportCard, Standings

_NAMED_COLUMNS = 8  # with more, or longer names, columns are headed by rank
_NAME_LENGTH = 14
_STRONGEST = 0.55  # opacity of a colour under text: keeps the contrast above 4.5 to 1 in both colour schemes
_FULL_LEAN = 0.6  # a rate of 0.8 or 0.2 has the strongest colour


class Cell(NamedTuple):
    """One cell.

    Attributes:
        kind: the colour's name (`up`, `down`), or empty.
        strength: its opacity.
        title: more about it.
    """

    text: str
    note: str
    kind: str
    strength: float
    title: str = ""


class Head(NamedTuple):
    """A column's heading, and the name that it stands for."""

    text: str
    name: str


class MatrixRow(NamedTuple):
    """A row with its heading."""

    rank: str
    name: str
    cells: tuple[Cell, ...]


class Matrix(NamedTuple):
    """A heat map."""

    heads: tuple[Head, ...]
    rows: tuple[MatrixRow, ...]


class _Colour(NamedTuple):
    kind: str
    strength: float


def _colour(lean: float) -> _Colour:
    """The colour of something between -1 and 1; what is beyond has the strongest."""
    strength = round(_STRONGEST * min(abs(lean), 1.0), 2)
    return _Colour("up" if lean > 0 else "down", strength) if strength else _Colour("", 0.0)


_SELF = Cell("", "", "self", 0.0)


def win_matrix(standings: Standings) -> Matrix:
    """Mean score of the row's player against the column's."""
    rows = []
    for place, player in enumerate(standings.players):
        cells = [_SELF if place == other else _win(standings, place, other) for other in range(len(standings.players))]
        rows.append(MatrixRow(count(player.rank), visible(player.name), tuple(cells)))
    return Matrix(heads(standings), tuple(rows))


def _win(standings: Standings, place: int, other: int) -> Cell:
    rate = standings.win_rates[place][other]
    if rate is None:
        return Cell(DASH, "0", "", 0.0, "never met")
    colour = _colour((rate - 0.5) * 2 / _FULL_LEAN)
    return Cell(
        text=percent(rate),
        note=compact(standings.win_counts[place][other]),
        kind=colour.kind,
        strength=colour.strength,
        title=f"Elo expects {percent(standings.expected[place][other])}",
    )


def vote_matrix(standings: Standings) -> Matrix:
    """Votes of the row's judge for the column's player, with their share of all that it gave."""
    return Matrix(heads(standings), tuple(_votes(judge, standings) for judge in standings.judges))


def _votes(judge: JudgeReportCard, standings: Standings) -> MatrixRow:
    """A judge's row; colours tell how far a player is from an even part of its votes."""
    judged = [one.name for one in standings.players if one.model_id != judge.model_id]
    total = sum(judge.votes_for.get(name, 0.0) for name in judged)
    even = total / max(len(judged), 1)
    cells = []
    for player in standings.players:
        votes = judge.votes_for.get(player.name, 0.0)
        colour = _colour(votes / even - 1 if even else 0.0)
        cells.append(
            _SELF
            if player.model_id == judge.model_id
            else Cell(compact(votes), share(votes, total), colour.kind, colour.strength)
        )
    return MatrixRow("", visible(judge.name), tuple(cells))


def heads(standings: Standings) -> tuple[Head, ...]:
    """The players as headings of columns: their names where they are few and short, else their ranks."""
    names: Sequence[str] = [visible(one.name) for one in standings.players]
    short = len(names) <= _NAMED_COLUMNS and all(len(name) <= _NAME_LENGTH for name in names)
    return tuple(
        Head(name if short else count(one.rank), name) for name, one in zip(names, standings.players, strict=True)
    )
