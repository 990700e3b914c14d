"""GPU time and money in a status."""

from __future__ import annotations

from decimal import Decimal

from tiltyard.api import UsageStatus
from tiltyard.status.spending import nearly_same, priced
from tiltyard_jobs.contracts.spending import Amounts, Spending


def test_money_in_a_status_is_a_decimal_with_its_currency() -> None:
    account = Spending(currency="EUR", happened=Amounts(gpu_seconds=3600, cost=Decimal("1234.5")))
    usage = priced(UsageStatus(), account)
    assert (usage.gpu_seconds, usage.cost, usage.currency) == (3600, "1234.50", "EUR")
    little = priced(UsageStatus(), Spending(currency="EUR", happened=Amounts(cost=Decimal("0.00012345"))))
    assert little.cost == "0.00012"
    none = priced(UsageStatus(), Spending(currency="EUR"))
    assert (none.gpu_seconds, none.cost, none.currency) == (None, None, None)


def test_gpu_time_that_hardly_moved_is_not_worth_a_write() -> None:
    before = UsageStatus(gpu_seconds=10_000, cost="10.00", currency="EUR")
    assert nearly_same(before, before.model_copy(update={"gpu_seconds": 10_500, "cost": "10.50"})) == before
    far = before.model_copy(update={"gpu_seconds": 12_000, "cost": "12.00"})
    assert nearly_same(before, far) == far
    tokens = before.model_copy(update={"gpu_seconds": 10_500, "completion_tokens": 1})
    assert nearly_same(before, tokens) == tokens
