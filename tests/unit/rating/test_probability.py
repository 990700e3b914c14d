from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import expit, logit

from tiltyard_jobs.rating.probability import FEWEST, calibrated, scales
from tiltyard_jobs.rating.votes import Verdicts


def world(size: float, shift: float, battles: int = 400, noise: float = 0.5) -> tuple[Verdicts, NDArray[np.float64]]:
    """One judge, two battles an instruction, both orders; and what it sees in each battle."""
    rng = np.random.default_rng(8)
    seen = rng.normal(0, 1.5, battles)
    rows = np.arange(battles)
    parts = []
    for first in (True, False):
        odds = size * (seen + rng.normal(0, noise, battles)) + (shift if first else -shift)
        parts.append((rows // 2, rows * 0, 1 + rows % 2, rows * 0, np.full(battles, first), expit(odds)))
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    instruction, attacker, defender, judge, in_order, vote = columns
    return Verdicts(instruction, attacker, defender, judge, in_order, vote, 3, 1), seen


@pytest.mark.parametrize(("size", "shift"), [(0.1, 0.2), (1.0, 0.0), (4.0, -1.0)])
def test_scale_and_position_are_found_whatever_the_temperature(size: float, shift: float) -> None:
    verdicts, seen = world(size, shift)
    found = scales(verdicts)
    assert found.battles.tolist() == [400]
    assert found.position[0] == pytest.approx(shift, abs=0.08 * size)
    plain, _ = world(1.0, 0.0)
    # The same judge at another temperature, with a preference for a place: the very same calibrated votes.
    assert found.scale[0] * size == pytest.approx(scales(plain).scale[0], rel=0.2)
    votes = calibrated(verdicts, found).vote
    assert_allclose(votes, calibrated(plain, scales(plain)).vote, atol=0.12)
    sides = np.concatenate([seen, seen])
    assert votes[sides > 1].mean() > 0.9
    assert votes[sides < -1].mean() < 0.1


def test_a_vote_says_how_likely_the_side_is_to_be_taken_again() -> None:
    verdicts, _ = world(0.1, 0.2, battles=6000)
    found = scales(verdicts)
    votes = calibrated(verdicts, found).vote
    first, second = votes[:6000], votes[6000:]
    for low in (0.5, 0.65, 0.8):
        rows = (first > low) & (first < low + 0.15)
        assert (second[rows] > 0.5).mean() == pytest.approx(first[rows].mean(), abs=0.05)


def test_votes_of_which_nothing_can_be_told_stay() -> None:
    few, _ = world(1.0, 0.0, battles=FEWEST - 1)
    sided, _ = world(1.0, 0.0)
    sided = sided._replace(vote=np.round(sided.vote))
    rng = np.random.default_rng(2)
    noise = sided._replace(vote=rng.uniform(0.3, 0.7, len(sided.vote)))
    once = world(1.0, 0.0)[0]
    once = once.select(once.attacker_first)
    for verdicts in (few, sided, noise, once):
        found = scales(verdicts)
        assert np.isnan(found.scale).all()
        assert calibrated(verdicts, found).vote.tolist() == verdicts.vote.tolist()


def test_a_void_stays_void_and_certainty_stays_finite() -> None:
    verdicts, _ = world(1.0, 0.0)
    vote = verdicts.vote.copy()
    vote[:3] = np.nan, 1.0, 0.0
    verdicts = verdicts._replace(vote=vote)
    votes = calibrated(verdicts, scales(verdicts)).vote
    assert np.isnan(votes[0])
    assert 0.0 <= votes[2] < 0.01 < 0.99 < votes[1] <= 1.0
    assert np.isfinite(logit(votes[3:])).all()
