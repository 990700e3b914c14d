"""GPU time and money in a status, and when they have moved enough to be written."""

from __future__ import annotations

from tiltyard.api import UsageStatus
from tiltyard_jobs.contracts.spending import Spending, rounded

GPU_SLACK_SECONDS = 600  # less, or less than a tenth more, is not worth a write


def priced(usage: UsageStatus, spending: Spending) -> UsageStatus:
    """A usage with GPU time and money."""
    cost = spending.happened.cost
    found = {
        "gpu_seconds": spending.happened.gpu_seconds,
        "cost": None if cost is None else f"{rounded(cost):f}",
        "currency": None if cost is None else spending.currency,
    }
    return usage.model_copy(update=found)


def nearly_same(before: UsageStatus | None, after: UsageStatus | None) -> UsageStatus | None:
    """The later usage, with the GPU time and the money of the earlier one where they have hardly moved."""
    if before is None or after is None or before.gpu_seconds is None or after.gpu_seconds is None:
        return after
    if not 0 <= after.gpu_seconds - before.gpu_seconds <= max(GPU_SLACK_SECONDS, before.gpu_seconds // 10):
        return after
    kept = {name: getattr(before, name) for name in ("gpu_seconds", "cost", "currency")}
    same = after.model_copy(update=kept)
    return same if same == before else after
