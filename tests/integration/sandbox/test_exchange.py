"""Programs that another process runs: the sidecar of a worker's pod."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tiltyard_jobs.sandbox.exchange import ask
from tiltyard_jobs.sandbox.host import Limits, Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="code of models runs on Linux alone")

LIMITS = Limits(seconds=10, memory=1 << 30)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """One that is served."""
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "secret"}
    command = [sys.executable, "-m", "tiltyard_jobs.sandbox", str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        yield tmp_path
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        assert errors == b""


def status_of(folder: Path) -> str:
    """What the kernel says of the process that serves a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes():
                return (process / "status").read_text()
    raise AssertionError("nobody serves it")


async def test_orders_are_run_one_after_the_other(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    programs = ["assert True", "assert False", "import os; os._exit(0)", "import socket; socket.socket()"]
    found = await asyncio.wait_for(ask(folder, programs, LIMITS, lambda done, all_: seen.append((done, all_))), 30)
    assert [outcome.verdict for outcome in found] == ["Passed", "Failed", "Crashed", "Failed"]
    assert {total for _, total in seen} <= {4}
    again = await asyncio.wait_for(ask(folder, ["x = 1"], LIMITS, lambda done, all_: None), 30)
    assert again == [Outcome("Passed")]


async def test_what_serves_has_no_network_and_no_secret_itself(folder: Path) -> None:
    await asyncio.wait_for(ask(folder, ["x = 1"], LIMITS, lambda done, all_: None), 30)
    status = status_of(folder)
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
