"""Each fault as a client meets it, and that a good reply stays the same under all of them."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from integration.sim.process import SimProcess
from support.waiting import until
from tiltyard_jobs.sim.request_log import asked_twice, read_log

URI = "sim://alpha?skill=0.7"
CHAT = "/v1/chat/completions"


def body(row: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Write a function that adds {row} numbers."}], "seed": row}


async def test_refusals_say_when_to_come_back() -> None:
    async with SimProcess(URI, "--fault-429", "1", "--retry-after", "7") as sim:
        async with sim.session.post(CHAT, json={"model": "alpha", **body(1)}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
            assert (await response.json())["error"]["code"] == 429
        assert (await sim.get_text("/health"))[0] == 200


async def test_a_server_error_is_a_500() -> None:
    async with SimProcess(URI, "--fault-500", "1") as sim:
        assert (await sim.post(CHAT, **body(1)))[0] == 500
        assert (await sim.post("/tokenize", prompt="x"))[0] == 500


async def test_a_cut_reply_breaks_off_in_mid_body() -> None:
    async with SimProcess(URI, "--fault-cut", "1") as sim:
        with pytest.raises(aiohttp.ClientPayloadError):
            await sim.post(CHAT, **body(1))


async def test_garbage_is_a_200_without_a_reply() -> None:
    seen = set()
    async with SimProcess(URI, "--fault-garbage", "1") as sim:
        for row in range(30):
            async with sim.session.post(CHAT, json={"model": "alpha", **body(row)}) as response:
                assert response.status == 200
                seen.add(await response.read())
    assert len(seen) == 5
    assert not any(orjson.loads(data).get("choices") for data in seen if data.startswith(b'{"choices"'))


async def test_an_overlong_reply_is_a_megabyte() -> None:
    async with SimProcess(URI, "--fault-overlong", "1") as sim:
        _, reply = await sim.post(CHAT, **body(1))
    assert len(reply["choices"][0]["message"]["content"]) == 2**20
    assert reply["choices"][0]["finish_reason"] == "length"


async def test_a_hanging_request_ends_with_its_client_and_holds_up_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with SimProcess(URI, "--fault-hang", "1", "--request-log", str(log)) as sim:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sim.post(CHAT, **body(1)), 0.4)
        hanging = asyncio.ensure_future(sim.post(CHAT, **body(2)))
        await until(lambda: sum(request.path == CHAT for request in read_log(log).requests) >= 2)
        assert (await sim.get_text("/health"))[0] == 200
        sim.send(signal.SIGTERM)
        assert (await hanging)[0] == 503
        assert (await asyncio.to_thread(sim.wait))[0] == 0
    logged = [(request.fault, request.status) for request in read_log(log).requests if request.path == CHAT]
    assert logged == [("hang", 499), ("hang", 503)]


async def test_under_faults_a_client_that_retries_gets_what_it_gets_without(tmp_path: Path) -> None:
    async with SimProcess(URI) as sim:
        calm = [(await sim.post(CHAT, **body(row)))[1]["choices"] for row in range(60)]
    rates = {"429": "0.2", "500": "0.1", "cut": "0.1", "garbage": "0.1"}
    options = [word for fault, rate in rates.items() for word in (f"--fault-{fault}", rate)]
    log = tmp_path / "log.jsonl"
    async with SimProcess(URI, *options, "--request-log", str(log), "--latency-ms", "2") as sim:

        async def persist(row: int) -> tuple[Any, int]:
            for attempt in range(40):
                try:
                    status, reply = await sim.post(CHAT, **body(row))
                except (aiohttp.ClientError, ValueError):
                    continue
                if status == 200 and reply and reply.get("choices"):
                    return reply["choices"], attempt
            raise AssertionError(f"request {row} never passed")

        stormy = await asyncio.gather(*[persist(row) for row in range(60)])
    assert [choices for choices, _ in stormy] == calm
    retries = sum(attempt for _, attempt in stormy)
    counts = asked_twice([log])
    assert retries > 15
    assert counts == (60 + retries, 60, retries, 0, 0)
