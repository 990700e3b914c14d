"""Carry a plan out: stop Jobs, stop models, start models, start Jobs. Decides nothing.

Names follow from the manifest, so a call that is made twice makes one object; what a call returns is taken into the
picture at once, so that the next look does not wait for the watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.gather import Picture, costs_of, is_counted, preflight_result
from tiltyard.cluster.informer import Informer
from tiltyard.cluster.kube import CONFIG_MAPS, JOBS, SERVICES, TRAIN_JOBS, Kind, Kube, Object
from tiltyard.cluster.pace import Pace
from tiltyard.cluster.seen import JobObject, ServiceObject
from tiltyard.plan.observed import Observed
from tiltyard.plan.planner import JobOrder, Outcome, Plan
from tiltyard.render.children import job_objects
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT, parallelism, preflight_objects
from tiltyard.render.names import RESULT, STOP, job_name
from tiltyard.render.serving import inference_service
from tiltyard.render.train_job import runtime_of
from tiltyard_jobs.contracts.tasks import PreflightTask

AT_ONCE = 8  # calls for one tournament

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hands:
    """What acts on the cluster.

    Attributes:
        kube: the connection.
        jobs: the picture of Jobs.
        train_jobs: the picture of TrainJobs.
        services: the picture of InferenceServices.
        settings: how children are made.
        pace: how fast Jobs are made.
    """

    kube: Kube
    jobs: Informer[JobObject]
    train_jobs: Informer[JobObject]
    services: Informer[ServiceObject]
    settings: ClusterSettings
    pace: Pace

    async def carry_out(
        self, picture: Picture, task: PreflightTask, observed: Observed, plan: Plan, now: float
    ) -> None:
        """One plan, in its order.

        Args:
            picture: upon which it was made.
            task: preflight's.
            observed: what the planner read.
            plan: what to do.
            now: seconds since the epoch.
        """
        by_bundle = {job.bundle: job for job in picture.jobs.values() if self._is_current(picture, job)}
        for bundle in plan.stop_jobs:
            await self._stop_job(by_bundle[bundle], plan.outcome)
        by_model = {service.model: service for service in picture.services.values()}
        for model in plan.stop_models:
            await self.stop_model(by_model[model])
        for model in plan.start_models:
            await self._start_model(picture, model, by_model.get(model), now)
        if plan.preflight:
            await self._start_preflight(picture, task, by_bundle.get(PREFLIGHT))
        await _all(self._start_job(picture, order, observed) for order in plan.start_jobs)
        await _all(self._tend(picture, job) for job in by_bundle.values())

    async def delete_job(self, job: JobObject) -> None:
        """Delete a Job, its pods, and first the ConfigMap of the same name: nothing else would lead to that one."""
        namespace = _namespace(job.owner)
        await self.kube.delete(CONFIG_MAPS, namespace, job.name)
        await self.kube.delete(job.kind, namespace, job.name)
        self._informer(job.kind).forget(namespace, job.name)
        log.info("job deleted", job=job.name, bundle=job.bundle)

    async def stop_model(self, service: ServiceObject) -> None:
        """Free a model's pods; the object stays and counts its loads."""
        if service.stopped or service.deleting:
            return
        await self._annotate_service(service, {STOP: "true"})
        log.info("model stopped", model=service.model)

    async def delete_model(self, service: ServiceObject) -> None:
        """Delete a model's InferenceService."""
        await self.kube.delete(SERVICES, _namespace(service.owner), service.name)
        log.info("model deleted", model=service.model)

    def _is_current(self, picture: Picture, job: JobObject) -> bool:
        bundle = picture.graph.by_name.get(job.bundle)
        return job.version == (picture.preflight if job.bundle == PREFLIGHT else bundle and bundle.version)

    async def _stop_job(self, job: JobObject, outcome: Outcome) -> None:
        """What a failed tournament leaves is kept for whoever looks for the reason, its pods' logs among it."""
        if outcome is Outcome.COMPLETE or (outcome is Outcome.FAILED and job.verdict):
            return
        if outcome is Outcome.SUSPENDED and not job.queued and not job.verdict:
            if not job.suspended:
                await self._merge_job(job, {"spec": {"suspend": True}})
                log.info("job suspended", job=job.name)
            return
        await self.delete_job(job)

    async def _start_model(self, picture: Picture, name: str, before: ServiceObject | None, now: float) -> None:
        started = datetime.fromtimestamp(int(now), UTC).isoformat()
        loads = (before.loads if before else 0) + 1
        model = picture.graph.model[name]
        body = inference_service(picture.tournament, model, self.settings, loads=loads, started=started)
        self.services.learn(await self.kube.apply(SERVICES, body))
        metrics.MODEL_LOADS.inc()
        log.info("model started", model=name, loads=loads)

    async def _start_preflight(self, picture: Picture, task: PreflightTask, before: JobObject | None) -> None:
        if before is not None:  # its result is lost
            await self.delete_job(before)
        await self._create(JOBS, *preflight_objects(picture.tournament, task, self.settings))
        log.info("preflight started")

    async def _start_job(self, picture: Picture, order: JobOrder, observed: Observed) -> None:
        tournament, bundle = picture.tournament, order.bundle
        name = job_name(tournament.metadata.name, bundle.name, bundle.version)
        before = picture.jobs.get(name)
        if before is not None and before.suspended and not before.verdict:
            await self._merge_job(before, {"spec": {"suspend": False}})
            log.info("job resumed", job=name)
            return
        if before is not None:  # it ended though parts are missing: somebody has deleted them from the bucket
            await self.delete_job(before)
        kind = JOBS if runtime_of(tournament, bundle) is None else TRAIN_JOBS
        await self._create(kind, *job_objects(tournament, picture.graph, order, self.settings, observed.ledger))
        metrics.JOBS_STARTED.labels(bundle.stage).inc()
        log.info("job started", job=name, bundle=bundle.name, stage=bundle.stage, shards=len(order.indices))

    async def _create(self, kind: Kind, config_map: Object, job: Object) -> None:
        async with self.pace.turn():
            await self.kube.apply(CONFIG_MAPS, config_map)
            self._informer(kind).learn(await self.kube.apply(kind, job))

    def _informer(self, kind: Kind) -> Informer[JobObject]:
        return self.train_jobs if kind is TRAIN_JOBS else self.jobs

    async def _tend(self, picture: Picture, job: JobObject) -> None:
        """Keep a Job as the manifest now says, and write down what an ended one reported."""
        wanted = parallelism(picture.tournament, job.completions)
        may_change = job.kind is JOBS and job.bundle != PREFLIGHT and not job.verdict and not job.queued
        if may_change and job.parallelism != wanted:
            await self._merge_job(job, {"spec": {"parallelism": wanted}})
        if job.verdict != "Complete" or job.result is not None:
            return
        if job.bundle == PREFLIGHT:
            summary = preflight_result(picture, job)
            result = None if summary is None else summary.to_message()
        elif is_counted(picture, job):
            costs = costs_of(picture, job, picture.graph.by_name[job.bundle])
            result = costs.model_dump_json(exclude_defaults=True)
        else:
            result = None
        if result is not None:
            await self._merge_job(job, {"metadata": {"annotations": {RESULT: result}}})

    async def _merge_job(self, job: JobObject, body: Object) -> None:
        self._informer(job.kind).learn(await self.kube.merge(job.kind, _namespace(job.owner), job.name, body))

    async def _annotate_service(self, service: ServiceObject, notes: Mapping[str, str]) -> None:
        body = {"metadata": {"annotations": dict(notes)}}
        self.services.learn(await self.kube.merge(SERVICES, _namespace(service.owner), service.name, body))


async def _all(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """Make calls that do not wait for each other, some at a time; the first error, once all have ended."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Coroutine[None, None, None]) -> None:
        async with gate:
            await call

    for error in await asyncio.gather(*(one(call) for call in calls), return_exceptions=True):
        if error is not None:
            raise error


def _namespace(owner: str) -> str:
    return owner.partition("/")[0]
