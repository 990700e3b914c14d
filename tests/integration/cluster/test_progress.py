"""A whole operator asks workers how far they are. Of its reader alone: `test_progress_reader`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import yaml
from aiohttp import web

from support.answering_pods import TOLD, Pods, json_of
from support.api_server import Answer, page, refusal
from support.arena import Arena, answering_late
from support.cluster_objects import CREATED, SETTINGS
from tiltyard.cluster.manager import Manager
from tiltyard.observe.kinds import TOURNAMENTS

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(240)]


async def test_nothing_is_reconciled_before_all_of_a_namespace_is_known(
    pods: Pods, connected: Callable[[Answer], Any]
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
    document = answering_late(arena.manifest(3, per_competitor=2000, jobs={"shardSize": 2000}), 3000)
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
