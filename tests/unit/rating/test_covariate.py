from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.covariate import length_difference, with_covariate
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT


def biased(instructions: int, coefficient: float, *, seed: int = 0) -> tuple[Battles, np.ndarray, np.ndarray]:
    """Equal players but for their length: player p writes about (p + 1) times as much, and judges like length."""
    rng = np.random.default_rng(seed)
    battles = 3 * instructions
    a, b = np.tile([0, 0, 1], instructions), np.tile([1, 2, 2], instructions)
    length_a, length_b = ((player + 1) * rng.uniform(50.0, 150.0, battles) for player in (a, b))
    z = length_difference(length_a, length_b)
    truth = np.array([0.3, 0.0, -0.3])
    won = rng.random(battles) < expit(truth[a] - truth[b] + coefficient * z)
    return Battles(np.repeat(np.arange(instructions), 3), a, b, won.astype(np.float64), 3), z, truth


def test_length_difference() -> None:
    difference = length_difference(np.array([3.0, 0.0, 5.0, 0.0]), np.array([1.0, 2.0, 5.0, 0.0]))
    assert difference.tolist() == [0.5, -1.0, 0.0, 0.0]


def test_takes_out_what_length_gave() -> None:
    battles, z, truth = biased(4000, 2.0)
    controlled = with_covariate(battles, z)
    assert bradley_terry(battles).ratings.argmax() == 2  # the wordiest leads
    assert controlled.ratings.argmax() == 0  # the best leads
    assert_allclose((controlled.ratings - CENTRE) / POINTS_PER_NAT, truth, atol=0.1)
    assert_allclose(controlled.worth / POINTS_PER_NAT, 2.0, atol=0.15)
    assert controlled.worth_low < 2.0 * POINTS_PER_NAT < controlled.worth_high


def test_equals_a_general_optimiser() -> None:
    battles, z, _ = biased(60, 1.0)
    battles = battles._replace(score=np.random.default_rng(1).integers(0, 7, 180) / 6)

    def loss(parameters: np.ndarray) -> float:
        logit = parameters[battles.player_a] - parameters[battles.player_b] + parameters[3] * z
        return float(np.sum(np.logaddexp(0.0, logit) - battles.score * logit) + 0.5 * parameters[3] ** 2 / 100)

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    result = with_covariate(battles, z)
    assert_allclose(result.ratings, (best[:3] - best[:3].mean()) * POINTS_PER_NAT + CENTRE, atol=1e-3)
    assert_allclose(result.worth, best[3] * POINTS_PER_NAT, atol=1e-3)


