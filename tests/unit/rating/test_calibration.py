from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tiltyard_jobs.rating.calibration import accuracy, by_difference, corrected, rates, with_jury
from tiltyard_jobs.rating.jury import Opinions

NAN = float("nan")


def world(sensitivity: float, specificity: float, instructions: int = 3000) -> tuple[Opinions, NDArray[np.bool_]]:
    """One judge; player 0 attacks and is better in 70 of 100, player 1 in half of its battles with player 2."""
    rng = np.random.default_rng(5)
    rows = np.repeat(np.arange(instructions), 2)
    attacker, defender = np.tile([0, 1], instructions), np.tile([1, 2], instructions)
    better = rng.uniform(size=len(rows)) < np.where(attacker == 0, 0.7, 0.5)
    chance = np.where(better, sensitivity, 1.0 - specificity)
    share = (rng.uniform(size=len(rows)) < chance).astype(np.float64)[:, None]
    return with_jury(Opinions(rows, attacker, defender, share)), better


def truth(opinions: Opinions, better: NDArray[np.bool_]) -> list[float]:
    """Each player's share of the battles in which it was better."""
    return [
        float(np.concatenate([better[opinions.attacker == player], ~better[opinions.defender == player]]).mean())
        for player in range(3)
    ]


def test_the_rates_are_those_of_the_labels() -> None:
    opinions, better = world(0.9, 0.6)
    found = rates(opinions, better)
    assert found.sensitivity.value == pytest.approx([0.9, 0.9], abs=0.02)
    assert found.specificity.value == pytest.approx([0.6, 0.6], abs=0.02)
    assert (found.sensitivity.low < found.sensitivity.value).all()
    assert found.labels.sum(axis=0).tolist() == [len(better)] * 2


@pytest.mark.parametrize("labels", [300, 6000])
def test_both_corrections_find_the_truth_that_the_votes_miss(labels: int) -> None:
    opinions, better = world(0.9, 0.6)
    known = np.arange(len(better)) < labels
    label = np.where(known, better.astype(np.float64), NAN)
    wanted = truth(opinions, better)
    first = corrected(opinions, rates(opinions.select(known), better[known]), 3)
    second = by_difference(opinions, label, 3)
    assert abs(first.plain[0] - wanted).max() > 0.1
    for found in (first, second):
        assert np.array_equal(found.plain, first.plain)
        assert ((found.low <= wanted) & (wanted <= found.high)).all()
        assert abs(found.rate - wanted).max() < 0.09
        assert (found.high - found.low).max() < 0.5


def test_by_hand() -> None:
    """A judge that is right in 8 of 10 either way round, and 5 of 10 votes: half of the wins, whatever it errs in."""
    share = np.array([1.0] * 8 + [0.0] * 2 + [0.0] * 8 + [1.0] * 2)
    rows = np.arange(20)
    opinions = with_jury(Opinions(rows, np.zeros_like(rows), np.ones_like(rows), share[:, None]))
    better = rows < 10
    found = rates(opinions, better)
    assert found.sensitivity.value.tolist() == pytest.approx([9 / 12] * 2)  # one right and one wrong answer more
    whole = corrected(opinions, found, 2)
    assert whole.rate[0].tolist() == pytest.approx([0.5, 0.5])
    exact = by_difference(opinions, better.astype(np.float64), 2)
    assert exact.rate[0].tolist() == pytest.approx([0.5, 0.5])


def test_a_judge_by_chance_corrects_nothing() -> None:
    opinions, better = world(0.5, 0.5)
    found = corrected(opinions, rates(opinions, better), 3)
    assert np.isnan(found.rate).all()
    assert not np.isnan(found.plain).any()


def test_players_without_labels_are_not_corrected_by_difference() -> None:
    opinions, better = world(0.9, 0.6, 50)
    label = np.where(opinions.attacker == 0, better.astype(np.float64), NAN)  # nothing of player 2
    found = by_difference(opinions, label, 3)
    assert np.isnan(found.rate[:, 2]).all()
    assert not np.isnan(found.rate[:, :2]).any()


def test_pairs_from_elsewhere_correct_by_the_share_that_is_right() -> None:
    """Whether the better answer of a pair comes first is chance; the judge errs in two of ten, whichever it is."""
    opinions, better = world(0.8, 0.8)
    pairs, first = world(0.8, 0.8, instructions=200)
    found = corrected(opinions, accuracy(pairs, first), 3, together=True)
    wanted = truth(opinions, better)
    assert accuracy(pairs, first).sensitivity.value == pytest.approx([0.8, 0.8], abs=0.04)
    assert ((found.low <= wanted) & (wanted <= found.high)).all()
    assert abs(found.rate[0] - wanted).max() < 0.03 < abs(found.plain[0] - wanted).max()
    assert (found.high - found.low).max() < 0.2


def test_a_judge_that_is_no_better_than_chance_corrects_nothing() -> None:
    opinions, _ = world(0.5, 0.5)
    found = corrected(opinions, accuracy(*world(0.5, 0.5, instructions=100)), 3, together=True)
    assert np.isnan(found.rate).all()
