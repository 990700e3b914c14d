from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit

from tiltyard_jobs.rating.report_card import Families, report_card
from tiltyard_jobs.rating.votes import Verdicts

NAN = float("nan")
MakeVerdicts = Callable[..., Verdicts]


def test_counts_exchange_and_position(make_verdicts: MakeVerdicts) -> None:
    card = report_card(
        make_verdicts(
            [
                # Judge 0: keeps one side, flips once, ties once, is void once.
                (0, 0, 1, 0, "AB", 1.0),
                (0, 0, 1, 0, "BA", 0.8),
                (1, 0, 1, 0, "AB", 1.0),
                (1, 0, 1, 0, "BA", 0.0),
                (2, 0, 1, 0, "AB", 0.5),
                (2, 0, 1, 0, "BA", 1.0),
                (3, 0, 1, 0, "AB", 1.0),
                (3, 0, 1, 0, "BA", NAN),
                # Judge 1: always the second answer.
                (0, 0, 1, 1, "AB", 0.0),
                (0, 0, 1, 1, "BA", 1.0),
                # Judge 2: asked, never answered. Judge 3: never asked.
                (0, 0, 1, 2, "AB", NAN),
            ],
            judges=4,
        )
    )
    assert card.verdicts.tolist() == [7, 2, 0, 0]
    assert card.voids.tolist() == [1, 0, 1, 0]
    assert card.exchanged.tolist() == [2, 1, 0, 0]
    assert card.flips.tolist() == [1, 1, 0, 0]
    assert_array_equal(card.consistency, [0.5, 0.0, NAN, NAN])
    assert_allclose(card.first_position_rate, [(1 + 0.2 + 1 + 1 + 0.5 + 0 + 1) / 7, 0.0, NAN, NAN])
    assert np.isnan(card.length_slope).all()
    assert card.family_battles.tolist() == [0, 0, 0, 0]


def test_agreement_is_on_the_same_battle_and_order(make_verdicts: MakeVerdicts) -> None:
    card = report_card(
        make_verdicts(
            [
                (0, 0, 1, 0, "AB", 1.0),
                (0, 0, 1, 1, "AB", 0.9),
                (0, 0, 1, 2, "AB", 0.0),
                (0, 0, 1, 3, "AB", 0.5),  # a tie takes no side
                (0, 0, 1, 4, "BA", 1.0),  # alone in its order
                (1, 0, 1, 0, "AB", 0.0),
                (1, 0, 1, 2, "AB", 0.0),
                (1, 0, 1, 1, "AB", NAN),
            ]
        )
    )
    assert card.compared.tolist() == [3, 2, 3, 0, 0]
    assert_allclose(card.agreement, [2 / 3, 1 / 2, 1 / 3, NAN, NAN])


def test_preference_for_the_own_family(make_verdicts: MakeVerdicts) -> None:
    # Players 0 and 1 are of family 7, player 2 of family 8, player 3 of none. Judges 0 and 1 are of family 7.
    families = Families(np.array([7, 7, 8, -1]), np.array([7, 7, 8, -1]))
    card = report_card(
        make_verdicts(
            [
                (0, 0, 2, 0, "AB", 1.0),  # judge 0 gives its family's attacker all, in both orders
                (0, 0, 2, 0, "BA", 1.0),
                (0, 0, 2, 1, "AB", 0.9),  # kin: not what judge 0 is compared with
                (0, 0, 2, 3, "AB", 0.6),
                (1, 3, 1, 0, "AB", 0.5),  # the family's player defends
                (1, 3, 1, 3, "AB", 0.7),
                (1, 3, 1, 3, "BA", 0.9),
                (2, 0, 1, 0, "AB", 1.0),  # both are kin: tells nothing
                (2, 0, 1, 3, "AB", 0.0),
                (3, 0, 3, 0, "AB", 1.0),  # judged by kin alone: nothing to compare with
                (3, 0, 3, 1, "AB", 0.0),
            ],
            players=4,
            judges=4,
        ),
        families=families,
    )
    assert card.family_battles.tolist() == [2, 1, 0, 0]
    # Judge 0: 1 - 0.6 on instruction 0; (1 - 0.5) - (1 - 0.8) on instruction 1. Judge 1: 0.9 - 0.6.
    assert_allclose(card.family_excess, [(0.4 + 0.3) / 2, 0.3, NAN, NAN])


def test_kinless_judges_are_each_compared_with_the_other(make_verdicts: MakeVerdicts) -> None:
    rows = [(0, 0, 1, judge, "AB", vote) for judge, vote in enumerate([1.0, 0.0, 0.5])]
    card = report_card(
        make_verdicts(rows, players=2, judges=3), families=Families(np.array([2, 5]), np.array([2, -1, -1]))
    )
    assert_allclose(card.family_excess, [0.75, NAN, NAN])


def test_length_slope_finds_the_judge_that_likes_length(make_verdicts: MakeVerdicts) -> None:
    rng = np.random.default_rng(0)
    size = 30_000
    z = rng.uniform(-0.8, 0.8, size)
    judge = np.arange(size) % 3
    slope = np.array([0.0, 1.5, -0.7])
    vote = (rng.random(size) < expit(0.4 + slope[judge] * z)).astype(np.float64)
    verdicts = Verdicts(
        instruction=np.arange(size),
        attacker=np.zeros(size, dtype=np.int64),
        defender=np.ones(size, dtype=np.int64),
        judge=judge,
        attacker_first=np.ones(size, dtype=np.bool_),
        vote=np.where(rng.random(size) < 0.05, NAN, vote),
        players=2,
        judges=4,
    )
    z[rng.random(size) < 0.05] = NAN
    card = report_card(verdicts, length_difference=z)
    assert_allclose(card.length_slope[:3], slope, atol=0.15)
    assert np.isnan(card.length_slope[3])


