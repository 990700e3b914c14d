"""A state folder belongs to one run, and to what a killed run has left; a port to one model."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from support.waiting import until
from tiltyard.local.occupancy import OccupiedError, is_occupied, occupied
from tiltyard.local.ports import Port
from tiltyard.local.processes import end, spawn

ASLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    assert not is_occupied(tmp_path)
    with occupied(tmp_path / "state", "r", print):
        assert is_occupied(tmp_path / "state")
        assert is_occupied(tmp_path / "state", "r")
        assert not is_occupied(tmp_path / "state", "another")
        refused = pytest.raises(OccupiedError, match="another `tiltyard run` is in progress here")
        with refused, occupied(tmp_path / "state", "r", print):
            pass
    assert not is_occupied(tmp_path / "state")
    with occupied(tmp_path / "state", "r", print):
        pass


async def test_what_an_earlier_run_left_is_waited_for(tmp_path: Path) -> None:
    notes: list[str] = []
    with occupied(tmp_path, "r", notes.append) as occupancy:
        process = await spawn(ASLEEP, tmp_path / "log", {}, occupancy)
    try:
        refused = pytest.raises(OccupiedError, match=rf"are still running \({process.pid}\); kill them and run again$")
        with refused, occupied(tmp_path, "r", notes.append, wait_seconds=0.2):
            pass
        assert notes == []

        def follow() -> list[str]:
            with occupied(tmp_path, "r", notes.append):
                return (tmp_path / "processes").read_text().split()

        following = asyncio.create_task(asyncio.to_thread(follow))
        await until(lambda: notes)
        assert not following.done()
        await end(process, 5)
        assert await following == []
        assert notes == ["waiting for the processes of an earlier run to end"]
    finally:
        await end(process, 5)


def test_a_port_is_nobody_elses_and_yet_a_server_may_listen_on_it() -> None:
    port = Port()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port.number))
    with socket.create_server(("127.0.0.1", port.number)):
        socket.create_connection(("127.0.0.1", port.number)).close()
    port.release()
    port.release()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a port is merely one that was free")
def test_no_two_runs_are_given_one_port() -> None:
    ports = [Port() for _ in range(400)]
    assert len({port.number for port in ports}) == 400
    for port in ports:
        port.release()
