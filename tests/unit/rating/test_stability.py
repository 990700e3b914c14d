from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from tiltyard_jobs.rating.stability import rank_stability

NAN = float("nan")
NO_GOLD = np.array([], dtype=np.int64)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12))
def test_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=np.float64).T
    result = rank_stability(first, second, NO_GOLD, NO_GOLD)
    if len(set(first)) > 1 and len(set(second)) > 1:
        assert_allclose(result.kendall, stats.kendalltau(first, second).statistic, atol=1e-12)
        assert_allclose(result.spearman, stats.spearmanr(first, second).statistic, atol=1e-12)
    else:
        assert np.isnan(result.kendall)
        assert np.isnan(result.spearman)


def test_leader_and_gold() -> None:
    result = rank_stability(
        np.array([1100.0, 1000.0, NAN, 900.0]),
        np.array([1050.0, 1000.0, 2000.0, 950.0]),  # unrated by the first jury: left out
        np.array([0, 1, 3, -1, 2]),
        np.array([0, 2, 3, 1, -1]),
    )
    assert result.same_leader
    assert result.kendall == result.spearman == 1.0
    assert (result.gold_agreement, result.gold_compared) == (2 / 3, 3)


def test_another_leader() -> None:
    result = rank_stability(np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0]), NO_GOLD, NO_GOLD)
    assert not result.same_leader
    assert np.isnan(result.gold_agreement)


def test_nobody_rated() -> None:
    result = rank_stability(np.array([NAN]), np.array([1.0]), NO_GOLD, NO_GOLD)
    assert not result.same_leader
    assert np.isnan(result.kendall)


def test_juries_must_match() -> None:
    with pytest.raises(ValueError, match="differ in their number"):
        rank_stability(np.zeros(2), np.zeros(3), NO_GOLD, NO_GOLD)
