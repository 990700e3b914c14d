"""What the worker relies on in a real vLLM server, and the worker's own client against it.

One server, one tiny model. The first half asks the server itself, so that a new release that behaves differently fails
here, by name; the second half asks through `tiltyard_jobs.llm`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.tiny_model import BEGIN, CONTEXT, END_OF_TURN, START_OF_TURN, VERDICTS, tiny_model
from support.vllm_server import Answer, VllmServer, vllm_python, vllm_server
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.chat_template import load_chat_template
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.probe import can_complete_raw
from tiltyard_jobs.llm.template import PromptPrefix, find_prefix, prefix_from_template
from tiltyard_jobs.prompts import grade, judge, verdicts

# The first test waits for the server; without an environment in the cache, for its installation too.
pytestmark = pytest.mark.timeout(900)

MESSAGES = [{"role": "user", "content": "Reverse a linked list."}]
PREFIX = f"{START_OF_TURN}system\nYou are a tiny expert.{END_OF_TURN}\n{START_OF_TURN}user\n"
RENDERED = f"{BEGIN}{PREFIX}Reverse a linked list.{END_OF_TURN}\n{START_OF_TURN}assistant\n"
SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=256)
SEEDS = range(16)
SCHEMAS: dict[str, dict[str, Any]] = {
    "Grade": grade.SCHEMA,
    **{name: method.schema for name, method in verdicts.VERDICT_METHODS.items() if method.schema is not None},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(vllm_python(), tmp_path_factory.mktemp("tiny") / "model", seed=1)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[VllmServer]:
    with vllm_server(model, "tiny", log=model.parent / "server.log") as running:
        yield running


def complete(server: VllmServer, prompt: str | list[int], seed: int = 0, **options: Any) -> dict[str, Any]:
    """The first choice of a completion under SAMPLING, its usage added."""
    sampling = {"temperature": SAMPLING.temperature, "top_p": SAMPLING.top_p, "max_tokens": SAMPLING.max_tokens}
    answer = server.post("/v1/completions", prompt=prompt, seed=seed, **{**sampling, **options})
    assert answer.status == 200, answer.document
    choice: dict[str, Any] = answer.document["choices"][0]
    return {**choice, "usage": answer.document["usage"]}


def token_ids(server: VllmServer, text: str) -> list[int]:
    tokens: list[int] = server.post("/tokenize", prompt=text, add_special_tokens=False).document["tokens"]
    return tokens


def counter(server: VllmServer, name: str) -> float:
    """A counter of /metrics, summed over its labels."""
    values = re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", server.get("/metrics"), re.MULTILINE)
    assert values, f"/metrics has no {name}"
    return sum(map(float, values))


# What the server does


def test_server_renders_its_template_and_names_special_tokens(server: VllmServer) -> None:
    tokens = server.post("/tokenize", messages=MESSAGES, add_generation_prompt=True).document["tokens"]
    assert server.post("/detokenize", tokens=tokens).document["prompt"] == RENDERED


def test_server_puts_the_beginning_before_a_text_but_not_before_token_ids(server: VllmServer) -> None:
    """So a rendered template sent as a text has it twice: the reason for sending token ids."""
    tokens = token_ids(server, RENDERED)
    greedy = {"temperature": 0, "max_tokens": 16}
    by_ids = complete(server, tokens, **greedy)
    by_text = complete(server, RENDERED, **greedy)
    by_bare_text = complete(server, RENDERED, add_special_tokens=False, **greedy)
    assert by_ids["usage"]["prompt_tokens"] == len(tokens)
    assert by_text["usage"]["prompt_tokens"] == len(tokens) + 1
    assert by_bare_text["text"] == by_ids["text"]


def test_server_gives_the_same_text_for_the_same_seed(server: VllmServer) -> None:
    first, second = ([complete(server, PREFIX, seed)["text"] for seed in SEEDS] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(SEEDS)


async def test_server_gives_the_same_text_however_many_requests_it_batches(server: VllmServer) -> None:
    alone = [complete(server, PREFIX, seed)["text"] for seed in SEEDS]
    together = await asyncio.gather(*(asyncio.to_thread(complete, server, PREFIX, seed) for seed in SEEDS))
    assert [choice["text"] for choice in together] == alone


def test_end_of_sequence_ends_a_completion_and_leaves_no_mark(server: VllmServer) -> None:
    choices = [complete(server, PREFIX, seed, skip_special_tokens=False) for seed in SEEDS]
    ended = [choice for choice in choices if choice["finish_reason"] == "stop"]
    assert len(ended) > len(SEEDS) / 2
    assert not any(END_OF_TURN in choice["text"] for choice in choices)


def test_a_special_token_stops_by_its_id_or_by_text_only_if_it_is_shown(server: VllmServer) -> None:
    """For a template whose user turn ends in a token that is not the end of sequence, as `ignore_eos` makes it here."""
    end = token_ids(server, END_OF_TURN)
    seed = next(s for s in SEEDS if complete(server, PREFIX, s)["finish_reason"] == "stop")
    expected = complete(server, PREFIX, seed)["text"]
    ways: dict[str, dict[str, Any]] = {
        "hidden text": {"stop": [END_OF_TURN]},
        "shown text": {"stop": [END_OF_TURN], "skip_special_tokens": False},
        "id": {"stop_token_ids": end},
        "id, shown": {"stop_token_ids": end, "skip_special_tokens": False},
    }
    found = {way: complete(server, PREFIX, seed, ignore_eos=True, **options) for way, options in ways.items()}
    assert found.pop("hidden text")["finish_reason"] == "length"
    assert {way: (choice["finish_reason"], choice["text"]) for way, choice in found.items()} == dict.fromkeys(
        found, ("stop", expected)
    )


def test_chat_reports_the_twenty_likeliest_first_tokens(server: VllmServer) -> None:
    answer = server.post(
        "/v1/chat/completions", messages=MESSAGES, max_tokens=1, temperature=0, logprobs=True, top_logprobs=20
    )
    entries = answer.document["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    probabilities = [math.exp(entry["logprob"]) for entry in entries]
    assert len(entries) == 20
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1 + 1e-6
    assert {entry["token"] for entry in entries} >= set(VERDICTS)


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chat_replies_in_the_schema_that_is_asked_for(server: VllmServer, name: str, seed: int) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMAS[name]}}
    answer = server.post(
        "/v1/chat/completions", messages=MESSAGES, max_tokens=1024, seed=seed, response_format=response_format
    )
    assert answer.status == 200, answer.document
    choice = answer.document["choices"][0]
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMAS[name])


def test_usage_and_metrics_count_tokens_and_cached_tokens(server: VllmServer) -> None:
    prompt = random.Random(7).choices(range(300, 4000), k=1000)
    names = ("prompt_tokens", "prompt_tokens_cached", "generation_tokens")
    before = [counter(server, f"vllm:{name}_total") for name in names]
    cold, warm = (complete(server, prompt, max_tokens=5, ignore_eos=True)["usage"] for _ in range(2))
    after = [counter(server, f"vllm:{name}_total") for name in names]
    assert cold["prompt_tokens_details"]["cached_tokens"] == 0
    cached = warm["prompt_tokens_details"]["cached_tokens"]
    assert cached >= 800  # whole blocks only
    assert [now - then for then, now in zip(before, after, strict=True)] == [2000, cached, 10]


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and `param` of a refusal, which always says why."""
    error = answer.document["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    return answer.status, error["param"]


def test_refusals_have_a_status_and_name_the_parameter(server: VllmServer) -> None:
    too_long = [300] * (CONTEXT + 1)
    assert refusal(server.post("/v1/completions", model="other", prompt="x")) == (404, "model")
    assert refusal(server.post("/v1/completions", prompt=too_long)) == (400, "input_tokens")
    assert refusal(server.post("/v1/completions", prompt="x", max_tokens=CONTEXT + 1)) == (400, "max_tokens")
    assert refusal(server.post("/v1/completions", prompt="x", temperature=-1)) == (400, "temperature")


# What the worker's client makes of it


@pytest.fixture
async def client(server: VllmServer) -> AsyncIterator[ModelClient]:
    async with connect(ModelEndpoint(f"{server.url}/v1", server.model), rng=random.Random(0)) as connected:
        yield connected


async def mine(client: ModelClient, prefix: PromptPrefix, seed: int) -> str:
    assert prefix.token_ids is not None
    reply = await client.complete(
        list(prefix.token_ids), sampling=SAMPLING, seed=seed, stop=prefix.stop, stop_token_ids=prefix.stop_token_ids
    )
    return reply.answer


async def test_client_finds_the_prefix_of_the_served_template(server: VllmServer, client: ModelClient) -> None:
    prefix = await find_prefix(client)
    assert prefix.source == "tokenize"
    assert prefix.text.removeprefix(BEGIN) == PREFIX
    assert prefix.token_ids == tuple(token_ids(server, BEGIN + PREFIX))
    assert prefix.stop == (END_OF_TURN, START_OF_TURN)
    assert prefix.stop_token_ids == tuple(token_ids(server, END_OF_TURN + START_OF_TURN))


async def test_a_given_prefix_gets_the_same_tokens_and_ends(client: ModelClient) -> None:
    found = await find_prefix(client)
    for written in (PREFIX, BEGIN + PREFIX):
        given = await find_prefix(client, explicit=written)
        assert (given.token_ids, given.stop, given.stop_token_ids) == found[1:4]


async def test_prefix_of_the_model_folder_is_read_as_that_of_the_server(model: Path, client: ModelClient) -> None:
    from_folder = prefix_from_template(load_chat_template(model))
    assert (from_folder.text, from_folder.stop) == (PREFIX, (END_OF_TURN, START_OF_TURN))
    from_server = await find_prefix(client)
    assert from_server.token_ids is not None
    greedy = Sampling(0.0, 1.0, 16)
    by_text = await client.complete(from_folder.text, sampling=greedy, seed=0)
    by_ids = await client.complete(list(from_server.token_ids), sampling=greedy, seed=0)
    assert by_text.answer == by_ids.answer
    assert by_text.usage.prompt_tokens == by_ids.usage.prompt_tokens == len(from_server.token_ids)


async def test_client_mines_from_the_prefix(server: VllmServer, client: ModelClient) -> None:
    assert await can_complete_raw(client)
    prefix = await find_prefix(client)
    replies = await asyncio.gather(*(mine(client, prefix, seed) for seed in SEEDS), return_exceptions=True)
    texts = [reply for reply in replies if isinstance(reply, str)]
    voids = [reply.reason for reply in replies if isinstance(reply, RecordVoidError)]
    assert set(voids) <= {VoidReason.EMPTY}
    assert len(texts) + len(voids) == len(SEEDS)
    assert len(set(texts)) == len(texts) > len(SEEDS) / 2
    assert not any("<|" in text for text in texts)
    expected = [complete(server, token_ids(server, BEGIN + PREFIX), seed)["text"] for seed in SEEDS]
    assert texts == [text for text in expected if text.strip()]


async def test_client_reads_a_verdict_from_log_probabilities(client: ModelClient) -> None:
    prompt = judge.JudgePrompt("judge-v1/code-v1", "Logprobs", "salt")
    reply = await client.chat(
        prompt.messages("Reverse a list.", "xs[::-1]", "sorted(xs)"),
        sampling=Sampling(0.0, 1.0, 1),
        seed=0,
        top_logprobs=verdicts.TOP_LOGPROBS,
    )
    assert 0 < verdicts.parse_logprobs(reply.first_token_logprobs, reply.answer).vote < 1


async def test_client_reads_a_structured_reply(client: ModelClient) -> None:
    reply = await client.chat(
        grade.grade_messages("Reverse a list.", "salt"),
        sampling=Sampling(0.0, 1.0, grade.ENOUGH_TOKENS),
        seed=0,
        json_schema=grade.SCHEMA,
    )
    assert 1 <= grade.parse_grade(reply.answer) <= 10


async def test_client_counts_cached_tokens(client: ModelClient) -> None:
    prompt = random.Random(8).choices(range(300, 4000), k=1000)
    one_token = Sampling(0.0, 1.0, 1)
    for _ in range(2):
        await client.complete(prompt, sampling=one_token, seed=0)
    assert (client.usage.requests, client.usage.prompt_tokens) == (2, 2000)
    assert 800 <= client.usage.cached_tokens < 1000


async def test_client_voids_a_prompt_that_is_too_long(client: ModelClient) -> None:
    with pytest.raises(RecordVoidError) as caught:
        await client.complete([300] * (CONTEXT + 1), sampling=SAMPLING, seed=0)
    assert caught.value.reason is VoidReason.REFUSED_BY_SERVER


async def test_client_refuses_a_model_that_is_not_served(server: VllmServer) -> None:
    async with connect(ModelEndpoint(server.url, "other"), rng=random.Random(0)) as client:
        with pytest.raises(ConfigurationError, match="other"):
            await client.chat(MESSAGES, sampling=SAMPLING, seed=0)


async def test_client_lists_the_served_models(client: ModelClient) -> None:
    assert [*await client.models()] == ["tiny"]
