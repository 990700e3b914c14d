"""Tokens, GPU time and money in a status."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from support.manifests import tournament
from tiltyard.api import PlannedUsage, Tournament, TournamentStatus, UsageStatus, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import Observed, PreflightPhase
from tiltyard.plan.spending import spending_of
from tiltyard.status.spending import nearly_same, planned_usage, priced
from tiltyard_jobs.contracts.spending import Amounts, Spending


def priced_tournament(generation: int | None) -> Tournament:
    """Three competitors, of which one is an endpoint with prices."""
    base = tournament(3, per_competitor=8)
    document = base.model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["spec"]["competitors"][1] = {"name": "m1", "endpoint": {"url": "https://api.example/v1", "model": "m"}}
    price = {"name": "m1", "promptTokens": "1000", "completionTokens": "3000"}
    document["spec"]["prices"] = {"currency": "EUR", "endpoints": [price]}
    document["metadata"]["generation"] = generation
    return load_tournament(json.dumps({"apiVersion": base.api_version, "kind": base.kind, **document}))


def test_money_in_a_status_is_a_decimal_with_its_currency() -> None:
    account = Spending(currency="EUR", happened=Amounts(gpu_seconds=3600, cost=Decimal("1234.5")))
    usage = priced(UsageStatus(), account, None)
    assert (usage.gpu_seconds, usage.cost, usage.currency) == (3600, "1234.50", "EUR")
    little = priced(UsageStatus(), Spending(currency="EUR", happened=Amounts(cost=Decimal("0.00012345"))), None)
    assert little.cost == "0.00012"
    none = priced(UsageStatus(), Spending(currency="EUR"), None)
    assert (none.gpu_seconds, none.cost, none.currency) == (None, None, None)


def test_what_was_planned_has_the_currency_of_the_prices() -> None:
    planned = PlannedUsage(prompt_tokens=7, cost="2.50")
    usage = priced(UsageStatus(), Spending(currency="EUR"), planned)
    assert (usage.planned, usage.cost, usage.currency) == (planned, None, "EUR")


def test_what_was_planned_is_that_of_the_report_and_stays_until_an_edit() -> None:
    tournament = priced_tournament(generation=3)
    graph = build_graph(tournament)
    passed = Observed(preflight=PreflightPhase.PASSED)
    account = spending_of(tournament, graph, {})
    planned = planned_usage(tournament, graph, passed, None)
    assert planned is not None
    assert planned.prompt_tokens == account.planned.prompt_tokens > 0
    assert planned.completion_tokens == account.planned.completion_tokens > 0
    assert planned.cost is not None
    assert Decimal(planned.cost) > 0

    done = replace(passed, reused={ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts})
    nothing = planned_usage(tournament, graph, done, None)
    assert nothing is not None
    assert nothing.prompt_tokens == 0, "what exists before a run is not planned"
    before = TournamentStatus(run=graph.run, observed_generation=3, usage=UsageStatus(planned=planned))
    assert planned_usage(tournament, graph, done, before) == planned
    assert planned_usage(priced_tournament(generation=4), graph, done, before) == nothing, "an edit may be of prices"
    assert planned_usage(tournament, graph, done, before.model_copy(update={"run": "0" * 12})) == nothing


def test_nothing_is_planned_on_one_machine_or_before_preflight_has_passed() -> None:
    here, there = priced_tournament(generation=None), priced_tournament(generation=1)
    assert planned_usage(here, build_graph(here), Observed(preflight=PreflightPhase.PASSED), None) is None
    assert planned_usage(there, build_graph(there), Observed(preflight=PreflightPhase.ACTIVE), None) is None


def test_gpu_time_that_hardly_moved_is_not_worth_a_write() -> None:
    before = UsageStatus(gpu_seconds=10_000, cost="10.00", currency="EUR")
    assert nearly_same(before, before.model_copy(update={"gpu_seconds": 10_500, "cost": "10.50"})) == before
    far = before.model_copy(update={"gpu_seconds": 12_000, "cost": "12.00"})
    assert nearly_same(before, far) == far
    tokens = before.model_copy(update={"gpu_seconds": 10_500, "completion_tokens": 1})
    assert nearly_same(before, tokens) == tokens
