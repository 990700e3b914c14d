"""A plain loop over pyreqwest, a Rust-backed client."""

from __future__ import annotations

import json

from pyreqwest.client import ClientBuilder
from workload import drive, encode, verdict


async def run(url: str, n: int, concurrency: int) -> int:
    async with ClientBuilder().max_connections(concurrency).error_for_status(True).build() as client:

        async def ask(record: int) -> None:
            request = client.post(f"{url}/v1/chat/completions").header("Content-Type", "application/json")
            response = await request.body_bytes(encode(record)).build().send()
            verdict(json.loads(bytes(await response.bytes())))

        return await drive(ask, n, concurrency)
