"""The operator asks workers how far they are: first the reader of hostile pods, then all of it on an API server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.client import ApiClient
from prometheus_client import REGISTRY

from integration.cluster.conftest import Arena
from support.api_server import Answer as ApiAnswer
from support.api_server import page, refusal
from support.cluster_objects import CREATED, SETTINGS, Cluster, cluster_tournament, finish
from tiltyard.cluster import metrics
from tiltyard.cluster.cache import Caches
from tiltyard.cluster.client import Client
from tiltyard.cluster.manager import Manager
from tiltyard.cluster.progress import ProgressReader
from tiltyard.observe.kinds import TOURNAMENTS
from tiltyard.observe.observation import observe
from tiltyard.render.names import RESULT
from tiltyard.status.rates import WINDOW_SECONDS, Rates
from tiltyard.status.records import PROMPT
from tiltyard_jobs.contracts.progress import MAX_BYTES, PATH, PORT, WorkerProgress
from tiltyard_jobs.contracts.tasks import LedgerRow

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

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
        self.caches = Caches(Client(ApiClient()), (), self.changed.append, Random(0))
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
        """Another tournament with a pod at work, at an address where nobody listens."""
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


async def until_told(pods: Pods) -> None:
    """Ask until a pod has told something: this machine may be too slow to answer in time."""
    async with asyncio.timeout(60):
        while not pods.told():
            await pods.reader.begin(pods.cache)


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    made = Pods()
    async with made.stack, made.reader:
        yield made


def json_of(told: WorkerProgress) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=told.model_dump_json(by_alias=True))

    return answer


def text(body: str, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, headers=headers)

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" " * MAX_BYTES)
    return response


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def test_what_pods_say_is_kept_and_what_is_no_progress_is_not(pods: Pods) -> None:
    good = await pods.add(0, json_of(TOLD))
    wrong: list[Answer | None] = [
        text("{}", 404), text("", 302, Location=f"http://{address(0)}:{PORT}/elsewhere"), text("<html>"), text("[1]"),
        text('{"done": -1}'), text('{"done": 1e300}'), text('{"prompt": "a text"}'), text('{"voids": {"a b": 1}}'),
        text('{"done": 3}' + " " * MAX_BYTES), endless, silent, None,
    ]  # fmt: skip
    for number, answer in enumerate(wrong, start=1):
        await pods.add(number, answer)
    listening = len([*wrong, good]) - wrong.count(None)
    async with asyncio.timeout(120):
        while not pods.told() or len(set(pods.asked)) < listening:
            await pods.reader.begin(pods.cache)
    assert pods.told() == {good: TOLD}
    assert "/elsewhere" not in "".join(pods.asked), "a redirect is not followed"


async def test_only_running_pods_of_jobs_are_asked(pods: Pods) -> None:
    await pods.add(0, json_of(TOLD), "Pending")
    await pods.add(1, json_of(TOLD), "Succeeded")
    await pods.add(2, json_of(TOLD), **{"batch.kubernetes.io/job-name": "of-somebody-else"})
    await pods.reader.begin(pods.cache)
    assert pods.asked == []
    assert pods.changed == []


async def test_only_pods_that_the_job_controls_are_asked(pods: Pods) -> None:
    job = {**pods.job, "metadata": {**pods.job["metadata"], "uid": "j-1", "resourceVersion": "2"}}
    pods.cache.jobs.update(job)
    names = [await pods.add(number, json_of(TOLD)) for number in range(3)]
    for name, uid in zip(names, ("j-0", None, "j-1"), strict=True):
        meta = pods.cluster.pods[name]["metadata"]
        owners = [{**one, "uid": uid} for one in meta["ownerReferences"]] if uid else []
        meta |= {"ownerReferences": owners, "resourceVersion": "2"}
        pods.cache.pods.update(pods.cluster.pods[name])
    await until_told(pods)
    assert set(pods.asked) == {f"{names[2]} {PATH}"}


def requests(outcome: str) -> float:
    return REGISTRY.get_sample_value("tiltyard_progress_requests_total", {"outcome": outcome}) or 0


async def test_a_pods_address_is_no_name(pods: Pods) -> None:
    before = requests(metrics.INVALID)
    pods.cache.pods.update(pods.cluster.worker_pod(pods.job, 0, phase="Running", podIP="localhost"))
    await pods.reader.begin(pods.cache)
    assert requests(metrics.INVALID) == before + 1


async def test_pods_of_a_train_job_are_not_asked(pods: Pods) -> None:
    trainer = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2}
    pods.cluster = Cluster(cluster_tournament(3, training={"baseModel": {"uri": "hf://org/base"}, "trainer": trainer}))
    pods.job = pods.cluster.job("train")
    pods.cache.train_jobs.update(pods.job)
    await pods.add(0, json_of(TOLD))
    assert pods.cache.pods.of("arena/test")
    await pods.reader.begin(pods.cache)
    assert pods.asked == []


async def test_what_was_told_stays_until_its_job_goes(pods: Pods) -> None:
    name = await pods.add(0, json_of(TOLD))
    await until_told(pods)
    pods.cache.pods.delete("arena", name)
    await pods.reader.begin(pods.cache)
    assert pods.told() == {name: TOLD}
    pods.cache.jobs.delete("arena", pods.job["metadata"]["name"])
    assert pods.told() == {}


async def test_what_was_told_goes_once_its_job_has_a_result(pods: Pods) -> None:
    name = await pods.add(0, json_of(TOLD))
    await until_told(pods)
    finish(pods.job, "Complete", completed="0")
    pods.job["metadata"]["resourceVersion"] = "2"
    pods.cache.jobs.update(pods.job)
    assert pods.told() == {name: TOLD}
    pods.job["metadata"]["annotations"][RESULT] = "{}"
    pods.job["metadata"]["resourceVersion"] = "3"
    pods.cache.jobs.update(pods.job)
    assert pods.told() == {}


async def test_a_pod_that_is_silent_is_asked_more_and_more_rarely(pods: Pods) -> None:
    name = await pods.add(0, text("no"))
    for _ in range(16):
        await pods.reader.begin(pods.cache)
    assert 4 <= pods.asked.count(f"{name} {PATH}") <= 8


async def test_the_first_silence_of_a_pod_is_free(pods: Pods) -> None:
    await pods.add(0, text("no"))
    await pods.reader.begin(pods.cache)
    late = await pods.add(1, text("no"))
    for _ in range(2):
        await pods.reader.begin(pods.cache)
    assert pods.asked.count(f"{late} {PATH}") == 2


async def test_a_fault_of_the_reader_ends_nothing(pods: Pods, capsys: pytest.CaptureFixture[str]) -> None:
    name = await pods.add(0, json_of(TOLD))
    outside_of_its_block = ProgressReader(pods.caches, pods.changed.append, lambda: pods.now)
    await outside_of_its_block.begin(pods.cache)
    logged = capsys.readouterr().out
    assert name in logged
    assert "progress.py" in logged, "where it happened"
    assert pods.changed == []


async def test_a_pod_that_has_to_wait_for_others_is_not_silent(pods: Pods) -> None:
    await pods.add(0, silent)
    late = await pods.add(1, json_of(TOLD))
    pods.reader._free = asyncio.Semaphore(1)
    await until_told(pods)
    assert pods.told() == {late: TOLD}


async def test_rates_are_of_what_was_told_and_begin_again_after_a_long_silence(pods: Pods) -> None:
    told = TOLD

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=told.model_dump_json(by_alias=True))

    await pods.add(0, answer)
    assert pods.rates() is None, "nobody has told anything"

    async def tell(now: float, prompt_tokens: int) -> float | None:
        nonlocal told
        pods.now, told = now, TOLD.model_copy(update={"prompt_tokens": prompt_tokens})
        async with asyncio.timeout(60):
            while [one.prompt_tokens for one in pods.told().values()] != [prompt_tokens]:
                await pods.reader.begin(pods.cache)
        pods.now += prompt_tokens % 7  # its status is written a little later
        return pods.rate()

    assert await tell(1000, 100) is None
    assert await tell(1010, 300) == pytest.approx(20)
    pods.now += 5
    another = LedgerRow(stage="mine", model="m1", prompt_tokens=1000)
    assert pods.rate(another) == pytest.approx(20), "a moment without an answer is no standstill, nor a leap"
    assert await tell(1020, 600) == pytest.approx(25)

    # Another manifest's run has other counts.
    graph = pods.cluster.graph
    pods.cluster.graph = replace(graph, run="another")
    assert pods.rate() is None
    pods.cluster.graph = graph
    assert await tell(1030, 610) is None
    assert await tell(1040, 650) == pytest.approx(4)

    pods.now += WINDOW_SECONDS + 1
    assert pods.rates() is None
    assert await tell(1200, 700) is None, "the pace before says nothing of now"
    assert await tell(1210, 800) == pytest.approx(10)


async def test_where_many_are_asked_rarely_a_rate_lasts_longer(pods: Pods) -> None:
    await pods.add(0, json_of(TOLD))
    await until_told(pods)
    assert pods.rates() is not None
    for number in range(150):
        pods.add_tournament(f"many-{number}")
    asking = asyncio.create_task(pods.reader.run())
    await asyncio.sleep(0)  # its first look
    pods.now += WINDOW_SECONDS + 1
    assert pods.rates() is not None
    pods.now += 2 * WINDOW_SECONDS
    assert pods.rates() is None
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def test_nothing_is_reconciled_before_all_of_a_namespace_is_known(
    pods: Pods, connected: Callable[[ApiAnswer], Any]
) -> None:
    name = await pods.add(0, json_of(TOLD))
    meta = {"namespace": "arena", "name": "test", "uid": "u-1", "resourceVersion": "1", "generation": 1}
    tournament = {
        "apiVersion": TOURNAMENTS.api,
        "kind": TOURNAMENTS.kind,
        "metadata": {**meta, "creationTimestamp": CREATED},
    }
    listed = {"tournaments": tournament, "jobs": pods.job, "pods": pods.cluster.pods[name]}
    known, refused, writes, written = False, 0, list[bool](), asyncio.Event()

    async def api(request: web.Request) -> web.StreamResponse:
        nonlocal known, refused
        kind = request.path.rpartition("/")[2]
        if request.method != "GET":
            writes.append(known)
            written.set()
            return refusal(409, "wait")
        if "watch" in request.query:
            await asyncio.sleep(3600)
        if kind == "inferenceservices" and refused < 1:
            refused += bool(pods.asked)
            return refusal(403, "not yet")
        known = known or kind == "inferenceservices"
        return page([listed[kind]] if kind in listed else [])

    async with connected(api) as client:
        running = asyncio.create_task(Manager(client, SETTINGS).run())
        ended = asyncio.create_task(written.wait())
        await asyncio.wait({running, ended}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert writes
    assert all(writes)


@asynccontextmanager
async def slow_mining(arena: Arena) -> AsyncIterator[dict[str, Any]]:
    """A tournament whose mining takes long: its models answer late."""
    slow = ["--latency-ms=3000"]
    document = arena.manifest(3, per_competitor=2000, jobs={"shardSize": 2000})
    for one in document["spec"]["competitors"]:
        one["serving"] = {"args": slow}
    await arena.apply(document)
    yield document


def mining(tournament: Any) -> dict[str, Any]:
    stages = tournament.get("status", {}).get("stages", ())
    return next((dict(one) for one in stages if one["name"] == "Mining"), {})


@pytest.mark.timeout(600)
async def test_a_shard_at_work_is_seen_in_the_status(arena: Arena) -> None:
    async with slow_mining(arena):
        seen = await arena.wait(lambda one: mining(one).get("records", {}).get("done", 0) > 0, limit=90)
        status = seen["status"]
        assert mining(seen)["shards"].get("succeeded", 0) == 0, yaml.safe_dump(status)
        assert 0 < mining(seen)["records"]["done"] < mining(seen)["records"]["total"]
        assert status["records"].startswith(f"{mining(seen)['records']['done']}/")
        assert status["usage"]["promptTokens"] > 0
        assert any(model.get("asking", 0) > 0 for model in status["models"])

        # Later there are rates.
        later = await arena.wait(lambda one: "recordsPerSecond" in mining(one), limit=90)
        done = mining(later)["records"]["done"]
        assert done >= mining(seen)["records"]["done"]
        assert float(later["status"]["usage"]["completionTokensPerSecond"]) > 0

        # The next operator asks by itself; and when a pod dies nothing is taken back.
        await arena.operator.kill()
        await arena.operator.start()
        more = await arena.wait(lambda one: mining(one)["records"]["done"] > done, limit=120)
        done = mining(more)["records"]["done"]
        assert arena.player.kill("-mine-") is not None
        most = await arena.wait(lambda one: mining(one)["records"]["done"] > done or lower(one, done), limit=120)
        assert not lower(most, done), yaml.safe_dump(most["status"])


def lower(tournament: Any, done: int) -> bool:
    return bool(mining(tournament)["records"]["done"] < done)
