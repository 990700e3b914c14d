from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tiltyard_jobs.contracts.vocabulary import GoldRule
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.elo import expected_scores
from tiltyard_jobs.rating.gold import gold_answers


def battles(rows: list[tuple[int, int, int, float]], players: int = 3) -> Battles:
    instruction, a, b = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(3))
    return Battles(instruction, a, b, np.array([row[3] for row in rows]), players)


R = np.array([1400.0, 1000.0, 1000.0])  # X(0>1) = X(0>2) = 10/11


@pytest.mark.parametrize("rule", ["Pairwise", "Mean", "Sum"])
def test_worked_example_by_hand(rule: GoldRule) -> None:
    """Player 0 asks. x(0>1) = 1/4, x(0>2) = 1."""
    gold = gold_answers(battles([(0, 0, 1, 0.25), (0, 0, 2, 1.0)]), R, instructions=1, rule=rule)
    against_one = 0.7 * 10 / 11 + 0.3 * 0.25  # 0.7114
    against_two = 0.7 * 10 / 11 + 0.3 * 1.0  # 0.9364
    attacker = {"Pairwise": 0.5, "Mean": (against_one + against_two) / 2, "Sum": against_one + against_two}[rule]
    first_defender = 0.7 / 11 + 0.3 * 0.75  # 0.2886
    second_defender = 0.7 / 11
    assert_allclose(gold.scores, [[attacker, first_defender, second_defender]], rtol=1e-14)
    assert gold.player.tolist() == [0]
    assert_allclose(gold.margin, [attacker - first_defender], rtol=1e-12)


@pytest.mark.parametrize(("rule", "best"), [("Pairwise", 0), ("Mean", 1), ("Sum", 1)])
def test_what_the_attacker_won_elsewhere_does_not_help_it(rule: GoldRule, best: int) -> None:
    """The middle player asks, and loses 3 to 7 to a stronger one, but wins everything against a weak one.

    With X(1>0) = 0.4286 and X(1>2) = 0.8823: 0.39 against the one, 0.9176 against the other, 0.6538 in the mean; the
    stronger one's answer has 0.61.
    """
    ratings = np.array([1150.0, 1100.0, 750.0])
    gold = gold_answers(battles([(0, 1, 0, 0.3), (0, 1, 2, 1.0)]), ratings, instructions=1, rule=rule)
    assert gold.player.tolist() == [best]
    assert_allclose(gold.scores[0, 0], 0.61, atol=1e-4)
    assert_allclose(gold.scores[0, 1], {"Pairwise": 0.5, "Mean": 0.6538, "Sum": 1.3076}[rule], atol=1e-4)


def test_the_largest_score_above_one_half_wins() -> None:
    rows = battles([(0, 0, 1, 0.2), (0, 0, 2, 0.1), (1, 0, 1, 0.5), (1, 0, 2, 0.5), (2, 0, 1, 0.6), (2, 0, 2, 0.9)])
    gold = gold_answers(rows, np.full(3, 1000.0), instructions=3, alpha=0.0)
    assert gold.player.tolist() == [2, 0, 0]
    assert_allclose(gold.margin, [0.1, 0.0, 0.1], atol=1e-12)


def test_the_attackers_advantage_counts_against_the_defenders_votes() -> None:
    """At odds of ten to one for whoever answers its own instruction, a split vote is the defender's achievement."""
    rows = battles([(0, 0, 1, 0.5)])
    even = np.full(3, 1000.0)
    assert gold_answers(rows, even, instructions=1).player.tolist() == [0]
    gold = gold_answers(rows, even, instructions=1, home=-400.0)
    assert gold.player.tolist() == [1]
    assert_allclose(gold.scores[0, :2], [0.5, 0.7 * 10 / 11 + 0.3 * 0.5])


def test_two_attackers_on_an_instruction_are_refused() -> None:
    with pytest.raises(ValueError, match="several attackers"):
        gold_answers(battles([(0, 0, 1, 1.0), (0, 1, 2, 1.0)]), np.full(3, 1000.0), instructions=1)


