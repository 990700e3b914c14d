"""Delays and the budget."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.llm.retry import RetryBudget, RetryPolicy, jittered_delay


@given(tries=st.integers(1, 10_000), seed=st.integers())
def test_a_delay_is_below_its_doubling_bound(tries: int, seed: int) -> None:
    policy = RetryPolicy(base_delay=0.5, max_delay=30.0)
    assert 0.0 <= jittered_delay(policy, tries, random.Random(seed)) <= min(0.5 * 2 ** min(tries - 1, 60), 30.0)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.booleans()), max_size=200))
def test_the_budget_never_gives_more_than_it_was_given(steps: list[tuple[float, bool]]) -> None:
    clock = [0.0]
    budget = RetryBudget(ratio=0.2, floor=2.0, clock=lambda: clock[0])
    requests = retries = 0
    for wait, is_retry in steps:
        clock[0] += wait
        if is_retry:
            delay = budget.withdraw()
            assert 0.0 <= delay <= 1.0
            retries += delay == 0.0
        else:
            budget.deposit()
            requests += 1
    assert retries <= 20 + 0.2 * requests + 2.0 * clock[0] + 1e-6


def test_an_empty_budget_fills_with_time() -> None:
    clock = [0.0]
    budget = RetryBudget(ratio=0.0, floor=4.0, clock=lambda: clock[0])
    while (wait := budget.withdraw()) == 0.0:
        pass
    assert wait == 0.25
    clock[0] += wait
    assert budget.withdraw() == 0.0
    assert budget.withdraw() > 0.0


@pytest.mark.parametrize(("floor", "saved"), [(2.0, 20), (0.0, 10), (0.5, 10)])
@pytest.mark.parametrize("fill", ["time", "requests"])
def test_no_more_is_saved_up_than_ten_seconds_worth(floor: float, saved: int, fill: str) -> None:
    clock = [0.0]
    budget = RetryBudget(ratio=0.25, floor=floor, clock=lambda: clock[0])

    def at_once() -> int:
        """Retries until one must wait."""
        taken = 0
        while budget.withdraw() == 0.0:
            taken += 1
            assert taken <= 1000, "there is no bound"
        return taken

    assert at_once() == saved
    if fill == "time":
        clock[0] += 3600.0
        assert at_once() == (saved if floor else 0)
    else:
        for _ in range(5000):
            budget.deposit()
        assert at_once() == saved
