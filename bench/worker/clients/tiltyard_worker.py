"""Our own path: prompt rendered, asked through ModelClient, verdict read, row appended to a file."""

from __future__ import annotations

import random
import tempfile

import orjson
from workload import MAX_TOKENS, MODEL, TOP_LOGPROBS, drive, messages

from tiltyard_jobs.llm.client import Sampling
from tiltyard_jobs.llm.endpoint import Endpoint, connect


async def run(url: str, n: int, concurrency: int) -> None:
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=MAX_TOKENS)
    endpoint = Endpoint(url, MODEL, max_concurrency=concurrency)
    with tempfile.TemporaryFile() as rows:
        async with connect(endpoint, rng=random.Random(0)) as client:

            async def ask(record: int) -> None:
                reply = await client.chat(messages(record), sampling=sampling, seed=record, top_logprobs=TOP_LOGPROBS)
                assert reply.first_token_logprobs is not None
                row = {"record": record, "logprob": reply.first_token_logprobs["A"], "usage": list(reply.usage)}
                rows.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

            await drive(ask, n, concurrency)
