"""Running pods that are asked how far they are: each is a server at an address of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient

from support.cluster_objects import SETTINGS, Cluster, cluster_tournament
from tiltyard.cluster.cache import Caches
from tiltyard.cluster.client import Client
from tiltyard.cluster.progress import ProgressReader
from tiltyard.observe.observation import observe
from tiltyard.status.rates import Rates
from tiltyard.status.records import PROMPT
from tiltyard_jobs.contracts.progress import PORT, WorkerProgress
from tiltyard_jobs.contracts.tasks import LedgerRow

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOLD = WorkerProgress(done=3, total=8, records=True, prompt_tokens=50)


def address(number: int) -> str:
    """An address of this machine that no other process of the tests has."""
    return f"127.{30 + os.getpid() // 250 % 30}.{os.getpid() % 250}.{number}"


class Pods:
    """Pods of a tournament's Job that answer as told, each at its own address."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.asked: list[str] = []
        self.changed: list[str] = []
        self.now = 1000.0
        self.cluster = Cluster(cluster_tournament(3))
        self.job = self.cluster.job("mine/m0")
        self.caches = Caches(Client(ApiClient()), (), self.changed.append, lambda kind: None, Random(0))
        self.cache = self.caches.of("arena/test")
        record = {"metadata": {"namespace": "arena", "name": "test", "resourceVersion": "1", "generation": 1}}
        self.cache.tournaments.update({**record, "spec": {}})
        self.cache.jobs.update(self.job)
        self.changed.clear()
        self.reader = ProgressReader(self.caches, self.changed.append, lambda: self.now)

    async def add(self, number: int, answer: Answer | None, phase: str = "Running", **labels: str) -> str:
        pod = self.cluster.worker_pod(self.job, number, phase=phase, podIP=address(number))
        pod["metadata"]["labels"] |= labels
        name: str = pod["metadata"]["name"]
        if answer is not None:

            async def handle(request: web.Request) -> web.StreamResponse:
                self.asked.append(f"{name} {request.path}")
                return await answer(request)

            runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
            runner.app.router.add_route("*", "/{path:.*}", handle)
            await runner.setup()
            self.stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, address(number), PORT).start()
        self.cache.pods.update(pod)
        self.changed.clear()
        return name

    def add_tournament(self, name: str) -> None:
        """Another tournament with a running pod, at an address where nobody listens."""
        cluster = Cluster(cluster_tournament(3, name=name))
        job = cluster.job("mine/m0")
        self.cache.jobs.update(job)
        self.cache.pods.update(cluster.worker_pod(job, phase="Running", podIP=address(250)))

    def rates(self, *ended: LedgerRow) -> Rates | None:
        """With what other shards have cost that are complete."""
        observed = observe(replace(self.cluster.snapshot(), told=self.reader.of("arena/test")), SETTINGS, self.now)
        return self.reader.rates_of("arena/test", self.cluster.graph, replace(observed, ledger=ended))

    def rate(self, *ended: LedgerRow) -> float | None:
        """Prompt tokens a second."""
        rates = self.rates(*ended)
        assert rates is not None
        return rates.of(PROMPT)

    def told(self) -> dict[str, WorkerProgress]:
        return {name: one.progress for name, one in self.reader.of("arena/test").items()}


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    """No pods yet: a test adds its own."""
    made = Pods()
    async with made.stack, made.reader:
        yield made


def json_of(told: WorkerProgress) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=told.model_dump_json(by_alias=True))

    return answer
