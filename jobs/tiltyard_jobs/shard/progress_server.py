"""Tells a worker's progress to whoever asks for it: on a cluster, the operator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tiltyard_jobs.contracts.progress import PATH, PORT
from tiltyard_jobs.shard.progress import Progress

log = structlog.get_logger(__name__)


@asynccontextmanager
async def progress_served(progress: Progress, address: str | None) -> AsyncIterator[None]:
    """Answer `GET /progress` while the block runs. It is a courtesy: where it cannot listen, the work goes on.

    Args:
        progress: what is reported.
        address: the pod's own; None: nothing listens.
    """
    if address is None:
        yield
        return
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        told = progress.look().model_dump_json(by_alias=True, exclude_defaults=True)
        return web.Response(text=told, content_type="application/json", headers={"Connection": "close"})

    application = web.Application()
    application.router.add_get(PATH, answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address, PORT).start()
        except OSError as error:
            log.info("progress is not served", error=str(error))
        yield
    finally:
        await runner.cleanup()
