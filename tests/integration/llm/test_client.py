"""The client against a real server: the bodies it sends, and a whole round of each call."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from support.stub_llm import serving
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.probe import can_complete_raw, require_raw_completions

SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_tokens=16)
SCHEMA = {"type": "object", "properties": {"winner": {"enum": ["A", "B"]}}, "required": ["winner"]}


@asynccontextmanager
async def asking(path: str, document: object, status: int = 200) -> AsyncIterator[tuple[ModelClient, list[Any]]]:
    """A client whose server answers one path with one document; and what it was sent."""
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json() if request.can_read_body else None)
        if isinstance(document, bytes):
            return web.Response(body=document, status=status)
        return web.json_response(document, status=status)

    async with (
        serving({path: answer}) as root,
        connect(ModelEndpoint(root, "tiny", max_concurrency=4), rng=random.Random(0)) as client,
    ):
        yield client, bodies


@pytest.mark.parametrize("end", ["/v1", "/v1/", "", "/", "/v1/chat/completions"])
async def test_an_address_of_ipv6(end: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"choices": [{"message": {"content": "fine"}}]})

    async with serving({"/v1/chat/completions": answer}, host="::1") as root:
        assert root.startswith("http://[::1]:")
        async with connect(ModelEndpoint(root + end, "m"), rng=random.Random(0)) as client:
            reply = await client.chat([{"role": "user", "content": "1"}], sampling=SAMPLING, seed=0)
    assert reply.answer == "fine"


async def test_complete() -> None:
    reply = {"choices": [{"text": "Sort a list.", "finish_reason": "stop"}], "usage": {"completion_tokens": 4}}
    async with asking("/v1/completions", reply) as (client, bodies):
        done = await client.complete([1, 2], sampling=SAMPLING, seed=2**63 - 1, stop=("x",), stop_token_ids=(7,))
        await client.complete("a", sampling=SAMPLING, seed=0)
    assert (done.answer, done.finish_reason, done.usage.completion_tokens) == ("Sort a list.", "stop", 4)
    drawn = {"model": "tiny", "temperature": 0.7, "top_p": 0.95, "max_tokens": 16}
    assert bodies == [
        {
            **drawn,
            "prompt": [1, 2],
            "seed": 2**63 - 1,
            "stop": ["x"],
            "stop_token_ids": [7],
            "skip_special_tokens": False,
        },
        {**drawn, "prompt": "a", "seed": 0},
    ]


async def test_chat_with_a_structure_and_with_logprobs() -> None:
    top = [{"token": "A", "logprob": -0.5}, {"token": "B", "logprob": -1.5}]
    choice = {
        "message": {"role": "assistant", "content": '{"winner": "A"}'},
        "logprobs": {"content": [{"token": "A", "logprob": -0.5, "top_logprobs": top}]},
        "finish_reason": "stop",
    }
    async with asking("/v1/chat/completions", {"choices": [choice]}) as (client, bodies):
        messages = [{"role": "user", "content": "Who?"}]
        structured = await client.chat(messages, sampling=SAMPLING, seed=1, json_schema=SCHEMA)
        weighed = await client.chat(messages, sampling=SAMPLING, seed=1, top_logprobs=5)
    assert structured.structure == {"winner": "A"}
    assert structured.first_token_logprobs is None
    assert weighed.first_token_logprobs == {"A": -0.5, "B": -1.5}
    assert bodies[0]["response_format"]["type"] == "json_schema"
    assert bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (bodies[1]["logprobs"], bodies[1]["top_logprobs"], bodies[1]["messages"]) == (True, 5, messages)
    assert "logprobs" not in bodies[0]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"<html>busy</html>", b'{"choices": [{"text": "cut sho'])
async def test_garbage_is_void(body: bytes) -> None:
    async with asking("/v1/completions", body) as (client, _):
        with pytest.raises(RecordVoidError) as caught:
            await client.complete("x", sampling=SAMPLING, seed=0)
    assert caught.value.reason is VoidReason.MALFORMED


async def test_a_megabyte_is_a_reply_and_five_are_a_void() -> None:
    async with asking("/v1/completions", {"choices": [{"text": "x" * 1_000_000}]}) as (client, _):
        assert len((await client.complete("x", sampling=SAMPLING, seed=0)).answer) == 1_000_000
    async with asking("/v1/completions", {"choices": [{"text": "x" * 5_000_000}]}) as (client, _):
        with pytest.raises(RecordVoidError, match="larger than"):
            await client.complete("x", sampling=SAMPLING, seed=0)


async def test_embed() -> None:
    rows = [{"index": 0, "embedding": [1.0, 0.0]}, {"index": 1, "embedding": [0.0, 1.0]}]
    async with asking("/v1/embeddings", {"data": rows}) as (client, bodies):
        assert (await client.embed(["a", "b"])).tolist() == [[1, 0], [0, 1]]
        assert (await client.embed([])).dtype == np.float32
    assert len(bodies) == 1


async def test_vectors_of_a_server_that_refuses_their_encoding() -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        document = await request.json()
        asked.append(document.get("encoding_format"))
        if "encoding_format" in document or "refused" in document["input"]:
            param = "encoding_format" if "encoding_format" in document else "input"
            return web.json_response({"error": {"message": "no", "param": param}}, status=400)
        return web.json_response({"data": [{"index": 0, "embedding": [0.5, 0.25]}]})

    async with (
        serving({"/v1/embeddings": answer}) as root,
        connect(ModelEndpoint(root, "m"), rng=random.Random(0)) as client,
    ):
        assert (await client.embed(["a"])).tolist() == [[0.5, 0.25]]
        assert (await client.embed(["b"])).tolist() == [[0.5, 0.25]]
        with pytest.raises(RecordVoidError, match="parameter input"):
            await client.embed(["refused"])
    assert asked == ["base64", None, None, None], "the encoding is refused once"


async def test_models_under_a_prefix_and_another_version() -> None:
    async with asking("/openai/v2/models", {"data": [{"id": "tiny"}]}) as (client, _):
        root = client.url
        endpoint = ModelEndpoint(f"{root}/openai/v2/", "tiny")
        async with connect(endpoint, rng=random.Random(0)) as prefixed:
            assert [*await prefixed.models()] == ["tiny"]


async def test_an_extension_that_is_not_offered_is_asked_for_once() -> None:
    async with asking("/tokenize", {"detail": "Not Found"}, 404) as (client, bodies):
        for _ in range(3):
            assert await client.extensions.tokenize_chat([{"role": "user", "content": "x"}]) is None
        assert await client.extensions.detokenize([1]) is None
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("document", "status", "served"),
    [
        ({"choices": [{"text": "quick"}]}, 200, True),
        ({"choices": [{"text": ""}]}, 200, True),
        ({"detail": "Not Found"}, 404, False),
        ({}, 405, False),
        ({}, 501, False),
        ({"error": {"message": "use chat"}}, 400, False),
        ({"choices": [{"message": {"content": "hi"}}]}, 200, False),
    ],
)
async def test_whether_raw_prompts_are_completed(document: object, status: int, served: bool) -> None:
    async with asking("/v1/completions", document, status) as (client, _):
        assert await can_complete_raw(client) is served
        if served:
            await require_raw_completions(client)
        else:
            with pytest.raises(ConfigurationError, match="does not complete raw prompts with model 'tiny'"):
                await require_raw_completions(client)
