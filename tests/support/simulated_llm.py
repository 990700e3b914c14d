"""A server behind the transport's seam, in virtual time: a function answers each request by path and body."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson

from support import virtual_time
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.transport import ConnectionCut, NobodyListens, Reply, TransportError

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=8)
Answer = Callable[[str, dict[str, Any]], Reply | TransportError]


def ok(document: object) -> Reply:
    return Reply(200, orjson.dumps(document))


def completion(text: str = "fine", **usage: int) -> Reply:
    return ok({"choices": [{"text": text, "finish_reason": "stop"}], "usage": usage})


def chat(content: object = "fine", **choice: Any) -> Reply:
    return ok({"choices": [{"message": {"content": content}, "finish_reason": "stop", **choice}]})


class SimulatedServer:
    """Implements `Transport`; keeps what it was asked, and when."""

    def __init__(self, answer: Answer, latency: float = 0.1) -> None:
        self._answer = answer
        self._latency = latency
        self.asked: list[tuple[float, str, dict[str, Any]]] = []

    async def post(self, path: str, body: bytes) -> Reply:
        document = orjson.loads(body)
        self.asked.append((virtual_time.now(), path, document))
        await asyncio.sleep(self._latency)
        answer = self._answer(path, document)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def get(self, path: str) -> Reply:
        """The list of models, which tells that the server listens; it is not counted as asked."""
        await asyncio.sleep(self._latency)
        return ok({"data": []})

    async def aclose(self) -> None:
        pass


def client_of(server: SimulatedServer, *, policy: RetryPolicy | None = None, max_concurrency: int = 16) -> ModelClient:
    return ModelClient(
        server,
        url="http://model.test/v1",
        model="m",
        max_concurrency=max_concurrency,
        rng=random.Random(3),
        policy=policy,
        clock=virtual_time.now,
    )


class MortalServer(SimulatedServer):
    """A server that dies of some prompts, and of nothing else. What it was asked meanwhile is cut off.

    Args:
        killers: the prompts that it dies of.
        down: seconds until it is back.
        last_words: its answer to what is under way when it dies.
        closing: seconds for which its socket still takes connections then, and cuts them.
    """

    def __init__(
        self,
        killers: frozenset[str],
        *,
        down: float,
        last_words: Reply | TransportError,
        latency: float = 0.1,
        closing: float = 0.0,
    ) -> None:
        super().__init__(lambda *_: completion(), latency)
        self._killers = killers
        self.down = down
        self._last_words = last_words
        self._back_at = 0.0
        self._closing = closing
        self._closed_at = 0.0
        self.deaths = 0

    async def post(self, path: str, body: bytes) -> Reply:
        self._require_up()
        lives = self.deaths
        reply = await super().post(path, body)
        if self.deaths == lives and orjson.loads(body)["prompt"] in self._killers:
            self.deaths += 1
            self._back_at = virtual_time.now() + self.down
            self._closed_at = virtual_time.now() + self._closing
        if self.deaths == lives:
            return reply
        if isinstance(self._last_words, TransportError):
            raise self._last_words
        return self._last_words

    async def get(self, path: str) -> Reply:
        self._require_up()
        return await super().get(path)

    def _require_up(self) -> None:
        if virtual_time.now() < self._closed_at:
            raise ConnectionCut("cut")
        if virtual_time.now() < self._back_at:
            raise NobodyListens("no connection")
