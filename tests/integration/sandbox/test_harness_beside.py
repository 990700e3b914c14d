"""lm-evaluation-harness that another process runs: the sidecar of a worker's pod."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.waiting import until
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.evaluation.beside import FOLDER_VARIABLE, run_harness, shared_folder

# Stands for an interpreter with the harness: it is called with the harness's file and the document.
PYTHON = """#!{python}
import json, os, sys, time
document = json.load(open(sys.argv[2]))
open(document["started"], "w").write(str(os.getpid()))
if "sleep" in document:
    time.sleep(document["sleep"])
print(document.get("said", ""))
open(document["out"], "w").write(json.dumps(sorted(os.environ)))
sys.exit(document["code"])
"""


@pytest.fixture
def python(tmp_path: Path) -> str:
    path = tmp_path / "python"
    path.write_text(PYTHON.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@contextmanager
def served(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that serves a folder; it may be killed."""
    command = [sys.executable, "-m", "tiltyard_jobs.evaluation.beside", str(folder)]
    process = subprocess.Popen(command, env={**os.environ, "OF_THE_SIDECAR": "1"}, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) in [(0, b""), (-signal.SIGKILL, b"")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One that is served by a process of its own."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(shared))
    with served(shared):
        yield shared


def document(folder: Path, name: str, **what: object) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"started": f"{path}.started", "out": f"{path}.out", "code": 0, **what}))
    return path


def environment_of(order: Path) -> list[str]:
    """The names of what the harness had in its environment."""
    names: list[str] = json.loads(Path(f"{order}.out").read_text())
    return names


def process_of(order: Path) -> int | None:
    """The process that works on it, if there is one."""
    started = Path(f"{order}.started")
    number = started.read_text() if started.exists() else ""
    return int(number) if number and Path("/proc", number).exists() else None


async def test_orders_are_run_there(folder: Path, python: str, tmp_path: Path) -> None:
    assert shared_folder(tmp_path) == folder
    for name in ("one", "two"):
        order = document(folder, name)
        await asyncio.wait_for(run_harness(python, order), 60)
        assert "OF_THE_SIDECAR" in environment_of(order)


async def test_its_errors_are_the_workers(folder: Path, python: str, tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="its last output is 'oh no'"):
        await asyncio.wait_for(run_harness(python, document(folder, "b", code=1, said="oh no")), 60)
    with pytest.raises(ConfigurationError, match=r"^no such task$"):
        await asyncio.wait_for(run_harness(python, document(folder, "a", code=2, said="tiltyard: no such task")), 60)
    with pytest.raises(ConfigurationError, match="the harness cannot be started: /nowhere"):
        await asyncio.wait_for(run_harness("/nowhere", document(folder, "c")), 60)


async def test_what_is_taken_back_is_ended(folder: Path, python: str) -> None:
    order = document(folder, "slow", sleep=3600)
    running = asyncio.create_task(run_harness(python, order))
    await until(lambda: process_of(order) is not None)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await until(lambda: process_of(order) is None)
    await asyncio.wait_for(run_harness(python, document(folder, "next")), 60)  # and the next one is run


async def test_a_container_that_is_killed_at_work(tmp_path: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For want of memory, say: the next one does not begin the same work again and again."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    order = document(tmp_path, "slow", sleep=3600)
    with served(tmp_path) as first:
        running = asyncio.create_task(run_harness(python, order))
        await until(lambda: process_of(order) is not None)
        first.kill()
        number = process_of(order)
        assert number is not None
        os.kill(number, signal.SIGKILL)
    with served(tmp_path):
        with pytest.raises(TransientError, match="was ended while it was running, perhaps for lack of memory"):
            await asyncio.wait_for(running, 60)
        await asyncio.wait_for(run_harness(python, document(tmp_path, "next")), 60)


async def test_without_a_sidecar_a_child_runs_it(python: str, tmp_path: Path) -> None:
    assert FOLDER_VARIABLE not in os.environ
    assert shared_folder(tmp_path) == tmp_path
    order = document(tmp_path, "one")
    await run_harness(python, order)
    assert "OF_THE_SIDECAR" not in environment_of(order)
