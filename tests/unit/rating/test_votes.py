from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tiltyard_jobs.rating.votes import Verdicts, forfeits_lose, group, tally

VerdictRow = tuple[int, int, int, int, str, float]
MakeVerdicts = Callable[[list[VerdictRow]], Verdicts]

NAN = float("nan")


def test_tally_counts_each_order_as_a_vote(make_verdicts: MakeVerdicts) -> None:
    result = tally(
        make_verdicts(
            [
                # Battle (7, 0, 1): judge 2 for the attacker twice, judge 3 flips, judge 4 void once and then a tie.
                (7, 0, 1, 2, "AB", 1.0),
                (7, 0, 1, 2, "BA", 1.0),
                (7, 0, 1, 3, "AB", 1.0),
                (7, 0, 1, 3, "BA", 0.0),
                (7, 0, 1, 4, "AB", NAN),
                (7, 0, 1, 4, "BA", 0.5),
            ]
        )
    )
    assert result.votes_attacker.tolist() == [3.5]
    assert result.votes_defender.tolist() == [1.5]
    assert result.score.tolist() == [0.7]
    assert (result.judges_asked.tolist(), result.judges_answered.tolist()) == ([3], [3])
    assert result.lacks_quorum.tolist() == [False]


def test_battles_come_sorted_and_keep_their_instruction_numbers(make_verdicts: MakeVerdicts) -> None:
    rows: list[VerdictRow] = [(10**15, 1, 0, 2, "AB", 1.0), (-3, 2, 1, 0, "AB", 0.0), (-3, 0, 2, 1, "AB", 0.25)]
    result = tally(make_verdicts(rows))
    assert list(zip(result.instruction, result.attacker, result.defender, result.score, strict=True)) == [
        (-3, 0, 2, 0.25),
        (-3, 2, 1, 0.0),
        (10**15, 1, 0, 1.0),
    ]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([1.0, NAN, NAN], True),  # one of three answered
        ([NAN, NAN, NAN], True),
        ([1.0, 0.0, NAN], False),
        ([1.0, NAN], False),  # three could not answer
    ],
)
def test_quorum(make_verdicts: MakeVerdicts, votes: list[float], expected: bool) -> None:
    result = tally(make_verdicts([(0, 0, 1, judge, "AB", vote) for judge, vote in enumerate(votes)]))
    assert result.lacks_quorum.tolist() == [expected]


def test_battle_nobody_judged_has_no_score_and_is_no_battle(make_verdicts: MakeVerdicts) -> None:
    result = tally(make_verdicts([(0, 0, 1, 2, "AB", NAN), (0, 0, 2, 1, "AB", 1.0)]))
    assert np.isnan(result.score[0])
    battles = result.battles()
    assert (battles.player_b.tolist(), battles.score.tolist(), battles.players) == ([2], [1.0], 5)


def test_no_verdicts(make_verdicts: MakeVerdicts) -> None:
    result = tally(make_verdicts([]))
    assert len(result.score) == len(result.battles().score) == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0, 1, 2, "AB", 1.5)], "a vote is outside"),
        ([(0, 0, 0, 2, "AB", 1.0)], "against itself"),
        ([(0, 0, 5, 2, "AB", 1.0)], "a verdict's defender is out of range"),
        ([(0, -1, 1, 2, "AB", 1.0)], "a verdict's attacker is out of range"),
        ([(0, 5, 1, 2, "AB", 1.0)], "a verdict's attacker is out of range"),
        ([(0, 0, -1, 2, "AB", 1.0)], "a verdict's defender is out of range"),
        ([(0, 0, 1, -1, "AB", 1.0)], "a verdict's judge is out of range"),
        ([(0, 0, 1, 5, "AB", 1.0)], "a verdict's judge is out of range"),
        ([(0, 0, 1, 2, "AB", -0.5)], "a vote is outside"),
        ([(0, 0, 1, 9, "AB", 1.0)], "a verdict's judge is out of range"),
        ([(0, 0, 1, 2, "AB", 1.0), (0, 0, 1, 2, "AB", NAN)], "given twice"),
    ],
)
def test_what_is_no_verdict_is_refused(make_verdicts: MakeVerdicts, rows: list[VerdictRow], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tally(make_verdicts(rows))


def test_columns_of_different_lengths_are_refused(make_verdicts: MakeVerdicts) -> None:
    given_rows = make_verdicts([(0, 0, 1, 2, "AB", 1.0)])
    with pytest.raises(ValueError, match="differ in length"):
        group(given_rows._replace(vote=np.array([1.0, 0.0])))


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.tuples(
            st.integers(-5, 5), st.integers(0, 4), st.integers(1, 4), st.integers(0, 3), st.sampled_from(["AB", "BA"])
        ),
        st.one_of(st.just(NAN), st.floats(0.0, 1.0)),
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_tally_agrees_with_a_plain_loop(
    make_verdicts: MakeVerdicts, asked: dict[tuple[int, int, int, int, str], float], shuffle: object
) -> None:
    rows: list[VerdictRow] = [(i, a, (a + gap) % 5, j, order, vote) for (i, a, gap, j, order), vote in asked.items()]
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    result = tally(make_verdicts(rows))
    expected: dict[tuple[int, int, int], list[float]] = {}
    for i, a, d, _, _, vote in rows:
        expected.setdefault((i, a, d), []).append(vote)
    assert list(zip(result.instruction, result.attacker, result.defender, strict=True)) == sorted(expected)
    for index, key in enumerate(sorted(expected)):
        answered = [vote for vote in expected[key] if vote == vote]
        assert_allclose(result.votes_attacker[index], sum(answered), atol=1e-12)
        assert_allclose(result.votes_defender[index], len(answered) - sum(answered), atol=1e-12)
        assert_allclose(result.score[index], sum(answered) / len(answered) if answered else NAN, atol=1e-12)
    assert_array_equal((result.score >= 0.0) & (result.score <= 1.0), ~np.isnan(result.score))


def test_a_missing_answer_loses_without_a_vote(make_verdicts: MakeVerdicts) -> None:
    counted = tally(make_verdicts([(0, 0, 1, 2, "AB", NAN), (1, 0, 1, 2, "AB", NAN), (2, 0, 1, 2, "AB", 0.25)]))
    lost = forfeits_lose(counted, np.array([True, False, False]), np.array([False, False, True]))
    assert_array_equal(lost.score, [1.0, NAN, 0.25])  # nobody answered the second
    assert lost.votes_attacker.tolist() == [0.0, 0.0, 0.25]
