"""What to do next. A pure function of the graph and of what was seen: the same on a cluster and on one machine.

    plan(graph, policy, observed) → actions and where the tournament stands

The hands that carry the actions out (cluster/, local/) decide nothing: they start what is named, stop what is named,
and look again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import JobPhase, ModelPhase, ModelSeen, Observed, PreflightPhase, WaitReason
from tiltyard.plan.schedule import Room, decide
from tiltyard_jobs.contracts.tasks import Part


class TournamentState(StrEnum):
    """Where a tournament stands."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True)
class Policy:
    """What the manifest says of how to run; none of it can change a result.

    Attributes:
        room: models up at once.
        suspend: stop everything, keep what is made.
        active_deadline: seconds from the start of the run; None: no bound.
    """

    room: Room = field(default_factory=Room)
    suspend: bool = False
    active_deadline: float | None = None


class JobOrder(NamedTuple):
    """A Job to start: its bundle, and the parts that each index makes."""

    bundle: Bundle
    indices: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True)
class Plan:
    """What to do, in this order: stop Jobs, stop models, start models, start Jobs.

    Attributes:
        state: where the tournament stands; a terminal one is never left.
        phase: one word for people.
        message: what it is doing, or why it failed and what to do next.
        preflight: start it.
    """

    state: TournamentState
    phase: str
    message: str
    preflight: bool = False
    stop_jobs: tuple[str, ...] = ()
    stop_models: tuple[str, ...] = ()
    start_models: tuple[str, ...] = ()
    start_jobs: tuple[JobOrder, ...] = ()


def plan(graph: Graph, policy: Policy, observed: Observed) -> Plan:
    """What to do next.

    Args:
        graph: the tournament as its manifest now is.
        policy: how to run it.
        observed: what was seen; Jobs and models of an older manifest among it.
    """
    if failure := _failure(graph, policy, observed):
        return _stopped(observed, TournamentState.FAILED, "Failed", failure)
    undone = [bundle for bundle in graph.bundles if not bundle.complete(observed.done)]
    if observed.preflight is PreflightPhase.PASSED and not undone:
        return _stopped(observed, TournamentState.COMPLETE, "Complete", "all artifacts are complete")
    if policy.suspend:
        advice = "suspended: set spec.suspend to false to continue"
        return _stopped(observed, TournamentState.SUSPENDED, "Suspended", advice)
    has_passed = observed.preflight is PreflightPhase.PASSED
    if observed.gives_way is not None:  # before preflight: what exists is asked once the other has made it
        phase = undone[0].phase if has_passed else "Preflight"
        return _stopped(observed, TournamentState.RUNNING, phase, "gives way to another tournament")
    if not has_passed:
        return _check(graph, observed)
    return _work(graph, policy, observed, undone)


def _check(graph: Graph, observed: Observed) -> Plan:
    """Preflight of a new or an edited manifest: nothing starts, and what an edit does not touch goes on."""
    return Plan(
        TournamentState.RUNNING,
        "Preflight",
        "checking the store, the endpoints and what exists",
        preflight=observed.preflight is PreflightPhase.PENDING,
        stop_jobs=_stale_jobs(graph, observed),
        stop_models=tuple(dict.fromkeys((*_strangers(graph, observed), *_in_vain(observed)))),
    )


def _stale_jobs(graph: Graph, observed: Observed) -> tuple[str, ...]:
    """Jobs of an older manifest."""
    return tuple(name for name, job in sorted(observed.jobs.items()) if not _is_current(graph, name, job.version))


def _strangers(graph: Graph, observed: Observed) -> tuple[str, ...]:
    """Models that are up as an older manifest wanted them."""
    up = (ModelPhase.STARTING, ModelPhase.READY, ModelPhase.FAILED)
    seen = ((name, seen) for name, seen in sorted(observed.models.items()) if seen.phase in up)
    return tuple(name for name, s in seen if name not in graph.model or graph.model[name].version != s.version)


def _stopped(observed: Observed, state: TournamentState, phase: str, message: str) -> Plan:
    """Nothing is to run."""
    up = (name for name, seen in sorted(observed.models.items()) if seen.phase is not ModelPhase.STOPPED)
    return Plan(state, phase, message, stop_jobs=tuple(sorted(observed.jobs)), stop_models=tuple(up))


def _failure(graph: Graph, policy: Policy, observed: Observed) -> str | None:
    """Why the tournament has failed; None where it has not."""
    if observed.failure is not None:
        return observed.failure
    if observed.preflight is PreflightPhase.FAILED:
        return observed.preflight_message
    for bundle in graph.bundles:
        job = observed.jobs.get(bundle.name)
        if job is not None and job.phase is JobPhase.FAILED and job.version == bundle.version:
            return f"{bundle.name}: {job.message}"
    for model in graph.models:
        seen = observed.models.get(model.name)
        if seen is not None and seen.phase is ModelPhase.FAILED and seen.version == model.version:
            return f"model {model.name}: {seen.message}"
    limit = policy.active_deadline
    late = limit is not None and observed.elapsed is not None and observed.elapsed >= limit
    if late and not all(bundle.complete(observed.done) for bundle in graph.bundles):
        return (
            f"spec.activeDeadlineSeconds: the tournament was not complete after {limit:.0f} s;"
            " raise it and apply again; complete work is reused"
        )
    return None


