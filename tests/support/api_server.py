"""A real HTTP server that answers as an API server does, with what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tiltyard.cluster.client import Client

Answer = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Any]:
    """A client of a server that answers everything with one function."""

    @asynccontextmanager
    async def connect(answer: Answer) -> AsyncIterator[Client]:
        async def handle(request: web.Request) -> web.StreamResponse:
            answered = answer(request)
            return answered if isinstance(answered, web.StreamResponse) else await answered

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)  # watches have no end
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        kubeconfig = tmp_path / "kubeconfig"
        document = {
            "clusters": [{"name": "it", "cluster": {"server": f"http://{host}:{port}"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "users": [{"name": "me", "user": {"token": "secret"}}],
            "current-context": "it",
        }
        kubeconfig.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        try:
            async with await Client.connect() as client:
                yield client
        finally:
            await runner.cleanup()

    return connect


def page(items: list[dict[str, Any]], more: str = "") -> web.Response:
    metadata = {"resourceVersion": "7"} | ({"continue": more} if more else {})
    return web.json_response({"items": items, "metadata": metadata})


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": status, "message": message}, status=status)
