"""What a run was expected to cost beside what it has cost: exact money, nothing invented."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.api import Tournament, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import Cost, estimate
from tiltyard.plan.graph import Graph
from tiltyard.plan.spending import spending_of
from tiltyard_jobs.contracts.spending import Amounts, hours_text, money_text
from tiltyard_jobs.contracts.tasks import LedgerRow

GPU = "nvidia.com/gpu"
PRICES = {
    "currency": "EUR",
    "gpuHours": {GPU: "2.50"},
    "endpoints": [{"name": "m1", "promptTokens": "0.1", "cachedTokens": "0.01", "completionTokens": "0.3"}],
}


def world(prices: dict[str, Any] | None = PRICES) -> tuple[Tournament, Graph]:
    """m0 takes two GPUs, m1 is an endpoint, m2 takes no GPU."""
    base = tournament(3, per_competitor=8)
    document = base.model_dump(mode="json", by_alias=True, exclude_unset=True)
    first, second, _ = document["spec"]["competitors"]
    first["serving"] = {"resources": {"limits": {GPU: "2"}}}
    second.pop("model")
    second.pop("serving", None)
    second["endpoint"] = {"url": "https://api.example/v1", "model": "m"}
    if prices is not None:
        document["spec"]["prices"] = prices
    made = load_tournament(json.dumps({"apiVersion": base.api_version, "kind": base.kind, **document}))
    return made, build_graph(made)


def test_tokens_of_an_endpoint_cost_what_the_price_says_to_the_last_digit() -> None:
    made, graph = world()
    rows = (
        LedgerRow(stage="answer", model="m1", requests=9, retries=4, prompt_tokens=30, cached_tokens=10),
        LedgerRow(stage="judge", model="m1", requests=1, completion_tokens=1),
    )
    found = spending_of(made, graph, {}, rows)
    # 0.1 + 0.2 is what binary fractions get wrong: 20 × 0.1 + 10 × 0.01 + 1 × 0.3, by the million.
    assert found.happened.cost == Decimal("0.0000024")
    assert {row.stage: row.happened.cost for row in found.stages if row.model == "m1"}["answer"] == Decimal("0.0000021")
    assert found.currency == "EUR"


def test_cached_tokens_cost_as_others_where_they_have_no_price() -> None:
    prices = {"currency": "EUR", "endpoints": [{"name": "m1", "promptTokens": "1", "completionTokens": "1"}]}
    row = LedgerRow(stage="answer", model="m1", prompt_tokens=500_000, cached_tokens=400_000)
    assert spending_of(*world(prices), {}, [row]).happened.cost == Decimal("0.5")


def test_gpus_cost_from_the_start_of_their_model_to_its_end() -> None:
    found = spending_of(*world(), {}, held={"m0": 1800.2, "m2": 700})
    assert (found.happened.gpu_seconds, found.happened.cost) == (3600, Decimal("2.5"))
    assert [row.model for row in found.models] == ["m0", "m1", "m2"]
    assert "no GPU in serving.resources of m2: no GPU-hours are counted" in found.notes


def test_tokens_are_planned_as_they_are_estimated_and_work_that_exists_is_not() -> None:
    made, graph = world()
    planned = spending_of(made, graph, {}).planned
    total = sum(estimate(graph, {}).values(), Cost())
    assert (planned.prompt_tokens, planned.completion_tokens) == (total.prompt_tokens, total.completion_tokens)
    whole = {ref.key: frozenset(range(ref.shards)) for ref in graph.artifacts}
    assert spending_of(made, graph, whole).planned == Amounts(cost=Decimal(0))


def test_gpu_hours_are_planned_only_of_what_was_measured() -> None:
    made, graph = world()
    before = spending_of(made, graph, {})
    assert before.models[0].planned.gpu_seconds is None
    assert any(note.startswith("no time per token has been measured yet for m0") for note in before.notes)
    after = spending_of(made, graph, {}, rates={graph.model["m0"].version: 0.01}).models[0].planned
    seconds = round(0.01 * (after.prompt_tokens + after.completion_tokens))
    assert after.gpu_seconds == 2 * seconds
    assert after.cost == (Decimal(seconds) * 5 / 3600).quantize(Decimal("0.000001"))


def test_a_price_that_is_missing_is_said_and_is_not_zero() -> None:
    row = LedgerRow(stage="answer", model="m1", prompt_tokens=30)
    found = spending_of(*world({"currency": "EUR"}), {}, [row], {"m0": 3600})
    assert (found.happened.gpu_seconds, found.happened.cost) == (7200, None)
    assert "no price for nvidia.com/gpu: counted in GPU-hours alone" in found.notes
    assert "no price for the endpoint of m1: its tokens are counted without money" in found.notes


def test_without_prices_nothing_is_said_of_money() -> None:
    found = spending_of(*world(None), {}, held={"m0": 3600})
    assert (found.currency, found.happened.cost, found.happened.gpu_seconds) == (None, None, 7200)
    assert not any("price" in note for note in found.notes)


def test_prices_change_no_run() -> None:
    assert world()[1].run == world(None)[1].run
    assert world()[1].artifacts == world(None)[1].artifacts


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1234.565", "1,234.57"), ("0", "0.00"), ("0.005", "0.0050"), ("0.00012345", "0.00012"), ("1E+3", "1,000.00")],
)
def test_money_for_people(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.00"), (36, "0.01"), (7, "0.0019"), (4_500_000, "1,250.00")])
def test_hours_for_people(seconds: int, text: str) -> None:
    assert hours_text(seconds) == text


def test_money_in_documents_has_no_exponent() -> None:
    for cost, text in (("2.1E-7", "0.00000021"), ("1E+2", "100"), ("0E-6", "0"), ("2.500", "2.5")):
        assert Amounts(cost=Decimal(cost)).model_dump(mode="json")["cost"] == text
    again = Amounts.model_validate_json(Amounts(cost=Decimal("0.1")).model_dump_json())
    assert again.cost == Decimal("0.1")
