"""Processes that end with the one that started them, also when that one is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


class ClusterError(Exception):
    """Something of the cluster does not come up; the message names the log to read."""


def start(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a log. Linux kills it when this process dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            preexec_fn=_die_with_parent if sys.platform.startswith("linux") else None,
        )


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> None:
    """End a process: SIGTERM, and SIGKILL after a while."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    what: str, holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, limit: float = 60
) -> None:
    """Wait until something holds.

    Raises:
        ClusterError: the process has ended, or it took too long.
    """
    end = time.monotonic() + limit
    while not holds():
        if process.poll() is not None:
            raise ClusterError(f"{what} ended with {process.returncode}; its log is {log}:\n{tail(log)}")
        if time.monotonic() > end:
            raise ClusterError(f"{what} is not up after {limit:.0f} s; its log is {log}:\n{tail(log)}")
        time.sleep(0.1)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
