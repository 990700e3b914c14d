"""Our Bradley-Terry ratings against arena-rank's (Chatbot Arena's package).

Self-contained, for an interpreter of its own, as arena-rank brings jax and pins of its own:

    python -m venv /tmp/arena && /tmp/arena/bin/pip install arena-rank==0.1.1 scipy pytest
    PYTHONPATH=jobs /tmp/arena/bin/python -m pytest -c /dev/null tests/interop/test_arena_rank.py
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("arena_rank", reason="needs an interpreter with arena-rank 0.1.1 (see the module's docstring)")

import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bootstrap import plain
from tiltyard_jobs.rating.bradley_terry import bradley_terry

TOLERANCE = 2e-5  # points


def tournament(players: int, size: int, votes: int, seed: int) -> Battles:
    """Random battles; each outcome is the share of so many votes, so 1 gives wins and losses and 2 ties as well."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0.0, 0.7, players)
    a = rng.integers(0, players, size)
    b = (a + rng.integers(1, players, size)) % players
    score = rng.binomial(votes, 1.0 / (1.0 + np.exp(strength[b] - strength[a]))) / votes
    return Battles(rng.integers(0, 500, size), a, b, score, players)


def dataset(battles: Battles, winner: list[str] | None = None) -> PairDataset:
    """The battles as arena-rank reads them: named players, the outcome by name or as a number."""
    names = np.array([f"player-{index:02d}" for index in range(battles.players)])  # sorted as numbered
    frame = pd.DataFrame(
        {
            "model_a": names[battles.player_a],
            "model_b": names[battles.player_b],
            "winner": battles.score if winner is None else winner,
        }
    )
    return PairDataset.from_pandas(frame) if winner else PairDataset.from_pandas(frame, outcome_map=float)


def rated(data: PairDataset, players: int) -> np.ndarray:
    # Tighter than its defaults, which stop some ten-thousandths of a point from the maximum.
    model = BradleyTerry(n_competitors=players, ftol=0.0, gtol=1e-12)
    return np.asarray(model.compute_ratings_and_cis(data)["ratings"])


@pytest.mark.parametrize(
    ("players", "size", "votes", "seed"), [(3, 500, 1, 0), (8, 20_000, 2, 1), (8, 20_000, 6, 2), (32, 200_000, 2, 3)]
)
def test_ratings_are_equal(players: int, size: int, votes: int, seed: int) -> None:
    battles = tournament(players, size, votes, seed)
    ours, theirs = bradley_terry(battles).ratings, rated(dataset(battles), players)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=0, atol=TOLERANCE)  # on a reference's scale


def test_named_outcomes_and_ties_are_read_alike() -> None:
    battles = tournament(5, 4_000, 2, 4)
    named = ["model_a" if score == 1.0 else "model_b" if score == 0.0 else "tie" for score in battles.score]
    theirs = rated(dataset(battles, named), 5)
    np.testing.assert_allclose(bradley_terry(battles).ratings, theirs, rtol=0, atol=TOLERANCE)


def test_its_defaults_agree_but_for_their_early_stop() -> None:
    battles = tournament(8, 20_000, 2, 5)
    theirs = np.asarray(BradleyTerry(n_competitors=8).compute_ratings_and_cis(dataset(battles))["ratings"])
    np.testing.assert_allclose(bradley_terry(battles).ratings, theirs, rtol=0, atol=1e-3)


def test_plain_intervals_are_as_wide() -> None:
    battles = tournament(4, 2_000, 2, 6)
    theirs = BradleyTerry(n_competitors=4).compute_ratings_and_cis(dataset(battles))  # sandwich
    ours = plain(battles, seed=0, samples=4_000)
    width = np.asarray(theirs["rating_upper"] - theirs["rating_lower"])
    np.testing.assert_allclose(ours.high - ours.low, width, rtol=0.08)
