"""What servers refuse with, in the forms that they send, and what a user reads of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiohttp import web

from support.simulated_llm import SAMPLING
from support.stub_llm import serving
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, VoidReason
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.server_error import status_of

POLICY = RetryPolicy(endpoint_deadline=0.3, base_delay=0.05, max_delay=0.1)
DAY = "Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, Used 99999."


def error(message: str, **members: Any) -> dict[str, Any]:
    return {"error": {"message": message, **members}}


async def refusal(status: int, body: Any) -> Exception:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    async with (
        serving({"/v1/chat/completions": refuse}) as root,
        connect(ModelEndpoint(f"{root}/v1", "m"), rng=random.Random(0), policy=POLICY) as client,
    ):
        with pytest.raises((RecordVoidError, ConfigurationError, TransientError)) as caught:
            await client.chat([{"role": "user", "content": "my secret prompt"}], sampling=SAMPLING, seed=0)
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            error("'seed': my secret", param="seed", code="unsupported_parameter"),
            " unsupported_parameter (parameter seed)",
        ),
        # vLLM, now and before, and where its own check of the body refuses
        (error("my secret prompt", type="BadRequestError", param=None, code=400), " BadRequestError"),
        (
            {"object": "error", "message": "secret", "type": "BadRequestError", "param": None, "code": 400},
            " BadRequestError",
        ),
        ({"detail": [{"loc": ["body", "top_p"], "msg": "secret", "type": "x"}]}, " (parameter top_p)"),
        (
            error(
                "Requested sample logprobs of 20, which is greater than max allowed: 5",
                type="BadRequestError",
                code=400,
            ),
            ": a value is above the server's maximum",
        ),
        (
            error("System role not supported", type="BadRequestError", code=400),
            ": the chat template refuses these roles",
        ),
        # llama.cpp
        (
            error(
                "the request exceeds the available context size", type="exceed_context_size_error", code=400, n_ctx=9
            ),
            ": the prompt is too long for the model",
        ),
        # Ollama, its OpenAI-compatible API and its own
        (
            error("input length exceeds maximum context length", type="api_error"),
            ": the prompt is too long for the model",
        ),
        ({"error": '"m" does not support chat'}, ": the model does not offer this"),
        # Gemini
        ([error("my secret", code=400, status="INVALID_ARGUMENT")], ""),
        (error("x", code="my secret prompt", param="my secret prompt"), ""),
        ("my secret prompt", ""),
    ],
)
async def test_a_refusal_names_what_is_wrong_and_never_quotes_the_prompt(body: Any, detail: str) -> None:
    caught = await refusal(400, body)
    assert isinstance(caught, RecordVoidError)
    assert caught.detail == f"HTTP 400{detail}"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (402, error("Insufficient credits"), "no credit is left at"),
        (429, error("You exceeded your current quota", code="insufficient_quota"), "no credit is left at"),
        (429, error(DAY, code="rate_limit_exceeded"), "the day's limit is reached at"),
        (429, error("Rate limit exceeded: free-models-per-day", code=429), "the day's limit is reached at"),
        (
            401,
            error("no", param="Authorization"),
            "refuses access to model 'm' (HTTP 401): check the endpoint's API key",
        ),
        (403, error("no", param="model"), "refuses access to model 'm' (HTTP 403): check the endpoint's API key"),
        (403, error("no"), "refuses access to model 'm' (HTTP 403): check the endpoint's API key"),
        (404, {"error": "model 'm' not found"}, "does not serve model 'm' (HTTP 404): name one that it lists"),
        (404, {"detail": "Not Found"}, "does not serve /v1/chat/completions (HTTP 404)"),
        (404, error("The API deployment does not exist.", code="DeploymentNotFound"), "does not serve model 'm' (HTTP"),
        (200, error("Insufficient credits", code=402), "no credit is left at"),
        (200, error("No auth credentials found", code=401), "refuses access to model 'm' (HTTP 401)"),
        (200, {"object": "error", "message": "no", "type": "x", "code": 401}, "refuses access to model 'm' (HTTP 401)"),
        (200, {"detail": "Not Found"}, "does not serve /v1/chat/completions (HTTP 404)"),
        (400, error("Your credit balance is too low to access the API."), "no credit is left at"),
        (403, error("Your team doesn't have any credits yet."), "no credit is left at"),
        (429, [error("quota", details=[{"violations": [{"quotaId": "RequestsPerDayPerModel"}]}])], "the day's limit"),
        (429, error("您今日的请求次数已达上限"), "the day's limit is reached at"),
    ],
)
async def test_what_no_retry_helps_ends_at_once(status: int, body: Any, words: str) -> None:
    caught = await refusal(status, body)
    assert isinstance(caught, ConfigurationError)
    assert words in str(caught)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, error("Loading model", type="unavailable_error", code=503), "last: HTTP 503: the model is being loaded)"),
        (503, {"error": "Model m is currently loading", "estimated_time": 20.0}, "the model is being loaded)"),
        (503, "no", "last: HTTP 503)"),
        (200, error("Provider returned error", code=502), "last: HTTP 502): check that the model is running"),
        # TGI's and SageMaker's, where what runs the model has failed
        (424, {"error": "Request failed during generation", "error_type": "generation"}, "last: HTTP 424): check that"),
        (200, error("Provider returned error", code="424"), "last: HTTP 424)"),
        (429, error("您每分钟的请求次数已达今日上限"), "last: HTTP 429)"),
        (429, error("slow down"), "last: HTTP 429): wait, or raise its limit of requests"),
        (429, error("Rate limit: 10 per minute, 1000 per day", code="rate_limit_exceeded"), "last: HTTP 429)"),
        (429, error("You exceeded your current quota, please check your plan and billing details"), "last: HTTP 429)"),
    ],
)
async def test_what_passes_is_waited_for(status: int, body: Any, words: str) -> None:
    caught = await refusal(status, body)
    assert isinstance(caught, TransientError)
    assert words in str(caught)


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (200, {"object": "error", "message": "no", "type": "x", "code": 40303}, VoidReason.REFUSED_BY_SERVER, "no"),
        (200, {"detail": [{"loc": ["body"], "msg": "no"}]}, VoidReason.REFUSED_BY_SERVER, "no"),
        (200, {"success": False, "errors": [{"code": 7009, "message": "no"}]}, VoidReason.REFUSED_BY_SERVER, "no"),
        (200, {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "no"}}, VoidReason.MALFORMED, "no"),
        (200, {"code": 40001, "msg": "no", "data": None}, VoidReason.MALFORMED, "no"),
        (200, {"fault": {"faultstring": "no"}}, VoidReason.MALFORMED, "no"),
        (200, ["no"], VoidReason.MALFORMED, ""),
        (200, {"id": "1"}, VoidReason.MALFORMED, ""),
        (
            422,
            {"object": "error", "message": {"detail": [{"loc": ["n"], "msg": "no"}]}},
            VoidReason.REFUSED_BY_SERVER,
            "no",
        ),
        (400, error("Failed", metadata={"raw": "no"}), VoidReason.REFUSED_BY_SERVER, "Failed: no"),
        # OpenAI's, of a model that thinks
        (403, error("You are not allowed to request it", param="logprobs"), VoidReason.REFUSED_BY_SERVER, "You are"),
        (400, error("bad: 'your credit balance is too low'"), VoidReason.REFUSED_BY_SERVER, "bad: 'your credit"),
        # llama.cpp's, of messages that the chat template refuses
        (500, error("System role not supported at row 1", code=500), VoidReason.REFUSED_BY_SERVER, "System role not"),
    ],
)
async def test_the_words_of_a_server_are_found_wherever_they_stand(
    status: int, body: Any, reason: VoidReason, words: str
) -> None:
    caught = await refusal(status, body)
    assert isinstance(caught, RecordVoidError)
    assert caught.reason is reason
    assert caught.words.startswith(words)
    assert bool(caught.words) == bool(words)


def test_what_is_no_error_stays_an_answer() -> None:
    for body in (b'{"error": null, "choices": []}', b'{"error": {}, "data": []}', b'["error"]', b'{"error', b""):
        assert status_of(200, body) == 200
    assert status_of(200, b'{"choices": [{"message": {"content": "x"}}], "error": {"code": 502}}') == 200
    assert status_of(200, b'{"error": "no"}') == 400
