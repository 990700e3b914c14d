from __future__ import annotations

import numpy as np

from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.controls import controls, longest, most_agreed, shares_of


def test_each_rule_beside_the_gold_by_hand() -> None:
    """Two of three instructions have a gold answer: 0 won 0.8 and 0.4, 1 the rest, 2 met nobody on the second."""
    rows, a, b = np.array([0, 0, 1]), np.array([0, 0, 0]), np.array([1, 2, 1])
    shares = shares_of(Battles(rows, a, b, np.array([0.8, 0.6, 0.4]), 3), 3)
    assert np.allclose(shares[:2], [[0.7, 0.2, 0.4], [0.4, 0.6, np.nan]], equal_nan=True)
    gold = np.array([0, 1, -1])
    found = controls(gold, shares, {"Leader": np.array([0, 0, 0]), "None": np.array([-1, -1, -1])})
    assert [one.name for one in found] == ["Gold", "Leader", "None", "Random"]
    assert [one.same for one in found] == [1.0, 0.5, 0.0, (1 / 3 + 1 / 2) / 2]
    assert np.allclose(
        [one.win_rate for one in found], [0.65, 0.55, np.nan, ((0.7 + 0.2 + 0.4) / 3 + 0.5) / 2], equal_nan=True
    )
    assert controls(np.array([-1]), shares[:1], {}) == ()


def test_the_longest_of_those_that_are_there() -> None:
    lengths = np.array([[3.0, 9.0, 5.0], [4.0, 4.0, 1.0], [2.0, 2.0, 2.0]])
    there = np.array([[True, False, True], [True, True, True], [False, False, False]])
    assert longest(lengths, there).tolist() == [2, 0, -1]


def test_the_answer_most_like_the_others() -> None:
    half = np.sqrt(0.5)
    vectors = np.array([[[1.0, 0.0], [half, half], [0.0, 1.0]]] * 3)
    there = np.array([[True, True, True], [True, False, True], [False, True, False]])
    assert most_agreed(vectors, there).tolist() == [1, 0, -1]
