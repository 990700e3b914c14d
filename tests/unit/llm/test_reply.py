"""Replies, the hostile ones above all."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.contracts.reported import MOST, MOST_OF_A_REPLY
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.reply import (
    ChatReply,
    chat_reply_of,
    completion_of,
    document_of,
    echo_of,
    embeddings_of,
    models_of,
)
from tiltyard_jobs.llm.usage import Usage, usage_of

SCHEMA = {"type": "object", "properties": {"winner": {"type": "string"}}, "required": ["winner"]}
TOKENS = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2}, {"token": "A", "logprob": -5.0}]


def chat_document(content: object, *, top: object = None, finish_reason: str = "stop") -> dict[str, Any]:
    logprobs = None if top is None else {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]}
    choice = {"message": {"content": content}, "finish_reason": finish_reason, "logprobs": logprobs}
    return {"choices": [choice]}


def reason_of(document: dict[str, Any], **asked: Any) -> VoidReason:
    with pytest.raises(RecordVoidError) as caught:
        chat_reply_of(document, Usage(), **asked)
    return caught.value.reason


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"null", b'{"a": "\\ud800"}', b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(RecordVoidError) as caught:
        document_of(body)
    assert caught.value.reason is VoidReason.MALFORMED


def test_a_completion_is_read() -> None:
    document = {"choices": [{"text": " hi", "finish_reason": "length"}]}
    assert completion_of(document, Usage(1)) == (" hi", "length", Usage(1), None)


def test_an_answer_ends_before_the_token_that_ends_a_turn() -> None:
    assert chat_reply_of(chat_document("Use a heap.<|im_end|>\n"), Usage()).answer == "Use a heap."
    assert chat_reply_of(chat_document("<think>Hm.</think>4<|im_end|>"), Usage()).answer == "4"
    assert reason_of(chat_document("<|im_end|>")) is VoidReason.EMPTY
    reply = chat_reply_of(chat_document('{"winner": "1"}<|im_end|>'), Usage(), json_schema=SCHEMA)
    assert reply.structure == {"winner": "1"}


def test_half_of_a_character_is_named() -> None:
    with pytest.raises(RecordVoidError, match="the reply is not JSON: it has half of a character"):
        document_of(b'{"choices": [{"text": "half \\ud83d of it"}]}')


@pytest.mark.parametrize("text", ["", " \n\t", "```\n```", "\n```python\n\n```\n"])
def test_blank_text_is_void_empty(text: str) -> None:
    with pytest.raises(RecordVoidError) as caught:
        completion_of({"choices": [{"text": text}]}, Usage())
    assert caught.value.reason is VoidReason.EMPTY
    assert reason_of(chat_document(text)) is VoidReason.EMPTY
    assert reason_of(chat_document(None)) is VoidReason.EMPTY


def test_an_answer_ends_at_the_first_stop_in_it() -> None:
    def read(text: str) -> ChatReply:
        choice = {"message": {"content": text}, "finish_reason": "length"}
        return chat_reply_of({"choices": [choice]}, Usage(), stop=("\nQ:", "\nUser:"))

    assert read("Use sorted().\nUser: And?\nQ: More")[:2] == ("Use sorted().", "stop")
    thinking = {"choices": [{"text": "<think>\nQ: Hm</think>Sort it.\nQ: More", "finish_reason": "length"}]}
    assert completion_of(thinking, Usage(), stop=("\nQ:",)) == ("Sort it.", "stop", Usage(), "Q: Hm")
    assert read("Use sorted()")[:2] == ("Use sorted()", "length")
    assert read("<think>Hm.\nQ: Is it?</think>Use sorted()")[:2] == ("Use sorted()", "length")  # none in a thought
    with pytest.raises(RecordVoidError, match="Empty"):
        read("\nUser: What?")


def test_the_first_token_of_an_answer_is_found_where_the_server_wrote_on_behind_a_stop() -> None:
    told = [{"token": text, "top_logprobs": [{"token": text, "logprob": -0.1}]} for text in ("Hm", "1", ".", " So")]
    choice = {"message": {"content": "1. So", "reasoning": "Hm"}, "logprobs": {"content": told}}
    reply = chat_reply_of({"choices": [choice]}, Usage(), logprobs=True, stop=(".",))
    assert (reply.answer, reply.first_token_logprobs) == ("1", {"1": -0.1})


def test_a_filtered_reply_is_refused() -> None:
    assert reason_of(chat_document("half", finish_reason="content_filter")) is VoidReason.REFUSED_BY_SERVER


@pytest.mark.parametrize("reason", ["sensitive", "SAFETY"])
def test_a_filter_has_other_names(reason: str) -> None:
    assert reason_of(chat_document("half", finish_reason=reason)) is VoidReason.REFUSED_BY_SERVER


@pytest.mark.parametrize("reason", ["length", "model_length", "MAX_TOKENS"])
def test_a_cut_has_other_names(reason: str) -> None:
    assert chat_reply_of(chat_document("half", finish_reason=reason), Usage()).finish_reason == "length"
    assert reason_of(chat_document("<think>Hm", finish_reason=reason)) is VoidReason.TRUNCATED


def test_a_token_that_is_impossible_has_no_log_probability() -> None:
    top = [*TOKENS, {"token": "C", "logprob": None}]
    reply = chat_reply_of(chat_document("A", top=top), Usage(), logprobs=True)
    assert reply.first_token_logprobs == {"A": -0.1, "B": -2.0}
    assert reason_of(chat_document("A", top=top[-1:]), logprobs=True) is VoidReason.MALFORMED


def test_logprobs_are_of_the_first_token_and_the_likeliest_of_a_text() -> None:
    reply = chat_reply_of(chat_document("A", top=TOKENS), Usage(), logprobs=True)
    assert reply.first_token_logprobs == {"A": -0.1, "B": -2.0}


@pytest.mark.parametrize(
    "top",
    [
        None,
        [],
        [{"token": "A"}],
        [{"token": 1, "logprob": 0}],
        [{"token": "A", "logprob": "x"}],
        [{"token": "A", "logprob": 0.9}, {"token": "B", "logprob": 0.1}],
        "AB",
        [None],
        {"A": 1},
    ],
)
def test_logprobs_that_are_none_are_malformed(top: object) -> None:
    assert reason_of(chat_document("A", top=top), logprobs=True) is VoidReason.MALFORMED


def test_a_structure_is_decoded() -> None:
    assert chat_reply_of(chat_document('{"winner": "A"}'), Usage(), json_schema=SCHEMA).structure == {"winner": "A"}


@pytest.mark.parametrize(
    "text", ["A", "[]", '{"loser": "A"}', '{"winner": "A"', "```json\n{}\n```", "{} ```json\n{}\n```"]
)
def test_a_structure_not_as_asked_is_malformed(text: str) -> None:
    assert reason_of(chat_document(text), json_schema=SCHEMA) is VoidReason.MALFORMED


def test_a_structure_cut_by_the_token_limit_is_truncated() -> None:
    document = chat_document('{"winner": "', finish_reason="length")
    assert reason_of(document, json_schema=SCHEMA) is VoidReason.TRUNCATED


def test_embeddings_come_in_the_order_of_the_texts_in_either_encoding() -> None:
    second = base64.b64encode(np.array([3, 4], dtype="<f4").tobytes()).decode()
    matrix = embeddings_of({"data": [{"index": 1, "embedding": second}, {"index": 0, "embedding": [1, 2]}]}, count=2)
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [{"embedding": [1, 2]}],
        [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}],
        [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}],
        [{"index": 0, "embedding": [1]}, {"index": 7, "embedding": [1]}],
        [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": ["x"]}],
        [{"index": 0, "embedding": "!!"}, {"index": 1, "embedding": "!!"}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [[1]]}, {"index": 1, "embedding": [[1]]}],
        [{"index": 0, "embedding": [1e300]}, {"index": 1, "embedding": [1]}],
        [None, None],
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_embeddings_that_are_no_matrix_are_malformed(rows: object) -> None:
    with pytest.raises(RecordVoidError) as caught:
        embeddings_of({"data": rows}, count=2)
    assert caught.value.reason is VoidReason.MALFORMED


def test_model_names_without_a_name_are_left_out() -> None:
    listed = [{"id": "a"}, {}, 3, {"id": 4}, {"id": "b", "max_model_len": 512}, {"id": "c", "context_length": "512"}]
    found = {"a": None, "b": 512, "c": None}
    assert models_of(orjson.dumps({"data": listed})) == models_of(orjson.dumps(listed)) == found


def test_usage_is_summed_and_what_is_no_count_is_zero() -> None:
    reported = {"prompt_tokens": 10, "completion_tokens": -3, "prompt_tokens_details": {"cached_tokens": 4}}
    usage = usage_of(reported, retries=2)
    assert usage == Usage(3, 2, 10, 4, 0)
    assert sum([usage, usage], Usage()) == Usage(6, 4, 20, 8, 0)
    assert usage_of({"prompt_tokens": True, "prompt_tokens_details": []}, retries=0) == Usage(1)
    assert usage_of("?", retries=0) == Usage(1)


@pytest.mark.parametrize("absurd", ["1e30", "1" + "0" * 30, "9223372036854775807", "2147483649", "-1", "1.5", '"7"'])
def test_an_absurd_count_is_none(absurd: str) -> None:
    document = '{"prompt_tokens": ?, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": ?}}'
    assert usage_of(orjson.loads(document.replace("?", absurd)), retries=0) == Usage(1, completion_tokens=2)


def test_sums_of_large_counts_end() -> None:
    usage = usage_of({"prompt_tokens": MOST_OF_A_REPLY}, retries=0)
    assert usage.prompt_tokens == MOST_OF_A_REPLY
    spent = usage._replace(prompt_tokens=MOST) + usage
    assert WorkerProgress(prompt_tokens=spent.prompt_tokens).prompt_tokens == MOST


NAMES = ["choices", "message", "content", "text", "logprobs", "top_logprobs", "token", "logprob", "embedding"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(document=st.dictionaries(st.sampled_from(["choices", "usage", "data"]), json_values))
@pytest.mark.filterwarnings("ignore:overflow")
def test_any_reply_is_a_reply_or_a_void(document: dict[str, Any]) -> None:
    document = document_of(orjson.dumps(document))
    usage_of(document.get("usage"), retries=0)
    for read in (
        lambda: completion_of(document, Usage()),
        lambda: chat_reply_of(document, Usage()),
        lambda: chat_reply_of(document, Usage(), json_schema=SCHEMA, logprobs=True),
        lambda: embeddings_of(document, count=1),
        lambda: models_of(orjson.dumps(document)),
    ):
        try:
            read()
        except RecordVoidError:
            continue


ECHO: dict[str, Any] = {
    "token_logprobs": [None, -0.5, -2.0, -0.1],
    "top_logprobs": [None, {"b": -0.5}, {"c": -2.0, "x": -1.0}, {"d": -0.1}],
}


def test_a_given_text_has_its_likelihood_without_the_token_that_was_written_behind_it() -> None:
    echo = echo_of({"choices": [{"text": "abcd", "logprobs": ECHO}]}, Usage(), count=3)
    assert echo.logprobs == (0.0, -0.5, -2.0)
    assert echo.best == (True, True, False)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        {},
        {**ECHO, "token_logprobs": [None, -0.5]},
        {**ECHO, "token_logprobs": [None, None, -2.0, -0.1]},
        {**ECHO, "token_logprobs": [None, float("nan"), -2.0]},
        {**ECHO, "token_logprobs": [None, "-0.5", -2.0]},
        {**ECHO, "top_logprobs": [None, {}, {}]},
        {**ECHO, "top_logprobs": None},
    ],
)
def test_likelihoods_that_are_none_are_malformed(logprobs: object) -> None:
    with pytest.raises(RecordVoidError) as caught:
        echo_of({"choices": [{"text": "abc", "logprobs": logprobs}]}, Usage(), count=3)
    assert caught.value.reason is VoidReason.MALFORMED
