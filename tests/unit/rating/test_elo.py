from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.elo import elo


def single(a: int, b: int, score: float, players: int = 2) -> Battles:
    return Battles(np.array([0]), np.array([a]), np.array([b]), np.array([score]), players)


def test_first_win_moves_twenty_points_each_way() -> None:
    # Equal ratings: X = 1/2, so 40 (1 - 1/2) = 20; the published script gives +20.0 / -18.85.
    assert_allclose(elo(single(0, 1, 1.0), seed=0).ratings, [1020.0, 980.0], rtol=1e-14)


def test_worked_example_by_hand() -> None:
    # Player 0 meets 1 (four of six votes) and 2 (all votes), in either order.
    # Order I:  40 (2/3 - 1/2) = 6.6667: 1006.6667, 993.3333.  X(0>2) = 1 / (1 + 10^(-6.6667 / 400)) = 0.509593,
    #           40 (1 - 0.509593) = 19.6163: 1026.2829, 993.3333, 980.3837.
    # Order II: 40 (1 - 1/2) = 20: 1020, 980.  X(0>1) = 1 / (1 + 10^(-20 / 400)) = 0.528751,
    #           40 (2/3 - 0.528751) = 5.5166: 1025.5166, 994.4834, 980.
    one = np.array([1026.2829, 993.3333, 980.3837])
    two = np.array([1025.5166, 994.4834, 980.0])
    battles = Battles(np.array([0, 1]), np.array([0, 0]), np.array([1, 2]), np.array([2 / 3, 1.0]), 3)
    passes = [elo(battles, seed=seed, orders=1).ratings for seed in range(20)]
    first = np.array([np.allclose(ratings, one, atol=1e-4) for ratings in passes])
    second = np.array([np.allclose(ratings, two, atol=1e-4) for ratings in passes])
    assert np.all(first ^ second)
    assert first.any()
    assert second.any()
    many = elo(battles, seed=0, orders=400)
    assert_allclose(many.ratings, (one + two) / 2, atol=0.05)
    assert_allclose(many.spread, np.abs(one - two) / 2, atol=0.01)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 8), st.integers(1, 15), st.integers(0, 2**32 - 1))
def test_zero_sum(make_battles: Callable[..., Battles], players: int, instructions: int, seed: int) -> None:
    result = elo(make_battles(players, instructions, seed=seed), seed=seed, orders=5)
    assert_allclose(result.ratings.mean(), 1000.0, rtol=1e-13)


def test_row_order_does_not_matter(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    rows = np.random.default_rng(1).permutation(len(battles.score))
    shuffled = battles.select(rows)
    assert_array_equal(elo(battles, seed=3).ratings, elo(shuffled, seed=3).ratings)


def test_renamed_players_keep_their_ratings(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    battles = battles._replace(instruction=np.arange(len(battles.score)))  # fixes the rows' canonical order
    names = np.array([3, 0, 4, 1, 2])
    renamed = battles._replace(player_a=names[battles.player_a], player_b=names[battles.player_b])
    assert_allclose(elo(renamed, seed=0).ratings[names], elo(battles, seed=0).ratings, rtol=1e-13)


def test_seed_decides(make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    assert_array_equal(elo(battles, seed=5).ratings, elo(battles, seed=5).ratings)
    assert not np.array_equal(elo(battles, seed=5).ratings, elo(battles, seed=6).ratings)


def test_several_goes_give_what_one_gives(
    make_battles: Callable[..., Battles], monkeypatch: pytest.MonkeyPatch
) -> None:
    battles = make_battles()
    whole = elo(battles, seed=0)
    monkeypatch.setattr("tiltyard_jobs.rating.elo._MAX_PERMUTATION_ENTRIES", 7 * len(battles.score))
    monkeypatch.setattr("tiltyard_jobs.rating.elo._STEPS_AT_ONCE", 11)
    assert_array_equal(elo(battles, seed=0).ratings, whole.ratings)


def test_recovers_the_order_of_the_players(make_battles: Callable[..., Battles]) -> None:
    strength = np.random.default_rng(2).normal(0.0, 0.8, 6)  # as the factory draws it
    ratings = elo(make_battles(6, 600, seed=2), seed=0).ratings
    assert_array_equal(np.argsort(ratings), np.argsort(strength))


def test_no_battles() -> None:
    empty = np.array([], dtype=np.int64)
    result = elo(Battles(empty, empty, empty, np.array([]), 3), seed=0)
    assert result.ratings.tolist() == [1000.0] * 3


def test_orders_must_be_positive() -> None:
    with pytest.raises(ValueError, match="orders is 0"):
        elo(single(0, 1, 1.0), seed=0, orders=0)
