from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from tiltyard_jobs.rating.judge_bias import Families
from tiltyard_jobs.rating.report_card import LEAST_EXCESS, Column, ReportCard, report_card
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
    assert card.exchanged.tolist() == [2, 1, 0, 0]
    assert card.flips.tolist() == [1, 1, 0, 0]
    assert_array_equal(card.consistency, [0.5, 0.0, NAN, NAN])
    # Instruction 3 was judged in one order: what the answer was worth is in that vote too.
    assert_allclose(card.position.value, [(1 + 0.2 + 1 + 1 + 0.5 + 0) / 6, 0.0, NAN, NAN])
    assert np.isnan([card.scale.value, card.length.value, card.family.value]).all()
    assert card.family_battles.tolist() == [0, 0, 0, 0]
    assert not card.marked.any()


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


class World(NamedTuple):
    """Votes of neutral judges on 4 players, with planted faults; both orders."""

    verdicts: Verdicts
    difference: NDArray[np.float64]

    def card(self, judges: Sequence[int] | None = None, players: Sequence[int] = (0, 1, 2, 3)) -> ReportCard:
        families = None if judges is None else Families(np.array(players), np.array(judges))
        return report_card(self.verdicts, length_difference=self.difference, families=families)


def world(
    seed: int,
    *,
    instructions: int = 300,
    noise: Sequence[float] = (0.1, 0.1, 0.1, 0.1),
    scale: Sequence[float] = (1, 1, 1, 1),
    place: Sequence[float] = (0, 0, 0, 0),
    length: Sequence[float] = (0, 0, 0, 0),
    family: Sequence[float] = (0, 0, 0, 0),
    kin: int = 0,
    all_see: bool = True,
) -> World:
    """A vote is linear in the truth: 1/2 + scale · truth + length · 2z + family · k, and place for the first answer.

    Player 0 is the strongest and 3 the weakest. Unless `all_see`, judge j sees no battle of player j.
    """
    rng = np.random.default_rng(seed)
    instruction = np.repeat(np.arange(instructions), 3)
    attacker = instruction % 4
    defender = (attacker + np.tile([1, 2, 3], instructions)) % 4
    z = rng.uniform(-0.7, 0.7, len(instruction))
    strength = np.array([0.12, 0.05, -0.04, -0.13])
    truth = strength[attacker] - strength[defender] + 0.1 * z + rng.uniform(-0.12, 0.12, len(z))
    k = (attacker == kin).astype(float) - (defender == kin)
    rows = []
    for judge in range(len(noise)):
        sees = np.flatnonzero((attacker != judge) & (defender != judge) | all_see)
        size = len(sees)
        mean = 0.5 + scale[judge] * truth[sees] + length[judge] * 2 * z[sees] + family[judge] * k[sees]
        mean += noise[judge] * rng.uniform(-1, 1, size)
        for first in (True, False):
            vote = np.clip(mean + (place[judge] if first else -place[judge]) + 0.05 * rng.uniform(-1, 1, size), 0, 1)
            battle = (instruction[sees], attacker[sees], defender[sees])
            rows.append((*battle, np.full(size, judge), np.full(size, first), vote, z[sees]))
    columns: list[Any] = [np.concatenate(column) for column in zip(*rows, strict=True)]
    instruction, attacker, defender, judge, first, vote, difference = columns
    return World(Verdicts(instruction, attacker, defender, judge, first, vote, 4, len(noise)), difference)


def test_what_is_planted_is_estimated() -> None:
    card = world(0, instructions=2000, scale=(1, 1, 0.5, 1), length=(0.06, 0, 0, 0), family=(0, 0.05, 0, 0)).card(
        [9, 0, 8, 7]
    )
    assert_allclose(card.scale.value, np.array([1, 1, 0.5, 1]) / 0.875, atol=0.03)
    assert_allclose(card.length.value, [0.06, 0, 0, 0], atol=0.012)
    assert_allclose(card.family.value, [NAN, 0.05, NAN, NAN], atol=0.012)
    assert card.shared.tolist() == [6000] * 4
    assert card.family_battles.tolist() == [0, 3000, 0, 0]
    assert (card.length.marked.tolist(), card.family.marked.tolist()) == (
        [True, *[False] * 3],
        [False, True, False, False],
    )


