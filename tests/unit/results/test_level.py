"""A board that ranks nobody says so."""

from __future__ import annotations

from support.report_samples import sample
from tiltyard_jobs.results.level import level

GIVEN = sample().standings


def test_equal_ratings_are_told_and_different_ones_are_not() -> None:
    same = [one.model_copy(update={"rating": 1000.0}) for one in GIVEN.players]
    assert level(GIVEN) == ()
    assert level(GIVEN.model_copy(update={"players": tuple(same)}))[0].startswith("the votes separate no two players: ")
    assert level(GIVEN.model_copy(update={"players": tuple(same[:1])})) == ()
    unrated = [one.model_copy(update={"rating": None}) for one in GIVEN.players[1:]]
    assert level(GIVEN.model_copy(update={"players": (same[0], *unrated)})) == ()


def test_ranks_that_are_all_possible_for_each_player_are_told() -> None:
    number = len(GIVEN.players)
    any_rank = [one.model_copy(update={"best_rank": 1, "worst_rank": number}) for one in GIVEN.players]
    (sentence,) = level(GIVEN.model_copy(update={"players": tuple(any_rank)}))
    assert sentence.startswith("the votes separate no two players: each may have any rank (95%)")
    some = [*any_rank[:-1], GIVEN.players[-1].model_copy(update={"best_rank": 2, "worst_rank": number})]
    assert level(GIVEN.model_copy(update={"players": tuple(some)})) == ()
    unknown = [one.model_copy(update={"best_rank": None, "worst_rank": None}) for one in GIVEN.players]
    assert level(GIVEN.model_copy(update={"players": tuple(unknown)})) == ()
