"""Models without a system role, as real servers show it: by a template that refuses, or that leaves the message out."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from support.simulated_llm import SAMPLING
from support.stub_llm import Handler, serving
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.roles import in_user_turn

SYSTEM, USER = {"role": "system", "content": "Judge by éclat."}, {"role": "user", "content": "A or B?"}
MOVED = [{"role": "user", "content": "Judge by éclat.\n\nA or B?"}]


class Model:
    """A server whose template does as `system` says: takes, refuses or drops.

    Attributes:
        asked: the messages of each chat of more than one token.
        calls: requests by path.
    """

    def __init__(self, system: str, *, renders: bool) -> None:
        self.system = system
        self.renders = renders
        self.asked: list[list[dict[str, str]]] = []
        self.calls: Counter[str] = Counter()

    def handlers(self) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {"/v1/chat/completions": self.chat}
        return handlers | ({"/tokenize": self.tokenize, "/detokenize": self.detokenize} if self.renders else {})

    def render(self, document: dict[str, Any]) -> str | None:
        messages = document["messages"]
        if self.system == "refuses" and messages[0]["role"] == "system":
            return None
        return "\n".join(m["content"] for m in messages if self.system == "takes" or m["role"] != "system")

    async def read(self, request: web.Request) -> dict[str, Any]:
        self.calls[request.path] += 1
        document: dict[str, Any] = await request.json()
        return document

    async def chat(self, request: web.Request) -> web.StreamResponse:
        document = await self.read(request)
        if document["max_tokens"] > 1:
            self.asked.append(document["messages"])
        if (text := self.render(document)) is None:
            return refused("System role not supported")
        if "too long" in text:
            return refused("This model's maximum context length is 9 tokens.")
        return web.json_response({"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]})

    async def tokenize(self, request: web.Request) -> web.StreamResponse:
        text = self.render(await self.read(request))
        return refused("System role not supported") if text is None else web.json_response({"tokens": [*text.encode()]})

    async def detokenize(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"prompt": bytes((await self.read(request))["tokens"]).decode()})


def refused(message: str) -> web.Response:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return web.json_response({"error": error}, status=400)


@asynccontextmanager
async def client_of(model: Model) -> AsyncIterator[ModelClient]:
    async with serving(model.handlers()) as root, connect(ModelEndpoint(f"{root}/v1", "m"), rng=random.Random(0)) as it:
        yield it


async def ask(client: ModelClient, *messages: dict[str, str]) -> str:
    return (await client.chat(messages or [SYSTEM, USER], sampling=SAMPLING, seed=0)).answer


@pytest.mark.parametrize(
    ("system", "renders", "words"),
    [("refuses", True, "refuses"), ("refuses", False, "refuses"), ("drops", True, "leaves out")],
)
async def test_the_task_reaches_a_model_without_a_system_role(system: str, renders: bool, words: str) -> None:
    model = Model(system, renders=renders)
    async with client_of(model) as client:
        replies = await asyncio.gather(*(ask(client) for _ in range(20)))
    assert replies == ["A"] * 20
    assert model.asked.count(MOVED) == 20  # and found once, whoever else is under way
    assert client.warnings == [
        f"{client.url}: model 'm' {words} system messages: their words are put before the user's"
    ]
    if renders:
        assert len(model.asked) == 20
        assert model.calls["/tokenize"] <= 2
    else:
        assert model.calls["/v1/chat/completions"] == len(model.asked) + 2


@pytest.mark.parametrize("renders", [True, False])
async def test_a_model_with_a_system_role_is_asked_as_it_is(renders: bool) -> None:
    model = Model("takes", renders=renders)
    async with client_of(model) as client:
        for _ in range(3):
            assert await ask(client) == "A"
        with pytest.raises(RecordVoidError) as caught:  # for itself, and not for its system message
            await ask(client, SYSTEM, {"role": "user", "content": "too long"})
    assert caught.value.reason is VoidReason.REFUSED_BY_SERVER
    assert model.asked[:3] == [[SYSTEM, USER]] * 3
    assert len(model.asked) == 4
    assert model.calls["/tokenize"] == int(renders)
    assert not client.warnings


async def test_nothing_is_looked_for_without_a_system_message() -> None:
    model = Model("refuses", renders=True)
    async with client_of(model) as client:
        assert await ask(client, USER) == "A"
    assert set(model.calls) == {"/v1/chat/completions"}


def test_the_words_are_put_before_the_user_s() -> None:
    reply = {"role": "assistant", "content": "A"}
    assert in_user_turn([SYSTEM, USER, reply, USER]) == [*MOVED, reply, USER]
    assert in_user_turn([SYSTEM]) == [{"role": "user", "content": "Judge by éclat."}]
