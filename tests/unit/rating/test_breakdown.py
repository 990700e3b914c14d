from __future__ import annotations

import numpy as np

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.breakdown import FEWEST, MOST, parts_by


def battles(instructions: int) -> Battles:
    """Player 0 wins on even instructions, player 1 on odd ones, both for sure; player 2 shares every vote."""
    rows = np.repeat(np.arange(instructions), 2)
    second = np.tile([1, 2], instructions)
    score = np.where(second == 2, 0.5, 0.9 - 0.8 * (rows % 2))
    return Battles(rows, np.zeros(2 * instructions, dtype=np.int64), second, score, 3)


def test_a_part_is_rated_over_its_own_instructions() -> None:
    given = battles(40)
    gold = np.array([0, 1] * 20)
    even, odd = parts_by(given, gold, ["even", "odd"] * 20)
    assert (even.value, even.instructions, odd.value) == ("even", 20, "odd")
    assert even.ratings[0] > even.ratings[1]
    assert odd.ratings[0] < odd.ratings[1]
    assert even.ratings.tolist() == bradley_terry(given.select(given.instruction % 2 == 0)).ratings.tolist()
    assert (even.gold.tolist(), odd.gold.tolist()) == ([20, 0, 0], [0, 20, 0])
    assert even.battles.tolist() == [40, 20, 20]
    assert np.allclose(even.win_rate, [0.7, 0.1, 0.5])
    assert (even.low < even.ratings).all()


def test_parts_that_say_nothing_are_left_out() -> None:
    gold = np.zeros(40, dtype=np.int64)
    assert list(parts_by(battles(40), gold, ["all"] * 40)) == []
    assert list(parts_by(battles(40), gold, [None] * 40)) == []
    few: list[str | None] = ["few"] * (FEWEST - 1) + ["many"] * 20 + [None] * (40 - 20 - FEWEST + 1)
    assert [part.value for part in parts_by(battles(40), gold, few)] == ["many"]
    number = MOST + 4
    values = [f"{place:02}" for place in range(number) for _ in range(FEWEST + (place < 4))]
    found = list(parts_by(battles(len(values)), np.zeros(len(values), dtype=np.int64), values))
    assert [part.value for part in found] == [f"{place:02}" for place in range(MOST)]
