"""Questions to a vLLM server with a reasoning parser, and its recorded replies.

`tests/e2e/test_reasoning_parser.py` asks them of a real server and holds the record to what it says; with
TILTYARD_RECORD=1 it writes the record again. The model is the tiny one, whose words are noise: a regular expression
makes it write a thought and an answer, so that what is recorded is how the server sends them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parents[1] / "unit" / "llm" / "recorded" / "vllm_reasoning.json"
ARGUMENTS = ("--reasoning-parser", "deepseek_r1", "--structured-outputs-config", '{"enable_in_reasoning": true}')

THOUGHT = "<think>\nHm\\. One\\.\n</think>"
LABEL = "1"


def _write(regex: str, **members: Any) -> dict[str, Any]:
    return {"structured_outputs": {"regex": regex}, **members}


QUESTIONS: dict[str, dict[str, Any]] = {
    "whole": _write(f"{THOUGHT}\n\nYes\\."),
    "template opened": _write("Hm\\. One\\.\n</think>\n\nYes\\."),
    "cut in the thought": _write(f"{THOUGHT}\n\nYes\\.", max_tokens=8),
    "cut in the answer": _write(f"{THOUGHT}\n\nYes, it is\\.", max_tokens=22),
    "without an answer": _write(THOUGHT),
    "never ended": _write("<think>\nHm\\. One\\."),
    "without a thought": _write("Yes\\."),
    "log-probabilities": _write(f"{THOUGHT}\n\n{LABEL}", logprobs=True, top_logprobs=2),
}
COMMON = {
    "messages": [{"role": "user", "content": "Sort a list."}],
    "temperature": 0.0,
    "seed": 1,
    "max_tokens": 64,
}


def add_think_tokens(folder: Path) -> None:
    """Give a model the tokens `<think>` and `</think>`, without which vLLM starts no parser; as the last two words."""
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    words: dict[str, int] = document["model"]["vocab"]
    added = {token["id"] for token in document["added_tokens"]}
    last = sorted((place, word) for word, place in words.items() if place not in added)[-2:]
    for (place, word), mark in zip(last, ("<think>", "</think>"), strict=True):
        words[mark] = words.pop(word)
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        document["added_tokens"].append({"id": place, "content": mark, **flags})
    document["added_tokens"].sort(key=lambda token: token["id"])
    document["model"]["merges"] = document["model"]["merges"][:-2]
    file.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def told(reply: dict[str, Any]) -> dict[str, Any]:
    """What of a reply is recorded: all but its id, its time and what depends on the release alone."""
    (choice,) = reply["choices"]
    kept = {name: choice[name] for name in ("message", "finish_reason", "stop_reason", "logprobs") if name in choice}
    if kept.get("logprobs"):
        for entry in kept["logprobs"]["content"]:
            for one in (entry, *entry["top_logprobs"]):
                one["logprob"] = round(one["logprob"], 3)
                del one["bytes"]
    return {"choices": [kept], "usage": {name: reply["usage"][name] for name in ("prompt_tokens", "completion_tokens")}}
