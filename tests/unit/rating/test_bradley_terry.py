from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import Battles, pair_wins
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT

FloatArray = NDArray[np.float64]


def table(wins: list[list[int]] | FloatArray) -> Battles:
    """Battles whose pair wins are this table: one win of the row's player for each unit, fractions as scores."""
    rows: list[tuple[int, int, float]] = []
    for (a, b), won in np.ndenumerate(np.asarray(wins, dtype=np.float64)):
        assert won == int(won), "whole wins only"
        rows += [(a, b, 1.0)] * int(won)
    a, b, score = np.array(rows).T if rows else np.zeros((3, 0))
    return Battles(np.arange(len(rows)), a.astype(np.int64), b.astype(np.int64), score, len(wins))


def whole_wins(low: int, high: int) -> st.SearchStrategy[FloatArray]:
    """Tables of 2 to 6 players with whole numbers of wins between `low` and `high`."""

    def square(players: int) -> st.SearchStrategy[FloatArray]:
        counts = arrays(np.int64, (players, players), elements=st.integers(low, high))
        return counts.map(lambda wins: (wins * (1 - np.eye(players))).astype(np.float64))

    return st.integers(2, 6).flatmap(square)


def test_two_players_by_hand() -> None:
    # Three wins to one: odds 3, so 400 log10(3) = 190.85 points apart.
    result = bradley_terry(table([[0, 3], [1, 0]]))
    assert_allclose(result.ratings, [1000 + 200 * math.log10(3), 1000 - 200 * math.log10(3)], rtol=1e-12)
    assert result.group.tolist() == [0, 0]


def test_a_tie_is_half_a_win_to_each() -> None:
    tied = Battles(np.arange(3), np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([1.0, 0.5, 0.0]), 2)
    # 2.5 wins to 0.5: odds 5.
    assert_allclose(np.diff(bradley_terry(tied).ratings), [-400 * math.log10(5)], rtol=1e-12)


@settings(deadline=None, max_examples=100)
@given(whole_wins(0, 50))
def test_gradient_is_zero_at_the_solution(wins: FloatArray) -> None:
    graph = bt.connectivity(wins[None])
    strength = bt.fit(wins[None], graph)[0]
    games = wins + wins.T
    expected = games * expit(strength[:, None] - strength[None, :])
    gradient = (wins - expected).sum(axis=1) - graph.prior_precision()[0] * strength
    assert_allclose(gradient, 0.0, atol=1e-9 * max(games.sum(), 1.0))


@settings(deadline=None, max_examples=50)
@given(whole_wins(1, 50), st.randoms(use_true_random=False))
def test_renamed_players_keep_their_ratings(wins: FloatArray, shuffle: object) -> None:
    order = list(range(len(wins)))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    renamed = bradley_terry(table(wins[np.ix_(order, order)]))
    assert_allclose(renamed.ratings, bradley_terry(table(wins)).ratings[order], atol=1e-8)


@settings(deadline=None, max_examples=50)
@given(whole_wins(1, 50), st.integers(2, 1000))
def test_duplicated_data_give_the_same_ratings(wins: FloatArray, times: int) -> None:
    once, often = (bt.fit(each[None], bt.connectivity(each[None])) for each in (wins, wins * times))
    assert_allclose(often - often.mean(), once - once.mean(), atol=1e-10)


@settings(deadline=None, max_examples=100)
@given(whole_wins(0, 5), st.data())
def test_a_further_win_never_lowers_the_winner(wins: FloatArray, data: st.DataObject) -> None:
    winner, loser = data.draw(st.permutations(range(len(wins))))[:2]
    before = bradley_terry(table(wins))
    if len(set(before.component)) > 1:
        return  # a win that joins components changes what is compared
    wins[winner, loser] += 1
    after = bradley_terry(table(wins))
    assert after.ratings[winner] > before.ratings[winner]
    assert after.ratings[loser] < before.ratings[loser]


