"""Draws are a function of what they are seeded with, here and on any other machine."""

from __future__ import annotations

import statistics

from tiltyard_jobs.sim.chance import Chance

PINNED = [0.095610904, 0.874408398, 0.89668878]


def test_the_draws_are_pinned() -> None:
    chance = Chance("a", 1, 0.5)
    assert [round(chance.unit(), 9) for _ in range(3)] == PINNED
    assert Chance("a", 1).unit() != Chance("a1").unit()


def test_a_sample_holds_different_items_in_random_order() -> None:
    samples = {tuple(Chance(seed).sample(range(4), 3)) for seed in range(400)}
    assert len(samples) == 24
    assert all(len(set(sample)) == 3 for sample in samples)
    assert sorted(Chance(1).sample(range(3), 9)) == [0, 1, 2]


def test_weights_shares_and_normal_draws_have_the_right_means() -> None:
    chance = Chance("means")
    picks = [chance.weighted("ab", (1.0, 3.0)) for _ in range(4000)]
    assert abs(picks.count("b") / 4000 - 0.75) < 0.03
    assert abs(statistics.mean(chance.share_of(4, 0.3) for _ in range(4000)) - 1.2) < 0.03
    draws = [chance.normal(2.0) for _ in range(4000)]
    assert abs(statistics.mean(draws)) < 0.15
    assert abs(statistics.stdev(draws) - 2.0) < 0.1
