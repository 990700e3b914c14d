"""Executes a plan: stops Jobs, stops models, starts models, starts Jobs. Decides nothing.

Names follow from the manifest, so a call that is made twice makes one object; what a call returns goes into the
informer at once, so that the next reconciliation does not wait for the watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import NOT_FOUND, ApiError, Client, NotYet, Refused
from tiltyard.cluster.informer import Informer
from tiltyard.cluster.rate_limiter import RateLimiter
from tiltyard.cluster.refusals import Refusals
from tiltyard.cluster.refused_calls import NotServed, apply, told
from tiltyard.cluster.weights import NotDownloaded, hold
from tiltyard.observe.documents import name_of, namespace_of
from tiltyard.observe.kinds import (
    CACHES,
    CLAIMS,
    CONFIG_MAPS,
    JOBS,
    LLM_SERVICES,
    SERVICES,
    TRAIN_JOBS,
    Kind,
    Object,
)
from tiltyard.observe.observation import outdated_jobs
from tiltyard.observe.records import JobRecord, ServiceRecord
from tiltyard.observe.refusal import knows_no_dry_run, refused
from tiltyard.observe.results import costs_of, is_fully_reported, preflight_result
from tiltyard.observe.snapshot import Snapshot, failed_before, failed_children, stale_jobs, stale_services
from tiltyard.plan.observed import Observed
from tiltyard.plan.planner import JobOrder, Plan, TournamentState
from tiltyard.plan.spending import spending_seen
from tiltyard.render.children import job_objects, model_objects, one_of_each_kind
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT, parallelism, preflight_objects
from tiltyard.render.names import RESTS_UNTIL, RESULT, STOP, SUSPENDED, job_name
from tiltyard.render.train_job import runtime_of
from tiltyard.render.weights import held_name
from tiltyard_jobs.contracts.solo_tasks import PreflightTask

CALLS = 8  # at once, for one tournament

T = TypeVar("T")


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Executor:
    """What changes the cluster.

    Attributes:
        client: the connection.
        jobs: the informer of Jobs.
        train_jobs: of TrainJobs.
        services: of InferenceServices, and of LLMInferenceServices, by kind.
        settings: how children are rendered.
        limiter: of how fast Jobs are created.
        refusals: of what could not be done, by what it is: `changes_of`.
        retry: try again what was refused; otherwise it is left out.
    """

    client: Client
    jobs: Informer[JobRecord]
    train_jobs: Informer[JobRecord]
    services: Mapping[Kind, Informer[ServiceRecord]]
    settings: ClusterSettings
    limiter: RateLimiter
    refusals: Refusals
    retry: bool

    async def execute(
        self, snapshot: Snapshot, task: PreflightTask, observed: Observed, plan: Plan, now: float
    ) -> None:
        """One plan, in its order.

        Args:
            snapshot: upon which it was made.
            task: preflight's.
            observed: what the planner read.
            plan: what to do.
            now: seconds since the epoch.

        Raises:
            Refused: some objects could not be started or changed; `refusals` has them, and all others are.
            NotYet: likewise, and none was refused.
            ApiError: anything else could not be done, and nothing of the plan that follows upon it.
        """
        by_bundle = {job.bundle: job for job in snapshot.jobs.values() if self._is_current(snapshot, job)}
        for bundle in plan.stop_jobs:
            await self._stop(f"stop of {bundle}", self._stop_job(by_bundle[bundle], plan.state))
        by_model = {service.model: service for service in snapshot.services.values()}
        for model in plan.stop_models:
            rest = observed.models[model].in_vain if plan.state is TournamentState.RUNNING else None
            await self._stop(f"stop of model {model}", self.stop_model(by_model[model], now + rest if rest else None))
        started = [
            await self._start(f"model {name}", partial(self._start_model, snapshot, name, by_model.get(name), now))
            for name in plan.start_models
        ]
        if plan.preflight:
            before = by_bundle.get(PREFLIGHT)
            started.append(await self._start(PREFLIGHT, partial(self._start_preflight, snapshot, task, before)))
        orders = {order.bundle.name: partial(self._start_job, snapshot, order, observed) for order in plan.start_jobs}
        started += await _all(self._start(name, call) for name, call in orders.items())
        updates = {f"change of {bundle}": partial(self._update, snapshot, job) for bundle, job in by_bundle.items()}
        started += await _all(self._start(what, call) for what, call in updates.items())
        errors = [error for error in started if error is not None]
        refusal = next((error for error in errors if not isinstance(error, NotYet)), None)
        if refusal is not None:
            raise Refused(refusal.status, str(refusal))
        if errors:
            raise errors[0]

    async def _start(self, what: str, call: Callable[[], Awaitable[None]]) -> ApiError | None:
        """Start or change something, unless it was refused and is not to be tried again yet.

        Returns:
            The error, where it is refused.
        """
        if what in self.refusals and not self.retry:
            return None
        try:
            await call()
        except ApiError as error:
            if not error.is_refusal:
                raise
            if isinstance(error, NotDownloaded):
                self.refusals.wait(what, error.wait)
            else:
                self._add_refusal(what, error)
            return error
        self.refusals.drop(what)
        return None

    async def _stop(self, what: str, call: Coroutine[None, None, None]) -> None:
        """Stop something; what follows upon it has to wait where it is refused."""
        try:
            await call
        except ApiError as error:
            if error.is_refusal:
                self._add_refusal(what, error)
            raise
        self.refusals.drop(what)

    def _add_refusal(self, what: str, error: ApiError) -> None:
        metrics.REFUSALS.labels(str(error.status)).inc()
        lacking = error.kind if isinstance(error, NotServed) else None
        self.refusals.add(what, error.status, str(error), lacking, after_seconds=error.seconds)

    async def _update(self, snapshot: Snapshot, job: JobRecord) -> None:
        await self._set_parallelism(snapshot, job)
        await self._save_result(snapshot, job)

    async def suspend(self, jobs: Iterable[JobRecord], services: Iterable[ServiceRecord]) -> list[ApiError]:
        """End the pods of a tournament that cannot be planned: its models', which hold the most, and its Jobs'.

        Args:
            jobs: its Jobs.
            services: its models.

        Returns:
            What could not be stopped, and why; everything else is.
        """
        calls: list[Callable[[], Awaitable[None]]] = [
            *(partial(self.stop_model, service) for service in services),
            *(partial(self._interrupt_job, job) for job in jobs if not (job.terminal or job.deleting)),
        ]
        errors = []
        for call in calls:
            try:
                await call()
            except ApiError as error:
                if error.status != NOT_FOUND:
                    errors.append(error)
        return errors

    async def delete_leftovers(self, snapshot: Snapshot, now: float) -> bool:
        """Delete what the plan must not see: what is out of date, and what an earlier attempt has failed with.

        Returns:
            Whether there was something of which a new attempt must see nothing.
        """
        for job in (*stale_jobs(snapshot), *outdated_jobs(snapshot, now)):
            await self.delete_job(job)
        for service in stale_services(snapshot):
            await self.delete_model(service)
        if not failed_before(snapshot):
            return False
        jobs, services = failed_children(snapshot)
        for job in jobs:
            await self.delete_job(job)
        for service in services:
            await self.stop_model(service)
        return bool(jobs or services)

    async def delete_job(self, job: JobRecord) -> None:
        """Delete a Job, its pods, and first the ConfigMap of the same name: nothing else would lead to that one."""
        namespace = namespace_of(job.owner)
        await self.client.delete(CONFIG_MAPS, namespace, job.name)
        async with told(job):
            await self.client.delete(job.kind, namespace, job.name)
        self._informer(job.kind).delete(namespace, job.name)
        log.info("job deleted", job=job.name, bundle=job.bundle)

    async def stop_model(self, service: ServiceRecord, rests_until: float | None = None) -> None:
        """Free a model's pods; the object stays and counts its loads, and keeps until when it is to rest."""
        if service.stopped or service.deleting:
            return
        rest = {} if rests_until is None else {RESTS_UNTIL: datetime.fromtimestamp(int(rests_until), UTC).isoformat()}
        await self._annotate_service(service, {STOP: "true", **rest})
        log.info("model stopped", model=service.model)

    async def delete_model(self, service: ServiceRecord) -> None:
        """Delete a model's InferenceService or LLMInferenceService, and the claim that was made for its weights."""
        namespace = namespace_of(service.owner)
        async with told(service):
            await self.client.delete(service.kind, namespace, service.name)
        if service.claim == held_name(name_of(service.owner), service.model):
            await self.client.delete(CLAIMS, namespace, service.claim)
        log.info("model deleted", model=service.model)

    def _is_current(self, snapshot: Snapshot, job: JobRecord) -> bool:
        bundle = snapshot.graph.by_name.get(job.bundle)
        return job.version == (snapshot.preflight if job.bundle == PREFLIGHT else bundle and bundle.version)

    async def _stop_job(self, job: JobRecord, state: TournamentState) -> None:
        """End a Job's pods. One that is to go on later is suspended: it keeps count of the shards that it has made.

        What a failed tournament leaves is kept, with its pods' logs, for whoever wants the reason.
        """
        if state is TournamentState.COMPLETE or (state is TournamentState.FAILED and job.terminal):
            return
        if state is not TournamentState.FAILED and not job.queued and not job.terminal:
            if not job.suspended:
                await self._suspend(job, "true")
                log.info("job suspended", job=job.name, bundle=job.bundle)
            return
        await self.delete_job(job)

    async def _interrupt_job(self, job: JobRecord) -> None:
        """End the pods of a Job that is under way, of a tournament that is to go on later."""
        if job.bundle == PREFLIGHT:  # it has made nothing that could be kept
            await self.delete_job(job)
        else:
            await self._stop_job(job, TournamentState.SUSPENDED)

    async def _start_model(self, snapshot: Snapshot, name: str, before: ServiceRecord | None, now: float) -> None:
        started = datetime.fromtimestamp(int(now), UTC).isoformat()
        loads = (before.loads if before else 0) + 1
        model = snapshot.graph.model[name]
        *held, body = model_objects(snapshot.tournament, model, self.settings, loads=loads, started=started)
        for one in held:
            await hold(self.client, one)
        kind = LLM_SERVICES if body["kind"] == LLM_SERVICES.kind else SERVICES
        self.services[kind].update(await apply(self.client, kind, body))
        metrics.MODEL_LOADS.inc()
        log.info("model started", model=name, loads=loads)

    async def _start_preflight(self, snapshot: Snapshot, task: PreflightTask, before: JobRecord | None) -> None:
        await self._try(one_of_each_kind(snapshot.tournament, snapshot.graph, task, self.settings))
        if before is not None:  # its result is lost
            await self.delete_job(before)
        await self._create(JOBS, *preflight_objects(snapshot.tournament, task, self.settings))
        log.info("preflight started")

    async def _start_job(self, snapshot: Snapshot, order: JobOrder, observed: Observed) -> None:
        tournament, bundle = snapshot.tournament, order.bundle
        name = job_name(tournament.metadata.name, bundle.name, bundle.version)
        before = snapshot.jobs.get(name)
        if before is not None and before.suspended and not before.terminal:
            await self._suspend(before, None)
            log.info("job resumed", job=name, bundle=bundle.name)
            return
        if before is not None:  # it ended though parts are missing: somebody has deleted them from the bucket
            await self.delete_job(before)
        kind = JOBS if runtime_of(tournament, bundle) is None else TRAIN_JOBS
        model = observed.models.get(bundle.model or "")
        url = None if model is None else model.url
        spending = spending_seen(tournament, snapshot.graph, observed, bundle)
        objects = job_objects(
            tournament,
            snapshot.graph,
            order,
            self.settings,
            observed.ledger,
            url,
            spending,
            observed.longest_given,
        )
        await self._create(kind, *objects)
        metrics.JOBS_STARTED.labels(bundle.stage).inc()
        log.info("job started", job=name, bundle=bundle.name, stage=bundle.stage, shards=len(order.indices))

    async def _create(self, kind: Kind, config_map: Object, job: Object) -> None:
        async with self.limiter.slot():
            await apply(self.client, CONFIG_MAPS, config_map)
            self._informer(kind).update(await apply(self.client, kind, job))

    async def _try(self, objects: Iterable[Object]) -> None:
        """Send objects as dry runs, before anything starts that would be in vain.

        At once: a webhook that does not answer holds up each of them.
        """
        named = (CONFIG_MAPS, JOBS, SERVICES, LLM_SERVICES, TRAIN_JOBS, CLAIMS, CACHES)
        kinds = {kind.kind: kind for kind in named}

        async def one(body: Object) -> ApiError | None:
            try:
                await self.client.apply(kinds[body["kind"]], body, dry_run=True)
            except ApiError as error:
                if error.status == 0:
                    raise
                if error.status != NOT_FOUND and not knows_no_dry_run(error.words):
                    name, status = body["metadata"]["name"], error.status
                    words = refused(body["kind"], name, status, error.words, dry_run=True)
                    return ApiError(status, words, seconds=error.seconds)
            return None

        errors = [error for error in await _all(map(one, objects)) if error is not None]
        if errors:
            status, seconds = min(error.status for error in errors), max(error.seconds for error in errors)
            raise ApiError(status, "; ".join(map(str, errors)), seconds=seconds)

    def _informer(self, kind: Kind) -> Informer[JobRecord]:
        return self.train_jobs if kind is TRAIN_JOBS else self.jobs

    async def _set_parallelism(self, snapshot: Snapshot, job: JobRecord) -> None:
        """Keep a Job's parallelism as the manifest now says."""
        wanted = parallelism(snapshot.tournament, job.completions)
        may_change = job.kind is JOBS and job.bundle != PREFLIGHT and not job.terminal and not job.queued
        if may_change and job.parallelism != wanted:
            await self._merge_job(job, {"spec": {"parallelism": wanted}})

    async def _save_result(self, snapshot: Snapshot, job: JobRecord) -> None:
        """Save what a complete Job has reported as its annotation: its pods may go."""
        if job.terminal != "Complete" or job.result is not None:
            return
        if job.bundle == PREFLIGHT:
            summary = preflight_result(snapshot, job)
            result = None if summary is None else summary.to_message()
        elif is_fully_reported(snapshot, job):
            costs = costs_of(snapshot, job, snapshot.graph.by_name[job.bundle])
            result = costs.model_dump_json(exclude_defaults=True)
        else:
            result = None
        if result is not None:
            await self._merge_job(job, {"metadata": {"annotations": {RESULT: result}}})

    async def _suspend(self, job: JobRecord, mark: str | None) -> None:
        """Suspend a Job, with a mark that it was us; or resume it, without."""
        body = {"metadata": {"annotations": {SUSPENDED: mark}}, "spec": {"suspend": mark is not None}}
        await self._merge_job(job, body)

    async def _merge_job(self, job: JobRecord, body: Object) -> None:
        async with told(job):
            changed = await self.client.merge(job.kind, namespace_of(job.owner), job.name, body)
        self._informer(job.kind).update(changed)

    async def _annotate_service(self, service: ServiceRecord, notes: Mapping[str, str]) -> None:
        body = {"metadata": {"annotations": dict(notes)}}
        async with told(service):
            changed = await self.client.merge(service.kind, namespace_of(service.owner), service.name, body)
        self.services[service.kind].update(changed)


async def _all(calls: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Make calls that do not wait for each other, some at a time; the first error, once all have ended."""
    gate = asyncio.Semaphore(CALLS)

    async def one(call: Coroutine[None, None, T]) -> T:
        async with gate:
            return await call

    results = []
    for result in await asyncio.gather(*(one(call) for call in calls), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results
