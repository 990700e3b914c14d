from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.elo import POINTS_PER_NAT
from tiltyard_jobs.rating.intervals import intervals, rank_range


def duel(scores: list[float]) -> Battles:
    size = len(scores)
    zeros, ones = np.zeros(size, np.int64), np.ones(size, np.int64)
    return Battles(np.arange(size), zeros, ones, np.array(scores), 2)


def test_many_coins_have_the_interval_of_the_likelihood() -> None:
    # 600 of 1,000 battles won, each on an instruction of its own.
    found = intervals(duel([float(score) for score in np.random.default_rng(0).permutation(1000) < 600]))
    error = POINTS_PER_NAT / np.sqrt(1000 * 0.6 * 0.4)
    assert_allclose(found.gap[0], POINTS_PER_NAT * logit(0.6), rtol=1e-6)
    assert_allclose((found.gap_high - found.gap_low)[0], 2 * 1.96 * error, rtol=0.02)
    assert_allclose(found.high - found.low, (found.gap_high - found.gap_low)[0] / 2, rtol=1e-3)


def test_who_won_everything_has_an_exact_bound() -> None:
    # 10 of 10: the bound of Clopper and Pearson, on one side: chance^10 = 0.05.
    found = intervals(duel([1.0] * 10))
    assert_allclose(expit(found.gap_low[0] / POINTS_PER_NAT), 0.05**0.1, atol=0.02)
    assert np.isinf(found.gap_high[0])
    assert np.isinf([found.high[0], found.low[1]]).all()
    assert np.isfinite([found.low[0], found.high[1]]).all()


def test_a_loser_with_only_shares_of_votes_is_separated() -> None:
    battles = duel([1.0 - 1e-4] * 30)
    found, ratings = intervals(battles), bradley_terry(battles)
    assert ratings.ratings[0] - ratings.ratings[1] > 1_500
    assert ratings.group.tolist() == [0, 1]
    assert np.isinf(found.gap_high[0])
    assert 300 < found.gap_low[0] < 1_000
    assert bradley_terry(duel([1.0] * 29 + [0.0])).group.tolist() == [0, 0]  # one vote of thirty is a vote


@pytest.mark.parametrize("score", [0.5, 0.7, 1.0])
def test_no_interval_is_without_width(score: float) -> None:
    found = intervals(duel([score] * 10))
    assert (found.high - found.low > 80).all()


@pytest.mark.parametrize("number", [10, 30, 100])
def test_ties_alone_may_hide_a_winner(number: int) -> None:
    # As the bound of n of n: 0.05^(1/n) is the share of ties at which n ties are still as likely as 0.05.
    found = intervals(duel([0.5] * number))
    hidden = POINTS_PER_NAT * logit(0.5 + (1.0 - 0.05 ** (1.0 / number)) / 2.0)
    assert_allclose([found.gap_low[0], found.gap_high[0]], [-hidden, hidden], rtol=0.03)
    assert_allclose(found.high - found.low, hidden, rtol=0.03)


def test_one_instruction_cannot_tell_how_others_would_go() -> None:
    assert np.isnan(intervals(duel([0.7])).low).all()


def test_ends_hold_the_rating_and_differ_where_players_do(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles(5, 40, spread=1.5)
    ratings, found = bradley_terry(battles).ratings, intervals(battles)
    assert ((found.low < ratings) & (ratings < found.high)).all()
    best, worst = rank_range(found.above)
    place = 1 + (ratings[None, :] > ratings[:, None]).sum(axis=1)
    assert ((best <= place) & (place <= worst)).all()
    assert found.above.any()
    assert not (found.above & found.above.T).any()


def test_players_that_never_met_have_no_gap() -> None:
    instruction, a = np.repeat(np.arange(6), 2), np.tile([0, 2], 6)
    battles = Battles(instruction, a, a + 1, np.tile([1.0, 0.0, 0.5], 4), 5)
    found = intervals(battles)
    assert np.isnan(found.gap[-1])
    assert np.isnan(found.low[4])
    assert not found.above[:2, 2:].any()


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        quality = np.array([0.5, 0.0, -0.5]) + 0.3 * rng.normal(size=(12, 3))
        instruction = np.repeat(np.arange(12), 3)
        a, b = np.tile([0, 0, 1], 12), np.tile([1, 2, 2], 12)
        score = rng.binomial(6, expit(quality[instruction, a] - quality[instruction, b])) / 6
        found = intervals(Battles(instruction, a, b, score, 3), [0, 1, 2])
        truth = 0.5 * 0.97 * POINTS_PER_NAT
        hits.append((found.gap_low[:2] <= truth) & (truth <= found.gap_high[:2]))
    assert 0.93 <= np.mean(hits) <= 0.995


def test_a_player_with_one_question_of_its_own_has_an_interval_of_use() -> None:
    """Of 16 players ten ask once: a jackknife alone has two degrees of freedom for them, and 4.3 standard errors."""
    rng = np.random.default_rng(0)
    instruction = np.repeat(np.arange(10), 15)
    a, b = instruction, (instruction + 1 + np.tile(np.arange(15), 10)) % 16
    hits, width = [], []
    for _ in range(40):
        quality = 0.7 * rng.normal(size=(10, 16))  # all are as good
        score = rng.binomial(6, expit(quality[instruction, a] - quality[instruction, b])) / 6
        found = intervals(Battles(instruction, a, b, score, 16))
        hits.append((found.low <= 1000.0) & (found.high >= 1000.0))
        width.append(found.high - found.low)
    assert 0.92 <= np.mean(hits) <= 0.98
    asked, silent = np.median(width, axis=0)[:10], np.median(width, axis=0)[10:]
    assert asked.mean() < 1.3 * silent.mean()  # by the jackknife alone 1.5 times
