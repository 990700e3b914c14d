"""Servers that do not take a request as it is: asked in the form that they take, found once, told where it matters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from integration.sim.process import SimProcess
from support.stub_llm import serving
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect

USER = [{"role": "user", "content": "Sort a list."}]
WARM = Sampling(temperature=0.7, top_p=0.9, max_tokens=64)
Document = dict[str, Any]


@asynccontextmanager
async def client_at(url: str, model: str) -> AsyncIterator[ModelClient]:
    async with connect(ModelEndpoint(f"{url}/v1", model), rng=random.Random(0)) as client:
        yield client


@pytest.mark.parametrize(
    ("refuses", "told"),
    [
        ("max_tokens", []),
        ("long_seed", []),
        ("seed", ["refuses a seed"]),
        ("temperature", ["refuses temperature 0.7"]),
        ("top_p", ["refuses top_p 0.9"]),
        ("system", ["refuses system messages"]),
        (
            "max_tokens,seed,temperature,top_p,system",
            ["refuses a seed", "refuses temperature 0.7", "refuses top_p 0.9", "refuses system messages"],
        ),
    ],
)
async def test_an_expert_that_refuses_is_asked_as_it_takes_it(refuses: str, told: list[str]) -> None:
    async with (
        SimProcess(f"sim://alpha?refuses={refuses}") as sim,
        client_at(sim.url, "alpha") as client,
    ):
        messages = [{"role": "system", "content": "Be short."}, *USER]
        replies = await asyncio.gather(
            *(client.chat(messages, sampling=WARM, seed=2**40 + record) for record in range(20))
        )
        asked = client.usage.requests
        assert all(reply.answer for reply in replies)
        await client.chat(messages, sampling=WARM, seed=2**41)
        assert client.usage.requests == asked + 1  # it is remembered
        completion = await client.complete("<|im_start|>user\n", sampling=WARM, seed=2**40)
        assert completion.answer
    warned = [line for line in client.warnings if any(words in line for words in told)]
    assert len(client.warnings) == len(warned) == len(told)
    assert all(f"{sim.url}/v1: model 'alpha' refuses " in line for line in warned)
    assert all("; the server says " in line for line in warned if "system" not in line)


class Server:
    """Answers a chat unless `refusal` has words for it.

    Attributes:
        asked: every document.
    """

    def __init__(self, refusal: Callable[[Document], Any], status: int = 400) -> None:
        self._refusal = refusal
        self._status = status
        self.asked: list[Document] = []

    async def chat(self, request: web.Request) -> web.StreamResponse:
        document = await request.json()
        self.asked.append(document)
        if (body := self._refusal(document)) is not None:
            return web.json_response(body, status=self._status)
        return web.json_response({"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]})


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[ModelClient]:
    async with serving({"/v1/chat/completions": server.chat}) as root, client_at(root, "m") as client:
        yield client


def says(message: str) -> Document:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def both_refused(document: Document) -> Document | None:
    both = "temperature" in document and "top_p" in document
    return says("`temperature` and `top_p` cannot both be specified for this model.") if both else None


def cold_refused(document: Document) -> Document | None:
    return says("temperature must be greater than 0") if document.get("temperature") == 0 else None


def extra_refused(document: Document) -> Document | None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]
    return {"detail": detail} if "seed" in document else None


@pytest.mark.parametrize(
    ("refusal", "status", "dropped", "told"),
    [
        (both_refused, 400, {"top_p"}, 0),  # 1 is what a server does without it
        (cold_refused, 400, {"temperature"}, 1),
        (extra_refused, 422, {"seed"}, 1),
        (lambda d: says("don't support temperature=0.0") if "temperature" in d else None, 400, {"temperature"}, 1),
    ],
)
async def test_what_is_refused_in_words_is_left_out(
    refusal: Callable[[Document], Any], status: int, dropped: set[str], told: int
) -> None:
    server = Server(refusal, status)
    async with client_of(server) as client:
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 8), seed=5)
    assert {"temperature", "top_p", "seed", "max_tokens"} - set(server.asked[-1]) == dropped
    assert len(client.warnings) == told


@pytest.mark.parametrize(
    ("fewest", "member", "words", "sent"),
    [
        (16, "max_tokens", "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.", 16),
        (2049, "max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`.", 4096),
        (16, "max_completion_tokens", "max_completion_tokens must be at least 16", 16),
    ],
)
async def test_a_server_that_takes_no_few_tokens(fewest: int, member: str, words: str, sent: int) -> None:
    def refusal(document: Document) -> Document | None:
        if member not in document:
            return says("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return says(words) if document[member] < fewest else None

    server = Server(refusal)
    async with client_of(server) as client:
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 1), seed=5)
        asked = len(server.asked)
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5)
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 8000), seed=5)
    assert [document[member] for document in server.asked[asked:]] == [sent, 8000]
    assert client.warnings == []


async def test_a_limit_that_has_to_be_raised_is_told_of() -> None:
    def refusal(document: Document) -> Document | None:
        return says("max_tokens must be greater than thinking.budget_tokens") if document["max_tokens"] < 2000 else None

    server = Server(refusal)
    async with client_of(server) as client:
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5)
        assert client.warnings == []
        for _ in range(2):
            await client.chat(USER, sampling=Sampling(0.0, 1.0, 512), seed=5)
    assert server.asked[-1]["max_tokens"] == 4096
    (warning,) = client.warnings
    assert "refuses max_tokens 512 (" in warning
    assert warning.endswith("4096 are requested instead")


class Labels(Server):
    """A judge that reports no more than so many log-probabilities."""

    def __init__(self, most: int, words: str) -> None:
        super().__init__(lambda document: says(words) if document.get("top_logprobs", 0) > most else None)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        refused = await super().chat(request)
        if refused.status != 200:
            return refused
        top = [{"token": label, "logprob": -1.1} for label in "12T"]
        choice = {"message": {"content": "1"}, "logprobs": {"content": [{"token": "1", "top_logprobs": top}]}}
        return web.json_response({"choices": [choice]})


@pytest.mark.parametrize(
    ("most", "words", "sent"),
    [
        (10, "top_logprobs must be between 0 and 10", 10),
        (8, "Invalid value for 'top_logprobs': must be less than or equal to 8.", 8),
        (5, "Requested sample logprobs of 20, which is greater than max allowed: 5", 5),
        (4, "top_logprobs: Input should be less than or equal to 4", 3),
    ],
)
async def test_fewer_log_probabilities_are_asked_for_where_a_server_grants_no_more(
    most: int, words: str, sent: int
) -> None:
    server = Labels(most, words)
    async with client_of(server) as client:
        replies = [await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5, top_logprobs=20)]
        found, asked = client.findings, len(server.asked)
        assert [document["logprobs"] for document in server.asked] == [True] * asked
        replies.append(await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5, top_logprobs=20))
    async with client_of(server) as client:  # a later shard
        client.recall(found)
        replies.append(await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5, top_logprobs=20))
    assert [document["top_logprobs"] for document in server.asked[asked - 1 :]] == [sent] * 3
    assert all(len(reply.first_token_logprobs or ()) == 3 for reply in replies)


@pytest.mark.parametrize(
    "words", ["top_logprobs must be at most 2", "logprobs is not supported with this model", "max allowed logprobs: 0"]
)
async def test_fewer_log_probabilities_than_labels_are_not_asked_for(words: str) -> None:
    server = Labels(2, words)
    async with client_of(server) as client:
        for _ in range(2):
            with pytest.raises(RecordVoidError) as caught:
                await client.chat(USER, sampling=Sampling(0.0, 1.0, 4), seed=5, top_logprobs=20)
            assert caught.value.words == words
    assert min(document["top_logprobs"] for document in server.asked) >= 3
    assert len(server.asked) <= 8


async def test_a_value_that_is_taken_is_still_sent() -> None:
    server = Server(cold_refused)
    async with client_of(server) as client:
        await client.chat(USER, sampling=Sampling(0.0, 1.0, 8), seed=5)
        await client.chat(USER, sampling=Sampling(0.8, 1.0, 8), seed=5)
    assert server.asked[-1]["temperature"] == 0.8


async def test_a_record_that_is_refused_for_itself_changes_nothing() -> None:
    def refusal(document: Document) -> Document | None:
        return says("max_tokens is too large: the temperature rises") if document["messages"] == USER else None

    server = Server(refusal)
    async with client_of(server) as client:
        for _ in range(3):
            with pytest.raises(RecordVoidError) as caught:
                await client.chat(USER, sampling=WARM, seed=5)
            assert caught.value.reason is VoidReason.REFUSED_BY_SERVER
        await client.chat([{"role": "user", "content": "Hello."}], sampling=WARM, seed=5)
    assert len(server.asked) == 5  # our own question once
    assert set(server.asked[-1]) == {"model", "messages", "temperature", "top_p", "max_tokens", "seed"}
    assert client.warnings == []


async def test_an_error_about_room_is_a_thought_that_was_cut() -> None:
    words = "Could not finish the message because max_tokens or model output limit was reached."
    async with client_of(Server(lambda document: says(words))) as client:
        with pytest.raises(RecordVoidError) as caught:
            await client.chat(USER, sampling=WARM, seed=5)
    assert caught.value.reason is VoidReason.TRUNCATED
