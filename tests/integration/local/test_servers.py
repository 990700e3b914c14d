"""A model's process: whatever dies or answers at the wrong moment, the last order given is what counts."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.local_runs import command_of
from support.waiting import until
from tiltyard.api import ModelServing, ModelSource, Participant
from tiltyard.local.servers import MAX_CRASHES, Server
from tiltyard.plan.observed import ModelPhase


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(
        participant=Participant(
            name="ada", model=ModelSource(uri="sim://ada"), serving=ModelServing(args=("--max-num-seqs=4",))
        ),
        place="spec.competitors[0]",
        version="v",
        log=tmp_path / "ada.log",
        deadline=60.0,
        python=sys.executable,
        vllm_python=sys.executable,
        look_again=lambda: None,
    )
    yield made
    await made.close()


def phase(server: Server) -> ModelPhase:
    return server.phase


def pids(server: Server) -> list[int]:
    """The processes that serve on its port."""
    address = f"--port {server.port.number}"
    numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in numbers if address in command_of(pid)]


async def ready(server: Server) -> int:
    """Its one process, once it is ready."""
    await until(lambda: server.phase is ModelPhase.READY)
    (pid,) = pids(server)
    return pid


def answers(server: Server) -> bool:
    connection = HTTPConnection("127.0.0.1", server.port.number, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


async def test_what_dies_after_it_was_told_to_stop_is_stopping_until_its_stop_is_done(server: Server) -> None:
    await server.start()
    pid = await ready(server)
    stopping = server.stop()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not pids(server))
    await asyncio.sleep(0.3)
    assert phase(server) is ModelPhase.STOPPING  # were it stopped already, it could be started before the stop is done
    await stopping
    assert phase(server) is ModelPhase.STOPPED
    await server.start()
    await ready(server)
    assert server.loads == 2


async def test_what_becomes_ready_after_it_was_told_to_stop_stays_stopping(server: Server) -> None:
    await server.start()
    stopping = server.stop()
    await until(lambda: answers(server))
    await asyncio.sleep(0.5)
    assert phase(server) is ModelPhase.STOPPING
    await stopping
    assert phase(server) is ModelPhase.STOPPED
    assert pids(server) == []


async def test_a_start_after_a_stop_is_the_last_word(server: Server) -> None:
    await server.start()
    await ready(server)
    stopping, starting = server.stop(), server.start()
    await stopping
    assert phase(server) is ModelPhase.STARTING  # were it stopped, it would be started once more
    await starting
    await ready(server)
    assert server.loads == 2


async def test_crashes_between_which_work_is_done_are_forgiven(server: Server) -> None:
    done = 0.0
    server.work = lambda: done
    for _ in range(MAX_CRASHES + 2):
        await server.start()
        pid = await ready(server)
        done += 0.1
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.phase is not ModelPhase.READY)
        assert phase(server) is ModelPhase.STOPPED


async def test_one_that_crashes_leaves_a_line_and_is_started_again_so_many_times(server: Server) -> None:
    for _ in range(MAX_CRASHES):
        await server.start()
        os.kill(await ready(server), signal.SIGKILL)
        await until(lambda: server.phase is not ModelPhase.READY)
        assert phase(server) is ModelPhase.STOPPED
    said = [line for line in server.log.read_text().splitlines() if line.startswith("tiltyard: ")]
    assert said == ["tiltyard: it was killed by SIGKILL, and is started again"] * MAX_CRASHES
    await server.start()
    os.kill(await ready(server), signal.SIGKILL)
    await until(lambda: server.phase is not ModelPhase.READY)
    assert phase(server) is ModelPhase.FAILED
    assert "spec.competitors[0]: the server of ada was killed by SIGKILL, 6 times in a row" in server.message
