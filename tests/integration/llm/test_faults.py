"""Under 10% refusals and 1% resets of a real server, not one record is lost."""

from __future__ import annotations

import asyncio
import random

from support.stub_llm import FaultyModel, serving
from tiltyard_jobs.llm.client import Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.usage import Usage

RECORDS = 5000
# As the default, with shorter waits: the test is about what is lost, not about how long it takes.
POLICY = RetryPolicy(base_delay=0.02, max_delay=0.5, budget_floor=100.0)


async def test_no_record_is_lost_under_refusals_and_resets() -> None:
    model = FaultyModel(refused=0.10, cut=0.01)
    texts: dict[int, str] = {}
    spent = Usage()
    async with (
        serving({"/v1/completions": model.complete}) as root,
        connect(ModelEndpoint(root, "m", max_concurrency=32), rng=random.Random(0), policy=POLICY) as client,
    ):
        waiting = iter(range(RECORDS))

        async def work() -> None:
            nonlocal spent
            for record in waiting:
                reply = await client.complete(
                    f"record {record}", sampling=Sampling(0.0, 1.0, 8), seed=record, stop=("\n",)
                )
                texts[record] = reply.answer
                spent += reply.usage

        await asyncio.gather(*(work() for _ in range(32)))
        total = client.usage

    assert texts == {record: f"echo record {record}" for record in range(RECORDS)}
    assert {model.served[f"record {record}"] for record in texts} == {1}  # what was answered was not asked again
    faults = model.faults.total()
    assert model.faults["refused"] > 0.08 * RECORDS
    assert model.faults["cut"] > 0.005 * RECORDS
    canaries = total.requests - spent.requests  # asked by the client itself, to see whether others are answered
    assert 0 <= canaries < 10
    assert total == spent + Usage(canaries)
    assert total.requests == model.served.total() + faults
    assert spent == Usage(RECORDS + spent.retries, spent.retries, 3 * RECORDS, RECORDS, 2 * RECORDS)