@pytest.mark.parametrize("kin", [0, 3])
def test_noise_is_not_called_a_preference_for_the_family(kin: int) -> None:
    # Half of what judge 0 says is noise, and so much of the others' that plain least squares would err.
    card = world(1, instructions=3000, scale=(0.5, 1, 1, 1), noise=(0.25, 0.2, 0.2, 0.2)).card([kin, 9, 8, 7])
    assert card.scale.value[0] < 0.65
    assert abs(card.family.value[0]) < 0.01
    assert not card.marked.any()


def test_one_biased_judge_does_not_make_the_others_look_biased() -> None:
    card = world(2, instructions=1000, length=(0.1, 0, 0, 0), family=(0, 0.1, 0, 0)).card([9, 0, 1, 2])
    assert card.length.marked.tolist() == [True, False, False, False]
    assert card.family.marked.tolist() == [False, True, False, False]
    assert_allclose(card.length.value[1:], 0, atol=0.01)


def test_judges_of_one_family_are_not_each_others_measure() -> None:
    # All but judges 2 and 3 favour player 0: each of the two is measured by judges 2 and 3 alone.
    planted = world(3, instructions=1500, family=(0.1, 0.1, 0, 0))
    card = planted.card([0, 0, -1, -1])
    assert_allclose(card.family.value, [0.1, 0.1, NAN, NAN], atol=0.015)
    assert card.family.marked.tolist() == [True, True, False, False]
    # Both players of a battle are kin: it tells nothing. Of 6 pairs 4 have one of players 0 and 1.
    assert planted.card([0, 9, 9, 9], players=(0, 0, 2, 3)).family_battles.tolist() == [3000, 0, 0, 0]


def test_judges_that_saw_different_matches_are_compared_on_what_they_share() -> None:
    card = world(
        4,
        instructions=2000,
        noise=(0.1,) * 5,
        scale=(1,) * 5,
        place=(0,) * 5,
        length=(0.08, 0, 0, 0, 0),
        family=(0,) * 5,
        all_see=False,
    ).card()
    # A battle of two players is judged by the two others and by judge 4.
    assert card.shared.tolist() == [3000] * 4 + [6000]
    assert card.length.marked.tolist() == [True, *[False] * 4]
    assert_allclose(card.length.value, [0.08, 0, 0, 0, 0], atol=0.015)


def test_position_is_apart_and_a_slight_one_is_fair() -> None:
    card = world(5, place=(0.1, 0.03, -0.1, 0)).card([0, 1, 2, 3])
    assert_allclose(card.position.value, [0.6, 0.53, 0.4, 0.5], atol=0.01)
    assert card.position.marked.tolist() == [True, False, True, False]
    assert not (card.length.marked | card.family.marked | card.scale.marked).any()


def test_a_judge_of_noise_is_marked_for_its_scale_alone() -> None:
    card = world(6, scale=(0.1, 1, 1, 1), noise=(0.3, 0.1, 0.1, 0.1)).card([0, 1, 2, 3])
    assert card.scale.marked.tolist() == [True, False, False, False]
    assert not (card.position.marked | card.length.marked | card.family.marked).any()


def test_with_one_other_judge_nothing_is_told() -> None:
    card = world(7, noise=(0.1, 0.1), length=(0.3, 0)).card([0, 1])
    assert card.shared.tolist() == [0, 0]
    assert np.isnan([card.scale.value, card.length.value, card.family.value]).all()
    assert not card.marked.any()


def test_what_the_votes_cannot_tell_apart_has_no_number() -> None:
    one = world(8)
    # Equal lengths tell nothing of length; players of two instructions alone tell hardly anything.
    assert np.isnan(one._replace(difference=np.zeros_like(one.difference)).card().length.value).all()
    few = one.verdicts.instruction < 1
    card = World(one.verdicts.select(few), one.difference[few]).card([0, 1, 2, 3])
    assert np.isnan([card.scale.value, card.length.value, card.family.value]).all()
    assert np.isnan(card.position.low).all()
    # Judges that all say the same of every battle see no difference.
    flat = one.verdicts._replace(vote=np.full(len(one.verdicts.vote), 0.5))
    assert np.isnan(report_card(flat).scale.value).all()


