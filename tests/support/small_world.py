"""A small world in which whole tournaments are played by the planner alone, with its invariants asserted at every step.

Loads, stops and shards take random times; shards and models fail as told. Nothing here knows how the planner decides.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import JobOrder, Plan, Policy, TournamentState, plan

MAX_STEPS = 20_000
MAX_STILL = 100.0  # the longest that nothing changes: a load takes 60 at most, a shard 20
NEVER = math.inf
NO_NODE = Wait(WaitReason.UNSCHEDULABLE, "no node takes it")
ENDED = frozenset(TournamentState) - {TournamentState.RUNNING}


@dataclass
class World:
    """Everything outside of the planner.

    Attributes:
        rng: the source of durations.
        done: parts that exist, by artifact key; handed on to a world that goes on where this one stopped.
        fails: whether a shard fails for good, by (bundle name, index).
        model_dies: whether a load of a model comes to nothing, by (name, load).
        dies: whether a model that is ready dies in a step, by (name, step); its shards wait, and keep their slots.
        slots: shards that run at once; None: no bound.
        nodes: models for which there are nodes; others that start wait for one. None: no bound.
        instant: shards, stops and preflight take no time: only loads are left to decide.
    """

    rng: random.Random
    done: dict[str, frozenset[int]] = field(default_factory=dict)
    fails: Callable[[str, int], bool] = lambda name, index: False
    model_dies: Callable[[str, int], bool] = lambda name, load: False
    dies: Callable[[str, int], bool] = lambda name, step: False
    slots: int | None = None
    nodes: int | None = None
    instant: bool = False

    steps: int = 0
    deaths: int = 0
    jobs_stopped: int = 0
    now: float = 0.0
    made: Counter[tuple[str, int]] = field(default_factory=Counter)
    loads: Counter[str] = field(default_factory=Counter)
    bundles_run: list[str] = field(default_factory=list)
    most_up: int = 0
    _models: dict[str, tuple[ModelPhase, float, str]] = field(default_factory=dict)
    _jobs: dict[str, tuple[JobOrder, dict[int, float], str]] = field(default_factory=dict)  # inf: it has no slot yet
    _stopping: dict[str, float] = field(default_factory=dict)  # when the shards of stopped Jobs are gone
    _moved: float = 0.0  # when something changed, last
    _failed: dict[str, str] = field(default_factory=dict)
    _failure: str | None = None
    _preflight: tuple[PreflightPhase, float] = (PreflightPhase.PENDING, 0.0)

    def play(self, graph: Graph, policy: Policy, *, until: Callable[[World], bool] = lambda world: False) -> Plan:
        """Play to the end, or until `until` holds; returns the last plan."""
        self._preflight, self._failure = (PreflightPhase.PENDING, 0.0), None
        for _ in range(MAX_STEPS):
            self.steps += 1
            decided = plan(graph, policy, self._observe())
            self._check(graph, policy, decided)
            self._act(graph, decided)
            if decided.state is TournamentState.FAILED:
                self._failure = decided.message  # as a status keeps it
            if decided.state is not TournamentState.RUNNING:
                if not self._jobs and all(phase is ModelPhase.STOPPED for phase, _, _ in self._models.values()):
                    return decided
            elif until(self):
                return decided
            self._advance(decided)
        raise AssertionError(f"no end after {MAX_STEPS} steps")

    def at_work(self) -> set[str]:
        """The models whose shards have slots."""
        jobs = ((order.bundle.model, ends) for order, ends, _ in self._jobs.values())
        return {model for model, ends in jobs if model is not None and any(at < NEVER for at in ends.values())}

    def _observe(self) -> Observed:
        jobs = {
            name: JobSeen(JobPhase.ACTIVE, version, active=len(ends)) for name, (_, ends, version) in self._jobs.items()
        }
        for name, version in self._failed.items():
            jobs[name] = JobSeen(JobPhase.FAILED, version, failed=1, message="a shard failed")
        return Observed(
            preflight=self._preflight[0],
            done=dict(self.done),
            jobs=jobs,
            models={
                name: ModelSeen(phase, version, self.loads[name], wait=NO_NODE if at == NEVER else None)
                for name, (phase, at, version) in self._models.items()
            },
            failure=self._failure,
            elapsed=self.now,
        )

    def _check(self, graph: Graph, policy: Policy, decided: Plan) -> None:
        """What must hold of every plan."""
        there = {name for name, (phase, _, _) in self._models.items() if phase is not ModelPhase.STOPPED}
        after = there | set(decided.start_models)
        fits = policy.room.fits(graph.model[name] for name in after if name in graph.model)
        assert fits or not decided.start_models, f"too many: {after}"  # an edit may leave less room than is taken
        assert not there & set(decided.start_models), "started twice"
        self.most_up = max(self.most_up, len(after))
        for order in decided.start_jobs:
            bundle = order.bundle
            for key in bundle.needs:
                ref = next(ref for ref in graph.artifacts if ref.key == key)
                assert len(self.done.get(key, ())) == ref.shards, f"{bundle.name} started before {ref.stage} was there"
            if bundle.model is not None and graph.model[bundle.model].served:
                assert self._models[bundle.model][0] is ModelPhase.READY, f"{bundle.name} started without its model"
                assert bundle.model not in decided.stop_models, f"{bundle.name} started while its model stops"
            assert order.indices, f"{bundle.name} started with nothing to make"
            assert bundle.name not in self._jobs, f"{bundle.name} started twice"
        for name in decided.stop_models:
            working = [order.bundle.name for order, _, _ in self._jobs.values() if order.bundle.model == name]
            if decided.state is TournamentState.RUNNING and decided.phase != "Preflight":
                assert not set(working) - set(decided.stop_jobs), f"{name} stopped under {working}"

    def _act(self, graph: Graph, decided: Plan) -> None:
        if decided.preflight:
            self._preflight = (PreflightPhase.ACTIVE, self.now + self._time(5))
        for name in decided.stop_jobs:
            self._failed.pop(name, None)
            order, _, version = self._jobs.get(name, (None, {}, ""))
            bundle = graph.by_name.get(name)
            if order is None or bundle is None or bundle.version != version or decided.state in ENDED:
                self._jobs.pop(name, None)
                self._stopping.pop(name, None)
            elif name not in self._stopping:
                self.jobs_stopped += 1
                self._jobs[name] = (order, {}, version)
                self._stopping[name] = self.now + self._time(3)
        for name in decided.stop_models:
            if self._models[name][0] is not ModelPhase.STOPPING:
                self._models[name] = (ModelPhase.STOPPING, self.now + self._time(3), self._models[name][2])
        for name in decided.start_models:
            self.loads[name] += 1
            self._models[name] = (ModelPhase.STARTING, NEVER, graph.model[name].version)
        self._schedule()
        for order in decided.start_jobs:
            self.bundles_run.append(order.bundle.name)
            self._jobs[order.bundle.name] = (
                order,
                dict.fromkeys(range(len(order.indices)), NEVER),
                order.bundle.version,
            )
        if decided.preflight or decided.start_models or decided.start_jobs:
            self._moved = self.now
        self._hand_out_slots()

    def _schedule(self) -> None:
        """Nodes take the models that wait for one, in any order."""
        waiting = [name for name, (_, at, _) in self._models.items() if at == NEVER]
        self.rng.shuffle(waiting)
        for name in waiting:
            held = [phase for phase, at, _ in self._models.values() if at < NEVER and phase is not ModelPhase.STOPPED]
            if self.nodes is None or len(held) < self.nodes:
                self._models[name] = (ModelPhase.STARTING, self.now + self._time(30), self._models[name][2])

    def _hand_out_slots(self) -> None:
        """Shards begin in the order of their Jobs, as slots come free."""
        every = [ends for _, ends, _ in self._jobs.values()]
        free = (
            math.inf if self.slots is None else self.slots - sum(at < NEVER for ends in every for at in ends.values())
        )
        for ends in every:
            for index in ends:
                if free >= 1 and ends[index] == NEVER:
                    ends[index] = self.now + self._time(10)
                    free -= 1

    def _time(self, mean: float) -> float:
        return 0.0 if self.instant else self.rng.uniform(0.2, 2.0) * mean

    def _advance(self, decided: Plan) -> None:
        """Go to the next moment at which something ends."""
        moving = (ModelPhase.STARTING, ModelPhase.STOPPING)
        waiting = [at for phase, at, _ in self._models.values() if phase in moving and at < NEVER]
        waiting += [at for _, ends, _ in self._jobs.values() for at in ends.values() if at < NEVER]
        waiting += self._stopping.values()
        if self._preflight[0] is PreflightPhase.ACTIVE:
            waiting.append(self._preflight[1])
        acted = decided.stop_jobs or decided.stop_models or decided.start_models or decided.start_jobs
        assert waiting or acted or decided.preflight, f"stuck: {decided}"
        if not waiting:
            return
        self.now = max(self.now, min(waiting))
        if self._preflight[0] is PreflightPhase.ACTIVE and self._preflight[1] <= self.now:
            self._preflight = (PreflightPhase.PASSED, self.now)
        for name, (phase, at, version) in list(self._models.items()):
            if (following := self._next_phase(name, phase, at)) is not phase:
                self._models[name], self._moved = (following, at, version), self.now
        self._schedule()
        for name in [name for name, at in self._stopping.items() if at <= self.now]:
            del self._stopping[name], self._jobs[name]
            self._moved = self.now
        for name in self._jobs.keys() - self._stopping.keys():
            self._advance_job(name)
        assert self.now - self._moved <= MAX_STILL, f"nothing moves: {self._models}, {self._jobs}"

    def _next_phase(self, name: str, phase: ModelPhase, at: float) -> ModelPhase:
        """What a model is doing now."""
        if phase is ModelPhase.STARTING and at <= self.now:
            return ModelPhase.STOPPED if self.model_dies(name, self.loads[name]) else ModelPhase.READY
        if phase is ModelPhase.STOPPING and at <= self.now:
            return ModelPhase.STOPPED
        if phase is ModelPhase.READY and self.dies(name, self.steps):
            self.deaths += 1
            return ModelPhase.STOPPED
        return phase

    def _advance_job(self, name: str) -> None:
        """End the shards of a Job that are due."""
        order, ends, version = self._jobs[name]
        model = order.bundle.model
        for index in sorted(index for index, at in ends.items() if at <= self.now):
            if model in self._models and self._models[model][0] is not ModelPhase.READY:
                ends[index] = self.now + self._time(10)  # it waits for its model
                continue
            del ends[index]
            if self.fails(name, index):
                self._failed[name] = version
                continue
            self._moved = self.now
            for part in order.indices[index]:
                key = order.bundle.makes[part.recipe].key
                self.made[key, part.shard] += 1
                assert part.shard not in self.done.get(key, ()), f"{name} made part {part.shard} again"
                self.done[key] = self.done.get(key, frozenset()) | {part.shard}
        if not ends:
            del self._jobs[name]
