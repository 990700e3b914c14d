"""The reader that asks pods how far they are, with pods that are at work, silent or hostile."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from support.answering_pods import TOLD, Answer, Pods, address, json_of
from support.cluster_objects import Cluster, cluster_tournament, finish
from tiltyard.cluster import metrics
from tiltyard.cluster.progress import ProgressReader
from tiltyard.render.names import RESULT
from tiltyard.status.rates import WINDOW_SECONDS
from tiltyard_jobs.contracts.progress import MAX_BYTES, PATH, PORT, WorkerProgress
from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.progress_server import progress_served

pytestmark = pytest.mark.timeout(240)


async def until_told(pods: Pods) -> None:
    """Ask until a pod has told something: this machine may be too slow to answer in time."""
    async with asyncio.timeout(60):
        while not pods.told():
            await pods.reader.begin(pods.cache)


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


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_a_pod_with_an_ipv6_address_is_asked(pods: Pods) -> None:
    pod = pods.cluster.worker_pod(pods.job, 0, phase="Running", podIP="::1")
    pods.cache.pods.update(pod)
    progress = Progress(None, time.monotonic)
    progress.advance(3, 8)
    async with progress_served(progress, "::1"):
        await until_told(pods)
    assert pods.told() == {pod["metadata"]["name"]: WorkerProgress(done=3, total=8)}


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


async def test_a_fault_of_the_reader_ends_nothing(pods: Pods, logged: Callable[[], str]) -> None:
    name = await pods.add(0, json_of(TOLD))
    outside_of_its_block = ProgressReader(pods.caches, pods.changed.append, lambda: pods.now)
    await outside_of_its_block.begin(pods.cache)
    text = logged()
    assert name in text
    assert "progress.py" in text, "where it happened"
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
