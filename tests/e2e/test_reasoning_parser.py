"""How a real vLLM server with a reasoning parser sends thoughts: what `tests/unit/llm/test_recorded.py` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from support.reasoning_parser import ARGUMENTS, COMMON, QUESTIONS, RECORD, add_think_tokens, told
from support.tiny_model import tiny_model
from support.vllm_server import VllmServer, vllm_python, vllm_server

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    model = tiny_model(vllm_python(), tmp_path_factory.mktemp("thinking") / "model", seed=1)
    add_think_tokens(model)
    with vllm_server(model, "tiny", log=model.parent / "server.log", arguments=ARGUMENTS) as running:
        yield running


def ask(server: VllmServer, **members: Any) -> dict[str, Any]:
    answer = server.post("/v1/chat/completions", **{**COMMON, **members})
    assert answer.status == 200, answer.document
    return answer.document


def form(reply: dict[str, Any]) -> Any:
    """A reply without its probabilities, which depend on the processor."""
    choice = dict(reply["choices"][0])
    logprobs = choice.pop("logprobs", None)
    return choice, [entry["token"] for entry in logprobs["content"]] if logprobs else None


def test_the_record_is_what_the_server_says(server: VllmServer) -> None:
    replies = {name: told(ask(server, **question)) for name, question in QUESTIONS.items()}
    if os.environ.get("TILTYARD_RECORD"):
        version = json.loads(server.get("/version"))["version"]
        RECORD.parent.mkdir(exist_ok=True)
        document = {"server": f"vLLM {version}", "arguments": ARGUMENTS, "replies": replies}
        RECORD.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["replies"]
    assert {name: form(reply) for name, reply in replies.items()} == {
        name: form(reply) for name, reply in recorded.items()
    }


def test_a_budget_ends_a_thought(server: VllmServer) -> None:
    begun = {
        "messages": [*COMMON["messages"], {"role": "assistant", "content": "<think>\n"}],  # type: ignore[misc]
        **{"add_generation_prompt": False, "continue_final_message": True, "ignore_eos": True},
    }
    free = ask(server, **begun)["choices"][0]["message"]
    bounded = ask(server, **begun, thinking_token_budget=4)["choices"][0]["message"]
    assert free["content"] is None  # the model's words are noise, and none of them ends a thought
    assert bounded["content"]
    assert len(bounded["reasoning"]) < len(free["reasoning"])
