"""A board on which all players are level: a sentence, since equal ratings look like a result."""

from __future__ import annotations

from tiltyard_jobs.results.documents import Standings


def level(standings: Standings) -> tuple[str, ...]:
    """The sentence; nothing where the votes separate two players, or where fewer than two are rated."""
    ratings = [one.rating for one in standings.players if one.rating is not None]
    if len(ratings) < 2 or len(set(ratings)) > 1:
        return ()
    return (
        "the votes separate no two players: over judges and orders each battle is a tie, or the battles cancel; the"
        " ratings say nothing about the models",
    )
