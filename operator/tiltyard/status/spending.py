"""Tokens, GPU time and money in a status, and when they have moved enough to be written."""

from __future__ import annotations

from decimal import Decimal

from tiltyard.api import PlannedUsage, Tournament, TournamentStatus, UsageStatus
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import Observed, PreflightPhase
from tiltyard.plan.spending import spending_of
from tiltyard.status.records import whole
from tiltyard_jobs.contracts.spending import Spending, rounded

GPU_SLACK_SECONDS = 600  # less, or less than a tenth more, is not worth a write


def planned_usage(
    tournament: Tournament, graph: Graph, observed: Observed, before: TournamentStatus | None
) -> PlannedUsage | None:
    """What a run was expected to take, as its report has it; None on one machine, and until preflight has passed.

    It is computed from every recipe of the graph, so the one of an earlier status is kept until the spec is edited.
    """
    generation = tournament.metadata.generation
    if generation is None:
        return None
    if before is not None and (before.run, before.observed_generation) == (graph.run, generation):
        known = before.usage.planned if before.usage is not None else None
        if known is not None:
            return known
    if observed.preflight is not PreflightPhase.PASSED:
        return None
    planned = spending_of(tournament, graph, observed.reused).planned
    return PlannedUsage(
        prompt_tokens=whole(planned.prompt_tokens),
        completion_tokens=whole(planned.completion_tokens),
        cost=_text(planned.cost),
    )


def priced(usage: UsageStatus, spending: Spending, planned: PlannedUsage | None) -> UsageStatus:
    """A usage with GPU time and money, beside what was planned."""
    cost = _text(spending.happened.cost)
    has_money = cost is not None or (planned is not None and planned.cost is not None)
    found = {
        "gpu_seconds": spending.happened.gpu_seconds,
        "cost": cost,
        "currency": spending.currency if has_money else None,
        "planned": planned,
    }
    return usage.model_copy(update=found)


def _text(cost: Decimal | None) -> str | None:
    return None if cost is None else f"{rounded(cost):f}"


def nearly_same(before: UsageStatus | None, after: UsageStatus | None) -> UsageStatus | None:
    """The later usage, with the GPU time and the money of the earlier one where they have hardly moved."""
    if before is None or after is None or before.gpu_seconds is None or after.gpu_seconds is None:
        return after
    if not 0 <= after.gpu_seconds - before.gpu_seconds <= max(GPU_SLACK_SECONDS, before.gpu_seconds // 10):
        return after
    kept = {name: getattr(before, name) for name in ("gpu_seconds", "cost", "currency")}
    same = after.model_copy(update=kept)
    return same if same == before else after
