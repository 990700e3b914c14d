"""An API server that is slow to refuse, against a real HTTP server that answers as one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from aiohttp import web

from support.api_server import Answer, refusal
from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.cluster.cache import Cache
from tiltyard.cluster.client import ApiError
from tiltyard.cluster.executor import Executor
from tiltyard.cluster.rate_limiter import RateLimiter
from tiltyard.cluster.refusals import Refusals
from tiltyard.observe.kinds import LLM_SERVICES, SERVICES
from tiltyard.observe.snapshot import PATIENCE_SECONDS
from tiltyard.plan.observed import Observed
from tiltyard.plan.planner import Plan, TournamentState


class Limiter(RateLimiter):
    """One slot that does not rest; it says when somebody asks for it."""

    def __init__(self) -> None:
        super().__init__(slots=1, rest=0.0)
        self.asked = asyncio.Event()

    def slot(self) -> Any:
        self.asked.set()
        return super().slot()


@pytest.mark.parametrize("slow", ["nothing", "our limiter", "a dry run", "a call"])
async def test_only_the_time_that_the_api_server_took_says_that_a_webhook_does_not_answer(
    slow: str, connected: Callable[[Answer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, passed = asyncio.get_running_loop(), 0.0
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + passed)

    def api(request: web.Request) -> web.StreamResponse:
        nonlocal passed
        dry = "dryRun" in request.query
        if slow == ("a dry run" if dry else "a call"):
            passed += PATIENCE_SECONDS
        return refusal(500, "failed calling webhook") if not dry or slow == "a dry run" else web.json_response({})

    cluster, limiter, refusals = Cluster(cluster_tournament(3)), Limiter(), Refusals(generation=1)
    plan = Plan(TournamentState.RUNNING, "Preflight", "", preflight=True)
    async with connected(api) as client:
        cache = Cache.of(client, "arena", lambda owner: None, lambda kind: None, Random(0))
        services = {SERVICES: cache.services, LLM_SERVICES: cache.llm_services}
        executor = Executor(client, cache.jobs, cache.train_jobs, services, SETTINGS, limiter, refusals, retry=True)
        async with limiter.slot():
            limiter.asked.clear()
            running = asyncio.create_task(executor.execute(cluster.snapshot(), cluster.task, Observed(), plan, T0))
            asked = asyncio.create_task(limiter.asked.wait())
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            passed += PATIENCE_SECONDS if slow == "our limiter" else 0.0
        with pytest.raises(ApiError, match="failed calling webhook"):
            await running
    assert "preflight" in refusals
    assert list(refusals.waits()) == (["preflight"] if slow in ("a dry run", "a call") else [])