def test_alpha_weighs_global_against_local() -> None:
    rows = battles([(0, 0, 1, 0.25)])
    ratings = np.array([1400.0, 1000.0, 1000.0])
    assert gold_answers(rows, ratings, instructions=1, alpha=0.0).player.tolist() == [1]
    assert gold_answers(rows, ratings, instructions=1, alpha=1.0).player.tolist() == [0]


def test_ties_go_to_the_higher_rating_then_to_the_lower_index() -> None:
    rows = battles([(0, 2, 1, 0.5), (1, 1, 2, 0.5)])
    local = {"alpha": 0.0, "instructions": 2, "rule": "Mean"}
    by_rating = gold_answers(rows, np.array([900.0, 1000.0, 1100.0]), **local)  # type: ignore[arg-type]
    assert (by_rating.player.tolist(), by_rating.margin.tolist()) == ([2, 2], [0.0, 0.0])
    by_index = gold_answers(rows, np.full(3, 1000.0), **local)  # type: ignore[arg-type]
    assert (by_index.player.tolist(), by_index.margin.tolist()) == ([1, 1], [0.0, 0.0])


def test_a_pairwise_tie_goes_to_the_attacker() -> None:
    rows = battles([(0, 2, 1, 0.5), (1, 1, 2, 0.5)])
    gold = gold_answers(rows, np.array([900.0, 1000.0, 1100.0]), alpha=0.0, instructions=2)
    assert (gold.player.tolist(), gold.margin.tolist()) == ([2, 1], [0.0, 0.0])


def test_rounding_decides_no_tie() -> None:
    assert 3 * 0.3 < 0.9  # by the last bit
    rows = battles([(0, 0, 2, 3 * 0.3), (0, 1, 2, 0.9)])
    gold = gold_answers(rows, np.array([1001.0, 1000.0, 0.0]), instructions=1, alpha=0.0, rule="Mean")
    assert (gold.player.tolist(), gold.margin.tolist()) == ([0], [0.0])
    gold = gold_answers(rows, np.array([1000.0, 1001.0, 0.0]), instructions=1, alpha=0.0, rule="Mean")
    assert (gold.player.tolist(), gold.margin.tolist()) == ([1], [0.0])


def test_instruction_without_a_judged_match_has_no_gold() -> None:
    gold = gold_answers(battles([(1, 0, 1, 1.0)]), np.full(3, 1000.0), instructions=3)
    assert gold.player.tolist() == [-1, 0, -1]
    assert np.isnan(gold.margin).tolist() == [True, False, True]
    assert np.isnan(gold.scores[0]).all()


def test_void_answers_are_out_with_their_battles() -> None:
    rows = battles([(0, 0, 1, 1.0), (0, 0, 2, 0.25), (1, 0, 1, 0.0)])
    answered = np.array([[True, False, True], [True, False, True]])
    gold = gold_answers(rows, np.full(3, 1000.0), instructions=2, alpha=0.0, answered=answered)
    assert gold.player.tolist() == [2, -1]
    assert_allclose(gold.scores[0], [0.5, np.nan, 0.75])


