"""Rates over the last minute, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard.status.rates import WINDOW_SECONDS, Rates


def noted(*looks: tuple[float, float]) -> Rates:
    rates = Rates()
    for now, count in looks:
        rates.note(now, {"records": count})
    return rates


def test_no_rate_before_anything_was_seen_or_has_grown() -> None:
    assert Rates().of("records") is None
    assert not Rates().stalled("records")
    assert noted((0, 5)).of("records") is None
    assert noted((0, 5), (1, 9)).of("records") is None  # a second says little
    assert noted((0, 5), (10, 5)).of("records") is None
    assert noted((0, 5), (10, 3)).of("records") is None
    assert noted((0, 5), (10, 9)).of("others") is None


def test_a_rate_is_of_the_last_minute() -> None:
    slow = [(float(now), float(now)) for now in range(100)]
    fast = [(100.0 + now, 100.0 + 10 * now) for now in range(int(WINDOW_SECONDS) + 1)]
    assert noted(*slow).of("records") == pytest.approx(1.0)
    assert noted(*slow, *fast).of("records") == pytest.approx(10.0)


def test_looks_that_are_far_apart_are_a_rate_too() -> None:
    assert noted((0, 0), (150, 300)).of("records") == pytest.approx(2.0)
    assert noted((0, 0), (150, 300), (300, 900)).of("records") == pytest.approx(4.0)


def test_what_has_not_grown_for_a_while_is_stalled() -> None:
    growing = [(float(now), float(now)) for now in range(10)]
    assert not noted(*growing, (20.0, 9.0)).stalled("records")
    assert noted(*growing, (20.0, 9.0), (45.0, 9.0)).stalled("records")
    assert not noted(*growing, (20.0, 9.0), (45.0, 9.0), (46.0, 10.0)).stalled("records")


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 50), st.integers(0, 1000)), min_size=1, max_size=60))
def test_a_rate_is_never_above_the_fastest_growth_and_memory_is_bounded(steps: list[tuple[float, int]]) -> None:
    rates, now, count, fastest = Rates(), 0.0, 0, 0.0
    rates.note(now, {"records": count})
    for pause, grown in steps:
        now, count = now + pause, count + grown
        fastest = max(fastest, grown / pause)
        rates.note(now, {"records": count})
        rate = rates.of("records")
        assert rate is None or 0 < rate <= fastest * (1 + 1e-9)
    assert len(rates._looks) <= WINDOW_SECONDS + 2
