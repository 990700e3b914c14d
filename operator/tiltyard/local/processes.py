"""Starting and ending processes, none of which outlives us."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tiltyard.local.occupancy import Occupancy

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2): PR_SET_PDEATHSIG


class Process(Protocol):
    """A process that we have started; `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """Its id, and that of its group."""

    @property
    def returncode(self) -> int | None:
        """None while it runs."""

    async def wait(self) -> int:
        """Its exit code, or the signal that ended it with a minus."""


async def spawn(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    occupancy: Occupancy | None = None,
    descriptors: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    """Start a process in a session of its own, so that Ctrl-C at the terminal is ours alone to act on.

    Args:
        command: the program and its arguments; no shell.
        log: its standard output and error are appended here.
        environment: added to ours.
        occupancy: the run that it belongs to; a later run in the same folder waits for its end.
        descriptors: it inherits these, too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=(*descriptors, *(() if occupancy is None else (occupancy.descriptor,))),
            preexec_fn=_die_with_parent(),
        )
    if occupancy is not None:
        occupancy.add(process.pid)
    return process


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends a child whose parent was killed; elsewhere nothing can be done beforehand."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before the kernel was asked
            os._exit(128 + signal.SIGTERM)

    return ask_kernel


async def end(process: Process, grace_seconds: float) -> None:
    """End a process and its group: SIGTERM, then after `grace_seconds` SIGKILL. Returns once it is gone."""
    if process.returncode is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace_seconds)
    _signal_group(process, signal.SIGKILL)
    await process.wait()


def how_it_ended(code: int) -> str:
    """An exit code in words: `ended with code 3`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
