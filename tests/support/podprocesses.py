"""The processes of played pods: containers' commands run in the pods' folders.

Workers are forked, as on one machine, since most of what a small shard costs is its imports.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from cluster.processes import die_with_parent
from support.podfolders import SHARED_ENVIRONMENT
from tiltyard.local.processes import Process
from tiltyard.local.workers import Workers

WORKER = [sys.executable, "-m", "tiltyard_jobs"]
"""What a worker's command begins with; its stage follows."""


class PodProcesses:
    """Starts, signals and ends the processes of pods.

    Args:
        folder: for the log of the fork server and what starts it; it is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._workers = Workers(str(_interpreter(folder)), folder / "fork-server.log")
        self._processes: dict[str, Process] = {}

    async def start(
        self, name: str, place: Path, command: list[str], environment: dict[str, str], *, log: str = "log"
    ) -> Process:
        """A container's process, in the pod's folder `place`; `log` is a file there, which is appended to."""
        process: Process
        if command[: len(WORKER)] == WORKER:
            process = await self._workers.start(command[len(WORKER) :], place / log, environment)
        else:
            with (place / log).open("ab") as file:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdout=file,
                    stderr=file,
                    env=environment,
                    start_new_session=True,
                    cwd=place,
                    preexec_fn=die_with_parent(),
                )
        self._processes[name] = process
        return process

    def send(self, part_of_name: str, signum: signal.Signals) -> str | None:
        """Signal a running process and its children; returns its name, None: no such process runs."""
        for name, process in self._processes.items():
            if part_of_name in name and process.returncode is None:
                with suppress(ProcessLookupError):  # it has ended, and the loop has not heard of it yet
                    os.killpg(process.pid, signum)
                    return name
        return None

    async def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes.values():
            if process.returncode is None:
                _kill(process)
                await process.wait()
        await self._workers.close()


def terminate(process: Process) -> None:
    """Ask a process to end, as the kubelet does."""
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it ends by itself just now
            os.kill(process.pid, signal.SIGTERM)


async def ended(process: Process, ending: asyncio.Event, grace: float) -> int:
    """Its exit code; once `ending` is set it is asked to end, and killed after `grace` seconds."""
    end = asyncio.create_task(process.wait())
    asked = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({end, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not end.done():
            terminate(process)
            await asyncio.wait({end}, timeout=grace)
            if not end.done():
                _kill(process)
        return await end
    finally:
        asked.cancel()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _interpreter(folder: Path) -> Path:
    """Python in the environment that all pods share: nothing of a test's own reaches a worker."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python"
    shared = shlex.join([*(f"{name}={value}" for name, value in SHARED_ENVIRONMENT.items()), sys.executable])
    script.write_text(f'#!/bin/sh\ncd {shlex.quote(str(folder))} && exec env -i {shared} "$@"\n')
    script.chmod(0o755)
    return script
