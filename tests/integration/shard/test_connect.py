from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from support.shard_stage import bundle, recipe
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.llm.client import Sampling
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import ShardContext
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.store.folder import FolderStore


async def reply(request: web.Request) -> web.Response:
    document: dict[str, Any] = await request.json()
    message = {"role": "assistant", "content": f"I am {document['model']}"}
    return web.json_response(
        {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
        }
    )


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/v1"
    await runner.cleanup()


def context(root: Path, endpoint: EndpointRef | None) -> ShardContext[Recipe]:
    store = FolderStore(root / "store")
    return ShardContext(
        task=bundle(root / "store", (recipe(),)).model_copy(update={"endpoint": endpoint}),
        index=0,
        parts=(),
        folders=(),
        store=store,
        artifacts=Artifacts(store, root / "cache"),
        work_dir=root,
        checkpoints=False,
        stop=asyncio.Event(),
        progress=Progress(None, time.monotonic),
        clock=time.monotonic,
        rng=random.Random(0),
        log=structlog.get_logger(),
    )


async def test_what_a_model_costs_is_metered_however_it_ends(tmp_path: Path, url: str) -> None:
    shard = context(tmp_path, EndpointRef(url=url, model="knight", field="spec.competitors[2]"))
    assert shard.field == "spec.competitors[2]"
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=8)

    async def ask_and_fail() -> None:
        async with shard.connect() as client:
            answer = await client.chat([{"role": "user", "content": "Who?"}], sampling=sampling, seed=1)
            assert answer.answer == "I am knight"
            raise RuntimeError("after the reply")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="after the reply"):
            await ask_and_fail()
    cost = Usage(requests=1, prompt_tokens=11, cached_tokens=5, completion_tokens=3)
    assert shard.meter.usage == cost + cost
    assert shard.meter.seconds > 0


async def test_a_stage_without_a_model_cannot_connect(tmp_path: Path) -> None:
    shard = context(tmp_path, None)
    assert shard.field == ""
    with pytest.raises(ValueError, match="stage answer has no model"):
        async with shard.connect():
            pass
