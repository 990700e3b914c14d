"""The client and what is listed with it, against a real HTTP server that answers as an API server does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from aiohttp import web

from support.api_server import Answer, page, refusal
from support.cluster_objects import made_by_job, made_by_replica_set
from support.waiting import until
from tiltyard.cluster import answers
from tiltyard.cluster.answers import MOST_ASKED
from tiltyard.cluster.client import FORBIDDEN, ApiError
from tiltyard.cluster.informer import Informer
from tiltyard.cluster.node_lister import KEPT_SECONDS, NodeLister
from tiltyard.cluster.pod_events import PASSED_SECONDS, PodEvents
from tiltyard.cluster.pod_refusals import PodRefusals
from tiltyard.cluster.queue_answers import QueueAnswers
from tiltyard.cluster.refused_calls import NotServed, apply
from tiltyard.observe.kinds import JOBS, NODES, PODS, Kind
from tiltyard.observe.observation import AGAIN_SECONDS
from tiltyard.observe.queues import JOB_UID
from tiltyard.observe.records import JobRecord, PodRecord
from tiltyard.render.names import service_name

CREATED = "2026-01-01T00:00:00Z"


async def test_a_list_is_read_page_by_page(connected: Callable[[Answer], Any]) -> None:
    asked = list[dict[str, str]]()

    def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        assert request.headers["Authorization"] == "Bearer secret"
        assert request.path == "/apis/batch/v1/namespaces/ns/jobs"
        return page([{"n": len(asked)}], more="next" if len(asked) < 3 else "")

    async with connected(answer) as client:
        items, version = await client.list(JOBS, "ns", "a=b")
    assert (items, version) == ([{"n": 1}, {"n": 2}, {"n": 3}], "7")
    assert [query.get("continue") for query in asked] == [None, "next", "next"]
    assert {query["labelSelector"] for query in asked} == {"a=b"}


async def test_a_refusal_carries_the_status_and_the_servers_words(connected: Callable[[Answer], Any]) -> None:
    async with connected(lambda request: refusal(422, "spec.x: is wrong")) as client:
        with pytest.raises(ApiError, match=r"spec\.x: is wrong") as refused:
            await client.get(NODES, None, "n")
        assert refused.value.status == 422
    async with connected(lambda request: refusal(404, "gone")) as client:
        await client.delete(JOBS, "ns", "gone")  # is no error


async def test_an_api_that_is_not_served_is_told_from_an_object_that_is_not_there(
    connected: Callable[[Answer], Any],
) -> None:
    def answer(request: web.Request) -> web.Response:
        if "jobs" in request.path:
            return web.Response(status=404, text="404 page not found\n")
        return refusal(404, 'nodes "n" not found')

    async with connected(answer) as client:
        for kind, namespace, unserved in [(JOBS, "ns", True), (NODES, None, False)]:
            with pytest.raises(ApiError) as refused:
                await client.get(kind, namespace, "n")
            assert refused.value.unserved is unserved
        with pytest.raises(NotServed, match="Job j is refused by the API server") as missing:
            await apply(client, JOBS, {"metadata": {"namespace": "ns", "name": "j"}})
        assert missing.value.kind is JOBS


async def test_nodes_are_listed_once_a_minute(connected: Callable[[Answer], Any]) -> None:
    asked, now = 0, 1000.0

    def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 3:
            return refusal(FORBIDDEN, "nodes is forbidden")
        if asked == 4:
            return refusal(500, "no leader")
        return page([{"status": {"allocatable": {"cpu": str(asked)}}}])

    async with connected(answer) as client:
        nodes = NodeLister(client, lambda: now)
        assert await nodes.largest_allocatable() == {"cpu": Decimal(1)}
        now += KEPT_SECONDS - 1
        assert await nodes.largest_allocatable() == {"cpu": Decimal(1)}
        now += 1
        assert await nodes.largest_allocatable() == {"cpu": Decimal(2)}
        now += KEPT_SECONDS
        assert await nodes.largest_allocatable() == {}  # it may not list them
        now += KEPT_SECONDS
        with pytest.raises(ApiError, match="no leader"):
            await nodes.largest_allocatable()


def pending(model: str, status: dict[str, Any] | None = None) -> PodRecord:
    labels = {"tiltyard.dev/tournament": "t", "tiltyard.dev/model": model}
    meta: dict[str, Any] = {"namespace": "ns", "name": f"{model}-pod", "labels": labels, "creationTimestamp": CREATED}
    meta["ownerReferences"] = made_by_replica_set(service_name("t", model))
    record = PodRecord.of({"metadata": meta, "spec": {}, "status": status or {}})
    assert record is not None
    return record


def said_by(controller: str, note: str) -> dict[str, Any]:
    meta = {"creationTimestamp": CREATED}
    return {"metadata": meta, "eventTime": CREATED, "reportingController": controller, "note": note}


async def test_what_autoscalers_say_is_asked_for_all_pods_at_once_and_kept_for_a_while(
    connected: Callable[[Answer], Any],
) -> None:
    pods = [pending(f"m{number:02}") for number in range(MOST_ASKED + 1)]
    asked, now, every_one_is_asked = list[str](), 1000.0, asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        fields = request.query["fieldSelector"]
        asked.append(fields.rpartition("=")[2])
        if len(asked) == MOST_ASKED:
            every_one_is_asked.set()
        await every_one_is_asked.wait()  # none is answered before
        return page([said_by("karpenter", fields)] if "m00" in fields else [])

    async with connected(answer) as client:
        autoscaling = PodEvents(client, lambda: now)
        words = {("", "m00", ""): "karpenter says: regarding.kind=Pod,regarding.name=m00-pod"}
        assert await autoscaling.of("ns/t", pods) == words
        assert sorted(asked) == [pod.name for pod in pods[:MOST_ASKED]]  # the oldest of them
        now += answers.KEPT_SECONDS - 1
        assert await autoscaling.of("ns/t", pods) == words
        assert len(asked) == MOST_ASKED
        now += 1
        assert await autoscaling.of("ns/t", pods[:2]) == words
        assert sorted(asked[MOST_ASKED:]) == ["m00-pod", "m01-pod"]
        autoscaling.forget("ns/t")
        assert await autoscaling.of("ns/t", pods[:1]) == words
        assert asked[-1] == "m00-pod"
        assert len(asked) == MOST_ASKED + 3


async def test_pods_whose_images_are_being_pulled_are_asked_about_every_two_minutes(
    connected: Callable[[Answer], Any],
) -> None:
    creating = [{"name": "worker", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    taken = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED}]
    status = {"phase": "Pending", "conditions": taken, "containerStatuses": creating}
    pods = [pending(f"m{number:02}", status) for number in range(MOST_ASKED + 1)]
    asked, reason, begin = list[str](), "Pulling", 1000.0
    now, event = begin, said_by("", "failed to create a sandbox")

    def answer(request: web.Request) -> web.Response:
        asked.append(request.query["fieldSelector"].rpartition("=")[2])
        return page([{**event, "reason": reason}])

    async with connected(answer) as client:
        said = PodEvents(client, lambda: now)
        for look in range(int(10 * 60 / AGAIN_SECONDS)):
            now = begin + look * AGAIN_SECONDS
            assert await said.of("ns/t", pods) == {}
        assert set(Counter(asked).values()) == {5}  # of 40 looks in ten minutes
        assert set(asked) == {pod.name for pod in pods}  # those that are not asked about make room for others
        assert len(said._passed["ns/t"]) == len(pods)
        reason, now = "FailedCreatePodSandBox", now + PASSED_SECONDS
        assert len(await said.of("ns/t", pods)) == MOST_ASKED
        now += AGAIN_SECONDS
        before = len(asked)
        assert await said.of("ns/t", pods[:1]) == {pods[0].asked_as: "failed to create a sandbox"}
        assert len(asked) == before + 1, "what does not go on is asked about at each look"
        assert await said.of("ns/t", []) == {}
        assert said._passed["ns/t"] == {}


async def test_words_for_people_stop_nothing_while_they_cannot_be_read(connected: Callable[[Answer], Any]) -> None:
    status, now, pod = 200, 1000.0, pending("m0")
    meta = {"namespace": "ns", "name": "mine", "creationTimestamp": CREATED}
    owner = {"apiVersion": "tiltyard.dev/v1alpha1", "controller": True, "kind": "Tournament", "name": "t", "uid": "u"}
    job = JobRecord.of({"metadata": {**meta, "ownerReferences": [owner]}, "spec": {}})
    assert job is not None

    def answer(request: web.Request) -> web.Response:
        if status != 200:
            return refusal(status, "etcdserver: request timed out")
        if request.path.endswith("/workloads"):
            uid = request.query["labelSelector"].rpartition("(")[2].rstrip(")")
            pending = [{"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "no quota"}]
            labelled = {"name": "w", "labels": {JOB_UID: uid}}
            return page([{"metadata": labelled, "status": {"conditions": pending}}])
        return page([said_by("karpenter", "no node")])

    async with connected(answer) as client:
        autoscaling, queues = PodEvents(client, lambda: now), QueueAnswers(client, lambda: now)
        refusals = PodRefusals(client, lambda: now)

        async def told() -> list[str]:
            nodes = await autoscaling.of("ns/t", [pod])
            quota = await queues.of("ns/t", ["u-1"])
            refused = await refusals.of("ns/t", [(job, job.created)])
            return [*nodes.values(), *(one.words for one in quota.values()), *refused.values()]

        words = ["karpenter says: no node", "Workload w is Pending: no quota", "no node"]
        assert await told() == words
        status, now = 500, now + answers.KEPT_SECONDS
        assert await told() == words
        status, now = FORBIDDEN, now + answers.KEPT_SECONDS
        assert await told() == []
        status, now = 500, now + answers.KEPT_SECONDS
        assert await told() == []


def labelled(name: str, version: int, index: str, tournament: str = "t") -> dict[str, Any]:
    labels = {"tiltyard.dev/tournament": tournament, "batch.kubernetes.io/job-completion-index": index}
    labels["batch.kubernetes.io/job-name"] = job = f"{tournament}-mine"
    meta: dict[str, Any] = {"namespace": "ns", "name": name, "labels": labels, "creationTimestamp": CREATED}
    meta["ownerReferences"] = made_by_job(job)
    return {"metadata": {**meta, "resourceVersion": str(version)}, "spec": {}}


async def test_an_object_that_cannot_be_read_is_nobodys_and_stops_no_watch(
    connected: Callable[[Answer], Any], logged: Callable[[], str]
) -> None:
    events = [
        ("ADDED", "good", "1"),
        ("MODIFIED", "bad", "y y"),
        ("MODIFIED", "spoilt", "x"),
        ("MODIFIED", "last", "2"),
    ]

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return page([labelled("bad", 1, "secret"), labelled("spoilt", 2, "0"), labelled("last", 3, "none")])
        response = web.StreamResponse()
        await response.prepare(request)
        for version, (event, name, index) in enumerate(events, start=8):
            line = {"type": event, "object": labelled(name, version, index)}
            await response.write(json.dumps(line).encode() + b"\n")
        await asyncio.sleep(3600)
        return response

    changed, last = list[str](), asyncio.Event()

    def note(owner: str) -> None:
        changed.append(owner)
        if "last" in informer.of("ns/t"):
            last.set()

    async with connected(answer) as client:
        informer = Informer(PODS, "", PodRecord.of, client, "ns", note, Random(0))
        running = asyncio.create_task(informer.run())
        ended = asyncio.create_task(last.wait())
        await asyncio.wait({running, ended}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert list(informer.of("ns/t")) == ["good", "last"]
    assert changed == ["ns/t"] * 4  # spoilt came and went
    warnings = [line for line in logged().splitlines() if "object ignored" in line]
    assert [name for line in warnings for name in ("ns/bad", "ns/spoilt", "ns/last") if name in line] == [
        "ns/bad", "ns/last", "ns/spoilt"]  # fmt: skip
    assert "secret" not in "".join(warnings)
    assert all("or delete it with kubectl" in line for line in warnings), "what to do"


async def test_an_api_that_appears_is_said_once_each_time(
    connected: Callable[[Answer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiltyard.cluster.informer.MAX_BACKOFF_SECONDS", 0.01)
    served, lists, appeared = iter((True, False, False, True, True)), 0, list[tuple[Kind, int]]()

    def answer(request: web.Request) -> web.Response:
        nonlocal lists
        if "watch" in request.query:
            return refusal(410, "too old")
        lists += 1
        return page([]) if next(served, True) else refusal(404, "404 page not found")

    async with connected(answer) as client:
        where = (client, "ns", no_change, Random(0))
        watching = Informer(PODS, "", PodRecord.of, *where, appeared=lambda kind: appeared.append((kind, lists)))
        running = asyncio.create_task(watching.run())
        await until(lambda: lists > 6)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert appeared == [(PODS, 4)]


def no_change(owner: str) -> None:
    raise AssertionError(owner)


async def test_an_object_whose_owner_changes_leaves_the_one_it_had(connected: Callable[[Answer], Any]) -> None:
    changed = list[str]()

    async def never(request: web.Request) -> web.StreamResponse:
        raise AssertionError

    async with connected(never) as client:
        informer = Informer(PODS, "", PodRecord.of, client, "ns", changed.append, Random(0))
        informer.update(labelled("one", 1, "0"))
        informer.update(labelled("two", 2, "0"))
        informer.update(labelled("one", 3, "0", "other"))
        assert (list(informer.of("ns/t")), list(informer.of("ns/other"))) == (["two"], ["one"])
        assert changed == ["ns/t", "ns/t", "ns/t", "ns/other"], "both are told"
        informer.update(labelled("one", 2, "0"))  # older
        assert list(informer.of("ns/other")) == ["one"]
        informer.delete("ns", "one")
        assert (list(informer.of("ns/t")), list(informer.of("ns/other")), informer.size[1]) == (["two"], [], 1)
