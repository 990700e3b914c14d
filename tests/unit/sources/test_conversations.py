"""Conversations in users' files, and system messages of their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.text_files import STORE, refusal, written
from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import TextsFound, check_texts, read_texts

SHAREGPT = {"conversations": [{"from": "human", "value": "Sort."}, {"from": "gpt", "value": "ok"}]}
SYSTEM = {"role": "system", "content": "Be terse."}
TURNS = [{"role": "user", "content": "Sort."}, {"role": "assistant", "content": "How?"}]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_conversations(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, Any]] = [
        {"m": [SYSTEM, *TURNS, {"role": "user", "content": "By size."}, {"role": "assistant", "content": "ok"}]},
        {"m": [{"role": "user", "content": "By size."}]},
        {"m": []},
        {"m": None},
        {"m": [SYSTEM, {"role": "user", "content": " "}]},
    ]
    uri = written(tmp_path / f"a.{kind}", rows)
    texts = read_texts(uri, "prompt", STORE, messages="m")
    assert [(one.text, list(one.history)) for one in texts.given()] == [
        ("By size.", [SYSTEM, *TURNS]),
        ("By size.", []),
    ]
    assert (texts.blank, texts.missing, texts.left_out) == (3, 0, 1)
    # Two that end alike are no repeats.
    found = check_texts(uri, "prompt", STORE, messages="m")
    longest = len(whole_text("By size.", [SYSTEM, *TURNS]))
    left_out = ("messages after the user's last one left out: 1",)
    assert found == TextsFound(2, blank=3, notes=left_out, longest=longest)


def test_conversations_as_others_write_them(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "So"}, {"type": "text", "text": "rt."}]
    theirs = [{"from": "human", "value": "Sort."}, {"from": "gpt", "value": "How?"}, *SHAREGPT["conversations"]]
    rows: list[dict[str, Any]] = [
        {"c": {"d": theirs}},
        {"c": {"d": [{"role": "developer", "content": "Be terse."}, {"role": "user", "content": parts}]}},
    ]
    texts = read_texts(written(tmp_path / "a.jsonl", rows), "prompt", STORE, messages="c.d")
    assert [(one.text, list(one.history)) for one in texts.given()] == [("Sort.", TURNS), ("Sort.", [SYSTEM])]


def test_messages_in_columns(tmp_path: Path) -> None:
    """As `datasets` writes a Sequence of messages."""
    columns = {"from": ["Human", "GPT", "human"], "value": ["Sort.", "How?", "By size."]}
    uri = written(tmp_path / "a.parquet", [{"conversations": columns}])
    (one,) = read_texts(uri, "prompt", STORE, messages="conversations").given()
    assert (one.text, list(one.history)) == ("By size.", TURNS)


@pytest.mark.parametrize("part", ["text", "input_text", "output_text"])
def test_parts_of_both_of_openais_interfaces(tmp_path: Path, part: str) -> None:
    uri = written(tmp_path / "a.jsonl", [{"m": [{"role": "user", "content": [{"type": part, "text": "Sort."}]}]}])
    assert [one.text for one in read_texts(uri, "prompt", STORE, messages="m").given()] == ["Sort."]


def test_a_system_message_for_each_row(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"q": "Sort.", "s": "Be terse."},
        {"q": "Sort.", "s": " "},
        {"q": "Sort.", "s": None},
        {"q": "Sort."},
    ]
    uri = written(tmp_path / "a.jsonl", rows)
    assert [list(one.history) for one in read_texts(uri, "q", STORE, system="s").given()] == [[SYSTEM], [], [], []]
    with pytest.raises(ConfigurationError, match=r"has no 'x'; its first record has q, s$"):
        list(read_texts(uri, "q", STORE, system="x"))
    written(tmp_path / "a.jsonl", [{"s": "Be terse.", "m": TURNS}])
    (one,) = read_texts(uri, "q", STORE, system="s", messages="m").given()
    assert (one.text, list(one.history)) == ("Sort.", [SYSTEM])
    written(tmp_path / "a.jsonl", [{"s": "Be terse.", "m": [SYSTEM, *TURNS]}])
    with pytest.raises(ConfigurationError, match=r"line 1 has a system message in 's' and in 'm': keep one of them$"):
        list(read_texts(uri, "q", STORE, system="s", messages="m"))


def test_what_sharegpt_calls_the_assistant(tmp_path: Path) -> None:
    turns = [{"from": "user", "value": "Sort."}, {"from": "chatgpt", "value": "By what?"}]
    uri = written(tmp_path / "a.jsonl", [{"m": [*turns, {"from": "human", "value": "By size."}]}])
    (one,) = read_texts(uri, "prompt", STORE, messages="m").given()
    assert (one.text, [turn["role"] for turn in one.history]) == ("By size.", ["user", "assistant"])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("Sort.", "is not a list of messages"),
        ('[{"role": "user"}]', "is a text and not a list of messages: write the list itself, in JSON Lines"),
        ({"from": ["human"], "value": []}, "is not a list of messages"),
        (["Sort.", "Why?"], "is not a list of messages with role and content"),
        ([{"role": "assistant", "content": "ok"}], "has no message of the user"),
        ([TURNS[0], SYSTEM], "has a system message after other messages; keep it as the first one"),
        (
            [{"role": "Tool", "content": "ok"}],
            "has the role 'Tool' in message 1; only text is read: leave such records",
        ),
        (
            [{"from": "human", "value": "See"}, {"from": "function_call", "value": "{}"}],
            "has the role 'function_call' in message 2; only text is read: leave such records out",
        ),
        ([{"role": "bot", "content": "ok"}], "has the role 'bot' in message 1; known are system, developer, user, "),
        ([{"content": "ok"}], "has the role None in message 1"),
        (
            [TURNS[0], {"role": "assistant", "content": None, "tool_calls": [{}]}],
            "has a tool call without a text in message 2; only text is read: leave such records out",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url"}]}],
            "has a part of type 'image_url' in message 1; only text is read: leave such records out",
        ),
        ([{"role": "user", "content": 7}], "has something else than text in message 1; only text is read: leave such"),
    ],
)
def test_what_is_no_conversation(tmp_path: Path, value: object, sentence: str) -> None:
    uri = written(tmp_path / "a.jsonl", [{"m": [TURNS[0]]}, {"m": value}])
    with pytest.raises(ConfigurationError) as caught:
        list(read_texts(uri, "prompt", STORE, messages="m").given())
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/a.jsonl: 'm' in line 2 {sentence}")


def test_a_shape_that_nobody_knows_gets_no_advice(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.jsonl", b'{"a": {"b": 1}}') == "has no 'text'; its first record has a"
