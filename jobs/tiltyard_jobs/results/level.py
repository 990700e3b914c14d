"""A board whose order says nothing: a sentence, since ratings that differ, or are equal, look like a result."""

from __future__ import annotations

from tiltyard_jobs.results.documents import Standings


def all_equal(standings: Standings) -> bool:
    """Whether at least two players are rated, and all have the same rating."""
    ratings = [one.rating for one in standings.players if one.rating is not None]
    return len(ratings) > 1 and len(set(ratings)) == 1


def level(standings: Standings) -> tuple[str, ...]:
    """The sentence; nothing where the votes separate two players, or where fewer than two are rated."""
    if all_equal(standings):
        return (
            "the votes separate no two players: over judges and orders each battle is a tie, or the battles cancel; the"
            " ratings say nothing about the models",
        )
    rated = [one for one in standings.players if one.rating is not None]
    if len(rated) > 1 and all((one.best_rank, one.worst_rank) == (1, len(rated)) for one in rated):
        return (
            "the votes separate no two players: each may have any rank (95%), so the order on the board may be chance;"
            " more instructions make the intervals narrower",
        )
    return ()
