"""Tokens, GPU-hours and money of a run: what was to be expected beside what has happened.

Tokens that happened are those that servers reported, also for voids, retries and work that was lost. A request that
failed reports none, so what a provider charges for it is not here. The GPU time of a served model is the time from its
start to its end times its GPUs. It is expected only where the model's time per token was measured before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal, localcontext

from tiltyard.api import Prices, Tournament
from tiltyard.api.fields import listed
from tiltyard.api.resources import is_gpu
from tiltyard.plan.estimate import Cost, estimate
from tiltyard.plan.graph import Bundle, Graph, ModelNode
from tiltyard.plan.observed import Observed
from tiltyard_jobs.contracts.spending import Amounts, Spending, SpendingRow
from tiltyard_jobs.contracts.tasks import LedgerRow

MILLION = 1_000_000
HOUR = 3600
_EXACT = Context(prec=60)
_MICRO = Decimal("0.000001")  # an hour's price by the second does not always end


def spending_of(
    tournament: Tournament,
    graph: Graph,
    before: Mapping[str, frozenset[int]] | None,
    ledger: Iterable[LedgerRow] = (),
    held: Mapping[str, float] | None = None,
    rates: Mapping[str, float] | None = None,
) -> Spending:
    """The account of a run.

    Args:
        tournament: the manifest.
        graph: its graph.
        before: parts that exist before the run, by artifact key; None: nothing is planned.
        ledger: what the run has cost so far.
        held: seconds that each served model was up in this run, by name; a model that was never up is absent.
        rates: seconds per token that were measured of models in other runs, by `ModelNode.version`.
    """
    accountant = _Accountant(tournament, graph, held or {}, rates or {})
    expected = {} if before is None else _expected(graph, before)
    happened = {(row.stage, row.model): row for row in ledger}
    with localcontext(_EXACT):
        stages = [
            SpendingRow(
                model=model,
                stage=stage,
                planned=accountant.planned_tokens(model, expected.get((stage, model), Cost())),
                happened=accountant.reported(model, happened.get((stage, model))),
            )
            for stage, model in dict.fromkeys((*expected, *happened))
        ]
        models = [accountant.row(name, stages) for name in _ordered(graph, stages, accountant.held)]
        return Spending(
            currency=accountant.prices.currency if accountant.prices is not None else None,
            stages=tuple(stages),
            models=tuple(models),
            planned=_total(row.planned for row in models),
            happened=_total(row.happened for row in models),
            notes=tuple(accountant.notes(models)),
        )


def spending_seen(
    tournament: Tournament, graph: Graph, observed: Observed, shown_by: Bundle | None = None
) -> Spending | None:
    """The account of a run as it was seen; None for a bundle that shows no costs."""
    if shown_by is not None and not any(recipe.SHOWS_COSTS for recipe in shown_by.recipes):
        return None
    return spending_of(tournament, graph, observed.reused, observed.ledger, observed.held, observed.seconds_per_token)


def spent(tournament: Tournament, graph: Graph, observed: Observed) -> Spending:
    """The same without a plan, which takes a look at every recipe."""
    return spending_of(tournament, graph, None, observed.ledger, observed.held)


def gpus_of(model: ModelNode) -> dict[str, Decimal]:
    """The GPUs that one load of a model takes, by the name of their resource."""
    return {name: count for name, count in model.resources.items() if count and is_gpu(name)}


def _expected(graph: Graph, before: Mapping[str, frozenset[int]]) -> dict[tuple[str, str], Cost]:
    costs, found = estimate(graph, before), dict[tuple[str, str], Cost]()
    for bundle in graph.bundles:
        if bundle.model is not None:
            place = bundle.stage, bundle.model
            found[place] = found.get(place, Cost()) + costs[bundle.name]
    return found


def _ordered(graph: Graph, stages: Iterable[SpendingRow], held: Mapping[str, float]) -> list[str]:
    """Models that take part in the account, in the manifest's order."""
    asked = {row.model for row in stages} | held.keys()
    return [model.name for model in graph.models if model.name in asked]


def _total(amounts: Iterable[Amounts]) -> Amounts:
    total = Amounts()
    for one in amounts:
        total = total.plus(one)
    return total


