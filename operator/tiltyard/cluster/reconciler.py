"""One reconciliation of a Tournament: from its objects to a plan, its status and the plan's execution.

`workqueue.py` says when. The steps are numbered in `Reconciler.reconcile`, and stand below it in their order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, get_args

import structlog

from tiltyard.api import ManifestError, TournamentStatus
from tiltyard.cluster.cache import Cache, Caches
from tiltyard.cluster.client import ApiError, Client
from tiltyard.cluster.executor import Executor
from tiltyard.cluster.giving_way import GivingWay
from tiltyard.cluster.pod_events import PodEvents
from tiltyard.cluster.pod_refusals import PodRefusals
from tiltyard.cluster.progress import ProgressReader
from tiltyard.cluster.queue_answers import QueueAnswers
from tiltyard.cluster.rate_limiter import RateLimiter
from tiltyard.cluster.recorder import Recorder
from tiltyard.cluster.refusals import Refusals
from tiltyard.cluster.resolver import Resolved, Resolver, RuntimeMissing
from tiltyard.cluster.workqueue import WorkQueue
from tiltyard.observe.kinds import LLM_SERVICES, SERVICES, Kind
from tiltyard.observe.observation import observe, requeue_after
from tiltyard.observe.pod_events import waiting_pods
from tiltyard.observe.queues import next_look
from tiltyard.observe.records import JobRecord, ServiceRecord, TournamentRecord
from tiltyard.observe.snapshot import (
    Snapshot,
    held_by_queues,
    models_without_pods,
    pods_missing_since,
    without_pods,
)
from tiltyard.plan.observed import ModelPhase, Observed, Wait
from tiltyard.plan.planner import Plan, TournamentState, plan
from tiltyard.plan.policy import policy_of
from tiltyard.render.cluster import ClusterSettings
from tiltyard.status.build import (
    build_status,
    invalid_status,
    is_complete,
    of_earlier_release,
    waits_of,
    was_complete,
)
from tiltyard.status.conditions import COMPLETE, FAILED, Halt, find_true
from tiltyard.status.events import events_of, events_of_invalid
from tiltyard.status.objects import status_of
from tiltyard_jobs.contracts.recipe import Phase

RUNTIME_SECONDS = 30.0  # between two checks for a training runtime that is missing
LEFTOVERS = "deletion of what is out of date"


class Request(NamedTuple):
    """A Tournament to reconcile.

    Attributes:
        key: `namespace/name`.
        cache: where its children are.
        record: itself.
        status: as it stands in the cluster.
        now: seconds since the epoch.
    """

    key: str
    cache: Cache
    record: TournamentRecord
    status: TournamentStatus
    now: float


@dataclass
class Reconciler:
    """Reconciles tournaments.

    Args:
        client: the connection.
        caches: of what is watched.
        queue: executes plans beside the reconciliations.
        settings: how children are rendered.
        resolver: of manifests.
        clock: seconds since the epoch.
        progress: what workers have told.
    """

    client: Client
    caches: Caches
    queue: WorkQueue
    settings: ClusterSettings
    resolver: Resolver
    clock: Callable[[], float]
    progress: ProgressReader
    _reported: dict[str, dict[str, Wait]] = field(default_factory=dict)  # by key: waits that events have reported
    _refusals: dict[str, Refusals] = field(default_factory=dict)  # by key
    _limiter: RateLimiter = field(default_factory=RateLimiter)

    def __post_init__(self) -> None:
        self._recorder = Recorder(self.client, self.clock)
        self._pod_refusals = PodRefusals(self.client, self.clock)
        self._giving_way = GivingWay(self.caches)
        self._pod_events = PodEvents(self.client, self.clock)
        self._queue_answers = QueueAnswers(self.client, self.clock)

    async def reconcile(self, key: str) -> float | None:
        """One reconciliation; returns seconds until the next, where time alone asks for one.

        Raises:
            ApiError: a call was refused; the queue tries again.
        """
        # 1. The Tournament, as it was last seen.
        request = self._read(key)
        if request is None:
            return None
        # 2. What follows from its manifest.
        try:
            resolved = await self.resolver.resolve(request.record)
        except ManifestError as error:
            if was_complete(request.status, request.record.document["metadata"]["generation"]):
                return None  # an earlier release took this manifest, and has done what it asks for
            return await self._write_invalid(request, error)
        # 3. Its children, at this moment.
        snapshot = await self._snapshot(request, resolved)
        # 4. A complete run stays as it is, whichever release has made it.
        generation = resolved.tournament.metadata.generation
        if is_complete(request.status, resolved.graph.run) or was_complete(request.status, generation):
            return await self._keep_complete(request, snapshot)
        # 5. What an older manifest has left goes first.
        executing = self.queue.is_executing(key)
        executor = self._executor(request)
        if not executing and await self._delete_leftovers(executor, request, resolved, snapshot):
            return None
        # 6. What was observed, and what to do next.
        observed = observe(snapshot, self.settings, request.now)
        decided = _plan(snapshot, observed)
        if decided.state is not TournamentState.RUNNING:  # it wants nothing
            observed = replace(observed, gives_way=None)
        executor.refusals.keep(decided, snapshot.jobs.values())
        execute = partial(executor.execute, snapshot, resolved.task, observed, decided, request.now)
        # 7. One status for what has ended and for what follows upon it.
        if _starts_something(decided) and not executing and self.queue.defer_status(key):
            self.queue.execute(key, execute)
            return None
        # 8. An end is reported after it was executed: nothing stops what a complete tournament has left running.
        if decided.state is not TournamentState.RUNNING:
            if executing:
                return None
            await self._execute_end(execute, request, resolved, observed, decided)
        # 9. Status and events.
        status = await self._write(request, resolved, observed, decided)
        # 10. What the plan asks for, beside the queue.
        if decided.state is TournamentState.RUNNING:
            self.queue.execute(key, execute)
        # 11. Children of an ended tournament go after their time.
        ttl = await self._expire(executor, snapshot, status, request.now)
        # 12. When time alone asks for the next.
        queues = next_look(snapshot, self.settings.give_back_seconds, request.now)
        pauses = (requeue_after(snapshot, observed, request.now), queues, ttl)
        return min((pause for pause in pauses if pause is not None), default=None)

    async def _delete_leftovers(
        self, executor: Executor, request: Request, resolved: Resolved, snapshot: Snapshot
    ) -> bool:
        """Step 5; True: reconcile again before anything else, once the deletions were seen.

        Raises:
            ApiError: something could not be deleted; where it was refused, the status says so.
        """
        try:
            return await executor.delete_leftovers(snapshot, request.now)
        except ApiError as error:
            if error.is_refusal:
                executor.refusals.add(LEFTOVERS, error.status, str(error))
                observed = observe(snapshot, self.settings, request.now)
                decided = _not_ended(_plan(snapshot, observed), "what is out of date cannot be deleted", request.status)
                await self._write(request, resolved, observed, decided)
            raise

    async def _execute_end(
        self,
        execute: Callable[[], Awaitable[None]],
        request: Request,
        resolved: Resolved,
        observed: Observed,
        decided: Plan,
    ) -> None:
        """Step 8; where something is refused, the status says so."""
        try:
            await execute()
        except ApiError as error:
            if error.is_refusal:
                await self._write(request, resolved, observed, _unended(decided, request.status))
            raise

    def waits(self) -> Iterator[Wait]:
        """What waits, of all tournaments."""
        return (wait for waits in self._reported.values() for wait in waits.values())

    def lacks(self, key: str, kind: Kind) -> bool:
        """Whether a tournament waits until the cluster serves a kind of objects."""
        refusals = self._refusals.get(key)
        return self.resolver.lacks(key, kind) or (refusals is not None and refusals.lacks(kind))

    def _read(self, key: str) -> Request | None:
        """Step 1; None: it is gone, or going: its children go with it, since it owns them."""
        cache = self.caches.of(key)
        record = cache.tournament(key)
        if record is None or "deletionTimestamp" in record.document["metadata"]:
            self.resolver.forget(key)
            self._reported.pop(key, None)
            self._refusals.pop(key, None)
            self._giving_way.forget(key)
            for answers in (self._pod_refusals, self._queue_answers, self._pod_events):
                answers.forget(key)
            return None
        return Request(key, cache, record, status_of(record.document), self.clock())

    async def _write_invalid(self, request: Request, error: ManifestError) -> float | None:
        """Step 2, where the manifest cannot run; a training runtime that is missing may come.

        What has started stays, so that a mistake in an edit costs no work, unless `spec.suspend` is true.

        Raises:
            ApiError: something could not be stopped; the status says so, and the queue tries again.
        """
        self._reported.pop(request.key, None)
        meta = request.record.document["metadata"]
        halt: Halt | None = None
        errors: list[ApiError] = []
        if request.record.suspended and not self.queue.is_executing(request.key):
            jobs, services = self._children(request, meta["uid"])
            errors = await self._executor(request).suspend(jobs.values(), services.values())
            halt = self._halt(request, errors)
        status = invalid_status(request.status, meta["generation"], error, request.now, halt)
        events = events_of_invalid(request.status, status)
        await self._recorder.write(request.cache.tournaments, request.record, request.status, status, events)
        if errors:
            raise errors[0]
        return RUNTIME_SECONDS if isinstance(error, RuntimeMissing) else None

    def _halt(self, request: Request, errors: Sequence[ApiError]) -> Halt:
        """What has come of it that an invalid tournament was suspended."""
        pods = request.cache.pods.of(request.key).values()
        with_pods = {pod.model for pod in pods}
        _, services = self._children(request, request.record.document["metadata"]["uid"])
        stopped = (one.model for one in services.values() if one.stopped or one.deleting)
        return Halt(
            {name: ModelPhase.STOPPING if name in with_pods else ModelPhase.STOPPED for name in stopped},
            ended=not any(pod.unfinished for pod in pods),
            refused=tuple(map(str, errors)),
        )

    async def _snapshot(self, request: Request, resolved: Resolved) -> Snapshot:
        """Step 3."""
        cache, key = request.cache, request.key
        jobs, services = self._children(request, resolved.tournament.metadata.uid)
        snapshot = Snapshot(
            tournament=resolved.tournament,
            status=request.status,
            graph=resolved.graph,
            preflight=resolved.preflight,
            jobs=jobs,
            pods=cache.pods.of(key),
            told=self.progress.of(key),
            services=services,
        )
        without: list[tuple[JobRecord | ServiceRecord, float]] = [
            *((job, pods_missing_since(snapshot, job)) for job in without_pods(snapshot, request.now)),
            *((model, model.started) for model in models_without_pods(snapshot, request.now)),
        ]
        held = held_by_queues(snapshot, request.now) if self.settings.reads_queues else []
        return replace(
            snapshot,
            refusals=await self._pod_refusals.of(key, without),
            queues=await self._queue_answers.of(key, held),
            pod_events=await self._pod_events.of(key, waiting_pods(snapshot, request.now)),
            gives_way=self._giving_way.wait_of(key, snapshot, request.now),
        )

    @staticmethod
    def _children(request: Request, uid: str | None) -> tuple[dict[str, JobRecord], dict[str, ServiceRecord]]:
        """Its Jobs and models by name. Those of an earlier Tournament of the same name are the garbage collector's."""
        cache, key = request.cache, request.key
        jobs = {**cache.jobs.of(key), **cache.train_jobs.of(key)}
        services = {**cache.services.of(key), **cache.llm_services.of(key)}
        return (
            {name: job for name, job in jobs.items() if job.owner_uid == uid},
            {name: one for name, one in services.items() if one.owner_uid == uid},
        )

    async def _keep_complete(self, request: Request, snapshot: Snapshot) -> float | None:
        """Step 4: only edits that change no result are taken note of, another release's run, and the TTL."""
        self._reported.pop(request.key, None)
        generation, status = snapshot.tournament.metadata.generation, request.status
        noted = status.model_copy(update={"observed_generation": generation})
        if not is_complete(status, snapshot.graph.run):
            noted = of_earlier_release(noted, snapshot.graph.run)
        if noted != status:
            await self._recorder.write(request.cache.tournaments, request.record, status, noted)
        return await self._expire(self._executor(request), snapshot, status, request.now)

    def _executor(self, request: Request) -> Executor:
        cache, generation = request.cache, request.record.document["metadata"]["generation"]
        refusals = self._refusals.get(request.key)
        if refusals is None or refusals.generation != generation:
            refusals = self._refusals[request.key] = Refusals(generation)
        return Executor(
            client=self.client,
            jobs=cache.jobs,
            train_jobs=cache.train_jobs,
            services={SERVICES: cache.services, LLM_SERVICES: cache.llm_services},
            settings=self.settings,
            limiter=self._limiter,
            refusals=refusals,
            retry=not self.queue.is_backing_off(request.key),
        )

    async def _write(self, request: Request, resolved: Resolved, observed: Observed, decided: Plan) -> TournamentStatus:
        """Step 9: the status, and events of what it says that the one before did not say."""
        waits = waits_of(observed) | self._refusals[request.key].waits()
        reported, self._reported[request.key] = self._reported.get(request.key, {}), waits
        status = build_status(
            resolved.tournament,
            resolved.graph,
            observed,
            decided,
            request.now,
            rates=self.progress.rates_of(request.key, resolved.graph, observed),
            before=request.status,
            waits=waits,
            warnings=[warning.message for warning in resolved.warnings],
            retry=True,
        )
        # After a restart of the operator waits are reported once more.
        waiting = {
            what: wait
            for what, wait in waits.items()
            if what not in reported or reported[what].reason is not wait.reason
        }
        events = list(events_of(request.status, status, observed, warnings=resolved.warnings, waiting=waiting))
        await self._recorder.write(request.cache.tournaments, request.record, request.status, status, events)
        return status

    async def _expire(
        self, executor: Executor, snapshot: Snapshot, status: TournamentStatus, now: float
    ) -> float | None:
        """Step 11; returns seconds until the children are to go; None: they stay, have gone, or it has not ended."""
        ttl = snapshot.tournament.spec.ttl_seconds_after_finished
        end = find_true(status.conditions, COMPLETE) or find_true(status.conditions, FAILED)
        if ttl is None or end is None:
            return None
        left = end.last_transition_time.timestamp() + ttl - now
        if left > 0:
            return left
        for job in snapshot.jobs.values():
            await executor.delete_job(job)
        for service in snapshot.services.values():
            await executor.delete_model(service)
        return None


def _plan(snapshot: Snapshot, observed: Observed) -> Plan:
    """Step 6; log lines from here on name the phase."""
    decided = plan(snapshot.graph, policy_of(snapshot.tournament), observed)
    structlog.contextvars.bind_contextvars(stage=decided.phase)
    return decided


def _unended(decided: Plan, before: TournamentStatus) -> Plan:
    """The plan of an end, as it is reported while not everything could be stopped or changed.

    A failure is reported at once, since what is stopped first may be all that shows it; an end that has been reported
    stays.
    """
    if decided.state is TournamentState.FAILED or find_true(before.conditions, decided.state) is not None:
        return decided
    return _not_ended(decided, f"{decided.message}; not everything could be stopped yet", before)


def _not_ended(decided: Plan, message: str, before: TournamentStatus) -> Plan:
    """A plan as it is reported while it cannot be executed."""
    phase = next((phase for phase in get_args(Phase) if phase == before.phase), "Preflight")
    return replace(decided, state=TournamentState.RUNNING, phase=phase, message=message)


def _starts_something(decided: Plan) -> bool:
    return bool(decided.preflight or decided.start_jobs) and decided.state is TournamentState.RUNNING
