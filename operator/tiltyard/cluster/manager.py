"""Everything that the operator runs: informers, the queue and its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.cache import Caches
from tiltyard.cluster.client import Client
from tiltyard.cluster.kserve import KServe
from tiltyard.cluster.reconciler import Reconciler
from tiltyard.cluster.resolver import Resolver
from tiltyard.cluster.workqueue import WORKERS, WorkQueue
from tiltyard.render.cluster import ClusterSettings

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
        self._caches = Caches(self.client, self.namespaces, self._queue.add, self.rng)
        self._kserve = KServe(self.client, self.clock)
        resolver = Resolver(self.client, self.settings, self.clock, not self.namespaces, self._kserve)
        self._reconciler = Reconciler(self.client, self._caches, self._queue, self.settings, resolver, self.clock)

    @property
    def ready(self) -> bool:
        """Whether all that is watched was listed once."""
        return self._caches.synced

    async def run(self) -> None:
        """Watch and reconcile until cancelled. What is under way is brought to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                for informer in self._caches.informers:
                    group.create_task(informer.run())
                for informer in self._caches.informers:
                    await informer.synced.wait()
                if (warning := await self._kserve.warning()) is not None:
                    log.warning(warning)
                log.info("ready", namespaces=list(self.namespaces) or "all")
                for _ in range(WORKERS):
                    group.create_task(self._queue.work())
        finally:
            await self._queue.shut_down()

    def measure(self) -> None:
        """Set the gauges that count objects; to be called before they are read."""
        caches = self._caches
        metrics.count_objects(caches.tournaments(), caches.jobs(), caches.services(), caches.pods())

    async def _reconcile(self, key: str) -> float | None:
        return await self._reconciler.reconcile(key)

    def _exists(self, key: str) -> bool:
        return self._caches.of(key).tournament(key) is not None
