"""What every client does: render a judge's prompt on two answers for each record, send it, and read the verdict.

The texts have the sizes of a small comparison: an instruction of 600 characters, two answers of 1,200 each, 750 of
criteria before them. Replies carry 20 log-probabilities of the first token, as a judge asks for them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

MODEL = "stub"
MAX_TOKENS = 1
TOP_LOGPROBS = 20
_PROSE = "The quick brown fox jumps over the lazy dog. " * 30
CRITERIA = f"TASK: judge. Which answer is better, 1 or 2?\n{_PROSE}"[:750]
ANSWER = _PROSE[:1200]


def instruction(record: int) -> str:
    """A text of 600 characters that no other record has."""
    return f"Instruction {record}. {_PROSE}"[:600]


def messages(record: int) -> list[dict[str, str]]:
    content = f"{instruction(record)}\n\nANSWER 1\n{ANSWER}\n\nANSWER 2\n{ANSWER}"
    return [{"role": "system", "content": CRITERIA}, {"role": "user", "content": content}]


def request(record: int) -> dict[str, Any]:
    """The body of a request, as far as a client makes it itself."""
    return {
        "model": MODEL,
        "messages": messages(record),
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": MAX_TOKENS,
        "seed": record,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }


def verdict(reply: Mapping[str, Any]) -> float:
    """The log-probability of a vote for the first answer, from a reply's document."""
    top = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return float(next(entry["logprob"] for entry in top if entry["token"] == "1"))


def encode(record: int) -> bytes:
    """As the plain loops do it: the standard library's JSON."""
    return json.dumps(request(record)).encode()


async def drive(ask: Callable[[int], Awaitable[None]], n: int, concurrency: int) -> int:
    """Ask for records 0 to n - 1, `concurrency` at once, with one task for each slot; returns how many failed."""
    waiting = iter(range(n))
    failures = 0

    async def work() -> None:
        nonlocal failures
        for record in waiting:
            try:
                await ask(record)
            except Exception:  # whatever a client calls a lost request
                failures += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return failures
