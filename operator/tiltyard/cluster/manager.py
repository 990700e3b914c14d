"""Everything that the operator runs: informers, the queue and its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.cache import Cache, Caches
from tiltyard.cluster.client import Client
from tiltyard.cluster.kserve import KServe
from tiltyard.cluster.progress import ProgressReader
from tiltyard.cluster.reconciler import Reconciler
from tiltyard.cluster.resolver import Resolver
from tiltyard.cluster.workqueue import WORKERS, WorkQueue
from tiltyard.observe.kinds import Kind
from tiltyard.observe.records import PodRecord
from tiltyard.render.cluster import ClusterSettings

METER_SECONDS = 2.0  # between two looks at which models run

log = structlog.get_logger(__name__)


@dataclass
class Manager:
    """Runs the tournaments of some namespaces, or of all.

    Args:
        client: the connection.
        settings: how children are rendered.
        namespaces: those to watch; none: all.
        rng: spreads retries.
        clock: seconds since the epoch.
    """

    client: Client
    settings: ClusterSettings
    namespaces: tuple[str, ...] = ()
    rng: Random = field(default_factory=Random)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._queue = WorkQueue(self._reconcile, self._exists, self.rng)
        self._caches = Caches(self.client, self.namespaces, self._changed, self._appeared, self.rng)
        self._begun: set[Cache] = set()
        self._kserve = KServe(self.client, self.clock)
        self._resolver = Resolver(self.client, self.settings, self.clock, not self.namespaces, self._kserve)
        self._progress = ProgressReader(self._caches, self._changed, self.clock)
        self._reconciler = Reconciler(
            self.client, self._caches, self._queue, self.settings, self._resolver, self.clock, self._progress
        )

    @property
    def ready(self) -> bool:
        """Whether the API server was asked for all that is watched, and all of one namespace was listed."""
        answered = all(informer.answered.is_set() for informer in self._caches.informers)
        return answered and any(cache.synced for cache in self._caches.all())

    async def run(self) -> None:
        """Watch and reconcile until cancelled. What is under way then has `workqueue.STOP_SECONDS` to end."""
        try:
            async with self._progress, asyncio.TaskGroup() as group:
                for informer in self._caches.informers:
                    group.create_task(informer.run())
                beginnings = [group.create_task(self._begin(cache)) for cache in self._caches.all()]
                for _ in range(WORKERS):
                    group.create_task(self._queue.work())
                group.create_task(self._meter())
                group.create_task(self._progress.run())
                for informer in self._caches.informers:
                    await informer.answered.wait()
                await asyncio.wait(beginnings, return_when=asyncio.FIRST_COMPLETED)
                if (warning := await self._kserve.warning()) is not None:
                    log.warning(warning)
                log.info("ready", namespaces=list(self.namespaces) or "all")
        finally:
            await self._queue.shut_down()

    def measure(self) -> None:
        """Set the gauges that count objects; to be called before they are read."""
        caches = self._caches
        metrics.count_objects(caches.tournaments(), caches.jobs(), caches.services(), caches.pods())
        metrics.count_watched(informer.size for informer in caches.informers)
        metrics.count_waits(self._reconciler.waits())

    def _changed(self, key: str) -> None:
        """A tournament or a child of it has changed. Nothing is reconciled on half of a namespace's objects."""
        if self._caches.of(key) in self._begun:
            self._queue.add(key)

    def _appeared(self, kind: Kind) -> None:
        """An API is served that was not: those that wait for it do not wait out their pauses."""
        records = (record for cache in self._begun for record in cache.tournaments.all())
        waiting = sorted(record.owner for record in records if self._reconciler.lacks(record.owner, kind))
        log.info("an API is served that was not", kind=kind.kind, retried=waiting)
        for owner in waiting:
            self._queue.retry(owner)

    async def _begin(self, cache: Cache) -> None:
        """Reconcile a namespace's tournaments once all of its objects are known; others do not wait for it."""
        for informer in cache.informers:
            await informer.synced.wait()
        await self._progress.begin(cache)
        self._begun.add(cache)
        for record in cache.tournaments.all():
            self._queue.add(record.owner)

    async def _meter(self) -> None:
        """Count the time for which models run, again and again."""
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await asyncio.sleep(METER_SECONDS)
            now, pods = clock(), list(self._caches.pods())
            metrics.add_model_seconds(now - last, self._caches.services(), pods, self._asked(pods))
            last = now

    def _asked(self, pods: Iterable[PodRecord]) -> set[tuple[str, str]]:
        """Owner and name of each model that a running worker asks."""
        running = {(pod.owner, pod.job) for pod in pods if pod.job and pod.phase == "Running"}
        jobs = (job for job in self._caches.jobs() if (job.owner, job.name) in running)
        return {(job.owner, self._resolver.model_of(job.owner, job.bundle)) for job in jobs}

    async def _reconcile(self, key: str) -> float | None:
        return await self._reconciler.reconcile(key)

    def _exists(self, key: str) -> bool:
        return self._caches.of(key).tournament(key) is not None
