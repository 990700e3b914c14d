"""What marked judges do to the leaderboard: sentences for the end of a run and the report's first lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiltyard_jobs.results.documents import JudgeReportCard, Standings, WithoutJudges

MOST_JUDGES = 4
"""Marked judges that get a sentence of their own; all of them together get one in any case."""


def marked_judges(standings: Standings) -> tuple[str, ...]:
    """The sentences, in the order of the judges."""
    cards = {judge.name: judge for judge in standings.judges}
    alone = [one for one in standings.without if len(one.judges) == 1]
    together = [one for one in standings.without if len(one.judges) > 1]
    return (
        *(
            f"judge {one.judges[0]} {' and '.join(_faults(cards[one.judges[0]]))}; without it {_change(standings, one)}"
            for one in alone[:MOST_JUDGES]
        ),
        *(f"without the {len(one.judges)} marked judges {_change(standings, one)}" for one in together),
    )


def _faults(judge: JudgeReportCard) -> Iterator[str]:
    place, length, family = judge.first_position, judge.length, judge.family
    if place is not None and place.marked:
        shown, share = ("first", place.value) if place.value > 0.5 else ("second", 1 - place.value)
        yield f"gives {100 * share:.0f}% of its votes to the answer shown {shown}"
    if judge.scale is not None and judge.scale.marked:
        yield f"follows what the others see only by {judge.scale.value:.2f}"
    if length is not None and length.marked:
        longer, more = "longer" if length.value > 0 else "shorter", 100 * abs(length.value)
        yield f"favours {longer} answers (by {more:.0f} percentage points of its vote at three times the length)"
    if family is not None and family.marked:
        verb = "favours" if family.value > 0 else "disfavours"
        yield f"{verb} its own family (by {100 * abs(family.value):.0f} percentage points of its vote)"


def _change(standings: Standings, without: WithoutJudges) -> str:
    """What becomes of the leader, of the order and of the ratings."""
    before = {one.name: one.rating for one in standings.players if one.rating is not None}
    after = {name: rating for name in before if (rating := without.ratings[name]) is not None}
    if not after:
        return "no vote is left to rate anybody"
    leader, best = next(iter(before)), max(after, key=after.__getitem__)
    if best != leader:
        lead = f"{best} would lead instead of {leader}"
    elif sorted(after, key=after.__getitem__, reverse=True) == [name for name in before if name in after]:
        lead = f"{leader} still leads and no model changes rank"
    else:
        lead = f"{leader} still leads, others change ranks"
    lead += _overlap(standings, without)
    shift = {name: rating - before[name] for name, rating in after.items()}
    most = max(shift, key=lambda name: abs(shift[name]))
    if abs(shift[most]) < 1:
        return f"{lead}, and no rating changes by a point"
    return f"{lead}; the largest change is {most}'s, from {before[most]:.0f} to {after[most]:.0f} points"


def _overlap(standings: Standings, without: WithoutJudges) -> str:
    """What the intervals say of that; nothing where they part two players."""
    if not without.low or not _all_overlap(without.low, without.high):
        return ""
    rated = [one for one in standings.players if one.rating is not None]
    before = _all_overlap({one.name: one.low for one in rated}, {one.name: one.high for one in rated})
    return f" by rating, but the intervals of all overlap {'before and after' if before else 'then'}"


def _all_overlap(low: Mapping[str, float | None], high: Mapping[str, float | None]) -> bool:
    """Whether one rating lies in all intervals, of which an end may be open."""
    lows, highs = ([end for end in ends.values() if end is not None] for ends in (low, high))
    return not lows or not highs or max(lows) <= min(highs)
