from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.rating.votes import Verdicts, tally
from tiltyard_jobs.results.rated import answer_votes, ranking, require_instructions
from tiltyard_jobs.results.standings import leaderboard_of

Vote = tuple[int, int, int, int, bool, float]


def verdicts(rows: list[Vote], players: int = 4) -> Verdicts:
    instruction, a, b, judge, first, vote = map(np.array, zip(*rows, strict=True))
    return Verdicts(instruction, a, b, judge, first.astype(np.bool_), vote.astype(np.float64), players, 5)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 4), st.booleans()),
        st.one_of(st.just(float("nan")), st.floats(0, 1)),
        min_size=1,
        max_size=50,
    )
)
def test_votes_of_answers_agree_with_a_plain_loop(asked: dict[tuple[int, int, int, int, bool], float]) -> None:
    rows: list[Vote] = [(i, a, (a + gap) % 4, j, first, vote) for (i, a, gap, j, first), vote in asked.items()]
    counted = tally(verdicts(rows))
    found = answer_votes(counted, 5)
    votes, cast = np.zeros((5, 4)), np.zeros((5, 4))
    for i, a, b, _, _, vote in rows:
        if vote == vote:
            votes[i, a] += vote
            votes[i, b] += 1 - vote
            cast[i, [a, b]] += 1
    assert_allclose(found.votes, votes, atol=1e-9)
    assert (found.verdicts == cast).all()
    assert_allclose(found.votes.sum(axis=1), cast.sum(axis=1) / 2, atol=1e-9)
    met = {(i, frozenset((a, b)), a) for i, a, b, _, _, vote in rows if vote == vote}
    assert found.opponents.sum() == 2 * len(met)
    assert (found.quorum[4]).all()  # an instruction without a match


def rated(ratings: list[float], elo: list[float]) -> Any:
    return SimpleNamespace(ratings=np.array(ratings)), SimpleNamespace(ratings=np.array(elo))


def test_ranks_by_what_is_written_down_then_elo_then_order() -> None:
    nan = float("nan")
    assert ranking(*rated([1000.0, 1200.0, nan, 1100.0], [1000.0] * 4)) == [1, 3, 0, 2]
    # Equal but for the last bits: Elo decides, and where that is equal too, the manifest's order.
    close = [1000.0, np.nextafter(1000.0, 2000.0), 1000.0]
    assert ranking(*rated(close, [1000.0, 1000.0, 1001.0])) == [2, 0, 1]


def test_who_has_no_rating_is_on_the_leaderboard_too() -> None:
    nothing = dict.fromkeys(("low", "high", "best_rank", "worst_rank", "gap", "gap_low", "gap_high", "win_rate"))
    players = [
        SimpleNamespace(name="a", rating=1010.0, answered=1.0, **nothing),
        SimpleNamespace(name="b", rating=None, answered=0.0, **nothing),
    ]
    standings: Any = SimpleNamespace(players=players)
    assert [(one.name, one.rating, one.answered) for one in leaderboard_of(standings)] == [
        ("a", 1010.0, 1.0),
        ("b", None, 0.0),
    ]


def test_something_must_be_left() -> None:
    require_instructions({"kept": 1, "Difficulty": 9})
    with pytest.raises(PermanentError, match=r"\(dropped: Difficulty 3, Diversity 1\): mine more \(spec\.instructions"):
        require_instructions({"Diversity": 1, "kept": 0, "Difficulty": 3})
