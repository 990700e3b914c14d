"""What the log says of repeats, kills and torn lines."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from integration.sim.process import SimProcess
from support.waiting import until
from tiltyard_jobs.prompts.grade import grade_messages
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.sim.request_log import MODEL_WORK, RequestKind, RequestLogWriter, asked_twice, read_log

CHAT = "/v1/chat/completions"


async def test_each_request_is_logged_with_its_kind(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    user = [{"role": "user", "content": "Write a function."}]
    exchanged = b'{"messages": [{"content":"Write a function.","role":"user"}], "model": "a"}'
    async with SimProcess("sim://a", "--request-log", str(log)) as sim:
        await sim.post("/v1/completions", prompt="<|im_start|>user\n", seed=1)
        await sim.post(CHAT, messages=user)
        await sim.post(CHAT, messages=JudgePrompt("judge-v1/code-v1", "Choice", "s").messages("x", "y", "z"))
        await sim.post(CHAT, messages=grade_messages("x", "s"))
        await sim.post("/v1/embeddings", input="x")
        await sim.post("/tokenize", prompt="x")
        await sim.post(CHAT, messages=[])
        await sim.get_text("/health")
        async with sim.session.post(CHAT, data=exchanged):
            pass
    logged = read_log(log)
    kinds = ["mine", "answer", "judge", "grade", "embed", "tokenize", "other", "other", "answer"]
    assert [request.kind for request in logged.requests] == kinds
    assert [request.sequence for request in logged.requests] == list(range(1, 10))
    assert [request.status for request in logged.requests] == [200] * 6 + [400, 200, 200]
    assert logged.torn == 0
    # The order of the members makes no other request.
    assert logged.requests[1].sha256 == logged.requests[8].sha256
    assert asked_twice([log]) == (6, 5, 0, 0, 1)


async def test_a_killed_server_leaves_whole_lines_and_its_successor_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    ask = {"prompt": "<|im_start|>user\n", "max_tokens": 9}
    async with SimProcess("sim://a", "--request-log", str(log), "--latency-ms", "3000") as sim:
        waiting = [asyncio.ensure_future(sim.post("/v1/completions", seed=row, **ask)) for row in range(5)]
        await until(lambda: len(read_log(log).requests) >= 5)
        sim.send(signal.SIGKILL)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert all(line.endswith(b"}\n") for line in log.read_bytes().splitlines(keepends=True))
    async with SimProcess("sim://a", "--request-log", str(log)) as sim:
        for row in (0, 1, 7, 7):
            await sim.post("/v1/completions", seed=row, **ask)
    counts = asked_twice([log])
    assert counts == (9, 6, 0, 2, 1)
    assert (counts.asked_twice, counts.share) == (3, 0.5)


def test_a_torn_line_is_dropped_and_the_next_writer_begins_a_new_one(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    first = RequestLogWriter(log)
    first.replied(first.arrived(CHAT, "aa", RequestKind.ANSWER, None), 200)
    first.arrived(CHAT, "bb", RequestKind.ANSWER, None)
    first.close()
    log.write_bytes(log.read_bytes()[:-20])
    second = RequestLogWriter(log)
    second.replied(second.arrived(CHAT, "aa", RequestKind.ANSWER, "500"), 500)
    second.replied(second.arrived(CHAT, "aa", RequestKind.ANSWER, None), 200)
    second.close()
    logged = read_log(log)
    assert [(request.sha256, request.status) for request in logged.requests] == [("aa", 200), ("aa", 500), ("aa", 200)]
    assert logged.torn == 1
    assert asked_twice([log]) == (3, 1, 1, 0, 1)


@pytest.mark.parametrize("cut", range(1, 160, 13))
def test_a_log_cut_anywhere_can_be_read(tmp_path: Path, cut: int) -> None:
    log = tmp_path / "log.jsonl"
    writer = RequestLogWriter(log)
    for row in range(3):
        writer.replied(writer.arrived(CHAT, f"{row}", RequestKind.JUDGE, None), 200)
    writer.close()
    log.write_bytes(log.read_bytes()[:-cut])
    assert read_log(log).torn <= 1
    assert 2 <= asked_twice([log], MODEL_WORK).distinct <= 3


def test_several_logs_are_counted_together(tmp_path: Path) -> None:
    logs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for log in logs:
        writer = RequestLogWriter(log)
        writer.replied(writer.arrived(CHAT, "aa", RequestKind.JUDGE, None), 200)
        writer.replied(writer.arrived("/tokenize", "tt", RequestKind.TOKENIZE, None), 200)
        writer.close()
    assert asked_twice(logs) == (2, 1, 0, 0, 1)
