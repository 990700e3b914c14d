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
    """Start a process whose output goes to a log, out of reach of Ctrl-C. Linux kills it when this process dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            preexec_fn=die_with_parent(),
            start_new_session=True,
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
    what: str,
    holds: Callable[[], bool],
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
    limit: float = 60,
) -> None:
    """Wait until something holds.

    Args:
        what: for messages.
        holds: asked again and again.
        process: without which it never will.
        log: of the process.
        limit: seconds.

    Raises:
        ClusterError: the process has ended, or it took too long.
    """
    end = time.monotonic() + limit
    while not holds():
        if process is not None and process.poll() is not None:
            raise ClusterError(f"{what} ended with {process.returncode}{_said(log)}")
        if time.monotonic() > end:
            raise ClusterError(f"{what} is not up after {limit:.0f} s{_said(log)}")
        time.sleep(0.1)


def _said(log: Path | None) -> str:
    return f"; its log is {log}:\n{tail(log)}" if log is not None and log.exists() else ""


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def die_with_parent() -> Callable[[], None] | None:
    """To be called by a child between fork and exec: Linux then kills it when this process dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask_kernel
