"""Worker processes: forked by a fork server where that is safe, started one by one elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from tiltyard.local.occupancy import Occupancy
from tiltyard.local.processes import Process, end, spawn
from tiltyard_jobs.contracts.forking import COMMAND, StartWorker, WorkerEnded, WorkerStarted

FORKS = sys.platform.startswith("linux")
GRACE_SECONDS = 30.0  # a worker writes down what it has
_MESSAGES: TypeAdapter[WorkerStarted | WorkerEnded] = TypeAdapter(WorkerStarted | WorkerEnded)
_POLL_SECONDS = 0.05


class Workers:
    """Starts worker processes.

    On Linux a fork server (`tiltyard_jobs.shard.forkserver`) makes them, since most of a small shard's time is spent in
    imports. macOS does not promise that a process with its frameworks may fork, so there each one is started anew.

    Args:
        python: interpreter with tiltyard_jobs.
        log: takes what the fork server itself says.
        occupancy: the run that the processes belong to, if any.
        many: whether a fork server pays: it does from the second worker on.
    """

    def __init__(self, python: str, log: Path, occupancy: Occupancy | None = None, *, many: bool = True) -> None:
        self._python, self._log, self._occupancy = python, log, occupancy
        self._forking = many and FORKS
        self._server: _ForkServer | None = None
        self._starting = asyncio.Lock()

    async def start(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
        """Start a worker.

        Args:
            arguments: its command line, from the stage on.
            log: takes its output.
            environment: added to ours.

        Raises:
            OSError: it cannot be started.
        """
        if not self._forking:
            command = [self._python, "-m", "tiltyard_jobs", *arguments]
            return await spawn(command, log, environment, self._occupancy)
        log.parent.mkdir(parents=True, exist_ok=True)
        async with self._starting:
            if self._server is not None and self._server.lost:
                await self._server.close()
                self._server = None
            if self._server is None:
                self._server = await _ForkServer.start(self._python, self._log, self._occupancy)
        process = await self._server.fork(arguments, log, environment)
        if self._occupancy is not None:
            self._occupancy.add(process.pid)
        return process

    async def close(self) -> None:
        """End the fork server, after its workers have ended."""
        if self._server is not None:
            await self._server.close()


class _ForkServer:
    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self._process, self._writer = process, writer
        self._numbers = itertools.count()
        self._wanted: dict[int, asyncio.Future[_Forked]] = {}
        self._running: dict[int, _Forked] = {}
        self._reading: asyncio.Task[None] | None = None
        self.lost = False

    @classmethod
    async def start(cls, python: str, log: Path, occupancy: Occupancy | None) -> _ForkServer:
        ours, its = socket.socketpair()
        with its:
            command = [python, "-m", "tiltyard_jobs", COMMAND, str(its.fileno())]
            try:
                process = await spawn(command, log, {}, occupancy, (its.fileno(),))
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        server = cls(process, writer)
        server._reading = asyncio.create_task(server._read(reader))
        return server

    async def fork(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> _Forked:
        if self.lost:
            raise OSError("the fork server has ended")
        order = StartWorker(
            number=next(self._numbers), arguments=tuple(arguments), environment=dict(environment), log=str(log)
        )
        wanted = self._wanted[order.number] = asyncio.get_running_loop().create_future()
        self._writer.write(order.model_dump_json().encode() + b"\n")
        try:
            return await asyncio.shield(wanted)
        except asyncio.CancelledError:  # it is started by now, and nobody would end it
            with suppress(OSError):
                await end(await asyncio.shield(wanted), GRACE_SECONDS)
            raise

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(ConnectionError):
                while line := await reader.readline():
                    self._told(line)
        finally:
            self.lost = True
            self._writer.close()
            for wanted in self._wanted.values():
                wanted.set_exception(OSError("the fork server has ended"))
            self._wanted.clear()
            await asyncio.gather(*(_until_gone(forked) for forked in self._running.values()))

    def _told(self, line: bytes) -> None:
        message = _MESSAGES.validate_json(line)
        if isinstance(message, WorkerStarted):
            forked = self._running[message.pid] = _Forked(message.pid)
            self._wanted.pop(message.number).set_result(forked)
        else:
            self._running.pop(message.pid).ended(message.code)

    async def close(self) -> None:
        self._writer.close()
        await end(self._process, GRACE_SECONDS)
        if self._reading is not None:
            await self._reading


class _Forked:
    """A process whose parent is the fork server."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    def ended(self, code: int) -> None:
        self._code.set_result(code)


async def _until_gone(forked: _Forked) -> None:
    """Its parent was killed: the kernel tells it to stop, and nobody can tell how it ended."""
    while _is_there(forked.pid):  # noqa: ASYNC110  # the kernel tells parents alone
        await asyncio.sleep(_POLL_SECONDS)
    forked.ended(-signal.SIGKILL)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