def test_small_excesses_are_not_marked_however_sure() -> None:
    card = world(9, instructions=20_000, noise=(0.05,) * 4, family=(0.012, 0, 0, 0)).card([0, 9, 8, 7])
    assert card.family.low[0] > 0
    assert card.family.value[0] < LEAST_EXCESS
    assert not card.marked.any()


def test_the_sides_and_the_order_of_rows_do_not_matter() -> None:
    one = world(10, instructions=60, length=(0.1, 0, 0, 0), family=(0, 0, 0.1, 0))
    card = one.card([0, 1, 2, 3])
    rng = np.random.default_rng(0)
    turn, rows = rng.random(60)[one.verdicts.instruction] < 0.5, rng.permutation(len(one.difference))
    v = one.verdicts
    turned = v._replace(
        attacker=np.where(turn, v.defender, v.attacker),
        defender=np.where(turn, v.attacker, v.defender),
        attacker_first=v.attacker_first ^ turn,
        vote=np.where(turn, 1 - v.vote, v.vote),
    )
    moved = World(turned.select(rows), np.where(turn, -one.difference, one.difference)[rows]).card([0, 1, 2, 3])
    for before, after in zip(card, moved, strict=True):
        if isinstance(before, Column):
            assert_allclose(np.array(after), np.array(before), atol=1e-6)


def test_the_intervals_cover() -> None:
    cards = [world(seed, instructions=30, length=(0.05, 0, 0, 0)).card([0, 1, 2, 3]) for seed in range(60)]
    for column, planted in (("length", 0.05), ("family", 0.0), ("position", 0.5)):
        covered = [getattr(one, column).low[0] <= planted <= getattr(one, column).high[0] for one in cards]
        assert 0.9 <= np.mean(covered) <= 1.0
    assert (
        np.mean([one.length.marked[1:].any() | one.family.marked.any() | one.position.marked.any() for one in cards])
        < 0.1
    )


def test_orders_that_alternate() -> None:
    one = world(11, instructions=1200, place=(0.15, 0, 0, 0), length=(0, 0, 0.08, 0))
    rows = one.verdicts.attacker_first == (one.verdicts.instruction // 4 % 2 == 0)
    card = World(one.verdicts.select(rows), one.difference[rows]).card([0, 1, 2, 3])
    assert card.position.marked.tolist() == [True, False, False, False]
    assert card.length.marked.tolist() == [False, False, True, False]
    assert not card.family.marked.any()


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

    for judge in range(5):
        own = {(battle, order): vote for (battle, j, order), vote in answered.items() if j == judge}
        assert card.verdicts[judge] == len(own)
        twice = {battle for battle, order in own if order == "AB" and (battle, "BA") in own}
        first = [
            vote if order == "AB" else 1 - vote for (battle, order), vote in own.items() if battle in twice or not twice
        ]
        assert_allclose(card.position.value[judge], np.mean(first) if first else NAN)

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


def test_no_verdicts(make_verdicts: MakeVerdicts) -> None:
    card = report_card(make_verdicts([]), length_difference=np.array([]))
    assert card.verdicts.tolist() == [0] * 5
    assert np.isnan([card.agreement, card.position.value, card.scale.value]).all()
    assert not card.marked.any()


def test_bad_arguments_are_refused(make_verdicts: MakeVerdicts) -> None:
    verdicts = make_verdicts([(0, 0, 1, 2, "AB", 1.0)])
    with pytest.raises(ValueError, match="one number for each verdict"):
        report_card(verdicts, length_difference=np.zeros(2))
    with pytest.raises(ValueError, match="one family for each player"):
        report_card(verdicts, families=Families(np.zeros(4, np.int64), np.zeros(5, np.int64)))
