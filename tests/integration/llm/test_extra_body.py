"""What a user adds to requests, on the wire."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from support.stage_world import Asked, Given, stub
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect

EXTRA = {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low"}
SAMPLING = Sampling(temperature=0.5, top_p=1.0, max_tokens=8)
USER = [{"role": "user", "content": "Sort."}]


@pytest.fixture
def asked() -> Iterator[tuple[str, list[Asked]]]:
    def reply(one: Asked) -> Given:
        return {"message": {"content": "fine"}, "text": "fine", "finish_reason": "length"}

    with stub(reply) as server:
        yield server.url, server.asked


async def test_it_is_added_to_each_request_for_text(asked: tuple[str, list[Asked]]) -> None:
    url, requests = asked
    async with connect(ModelEndpoint(url, "m", extra_body=EXTRA), rng=random.Random(0)) as client:
        await client.chat(USER, sampling=SAMPLING, seed=1)  # cut: how it thinks is asked too
        await client.complete("The", sampling=SAMPLING, seed=1)
        await client.chat([{"role": "system", "content": "Be short."}, *USER], sampling=SAMPLING, seed=1)
    assert len(requests) == 4
    for one in requests:
        assert EXTRA.items() <= one.document.items()
        assert one.document["model"] == "m"
        assert one.document["seed"] in (0, 1)


async def test_a_template_is_rendered_with_it() -> None:
    with stub(lambda one: b'{"tokens": [1, 2], "prompt": "x"}', tells_tokens=True) as server:
        async with connect(ModelEndpoint(server.url, "m", extra_body=EXTRA), rng=random.Random(0)) as client:
            await tokens_of(client)
    (one,) = server.asked
    settings = one.document["chat_template_kwargs"]
    assert settings.pop("enable_thinking") is False
    assert list(settings) == ["date_string"]
    assert "reasoning_effort" not in one.document


async def tokens_of(client: ModelClient) -> None:
    assert await client.extensions.tokenize_chat(USER) == [1, 2]
