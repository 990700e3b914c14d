"""Workers come from a fork server, and are as apart as processes that were started one by one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.local_runs import command_of
from tiltyard.local.occupancy import occupied
from tiltyard.local.processes import end
from tiltyard.local.workers import Workers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="each worker is a new process elsewhere")

WRONG = ["answer", "--task", "/nowhere/task.json"]  # refused at once, with exit code 2
WAITING = ["answer", "--task"]  # followed by a pipe that nobody writes: it waits for its task


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    with occupied(tmp_path / "state", "r", print) as occupancy:
        workers = Workers(sys.executable, tmp_path / "fork-server.log", occupancy)
        yield workers
        await workers.close()


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "task.json")
    return str(tmp_path / "task.json")


def pids(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "state/processes").read_text().split()]


async def test_each_has_its_exit_code_log_environment_and_session(workers: Workers, tmp_path: Path, pipe: str) -> None:
    summaries = [tmp_path / "0.json", tmp_path / "1.json"]
    logs = [tmp_path / "logs/0.log", tmp_path / "logs/1.log"]
    started = [
        await workers.start(WRONG, log, {"TILTYARD_SUMMARY": str(summary)})
        for log, summary in zip(logs, summaries, strict=True)
    ]
    assert [await one.wait() for one in started] == [2, 2]
    assert [one.returncode for one in started] == [2, 2]
    for log, summary in zip(logs, summaries, strict=True):
        assert log.read_text().count("/nowhere/task.json") == 1
        assert "/nowhere/task.json" in summary.read_text()
    waiting = await workers.start([*WAITING, pipe], tmp_path / "2.log", {})
    assert os.getsid(waiting.pid) == os.getpgid(waiting.pid) == waiting.pid
    assert f"-m tiltyard_jobs answer --task {pipe}" in command_of(waiting.pid)
    assert waiting.returncode is None
    assert {one.pid for one in [*started, waiting]} < set(pids(tmp_path))
    await end(waiting, 10)
    assert waiting.returncode == -signal.SIGTERM


async def test_a_worker_that_is_killed_says_so(workers: Workers, tmp_path: Path, pipe: str) -> None:
    worker = await workers.start([*WAITING, pipe], tmp_path / "log", {})
    os.kill(worker.pid, signal.SIGKILL)
    assert await worker.wait() == -signal.SIGKILL


async def test_a_fork_server_that_is_killed_takes_its_workers_with_it(
    workers: Workers, tmp_path: Path, pipe: str
) -> None:
    worker = await workers.start([*WAITING, pipe], tmp_path / "log", {})
    server = next(pid for pid in pids(tmp_path) if "fork-server" in command_of(pid))
    os.kill(server, signal.SIGKILL)
    assert await asyncio.wait_for(worker.wait(), 60) == -signal.SIGKILL
    assert not command_of(worker.pid)
    again = await workers.start(WRONG, tmp_path / "log", {})
    assert await again.wait() == 2


async def test_a_start_that_is_cancelled_leaves_no_worker(workers: Workers, tmp_path: Path, pipe: str) -> None:
    await (await workers.start(WRONG, tmp_path / "log", {})).wait()  # the server is there
    starting = asyncio.create_task(workers.start([*WAITING, pipe], tmp_path / "log", {}))
    await asyncio.sleep(0)  # the order is sent
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    await workers.close()
    with occupied(tmp_path / "other", "r", print):
        assert not [pid for pid in pids(tmp_path) if pipe in command_of(pid)]


async def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    workers = Workers("/nowhere/python", tmp_path / "log")
    with pytest.raises(OSError, match="/nowhere/python"):
        await workers.start(WRONG, tmp_path / "log", {})
    await workers.close()
