from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating.spread import Scores, shared_variance


def fitted(
    strength: NDArray[np.float64], instructions: int, noise: float, luck: float, rng: np.random.Generator
) -> tuple[Scores, NDArray[np.float64], NDArray[np.float64]]:
    """Battles of each instruction's attacker with all others, the inverse of the Hessian, and the fit's error.

    A score is off by an error of variance noise p (1 - p), and by p (1 - p) times the difference of two answers' luck.
    """
    size = len(strength)
    instruction = np.repeat(np.arange(instructions), size - 1)
    a = instruction % size
    b = (a + 1 + np.tile(np.arange(size - 1), instructions)) % size
    p = expit(strength[a] - strength[b])
    weight = p * (1.0 - p)
    answer = np.sqrt(luck) * rng.normal(size=(instructions, size))
    error = np.sqrt(noise * weight) * rng.normal(size=len(p)) + weight * (
        answer[instruction, a] - answer[instruction, b]
    )
    scores = Scores(instruction, a, b, error, weight)
    inverse = np.linalg.inv(scores.information(weight, size, instructions).sum(axis=0) + 1.0)
    off = inverse @ scores.sums(error, size, instructions).sum(axis=0)
    return scores._replace(residual=error - weight * (off[a] - off[b])), inverse, off


def planted(scores: Scores, inverse: NDArray[np.float64], noise: float, luck: float) -> NDArray[np.float64]:
    own = scores.information(scores.weight, len(inverse), int(scores.instruction.max()) + 1)
    found: NDArray[np.float64] = inverse @ (noise * own + luck * own @ own).sum(axis=0) @ inverse
    return found


@pytest.mark.parametrize(("noise", "luck"), [(1.0, 0.5), (0.1, 0.5), (0.3, 0.1)])
def test_the_mean_over_tournaments_is_the_planted_variance(noise: float, luck: float) -> None:
    """Without bias, though ten instructions leave few battles for each of twelve strengths."""
    rng = np.random.default_rng(0)
    strength = rng.normal(0.0, 0.6, 12)
    drawn = [fitted(strength, 10, noise, luck, rng) for _ in range(300)]
    found = np.mean([shared_variance(scores, inverse, 10) for scores, inverse, _ in drawn], axis=0)
    assert_allclose(np.diag(found), np.diag(planted(*drawn[0][:2], noise, luck)), rtol=0.06)


def test_without_luck_a_little_of_it_is_seen() -> None:
    """Luck is never negative, so that what chance takes for luck is not made up for: an interval is rather too wide."""
    rng = np.random.default_rng(0)
    drawn = [fitted(np.zeros(12), 10, 1.0, 0.0, rng) for _ in range(200)]
    found = np.mean([shared_variance(scores, inverse, 10) for scores, inverse, _ in drawn], axis=0)
    ratio = np.diag(found) / np.diag(planted(*drawn[0][:2], 1.0, 0.0))
    assert ((ratio > 0.9) & (ratio < 1.3)).all()


def test_the_planted_variance_is_that_of_the_fits_errors() -> None:
    rng = np.random.default_rng(1)
    strength = rng.normal(0.0, 0.6, 4)
    drawn = [fitted(strength, 8, 0.2, 0.4, rng) for _ in range(4000)]
    errors = np.array([off for _, _, off in drawn])
    assert_allclose(np.var(errors, axis=0), np.diag(planted(*drawn[0][:2], 0.2, 0.4)), rtol=0.08)


def test_battles_that_leave_nothing_over_have_no_spread() -> None:
    scores = Scores(np.array([0, 1]), np.array([0, 1]), np.array([1, 2]), np.zeros(2), np.full(2, 0.25))
    assert_allclose(shared_variance(scores, np.eye(3), 2), 0.0)
