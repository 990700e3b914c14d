"""The openai package, as its README uses it: one AsyncOpenAI for all requests."""

from __future__ import annotations

import openai
from workload import MAX_TOKENS, MODEL, TOP_LOGPROBS, drive, messages


async def run(url: str, n: int, concurrency: int) -> int:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def ask(record: int) -> None:
            reply = await client.chat.completions.create(
                model=MODEL,
                messages=messages(record),
                temperature=0.0,
                top_p=1.0,
                max_tokens=MAX_TOKENS,
                seed=record,
                logprobs=True,
                top_logprobs=TOP_LOGPROBS,
            )
            logprobs = reply.choices[0].logprobs
            assert logprobs is not None
            assert logprobs.content is not None
            next(entry.logprob for entry in logprobs.content[0].top_logprobs if entry.token == "1")

        return await drive(ask, n, concurrency)
