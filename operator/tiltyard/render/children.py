"""A Tournament's children: every object that is applied for it, made in one place for the operator and for people.

The operator makes a child when the plan asks for it; `in_order` makes them all beforehand, from the manifest alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tiltyard.api import (
    ManifestError,
    PodPatch,
    Problem,
    Tournament,
    problems_on_cluster,
    unsupported,
    unsupported_on_cluster,
)
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph, ModelNode
from tiltyard.plan.observed import ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.plan.participants import participants
from tiltyard.plan.planner import JobOrder, Policy, TournamentState, plan
from tiltyard.plan.policy import policy_of
from tiltyard.plan.schedule import Room
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.defaults import with_pod_defaults
from tiltyard.render.jobs import PREFLIGHT, bundle_objects, cluster_preflight_task, preflight_objects
from tiltyard.render.serving import Addresses, inference_service, served_as, service_url, with_service_urls
from tiltyard.render.tasks import bundle_task, trainer_ref
from tiltyard.render.train_job import runtime_of, train_job_objects
from tiltyard.render.weights import weights_object
from tiltyard.render.worker_pod import store_ref
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.tasks import LedgerRow

NO_TIME = "1970-01-01T00:00:00+00:00"
"""Stands for the moment at which a model is started, where nothing is."""


@dataclass(frozen=True)
class Prepared:
    """What follows from a manifest alone.

    Attributes:
        source: the manifest's name, for sentences.
        tournament: with the URLs of the InferenceServices that its endpoints name, and the cluster's defaults for pods.
        graph: of the manifest as it is written: a model's identity is the same in every cluster.
        preflight: the task of its first Job.
    """

    source: str
    tournament: Tournament
    graph: Graph
    preflight: PreflightTask


class Child(NamedTuple):
    """An object and what it is for: `preflight`, `model qwen`, `bundle judge/qwen/llama`."""

    purpose: str
    body: dict[str, Any]


def prepare(
    tournament: Tournament, settings: ClusterSettings, source: str, addresses: Addresses | None = None
) -> Prepared:
    """Check that a cluster can run a tournament, and work out what its children are made from.

    Args:
        tournament: a valid one.
        settings: of the operator.
        source: the manifest's name, for sentences.
        addresses: of InferenceServices that its endpoints name, as far as they are known.

    Raises:
        ManifestError: all that keeps it from a cluster.
    """
    problems = [
        *unsupported(tournament),
        *unsupported_on_cluster(tournament),
        *problems_on_cluster(tournament),
        *settings.tenants.problems(tournament, settings.domain),
    ]
    if problems:
        raise ManifestError(source, problems)
    graph = build_graph(tournament)
    tournament = with_pod_defaults(tournament, settings.children.pods)
    tournament = with_service_urls(tournament, settings, addresses or {})
    return Prepared(source, tournament, graph, cluster_preflight_task(tournament, graph))


def job_objects(
    tournament: Tournament,
    graph: Graph,
    order: JobOrder,
    settings: ClusterSettings,
    ledger: tuple[LedgerRow, ...] = (),
    url: str | None = None,
    spending: Spending | None = None,
    longest_given: int = 0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ConfigMap of a bundle, and the Job or TrainJob that makes it.

    Args:
        tournament: see `Prepared`.
        graph: see `Prepared`.
        order: the bundle, and which of its parts are to make.
        settings: of the operator.
        ledger: what the run has cost so far, for the report.
        url: where its model is served, once it is.
        spending: what was planned and has happened, for the report.
        longest_given: as preflight has found it.
    """
    bundle = order.bundle
    offered_as = None
    if bundle.model is not None and graph.model[bundle.model].served:
        # KServe's runtimes serve a model by the name of its InferenceService.
        url = url or service_url(tournament, bundle.model, settings)
        offered_as = served_as(tournament, bundle.model)
    task = bundle_task(tournament, order, store_ref(tournament), url, ledger, offered_as, spending, longest_given)
    if bundle.engine == "Trl":
        task = task.model_copy(update={"trainer": trainer_ref(tournament, settings.trainer_python)})
    if runtime_of(tournament, bundle) is None:
        return bundle_objects(tournament, order, task, settings)
    return train_job_objects(tournament, order, task, settings)