class _Accountant:
    """What turns tokens and seconds of each model into money."""

    def __init__(
        self, tournament: Tournament, graph: Graph, held: Mapping[str, float], rates: Mapping[str, float]
    ) -> None:
        self.prices: Prices | None = tournament.spec.prices
        self.held, self._rates, self._graph = held, rates, graph
        endpoints = self.prices.endpoints if self.prices is not None else ()
        self._endpoint_prices = {price.name: price for price in endpoints}
        self._gpu_prices = self.prices.gpu_hours if self.prices is not None else {}

    def planned_tokens(self, model: str, cost: Cost) -> Amounts:
        """What is expected of a model in one stage."""
        return self._with_money(
            model, Amounts(prompt_tokens=cost.prompt_tokens, completion_tokens=cost.completion_tokens)
        )

    def reported(self, model: str, row: LedgerRow | None) -> Amounts:
        """What a model's server has reported in one stage."""
        if row is None:
            return self._with_money(model, Amounts())
        return self._with_money(
            model,
            Amounts(
                prompt_tokens=row.prompt_tokens,
                cached_tokens=min(row.cached_tokens, row.prompt_tokens),
                completion_tokens=row.completion_tokens,
            ),
        )

    def row(self, name: str, stages: Iterable[SpendingRow]) -> SpendingRow:
        """All stages of a model, with its GPU time."""
        mine = [row for row in stages if row.model == name]
        planned, happened = _total(row.planned for row in mine), _total(row.happened for row in mine)
        model = self._graph.model[name]
        if model.served:
            planned = self._with_hours(model, planned, self._expected_seconds(model, planned))
            happened = self._with_hours(model, happened, self.held.get(name))
        return SpendingRow(model=name, planned=planned, happened=happened)

    def notes(self, models: Iterable[SpendingRow]) -> Iterator[str]:
        """What is left out of the sums."""
        nodes = [self._graph.model[row.model] for row in models]
        if self.prices is not None:
            for node in nodes:
                if not node.served and node.name not in self._endpoint_prices:
                    yield f"no price for the endpoint of {node.name}: its tokens are counted without money"
            for name in dict.fromkeys(name for node in nodes if node.served for name in gpus_of(node)):
                if name not in self._gpu_prices:
                    yield f"no price for {name}: counted in GPU-hours alone"
        without = [node.name for node in nodes if node.served and not gpus_of(node)]
        if without and self._gpu_prices:
            yield f"no GPU in serving.resources of {listed(without)}: no GPU-hours are counted"
        unknown = [
            row.model
            for row in models
            if gpus_of(self._graph.model[row.model]) and row.planned.gpu_seconds is None and _tokens(row.planned)
        ]
        if unknown:
            yield f"no time per token has been measured yet for {listed(unknown)}: no GPU-hours are planned"

    def _expected_seconds(self, model: ModelNode, planned: Amounts) -> float | None:
        rate = self._rates.get(model.version)
        return None if rate is None else rate * _tokens(planned)

    def _with_money(self, model: str, amounts: Amounts) -> Amounts:
        price = self._endpoint_prices.get(model)
        if price is None:
            return amounts
        cached = price.prompt_tokens if price.cached_tokens is None else price.cached_tokens
        cost = (
            (amounts.prompt_tokens - amounts.cached_tokens) * price.prompt_tokens
            + amounts.cached_tokens * cached
            + amounts.completion_tokens * price.completion_tokens
        )
        return amounts.model_copy(update={"cost": cost / MILLION})

    def _with_hours(self, model: ModelNode, amounts: Amounts, seconds: float | None) -> Amounts:
        gpus = gpus_of(model)
        if seconds is None or not gpus:
            return amounts
        exact = Decimal(round(seconds))
        priced = [count * self._gpu_prices[name] for name, count in gpus.items() if name in self._gpu_prices]
        cost = (exact * sum(priced, Decimal(0)) / HOUR).quantize(_MICRO) if priced else None
        return amounts.model_copy(update={"gpu_seconds": int(exact * sum(gpus.values(), Decimal(0))), "cost": cost})


def _tokens(amounts: Amounts) -> int:
    return amounts.prompt_tokens + amounts.completion_tokens