def test_undefeated_player_is_above_all_and_marked() -> None:
    wins = [[0, 100, 100], [0, 0, 60], [0, 40, 0]]
    result = bradley_terry(table(wins))
    assert result.ratings.argmax() == 0
    assert np.isfinite(result.ratings).all()
    assert result.group.tolist() == [0, 1, 1]
    assert_allclose(result.ratings[1] - result.ratings[2], 400 * math.log10(6 / 4), rtol=0.02)  # theirs alone


def test_more_battles_won_without_a_loss_rate_higher() -> None:
    gaps = [np.ptp(bradley_terry(table([[0, n], [0, 0]])).ratings) for n in (1, 10, 100)]
    # Where the prior's pull s / 100 on either side equals what the wins still lack, n / (1 + exp(2 s)).
    for n, gap in zip((1, 10, 100), gaps, strict=True):
        strength = gap / 2 / POINTS_PER_NAT
        assert_allclose(strength / 100, n / (1 + math.exp(2 * strength)), rtol=1e-8)
    assert gaps[0] < gaps[1] < gaps[2]


def test_components_are_centred_by_themselves() -> None:
    wins = np.zeros((5, 5))
    wins[0, 1], wins[1, 0], wins[2, 4], wins[4, 2] = 3, 1, 1, 1
    result = bradley_terry(table(wins))
    assert result.component.tolist() == [0, 0, 2, 3, 2]
    assert_allclose(result.ratings[[0, 1]].mean(), CENTRE)
    assert_allclose(result.ratings[[2, 4]], [CENTRE, CENTRE])
    assert np.isnan(result.ratings[3])
    assert result.group.tolist() == [0, 0, 2, 3, 2]


def test_no_battles() -> None:
    assert np.isnan(bradley_terry(table(np.zeros((3, 3)))).ratings).all()


@pytest.mark.parametrize("wins", [[[0, 1e9], [1.0, 0]], [[0, 1.0], [1e-15, 0]], [[0, 1e-6], [1e-6, 0]]])
def test_extreme_tables_converge(wins: list[list[float]]) -> None:
    each = np.array([wins])
    strength = bt.fit(each, bt.connectivity(each))
    assert np.isfinite(strength).all()


def test_long_chain_of_upsets_converges() -> None:
    # Each beats the next a thousand to one: twenty players over 138 nats.
    wins = np.zeros((1, 20, 20))
    step = np.arange(19)
    wins[0, step, step + 1], wins[0, step + 1, step] = 1000.0, 1.0
    strength = bt.fit(wins, bt.connectivity(wins))
    assert_allclose(-np.diff(strength[0]), math.log(1000), rtol=1e-9)


def test_many_tables_at_once_are_fitted_as_each_alone(make_battles: Callable[..., Battles]) -> None:
    tables = np.stack([pair_wins(make_battles(4, n, seed=n)) for n in (1, 2, 3, 8, 40)])
    together = bt.fit(tables, bt.connectivity(tables), np.array([3.0, -1.0, 0.0, 2.0]))
    for wins, strength in zip(tables, together, strict=True):
        alone = bt.connectivity(wins[None])
        expected = bt.to_points(bt.fit(wins[None], alone), alone.same)
        assert_allclose(bt.to_points(strength[None], alone.same), expected, atol=1e-6)


def test_recovers_the_strengths_that_made_the_data(make_battles: Callable[..., Battles]) -> None:
    truth = np.random.default_rng(4).normal(0.0, 0.8, 6)  # as the factory draws them
    ratings = bradley_terry(make_battles(6, 6000, seed=4)).ratings
    assert_allclose((ratings - CENTRE) / POINTS_PER_NAT, truth - truth.mean(), atol=0.05)


def test_row_order_does_not_matter(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    rows = np.random.default_rng(1).permutation(len(battles.score))
    shuffled = battles.select(rows)
    assert_allclose(bradley_terry(shuffled).ratings, bradley_terry(battles).ratings, rtol=1e-12)
    assert_array_equal(bradley_terry(shuffled).component, 0)
