"""A plain aiohttp loop with a bounded pool."""

from __future__ import annotations

import aiohttp
from workload import drive, encode, verdict


async def run(url: str, n: int, concurrency: int) -> int:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:

        async def ask(record: int) -> None:
            async with session.post(f"{url}/v1/chat/completions", data=encode(record)) as response:
                response.raise_for_status()
                verdict(await response.json())

        return await drive(ask, n, concurrency)
