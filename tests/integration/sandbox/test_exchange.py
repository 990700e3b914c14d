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

from tiltyard_jobs.sandbox.archive import archive
from tiltyard_jobs.sandbox.exchange import ask
from tiltyard_jobs.sandbox.host import Limits, ProgramOutcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="code of models runs on Linux alone")

BARE = str(vars(sys)["_base_executable"])  # without the packages of this environment
LIMITS = Limits(seconds=10, memory=1 << 30)


@pytest.fixture(params=["installed", "archive"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """One that is served: by an interpreter that has Tiltyard, or by one that has not."""
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "secret"}
    start = [sys.executable, "-m"]
    if request.param == "archive":
        file = tmp_path / "sandbox.pyz"
        file.write_bytes(archive())
        start = [BARE, "-I", str(file)]
    command = [*start, "tiltyard_jobs.sandbox", str(tmp_path)]
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
    assert again == [ProgramOutcome("Passed")]


def test_the_interpreter_without_tiltyard_is_one() -> None:
    ran = subprocess.run([BARE, "-I", "-c", "import tiltyard_jobs"], capture_output=True, check=False)
    assert b"No module named 'tiltyard_jobs'" in ran.stderr


def test_the_archive_is_the_same_whenever_it_is_made() -> None:
    assert archive() == archive()


async def test_what_serves_has_no_network_and_no_secret_itself(folder: Path) -> None:
    await asyncio.wait_for(ask(folder, ["x = 1"], LIMITS, lambda done, all_: None), 30)
    status = status_of(folder)
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
