"""One HTTP port for the kubelet and for Prometheus: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder


async def serve(port: int, ready: Callable[[], bool], measure: Callable[[], None]) -> web.AppRunner:
    """Listen on all addresses; the caller cleans the runner up.

    Args:
        port: where.
        ready: whether all that is watched was listed once.
        measure: sets the gauges that are set at each scrape.
    """

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # whoever answers has an event loop that turns

    async def readyz(request: web.Request) -> web.Response:
        if ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not all that is watched was listed yet\n")

    async def metrics(request: web.Request) -> web.Response:
        measure()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
