from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.votes import Verdicts


@pytest.fixture(scope="session")
def make_battles() -> Callable[..., Battles]:
    """A factory of attacker-defender tournaments whose outcomes follow a Bradley-Terry model with ties."""

    def make(players: int = 5, instructions: int = 40, *, seed: int = 0, spread: float = 0.8) -> Battles:
        rng = np.random.default_rng(seed)
        strength = rng.normal(0.0, spread, players)
        instruction = np.repeat(np.arange(instructions), players - 1)
        attacker = instruction % players
        defender = (attacker + 1 + np.tile(np.arange(players - 1), instructions)) % players
        votes = rng.binomial(6, 1.0 / (1.0 + np.exp(strength[defender] - strength[attacker])))
        return Battles(instruction, attacker, defender, votes / 6.0, players)

    return make


@pytest.fixture(scope="session")
def make_verdicts() -> Callable[..., Verdicts]:
    """A factory of verdicts from rows (instruction, attacker, defender, judge, "AB" or "BA", vote)."""

    def make(rows: list[tuple[int, int, int, int, str, float]], players: int = 5, judges: int = 5) -> Verdicts:
        return Verdicts(
            instruction=np.array([row[0] for row in rows], dtype=np.int64),
            attacker=np.array([row[1] for row in rows], dtype=np.int64),
            defender=np.array([row[2] for row in rows], dtype=np.int64),
            judge=np.array([row[3] for row in rows], dtype=np.int64),
            attacker_first=np.array([row[4] == "AB" for row in rows], dtype=np.bool_),
            vote=np.array([row[5] for row in rows], dtype=np.float64),
            players=players,
            judges=judges,
        )

    return make