def test_length_slope_of_one_sided_judges_is_finite(make_verdicts: MakeVerdicts) -> None:
    rows = [(i, 0, 1, judge, "AB", float(judge or i % 2)) for i in range(50) for judge in (0, 1)]
    z = np.array([0.5 if row[0] % 2 else -0.5 for row in rows])
    card = report_card(make_verdicts(rows, judges=2), length_difference=z)
    assert card.length_slope[0] > 5  # votes for the longer without exception
    assert_allclose(card.length_slope[1], 0.0, atol=1e-6)  # votes for the attacker without exception


VOTES = np.array([NAN, 0.0, 0.25, 0.5, 0.75, 1.0])
BATTLES = [(i, a, (a + gap) % 3) for i in (0, 1, 2) for a in (0, 1) for gap in (1, 2)]


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_plain_loops(make_verdicts: MakeVerdicts, seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked = product(BATTLES, range(5), ("AB", "BA"))
    votes = {key: float(rng.choice(VOTES)) for key in asked if rng.random() < 0.6}
    players, judges = rng.integers(-1, 2, 3).tolist(), rng.integers(-1, 2, 5).tolist()
    rows = [(*battle, judge, order, vote) for (battle, judge, order), vote in votes.items()]
    card = report_card(make_verdicts(rows, players=3, judges=5), families=Families(np.array(players), np.array(judges)))
    answered = {key: vote for key, vote in votes.items() if vote == vote}

    def given_by(battle: tuple[int, int, int], judge: int) -> list[float]:
        return [vote for (b, j, _), vote in answered.items() if (b, j) == (battle, judge)]

    for judge in range(5):
        own = {(battle, order): vote for (battle, j, order), vote in answered.items() if j == judge}
        assert card.verdicts[judge] == len(own)
        assert card.voids[judge] == sum(j == judge and vote != vote for (_, j, _), vote in votes.items())
        first = [vote if order == "AB" else 1 - vote for (_, order), vote in own.items()]
        assert_allclose(card.first_position_rate[judge], np.mean(first) if first else NAN)

        sides = {key: vote > 0.5 for key, vote in own.items() if vote != 0.5}
        both = [battle for battle, order in sides if order == "AB" and (battle, "BA") in sides]
        assert card.exchanged[judge] == len(both)
        assert card.flips[judge] == sum(sides[battle, "AB"] != sides[battle, "BA"] for battle in both)

        same = [
            sides[battle, order] == (vote > 0.5)
            for (battle, j, order), vote in answered.items()
            if j != judge and vote != 0.5 and (battle, order) in sides
        ]
        assert card.compared[judge] == len(same)
        assert_allclose(card.agreement[judge], np.mean(same) if same else NAN)

        excess = []
        for battle in sorted({battle for battle, _ in own}):
            kin = [judges[judge] >= 0 and players[player] == judges[judge] for player in battle[1:]]
            stranger = [j for j in range(5) if judges[j] != judges[judge] or (judges[j] < 0 and j != judge)]
            others = [vote for j in stranger for vote in given_by(battle, j)]
            if kin[0] != kin[1] and others:
                lead = np.mean(given_by(battle, judge)) - np.mean(others)
                excess.append(lead if kin[0] else -lead)
        assert card.family_battles[judge] == len(excess)
        assert_allclose(card.family_excess[judge], np.mean(excess) if excess else NAN, atol=1e-12)


def test_length_slope_is_the_maximum_of_its_likelihood(make_verdicts: MakeVerdicts) -> None:
    rng = np.random.default_rng(3)
    z = rng.uniform(-0.2, 0.9, 40)  # far from centred: slope and intercept hang together
    votes = np.round(expit(-1.0 + 2.5 * z + rng.normal(0, 1, 40)), 1)
    card = report_card(
        make_verdicts([(i, 0, 1, 1, "AB", vote) for i, vote in enumerate(votes)], judges=2), length_difference=z
    )

    def loss(coefficient: np.ndarray) -> float:
        logit = coefficient[0] + coefficient[1] * z
        prior = 0.5 * float(coefficient @ coefficient) / 10.0**2
        return float(np.sum(np.logaddexp(0.0, logit) - votes * logit)) + prior

    best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-9}).x
    assert_allclose(card.length_slope, [NAN, best[1]], atol=1e-5)


def test_no_verdicts(make_verdicts: MakeVerdicts) -> None:
    card = report_card(make_verdicts([]), length_difference=np.array([]))
    assert card.verdicts.tolist() == [0] * 5
    assert np.isnan(card.agreement).all()


def test_bad_arguments_are_refused(make_verdicts: MakeVerdicts) -> None:
    verdicts = make_verdicts([(0, 0, 1, 2, "AB", 1.0)])
    with pytest.raises(ValueError, match="one number for each verdict"):
        report_card(verdicts, length_difference=np.zeros(2))
    with pytest.raises(ValueError, match="one family for each player"):
        report_card(verdicts, families=Families(np.zeros(4, np.int64), np.zeros(5, np.int64)))
