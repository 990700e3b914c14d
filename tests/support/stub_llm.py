"""A small OpenAI-compatible server on a loopback address whose replies and faults a test chooses."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from yarl import URL

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reset(request: web.Request) -> web.Response:
    """Cut the connection: the client sees RST."""
    transport = request.transport
    assert transport is not None
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return web.Response()


@dataclass
class FaultyModel:
    """Echoes the prompt; refuses and resets a share of the requests.

    Attributes:
        refused: the share answered 429.
        cut: the share reset, half of them after the work was done.
        served: how often each prompt was answered in full.
    """

    refused: float = 0.0
    cut: float = 0.0
    seed: int = 0
    served: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        prompt = (await request.json())["prompt"]
        fate = self._rng.random()
        if fate < self.refused:
            self.faults["refused"] += 1
            return web.json_response({"error": {"message": "slow down"}}, status=429)
        if fate < self.refused + self.cut / 2:
            self.faults["cut"] += 1
            return reset(request)
        await asyncio.sleep(0.002)
        if fate < self.refused + self.cut:
            self.faults["cut"] += 1
            return reset(request)
        self.served[prompt] += 1
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
        return web.json_response({"choices": [{"text": f"echo {prompt}", "finish_reason": "stop"}], "usage": usage})


@asynccontextmanager
async def serving(
    handlers: dict[str, Handler], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Serve handlers by path; gives the root URL."""
    app = web.Application()
    for path, handler in handlers.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield str(URL.build(scheme="https" if tls else "http", host=host, port=port)).rstrip("/")
    finally:
        await runner.cleanup()
