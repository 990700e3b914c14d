from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tiltyard_jobs.rating.battles import Battles, pair_wins, win_rates
from tiltyard_jobs.rating.elo import expected_scores

NAN = float("nan")


def battles(rows: list[tuple[int, int, float]], players: int = 3) -> Battles:
    a, b, score = zip(*rows, strict=True)
    return Battles(np.arange(len(rows)), np.array(a), np.array(b), np.array(score, dtype=np.float64), players)


def test_win_rates() -> None:
    played = battles([(0, 1, 1.0), (1, 0, 0.5), (0, 1, 0.25)])
    assert_array_equal(pair_wins(played), [[0, 1.75, 0], [1.25, 0, 0], [0, 0, 0]])
    rates = win_rates(played)
    assert_array_equal(rates.rate, [[NAN, 1.75 / 3, NAN], [1.25 / 3, NAN, NAN], [NAN, NAN, NAN]])
    assert_array_equal(rates.battles, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, 0, 1.0), "against itself"),
        ((0, 3, 1.0), "names player 3 of 3"),
        ((-1, 0, 1.0), "names player -1 of 3"),
        ((0, 1, 1.01), "outside"),
        ((0, 1, NAN), "outside"),
    ],
)
def test_what_is_no_battle_is_refused(row: tuple[int, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        battles([(0, 1, 0.5), row]).checked()


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        battles([(0, 1, 0.5)])._replace(instruction=np.arange(2)).checked()


def test_expected_scores_on_the_elo_scale() -> None:
    # 400 points are odds of ten to one.
    expected = expected_scores(np.array([1400.0, 1000.0]))
    np.testing.assert_allclose(expected, [[0.5, 10 / 11], [1 / 11, 0.5]], rtol=1e-15)
