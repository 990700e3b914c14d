"""Run programs of models one by one, each in a process that can do nothing but compute.

Like all of this package it runs in other people's interpreters too: Python 3.10 and its standard library.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.guest import CONFINED, DETAIL_LENGTH

ProgramResult = Literal["Passed", "Failed", "TimedOut", "Crashed"]
STARTS = 3  # of one program, where its process is killed before it begins

# The whole environment of a program's process. One thread for each numeric library: nothing to win by more.
ENVIRONMENT = {
    "LANG": "C.UTF-8", "PATH": "/nonexistent", "HOME": "/nonexistent", "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip


Start = tuple[str, ...]
"""The beginning of a command line: with the name of a module of this package behind it, it runs that module."""

GUEST = "tiltyard_jobs.sandbox.guest"


def own_start() -> Start:
    """How this interpreter is started again; out of the archive, where this very module is from one."""
    archive = getattr(__spec__.loader, "archive", None)
    return (sys.executable, "-I", archive or "-m")


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: of wall-clock time.
        memory: bytes of address space.
        file_bytes: of one file in its scratch folder.
    """

    seconds: float = 10.0
    memory: int = 2 << 30
    file_bytes: int = 16 << 20


@dataclass(frozen=True)
class ProgramOutcome:
    """How a program ended.

    Attributes:
        verdict: Passed only where the program ran to its end.
        detail: for people: the exception, the signal or the limit; at most 500 characters, hostile text.
    """

    verdict: ProgramResult
    detail: str = ""


async def run_programs(
    programs: Sequence[str], limits: Limits, at_once: int, start: Start | None = None
) -> AsyncIterator[tuple[int, ProgramOutcome]]:
    """Run programs; yields (position, outcome) as they end.

    Args:
        programs: Python sources. One passes when it runs to its end without an exception.
        limits: of each.
        at_once: processes at the same time.
        start: of the interpreter that runs them; None: this one.

    Raises:
        ConfinementError: this machine cannot hold them back; nothing was run.
    """
    waiting = iter(enumerate(programs))
    running: set[asyncio.Task[tuple[int, ProgramOutcome]]] = set()

    async def one(position: int, source: str) -> tuple[int, ProgramOutcome]:
        return position, await run_program(source, limits, start)

    try:
        while True:
            while len(running) < at_once and (following := next(waiting, None)) is not None:
                running.add(asyncio.create_task(one(*following)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def run_program(source: str, limits: Limits, start: Start | None = None) -> ProgramOutcome:
    """Run one program.

    Raises:
        ConfinementError: this machine cannot hold it back; it was not run.
    """
    for _ in range(STARTS):
        if (outcome := await _run_once(source, limits, start or own_start())) is not None:
            return outcome
    raise ConfinementError(
        f"the process of a program was killed {STARTS} times before it began: is there memory for it?"
    )


async def _run_once(source: str, limits: Limits, start: Start) -> ProgramOutcome | None:
    """The same; None: its process was killed before it began, by a machine that is short of memory for instance."""
    token = os.urandom(16).hex()
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="tiltyard-program-") as scratch:
        order = {
            "source": source, "token": token, "scratch": scratch, "memory": limits.memory,
            "seconds": int(limits.seconds) + 1, "fileBytes": limits.file_bytes,
        }  # fmt: skip
        try:
            process = await asyncio.create_subprocess_exec(
                *start, GUEST, str(write), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, env=ENVIRONMENT, pass_fds=(write,), start_new_session=True,
                cwd=scratch,
            )  # fmt: skip
        except OSError as error:
            os.close(read)
            raise ConfinementError(f"{start[0]} cannot be started: {error.strerror}") from None
        finally:
            os.close(write)
        timed_out = False
        try:
            await asyncio.wait_for(_told(process, json.dumps(order)), limits.seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - before Python 3.11 it is no TimeoutError
            timed_out = True
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        said = os.read(read, 2 * DETAIL_LENGTH)
        os.close(read)
    if timed_out:
        return ProgramOutcome("TimedOut", f"not done after {limits.seconds:g} s")
    if not said and process.returncode is not None and process.returncode < 0:
        return None
    if not said.startswith(CONFINED):
        reason = said.decode("utf-8", "replace").removeprefix("unconfined ")
        raise ConfinementError(reason or f"the process of a program ended with {process.returncode} before it began")
    return _judge(said.removeprefix(CONFINED).decode("utf-8", "replace"), token, process.returncode)


async def _told(process: asyncio.subprocess.Process, order: str) -> None:
    """Give a process its order, and wait for its end."""
    with suppress(ConnectionError):
        await process.communicate(order.encode("utf-8", "surrogatepass"))


def _judge(said: str, token: str, code: int | None) -> ProgramOutcome:
    word, _, rest = said.partition(" ")
    if word == "passed" and rest == token:
        return ProgramOutcome("Passed")
    if word == "failed":
        return ProgramOutcome("Failed", rest)
    return ProgramOutcome("Crashed", f"signal {-code}" if code is not None and code < 0 else "ended before its end")
