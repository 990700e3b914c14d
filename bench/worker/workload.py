"""What every client does: send a judge's prompt of 3,000 characters for each record, and read the verdict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

MODEL = "stub"
MAX_TOKENS = 16
TOP_LOGPROBS = 5
FILLER = ("The quick brown fox. " * 150)[:3000]


def messages(record: int) -> list[dict[str, str]]:
    content = f"Record {record}. Which answer is better, A or B?\n\n{FILLER}"
    return [{"role": "user", "content": content}]


def request(record: int) -> dict[str, Any]:
    """The body of a request, as far as a client makes it itself."""
    return {
        "model": MODEL,
        "messages": messages(record),
        "temperature": 0.0,
        "max_tokens": MAX_TOKENS,
        "seed": record,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }


def verdict(reply: Mapping[str, Any]) -> float:
    """The log-probability of A, from a reply's document."""
    top = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return float(next(entry["logprob"] for entry in top if entry["token"] == "A"))


def encode(record: int) -> bytes:
    """As the plain loops do it: the standard library's JSON."""
    return json.dumps(request(record)).encode()


async def drive(ask: Callable[[int], Awaitable[None]], n: int, concurrency: int) -> None:
    """Ask for records 0 to n - 1, `concurrency` at once, with one task for each slot."""
    waiting = iter(range(n))

    async def work() -> None:
        for record in waiting:
            await ask(record)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
