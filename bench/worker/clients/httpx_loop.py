"""A plain httpx loop with a bounded pool."""

from __future__ import annotations

import httpx
from workload import drive, encode, verdict


async def run(url: str, n: int, concurrency: int) -> int:
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=60.0, trust_env=False) as client:

        async def ask(record: int) -> None:
            response = await client.post(f"{url}/v1/chat/completions", content=encode(record))
            verdict(response.raise_for_status().json())

        return await drive(ask, n, concurrency)
