"""The tournament in a paragraph: who leads, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tiltyard_jobs.report.formats import count, decimal, percent, points, visible, within
from tiltyard_jobs.results.documents import PlayerStanding, Standings
from tiltyard_jobs.results.level import all_equal
from tiltyard_jobs.results.zero_verdict import zero_verdict

_NAMED = 4  # names in one list; the rest are counted


class Headline(NamedTuple):
    """Sentences in reading order: who leads, and how much stands behind that."""

    lead: tuple[str, ...]
    scale: tuple[str, ...]


def headline(standings: Standings) -> Headline:
    """The paragraph."""
    decided = (f"{sentence[0].upper()}{sentence[1:]}." for sentence in zero_verdict(standings))
    return Headline((*_lead(standings), *decided), (_scale(standings), *_caveats(standings)))


def contenders(standings: Standings) -> list[PlayerStanding]:
    """Players that may be first too: the votes do not tell them from the best. The leader is not among them."""
    rated = _rated(standings)
    return [one for one in rated[1:] if _comparable(rated[0], one) and one.best_rank == 1]


def _rated(standings: Standings) -> list[PlayerStanding]:
    return [one for one in standings.players if one.rating is not None]


def _comparable(one: PlayerStanding, other: PlayerStanding) -> bool:
    return (one.component, one.group) == (other.component, other.group)


def _lead(standings: Standings) -> Iterator[str]:
    rated = _rated(standings)
    if not rated:
        yield "No battle was decided, so there is no ranking."
        return
    if all_equal(standings):
        yield "The votes separate no two players: all have the same rating, which says nothing about the models."
        return
    leader, *others = rated
    name = visible(leader.name)
    known = leader.low is not None or leader.high is not None
    interval = f" (95% interval {within(leader.low, leader.high)})" if known else ""
    first = [one for one in rated if one.rank == leader.rank]
    if len(first) > 1:
        yield f"{_names(first)} share the first place with {points(leader.rating)} points."
        return
    yield f"{name} leads with {points(leader.rating)} points{interval}."
    if others:
        yield from _gap(leader, others[0])
        yield from _certainty(leader, standings, known)
    controlled = [one for one in rated if one.length_controlled is not None]
    fairest = max(controlled, key=lambda one: (one.length_controlled or 0.0, -one.rank), default=leader)
    if fairest is not leader and leader.length_controlled is not None:
        yield f"At equal answer lengths {visible(fairest.name)} would lead instead."


def _gap(leader: PlayerStanding, second: PlayerStanding) -> Iterator[str]:
    assert leader.rating is not None
    assert second.rating is not None
    if leader.component != second.component:
        yield f"No chain of battles connects it with {visible(second.name)}, so the two cannot be compared."
        return
    if leader.group != second.group:
        yield (
            f"It is far above {visible(second.name)}: hardly a vote went the other way, so the size of the gap is "
            f"unknown{_at_least(leader)}."
        )
        return
    gap = leader.rating - second.rating
    wins = 1 / (1 + 10 ** (-gap / 400))
    yield (
        f"{visible(second.name)} follows {points(gap)} points behind{_between(leader)}; at that gap the leader's "
        f"answer is the better one in about {count(100 * wins)} of 100 battles between them."
    )


def _between(leader: PlayerStanding) -> str:
    if leader.gap_low is None and leader.gap_high is None:
        return ""
    return f" (95% interval {within(leader.gap_low, leader.gap_high)})"


def _at_least(leader: PlayerStanding) -> str:
    return "" if leader.gap_low is None or leader.gap_low <= 0 else f", but at least {points(leader.gap_low)} points"


def _certainty(leader: PlayerStanding, standings: Standings, has_interval: bool) -> Iterator[str]:
    if not has_interval:
        yield "There are no intervals, so it is unknown how certain this is."
        return
    rivals = contenders(standings)
    if rivals:
        yield (
            f"That lead is not certain: {_names(rivals)} may be first too, as other instructions could change the "
            "order."
        )
    else:
        yield "The votes tell it from all others, so its place is very unlikely to be chance."


def _names(players: Sequence[PlayerStanding]) -> str:
    names = [visible(one.name) for one in players[:_NAMED]]
    if len(players) > _NAMED:
        names.append(f"{len(players) - _NAMED} others")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _scale(standings: Standings) -> str:
    return (
        f"{count(len(standings.players))} players met in {count(standings.matches)} battles over "
        f"{count(standings.instructions)} instructions; {count(len(standings.judges))} judges gave "
        f"{count(standings.verdicts)} verdicts."
    )


def _caveats(standings: Standings) -> Iterator[str]:
    if standings.undecided:
        yield f"{_several(standings.undecided, 'battle has', 'battles have')} no vote, and so no score."
    if standings.without_quorum:
        yield f"{_several(standings.without_quorum, 'battle was', 'battles were')} decided by fewer than two judges."
    if standings.unjudged:
        yield f"{_several(standings.unjudged, 'instruction has', 'instructions have')} no gold answer."
    if len({one.component for one in _rated(standings)}) > 1:
        yield "The players form sets that never met: compare ratings only within a set."


def _several(number: int, one: str, many: str) -> str:
    return f"{count(number)} {one if number == 1 else many}"


def best_alone(standings: Standings) -> str | None:
    """What always taking the leader's answer would have got right; None where nothing was judged."""
    rated = _rated(standings)
    if standings.best_alone is None or not rated:
        return None
    return (
        f"Always taking {visible(rated[0].name)}'s answer, without asking any judge, would have picked the gold answer "
        f"for {percent(standings.best_alone, 1)} of the instructions. The verdicts add the rest: "
        f"{percent(1 - standings.best_alone, 1)} of the gold answers are another player's."
    )


def home_note(standings: Standings) -> str | None:
    """What it is worth to answer one's own instruction; None where the votes cannot tell."""
    worth, low, high = standings.home_points, standings.home_low, standings.home_high
    if worth is None or low is None or high is None:
        return None
    return (
        f"Answering its own instruction is worth {decimal(worth, 0, plus=True)} points to a player (95% interval "
        f"{points(low)} to {points(high)})."
    )


def length_note(standings: Standings) -> str | None:
    """What length is worth; None where it was not estimated."""
    worth, low, high = standings.length_points, standings.length_low, standings.length_high
    if worth is None:
        return None
    interval = "" if low is None or high is None else f" (95% interval {points(low / 2)} to {points(high / 2)})"
    # At three times the length the normalised difference (3 - 1) / (3 + 1) is one half.
    return (
        f"An answer three times as long as its opponent's gets {decimal(worth / 2, 0, plus=True)} points for its "
        f"length alone{interval}; the length-controlled rating excludes this."
    )