def test_no_instructions() -> None:
    assert len(gold_answers(battles([]), np.full(3, 1000.0), instructions=0).player) == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 7), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_agrees_with_a_plain_loop(
    make_battles: Callable[..., Battles], players: int, instructions: int, seed: int, alpha: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = make_battles(players, instructions, seed=seed)
    rows = rows.select(rng.random(len(rows.score)) < 0.7)
    ratings = rng.normal(1000.0, 200.0, players)
    expected = expected_scores(ratings)
    gold = gold_answers(rows, ratings, instructions=instructions, alpha=alpha, rule="Mean")
    for instruction in range(instructions):
        finals: dict[int, list[float]] = {}
        for i, a, b, x in zip(*rows[:4], strict=True):
            if i == instruction:
                finals.setdefault(a, []).append(alpha * expected[a, b] + (1 - alpha) * x)
                finals.setdefault(b, []).append(alpha * expected[b, a] + (1 - alpha) * (1 - x))
        means = {player: sum(scores) / len(scores) for player, scores in finals.items()}
        ranked = sorted(means, key=lambda player: (-round(means[player], 9), -ratings[player], player))
        assert gold.player[instruction] == (ranked[0] if ranked else -1)
        for player in range(players):
            assert_allclose(gold.scores[instruction, player], means.get(player, np.nan), rtol=1e-12, atol=1e-12)
        if ranked:
            assert_allclose(gold.margin[instruction], means[ranked[0]] - means[ranked[1]], atol=2e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_scores_are_linear_in_the_local_scores(
    make_battles: Callable[..., Battles], players: int, seed: int, share: float
) -> None:
    one = make_battles(players, 6, seed=seed)
    other = one._replace(score=np.random.default_rng(seed).random(len(one.score)))
    mixed = one._replace(score=share * one.score + (1 - share) * other.score)
    ratings = np.random.default_rng(seed).normal(1000.0, 100.0, players)
    scores = [gold_answers(each, ratings, instructions=6).scores for each in (one, other, mixed)]
    assert_allclose(scores[2], share * scores[0] + (1 - share) * scores[1], atol=1e-12)


def test_all_pairs_have_the_order_of_the_papers_sums() -> None:
    rng = np.random.default_rng(0)
    a, b = np.triu_indices(5, 1)
    x = rng.random(10)
    ratings = rng.normal(1000.0, 100.0, 5)
    gold = gold_answers(Battles(np.zeros(10, np.int64), a, b, x, 5), ratings, instructions=1, rule="Mean")
    local = np.zeros((5, 5))
    local[a, b], local[b, a] = x, 1 - x
    off = ~np.eye(5, dtype=bool)
    sums = np.where(off, 0.7 * expected_scores(ratings) + 0.3 * local, 0.0).sum(axis=1)
    assert_array_equal(np.argsort(gold.scores[0]), np.argsort(sums))
    assert_allclose(gold.scores[0] * 4, sums, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.1}, "alpha is 1.1"),
        ({"instructions": 1}, "outside 0..0"),
        ({"ratings": np.full(2, 1000.0)}, "3 players"),
        ({"ratings": np.array([1.0, np.nan, 1.0])}, "has no rating"),
        ({"answered": np.ones((1, 3), dtype=bool)}, "answered has shape"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"ratings": np.full(3, 1000.0), "instructions": 2, **change}
    with pytest.raises(ValueError, match=message):
        gold_answers(battles([(1, 0, 1, 1.0)]), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("instruction", [-1, 2])
def test_an_instruction_out_of_range_is_refused(instruction: int) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        gold_answers(battles([(0, 0, 1, 1.0), (instruction, 0, 1, 1.0)]), np.full(3, 1000.0), instructions=2)
    kept = gold_answers(battles([(0, 0, 1, 1.0), (1, 0, 1, 1.0)]), np.full(3, 1000.0), instructions=2)
    assert kept.player.tolist() == [0, 0]


@pytest.mark.parametrize("row", [(0, 1, 1, 1.0), (0, 0, 1, 1.5), (0, 0, 3, 1.0)])
def test_what_is_no_battle_is_refused(row: tuple[int, int, int, float]) -> None:
    with pytest.raises(ValueError, match="a battle"):
        gold_answers(battles([row]), np.full(3, 1000.0), instructions=1)


@pytest.mark.parametrize("alpha", [-0.01, 1.01])
def test_a_weight_outside_of_zero_to_one_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        gold_answers(battles([(0, 0, 1, 1.0)]), np.full(3, 1000.0), instructions=1, alpha=alpha)


def test_two_players_are_enough_and_one_is_not() -> None:
    gold = gold_answers(battles([(0, 0, 1, 1.0)], players=2), np.full(2, 1000.0), instructions=1)
    assert (gold.player.tolist(), gold.margin.tolist()) == ([0], [pytest.approx(0.15)])
    with pytest.raises(ValueError, match="1 players"):
        gold_answers(battles([], players=1), np.full(1, 1000.0), instructions=0)


def test_a_player_without_a_rating_may_sit_out() -> None:
    ratings = np.array([np.nan, 1000.0, 1000.0])
    assert gold_answers(battles([(0, 1, 2, 1.0)]), ratings, instructions=1).player.tolist() == [1]
    for row in ((0, 0, 1, 1.0), (0, 1, 0, 1.0)):
        with pytest.raises(ValueError, match="has no rating"):
            gold_answers(battles([row]), ratings, instructions=1)
