"""An expert thinks ahead of the very reply that it gives without; what reads replies takes the thought off."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard_jobs.contracts.simulated import THOUGHT_FORMS
from tiltyard_jobs.llm.thoughts import State, answer_token, parts_of_message
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.prompts.verdicts import VERDICT_METHODS, parse_choice
from tiltyard_jobs.sim.expert import Expert, Reply
from tiltyard_jobs.sim.parameters import parse_sim_uri
from tiltyard_jobs.sim.protocol import chat_request, completion_request
from tiltyard_jobs.sim.thinking import message_of

FORMS = [form for form in THOUGHT_FORMS if form != "none"]
MESSAGES = [{"role": "user", "content": "Write a function that sorts a list."}]


def reply(query: str, messages: list[dict[str, str]] = MESSAGES, **members: Any) -> tuple[Reply, dict[str, Any]]:
    """The reply of an expert, and the message in which its server sends it."""
    parameters = parse_sim_uri(f"sim://sage?judge.abstain=0&{query}")
    given = Expert(parameters).reply(chat_request({"messages": messages, "temperature": 0, **members}))
    return given, message_of(parameters.thoughts.form, given.text)


@pytest.mark.parametrize("form", FORMS)
def test_a_thought_stands_before_the_same_answer(form: str) -> None:
    plain, _ = reply("seed=1")
    thinking, message = reply(f"seed=1&thoughts={form}")
    parts = parts_of_message(message)
    assert (parts.state, parts.answer, thinking.finish_reason) == (State.ENDED, plain.text, "stop")
    assert parts.thought
    assert len(parts.thought.split()) >= 40
    assert thinking.completion_tokens > plain.completion_tokens
    assert (form in message) == form.startswith("reasoning")


@pytest.mark.parametrize("form", FORMS)
def test_the_distribution_of_a_verdict_stands_behind_the_thought(form: str) -> None:
    messages = JudgePrompt("judge-v1/code-v1", "Logprobs", salt="s").messages("Sort.", "1. Sort it.", "?")
    asked = {"logprobs": True, "top_logprobs": 5}
    plain, _ = reply("seed=1", messages, max_tokens=4, **asked)
    thinking, message = reply(f"seed=1&thoughts={form}", messages, max_tokens=500, **asked)
    assert plain.logprobs is not None
    assert thinking.logprobs is not None
    place = answer_token([entry.token for entry in thinking.logprobs], parts_of_message(message))
    assert place
    assert thinking.logprobs[place] == plain.logprobs[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_thought_may_be_cut_or_followed_by_nothing(form: str) -> None:
    cut, message = reply(f"thoughts={form}&thoughts.endless=1", max_tokens=50)
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 50)
    # Without an opening mark nothing tells it from an answer that was cut.
    assert parts_of_message(message).answer == (message["content"] if form == "unopened" else "")
    silent, message = reply(f"thoughts={form}&thoughts.silent=1")
    assert (parts_of_message(message).answer, silent.finish_reason) == ("", "stop")


def test_a_raw_completion_has_no_thought() -> None:
    request = completion_request({"prompt": "<|im_start|>user\n", "seed": 3, "temperature": 0.8, "max_tokens": 512})
    plain, thinking = (parse_sim_uri(f"sim://sage?{query}") for query in ("seed=1", "seed=1&thoughts=inline"))
    assert Expert(thinking).reply(request).text == Expert(plain).reply(request).text


@pytest.mark.parametrize("method", ["Choice", "Reasoned"])
def test_a_verdict_may_be_fenced_and_a_number(method: str) -> None:
    messages = JudgePrompt("judge-v1/code-v1", method, salt="s").messages("Sort.", "1. Sort it.", "?")
    form = {"type": "json_schema", "json_schema": {"name": "v", "schema": VERDICT_METHODS[method].schema}}
    plain, _ = reply("seed=1", messages, response_format=form)
    odd, _ = reply("seed=1&fences=1&numbers=1", messages, response_format=form)
    number = plain.text.replace('"1"', "1")
    assert odd.text == f"```json\n{number}\n```"
    assert odd.text != plain.text
    assert parse_choice(odd.text) == parse_choice(plain.text)