def _work(graph: Graph, policy: Policy, observed: Observed, undone: list[Bundle]) -> Plan:
    """The next steps of a tournament that has work left."""
    complete = graph.complete_keys(observed.done)
    stale_jobs, strangers = _stale_jobs(graph, observed), _strangers(graph, observed)
    current = {name: job for name, job in observed.jobs.items() if name not in stale_jobs}
    gone = {name for name, seen in observed.models.items() if seen.phase is ModelPhase.STOPPING}
    down = {name for name, seen in observed.models.items() if seen.phase is ModelPhase.STOPPED}
    up = set(observed.models) - gone - down - set(strangers)
    running = {name for name, job in current.items() if job.phase is not JobPhase.ENDED}
    working = {bundle.name: bundle.model for bundle in undone if bundle.model is not None and bundle.name in running}
    resting = frozenset(name for name, seen in observed.models.items() if seen.resting)
    decision = decide(graph, complete, frozenset(up), policy.room, frozenset(working.values()), resting)
    # Room is free only once a model is gone: until then nothing takes its place.
    giving_way = _giving_way(graph, observed, up.difference(decision.stop), undone, complete)
    leaving = list(dict.fromkeys((*strangers, *decision.stop, *giving_way, *_in_vain(observed))))
    there = {*up, *gone, *strangers} & set(graph.model)
    start_models = []
    for name in decision.start:
        if name in there or not policy.room.fits(graph.model[other] for other in [*there, name]):
            break
        there.add(name)
        start_models.append(name)

    ready = {name for name in up.difference(leaving) if observed.models[name].phase is ModelPhase.READY}
    ready |= {model.name for model in graph.models if not model.served}
    # Shards that wait for a model for which there is no room, or that a queue holds, would only keep others from work.
    queued = {name for name in up if _waits_for(observed.models[name], WaitReason.QUEUED)}
    waited_for = {*up, *decision.start, *(model.name for model in graph.models if not model.served)} - resting - queued
    homeless = [name for name, model in sorted(working.items()) if model not in waited_for]
    orders = [
        JobOrder(bundle, bundle.missing(observed.done))
        for bundle in undone
        if bundle.needs <= complete and bundle.name not in running and (bundle.model is None or bundle.model in ready)
    ]
    first = undone[0]
    in_stage = [bundle for bundle in graph.bundles if bundle.stage == first.stage]
    made = sum(len(observed.done.get(ref.key, ())) for bundle in in_stage for ref in bundle.makes)
    return Plan(
        TournamentState.RUNNING,
        first.phase,
        f"{made} of {sum(bundle.shards for bundle in in_stage)} {first.stage} shards are done",
        stop_jobs=(*stale_jobs, *homeless),
        stop_models=tuple(leaving),
        start_models=tuple(start_models),
        start_jobs=tuple(orders),
    )


def _giving_way(
    graph: Graph, observed: Observed, up: Iterable[str], undone: Iterable[Bundle], complete: frozenset[str]
) -> list[str]:
    """Models that have nothing to do for now, where another, or a Job, waits for what they may hold.

    Nobody said how many fit: the nodes do. What waits has work, and what is stopped comes back once it has some again,
    so they come by turns.
    """
    seen = {name: observed.models[name] for name in sorted(up)}
    waiting: list[Mapping[str, Decimal]] = [
        graph.model[name].resources
        for name, model in seen.items()
        if _waits_for(model, WaitReason.UNSCHEDULABLE, WaitReason.QUEUED)
    ]
    jobs = observed.jobs.values()
    waiting += [{} for job in jobs if job.wait is not None and job.wait.reason is WaitReason.UNSCHEDULABLE]
    busy = {bundle.model for bundle in undone if bundle.needs <= complete}
    idle = (name for name, model in seen.items() if model.phase is ModelPhase.READY and name not in busy)
    return [
        name
        for name in idle
        if any(not wanted or wanted.keys() & graph.model[name].resources.keys() for wanted in waiting)
    ]


def _in_vain(observed: Observed) -> list[str]:
    """Models that have held for too long what others of a queue could use."""
    return [name for name, seen in sorted(observed.models.items()) if seen.in_vain is not None]


def _waits_for(seen: ModelSeen, *reasons: WaitReason) -> bool:
    return seen.wait is not None and seen.wait.reason in reasons


def _is_current(graph: Graph, name: str, version: str) -> bool:
    """Whether a Job belongs to the graph as it is now."""
    bundle = graph.by_name.get(name)
    return bundle is not None and bundle.version == version
