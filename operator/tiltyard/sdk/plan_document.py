"""The document of `tiltyard plan`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from tiltyard.api.base import ApiModel
from tiltyard.plan.estimate import Cost
from tiltyard.plan.graph import Graph
from tiltyard.plan.weights import Loading
from tiltyard.sdk.documents import Document, Spending
from tiltyard_jobs.contracts.spending import Spending as RunSpending


class Costs(ApiModel):
    """What something is expected to cost."""

    calls: int
    """The number of calls to models, at most."""
    prompt_tokens: int
    """The number of prompt tokens, estimated."""
    completion_tokens: int
    """The number of completion tokens, estimated."""


class PlannedBundle(Costs):
    """One bundle of a plan."""

    name: str
    """The bundle's name."""
    stage: str
    """The bundle's stage."""
    model: str | None = None
    """The model that the bundle calls, if any."""
    shards: int
    """The number of shards."""
    exist: int
    """The number of parts that exist already."""
    artifacts: tuple[str, ...]
    """The keys of the artifacts that the bundle makes."""


class ModelLoads(ApiModel):
    """How often models are expected to be started."""

    total: int
    """The number of loads of all models."""
    by_model: dict[str, int]
    """The number of loads of each model."""
    seconds: float | None = None
    """The time in seconds that they take, as far as these models were loaded before in this state folder."""
    measured: int | None = None
    """The number of loads that this is of."""
    weights_bytes: dict[str, int] | None = None
    """The size in bytes of each model's weights, as far as the Hugging Face hub says."""


class Plan(Document):
    """`tiltyard plan`."""

    kind: Literal["Plan"] = "Plan"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run that the manifest describes."""
    bundles: tuple[PlannedBundle, ...]
    """The bundles, in order."""
    total: Costs
    """What is left to do, in total."""
    model_loads: ModelLoads
    """The model loads to expect."""
    training_gpu_hours: float | None = None
    """The GPU-hours of the training at most, if there is one whose size is known."""
    spending: Spending | None = None
    """The tokens, GPU time and money of what is left to do; nothing of it has happened."""
    instructions: str | None = None
    """The number of instructions, how many of them are used, and why the others are not, once known."""
    warnings: tuple[str, ...] = ()
    """What the author of the manifest should know, a sentence each."""


def plan_document(
    graph: Graph,
    done: Mapping[str, frozenset[int]],
    costs: Mapping[str, Cost],
    loads: Mapping[str, int],
    training: float | None,
    loading: Loading,
    *,
    spending: RunSpending | None = None,
    instructions: str = "",
    warnings: Iterable[str] = (),
) -> Plan:
    """A plan as a document."""
    return Plan(
        tournament=graph.tournament,
        run=graph.run,
        bundles=tuple(
            PlannedBundle(
                name=bundle.name,
                stage=bundle.stage,
                model=bundle.model,
                shards=bundle.shards,
                exist=sum(len(done.get(ref.key, ())) for ref in bundle.makes),
                artifacts=tuple(ref.key for ref in bundle.makes),
                **costs[bundle.name]._asdict(),
            )
            for bundle in graph.bundles
        ),
        total=Costs(**sum(costs.values(), Cost())._asdict()),
        model_loads=ModelLoads(
            total=sum(loads.values()),
            by_model=dict(loads),
            seconds=None if loading.seconds is None else round(loading.seconds, 1),
            measured=loading.measured or None,
            weights_bytes=dict(loading.sizes) or None,
        ),
        training_gpu_hours=None if training is None else round(training, 2),
        spending=Spending.of(spending),
        instructions=instructions or None,
        warnings=tuple(warnings),
    )