def model_objects(
    tournament: Tournament, model: ModelNode, settings: ClusterSettings, *, loads: int, started: str
) -> list[dict[str, Any]]:
    """What is applied for a model that is to be up: what holds its weights first, where that is made; its service last.

    Args:
        tournament: see `Prepared`.
        model: which.
        settings: of the operator.
        loads: see `inference_service`.
        started: see `inference_service`.
    """
    service = inference_service(tournament, model, settings, loads=loads, started=started)
    source = participants(tournament)[model.name].model
    held = (
        None
        if source is None or model.artifact is not None
        else weights_object(tournament, model.name, source, settings)
    )
    return [service] if held is None else [held, service]


def one_of_each_kind(
    tournament: Tournament, graph: Graph, preflight: PreflightTask, settings: ClusterSettings
) -> Iterator[dict[str, Any]]:
    """One child of each kind and for each `pod` of the manifest, for whoever wants to know whether it is accepted.

    Args:
        tournament: see `Prepared`.
        graph: see `Prepared`.
        preflight: see `Prepared`.
        settings: of the operator.
    """
    yield from preflight_objects(tournament, preflight, settings)
    tried: list[tuple[bool, list[str], PodPatch]] = []
    for model in graph.models:
        if not model.served:
            continue
        one = participants(tournament)[model.name]
        bodies = model_objects(tournament, model, settings, loads=1, started=NO_TIME)
        is_simulated = one.model is not None and one.model.uri.startswith("sim://")
        sort = (is_simulated, [body["kind"] for body in bodies], one.serving_or_default.pod)
        if sort not in tried:
            tried.append(sort)
            yield from bodies
    if (bundle := next((bundle for bundle in graph.bundles if bundle.engine == "Trl"), None)) is not None:
        yield job_objects(tournament, graph, JobOrder(bundle, bundle.missing({})), settings)[1]


def in_order(prepared: Prepared, settings: ClusterSettings) -> Iterator[Child]:
    """All children in the order of the plan, where nothing exists yet, nothing fails and nobody suspends.

    The planner itself is asked what comes next; a model that gives way to others and comes back is here once.

    Args:
        prepared: see `prepare`.
        settings: of the operator.

    Raises:
        ManifestError: a model that is needed fits in no room.
    """
    tournament, graph = prepared.tournament, prepared.graph
    for body in preflight_objects(tournament, prepared.preflight, settings):
        yield Child(PREFLIGHT, body)
    policy = Policy(policy_of(tournament).room)
    done: dict[str, frozenset[int]] = {}
    models: dict[str, ModelSeen] = {}
    while True:
        todo = plan(graph, policy, Observed(PreflightPhase.PASSED, done=done, models=models))
        if todo.state is TournamentState.COMPLETE:
            return
        if not (todo.stop_models or todo.start_models or todo.start_jobs):
            raise ManifestError(prepared.source, [_no_room(graph, policy.room)])
        for name in todo.stop_models:
            models[name] = ModelSeen(ModelPhase.STOPPED, graph.model[name].version)
        for name in todo.start_models:
            if name not in models:
                for body in model_objects(tournament, graph.model[name], settings, loads=1, started=NO_TIME):
                    yield Child(f"model {name}", body)
            models[name] = ModelSeen(ModelPhase.READY, graph.model[name].version)
        for order in todo.start_jobs:
            for body in job_objects(tournament, graph, order, settings):
                yield Child(f"bundle {order.bundle.name}", body)
            done |= {ref.key: frozenset(range(ref.shards)) for ref in order.bundle.makes}


def _no_room(graph: Graph, room: Room) -> Problem:
    alone = ", ".join(model.name for model in graph.models if not room.fits([model]))
    return Problem("spec.serving", f"{alone} cannot be loaded, not even alone; raise maxActive or budget")