def test_equal_lengths_give_plain_ratings(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    result = with_covariate(battles, np.zeros(len(battles.score)))
    assert_allclose(result.ratings, bradley_terry(battles).ratings, atol=1e-7)
    assert_allclose(result.worth, 0.0, atol=1e-12)


def test_sides_are_exchangeable() -> None:
    battles, z, _ = biased(50, 1.0)
    mirrored = battles._replace(player_a=battles.player_b, player_b=battles.player_a, score=1.0 - battles.score)
    one, other = with_covariate(battles, z), with_covariate(mirrored, -z)
    assert_allclose(other.ratings, one.ratings, rtol=1e-9)
    assert_allclose(other.low, one.low, rtol=1e-9)
    assert_allclose(other.worth, one.worth, rtol=1e-9)
    assert_allclose(other.worth_high, one.worth_high, rtol=1e-9)


def test_intervals_cover() -> None:
    """Of 200 tournaments of 100 instructions, the 95% intervals hold the truth in about 190."""
    hits = np.zeros(4)
    for seed in range(200):
        battles, z, truth = biased(100, 1.0, seed=seed)
        result = with_covariate(battles, z)
        points = CENTRE + truth * POINTS_PER_NAT
        hits[:3] += (result.low <= points) & (points <= result.high)
        hits[3] += result.worth_low <= POINTS_PER_NAT <= result.worth_high
    assert (hits > 180).all()  # 190 - 3.2 standard deviations
    assert (hits < 200).all()


def test_votes_that_follow_length_without_exception_stay_finite() -> None:
    battles, z, _ = biased(100, 0.0)
    result = with_covariate(battles._replace(score=(z > 0).astype(np.float64)), z)
    assert np.isfinite(result.ratings).all()
    assert result.worth > 2000


def test_undefeated_and_absent_players(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles(3)
    a_wins = np.where(battles.player_a == 0, 1.0, np.where(battles.player_b == 0, 0.0, battles.score))
    result = with_covariate(battles._replace(score=a_wins, players=4), np.zeros(len(a_wins)))
    assert result.ratings[:3].argmax() == 0
    assert np.isfinite(result.ratings[:3]).all()
    assert np.isnan(result.ratings[3])


@pytest.mark.parametrize("instructions", [0, 1])
def test_too_little_for_an_interval(instructions: int, make_battles: Callable[..., Battles]) -> None:
    battles = make_battles(3, instructions)
    result = with_covariate(battles, np.zeros(len(battles.score)))
    assert np.isnan(result.low).all()
    assert np.isnan(result.worth_low)
    assert np.isnan(result.worth) == (instructions == 0)


def test_length_difference_must_be_finite(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    with pytest.raises(ValueError, match="one finite number for each battle"):
        with_covariate(battles, np.full(len(battles.score), np.nan))
    with pytest.raises(ValueError, match="one finite number for each battle"):
        with_covariate(battles, np.zeros(3))


@pytest.mark.parametrize(("count", "won"), [(2, 1), (5, 3), (40, 30)])
def test_two_players_have_the_interval_of_log_odds_by_hand(count: int, won: int) -> None:
    # The log-odds of `won` in `count` have a variance of 1 / (n p q), by the sandwich times n / (n - 1); each player
    # has half of the difference. Without a difference of lengths its coefficient keeps its prior.
    share = won / count
    scores = (np.arange(count) < won).astype(np.float64)
    battles = Battles(np.arange(count), np.zeros(count, np.int64), np.ones(count, np.int64), scores, 2)
    result = with_covariate(battles, np.zeros(count))
    half = np.log(share / (1 - share)) / 2 * POINTS_PER_NAT
    margin = 1.959964 / 2 * POINTS_PER_NAT * np.sqrt(1 / (count * share * (1 - share)) * count / (count - 1))
    assert_allclose(result.ratings, [CENTRE + half, CENTRE - half], atol=1e-6)
    assert_allclose(result.low, result.ratings - margin, rtol=1e-6)
    assert_allclose(result.high, result.ratings + margin, rtol=1e-6)


def test_the_coefficients_interval_is_the_sandwich_by_instruction() -> None:
    """Twice the rows on the same instructions tell no more; on instructions of their own they do."""
    battles, z, _ = biased(60, 1.0)
    rows = np.repeat(np.arange(len(z)), 2)
    twice = battles.select(rows)
    apart = twice._replace(instruction=np.arange(len(rows)) % 2 * 1000 + twice.instruction)

    def width(played: Battles, difference: np.ndarray) -> float:
        result = with_covariate(played, difference)
        assert result.worth == pytest.approx((result.worth_low + result.worth_high) / 2)
        return result.worth_high - result.worth_low

    # The prior on the coefficient counts half beside twice the rows, so the widths are as good as equal.
    assert_allclose(width(twice, z[rows]), width(battles, z), rtol=1e-2)
    assert_allclose(width(apart, z[rows]), width(battles, z) / np.sqrt(2), rtol=2e-2)


@pytest.mark.parametrize("score", [0.5, 0.7])
def test_votes_without_spread_have_an_interval_with_width(score: float) -> None:
    count = 10
    instruction = np.arange(count)
    battles = Battles(instruction, np.zeros(count, np.int64), np.ones(count, np.int64), np.full(count, score), 2)
    result = with_covariate(battles, np.where(instruction % 2, 1.0, -1.0))
    assert result.worth_low < -20 < 20 < result.worth_high


def test_what_is_no_battle_is_refused() -> None:
    battles, z, _ = biased(5, 1.0)
    with pytest.raises(ValueError, match="against itself"):
        with_covariate(battles._replace(player_b=battles.player_a), z)
