"""Faults come at their rates, the same each time, and a retry passes in the end."""

from __future__ import annotations

from collections import Counter

import pytest

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.faults import Fault, FaultPlan


def test_faults_come_at_their_rates_and_again_the_same() -> None:
    rates = {Fault.TOO_MANY: 0.1, Fault.CUT: 0.05}
    runs = [[FaultPlan(rates, seed).next_fault(f"{row}") for row in range(4000)] for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
    counts = Counter(runs[0])
    assert 330 < counts[Fault.TOO_MANY] < 470
    assert 150 < counts[Fault.CUT] < 250
    assert set(counts) == {None, Fault.TOO_MANY, Fault.CUT}


def test_a_retry_passes_in_the_end() -> None:
    plan = FaultPlan({Fault.INTERNAL: 0.7})
    attempts = [next(n for n in range(1, 200) if plan.next_fault(f"{row}") is None) for row in range(300)]
    assert 2.7 < sum(attempts) / len(attempts) < 4.0


@pytest.mark.parametrize("rates", [{Fault.HANG: 1.2}, {Fault.HANG: 0.6, Fault.CUT: 0.6}, {Fault.CUT: -0.1}])
def test_impossible_rates_are_refused(rates: dict[Fault, float]) -> None:
    with pytest.raises(ConfigurationError, match="probabilit"):
        FaultPlan(rates)
