"""Replies of a real vLLM server with a reasoning parser (`tests/e2e/test_reasoning_parser.py` records them)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.reasoning_parser import LABEL, QUESTIONS, RECORD
from tiltyard_jobs.errors import RecordVoidError
from tiltyard_jobs.llm.reply import chat_reply_of
from tiltyard_jobs.llm.usage import Usage

REPLIES: dict[str, dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))["replies"]
HM = "Hm. One."

READ: dict[str, tuple[str, str | None, str] | str] = {
    "whole": ("Yes.", HM, "stop"),
    "template opened": ("Yes.", HM, "stop"),
    "cut in the answer": ("Yes, it is", HM, "length"),
    "log-probabilities": (LABEL, HM, "stop"),
    "cut in the thought": "Truncated: no answer within 8 tokens: all of them went into the thought",
    "without an answer": "NoAnswer",
    "never ended": "NoAnswer",
    # The parser takes what has no mark for a thought: nothing that a client reads can tell.
    "without a thought": "NoAnswer",
}


def test_every_recorded_reply_is_read() -> None:
    assert READ.keys() == REPLIES.keys() == QUESTIONS.keys()


@pytest.mark.parametrize("name", READ)
def test_a_recorded_reply_is_a_thought_and_an_answer(name: str) -> None:
    expected = READ[name]
    if isinstance(expected, str):
        with pytest.raises(RecordVoidError) as caught:
            chat_reply_of(REPLIES[name], Usage(), limit=8)
        assert str(caught.value) == expected
        return
    reply = chat_reply_of(REPLIES[name], Usage(), limit=64)
    assert (reply.answer, reply.thought, reply.finish_reason) == expected


def test_the_distribution_is_that_of_the_answer_s_first_token() -> None:
    reply = REPLIES["log-probabilities"]
    tokens = [entry["token"] for entry in reply["choices"][0]["logprobs"]["content"]]
    assert "</think>" in tokens  # all of the reply's tokens are told, marks included
    assert tokens.index(LABEL) > tokens.index("</think>")
    first = chat_reply_of(reply, Usage(), logprobs=True).first_token_logprobs
    assert first is not None
    assert max(first, key=lambda token: first[token]) == LABEL
