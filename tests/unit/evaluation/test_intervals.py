from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiltyard_jobs.evaluation.intervals import mean, paired_difference, share


def test_wilsons_interval() -> None:
    # Newcombe, Statist. Med. 17 (1998) 857-872, table I: method 3 (Wilson) for 81/263, 15/148, 0/20, 1/29.
    for passed, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = share(passed, count)
        assert found.value == passed / count
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_newcombes_interval_for_paired_proportions() -> None:
    # Newcombe, Statist. Med. 17 (1998) 2635-2650, table II, method 10: 36, 12, 2, 0 gives 0.0569 to 0.3404.
    after = [True] * 48 + [False] * 2
    before = [True] * 36 + [False] * 12 + [True] * 2
    found = paired_difference(before, after)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def table(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Tasks before and after."""
    before = [True] * both + [False] * gained + [True] * lost + [False] * neither
    after = [True] * both + [True] * gained + [False] * lost + [False] * neither
    return before, after


def test_a_positive_association_narrows_the_interval_less_its_continuity_correction() -> None:
    # Method 10: phi = max(ad - bc - n/2, 0) / sqrt of the margins' product, where ad > bc. Half of 20 tasks passed
    # twice and half never: ad - bc = 100, phi = (100 - 10) / 100, and all four tails are as long, so half of the
    # interval is that tail times sqrt(1 - 2 phi + 1).
    found = paired_difference(*table(10, 0, 0, 10))
    tail = 0.5 - share(10, 20).low
    assert (found.value, found.low, found.high) == pytest.approx((0.0, -tail * 0.2**0.5, tail * 0.2**0.5))
    # As before, but ad - bc = 6 * 6 - 4 * 4 = 20 and phi = (20 - 10) / 100.
    found = paired_difference(*table(6, 4, 4, 6))
    assert (found.low, found.high) == pytest.approx((-tail * 1.8**0.5, tail * 1.8**0.5))


def test_an_association_that_the_correction_takes_away_leaves_independent_samples() -> None:
    # ad - bc = 5 * 4 - 4 * 3 = 8, which n/2 = 8 takes to nothing; and 4 * 3 - 3 * 3 = 3, which it takes no further.
    for cells in ((5, 4, 3, 4), (4, 3, 3, 3)):
        both, gained, lost, neither = cells
        found = paired_difference(*table(both, gained, lost, neither))
        after, before = share(both + gained, sum(cells)), share(both + lost, sum(cells))
        assert found.value == pytest.approx(after.value - before.value)
        assert found.low == pytest.approx(found.value - math.hypot(after.value - after.low, before.high - before.value))
        assert found.high == pytest.approx(
            found.value + math.hypot(after.high - after.value, before.value - before.low)
        )


def test_a_negative_association_widens_the_interval_uncorrected() -> None:
    # Each task turned round: ad - bc = -100, phi = -1, so the tails add up.
    found = paired_difference(*table(0, 10, 10, 0))
    tail = 0.5 - share(10, 20).low
    assert (found.low, found.high) == pytest.approx((-2 * tail, 2 * tail))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_an_interval_holds_its_value_and_turns_with_its_sides(pairs: list[tuple[bool, bool]]) -> None:
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    up, down = paired_difference(before, after), paired_difference(after, before)
    assert -1 <= up.low <= up.value + 1e-12
    assert up.value - 1e-12 <= up.high <= 1
    assert (up.value, up.low, up.high) == pytest.approx((-down.value, -down.high, -down.low), abs=1e-12)


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], [])])
def test_other_tasks_are_no_pair(before: list[bool], after: list[bool]) -> None:
    with pytest.raises(ValueError, match="tasks"):
        paired_difference(before, after)


def test_values_between_have_a_normal_interval() -> None:
    found = mean([0.0, 0.5, 1.0, 0.5])
    half = 1.959964 * (1 / 6) ** 0.5 / 2  # of four values with variance 1/6
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)
    assert mean([1.0, 0.0]) == share(1, 2)
    gained = paired_difference([0.25, 0.5], [0.5, 0.75])
    assert (gained.value, gained.low, gained.high) == pytest.approx((0.25, 0.25, 0.25))
