"""The process that holds a cluster: who it is, how one waits for it and ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import tools
from cluster.processes import ClusterError, tail

START_SECONDS = 240
SETTINGS = "settings.json"
_holders: list[subprocess.Popen[bytes]] = []  # of this process; forgotten ones would be warned of


def folder() -> Path:
    """Where the cluster keeps all its files."""
    if chosen := os.environ.get("TILTYARD_CLUSTER_FOLDER"):
        return Path(chosen).absolute()
    return tools.cache_root().parent / "cluster"


def made_by() -> str | None:
    """The value of `TILTYARD_CLUSTER` that made what is in the folder; None: nothing is."""
    try:
        made: str = json.loads((folder() / SETTINGS).read_text())["maker"]
    except (OSError, ValueError, KeyError):
        return None
    return made


def claim(maker: str, **settings: object) -> None:
    """Make the folder, and say in it who does, and with which settings."""
    folder().mkdir(parents=True)
    (folder() / SETTINGS).write_text(json.dumps({"maker": maker, **settings}))


def is_ours(maker: str) -> bool:
    """Whether the folder holds something that was made so: never one that somebody else has named is removed.

    Raises:
        ClusterError: it was made otherwise.
    """
    if (made := made_by()) not in (None, maker):
        raise ClusterError(f"{folder()} holds a cluster of TILTYARD_CLUSTER={made}: end it with that first")
    return made == maker


def pid() -> int | None:
    """The process that holds the cluster; None: it is down."""
    try:
        number, start = (folder() / "pid").read_text().split()
        return int(number) if _start_time(int(number)) == start else None
    except (OSError, ValueError):
        return None


def start(command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Start the holder. It says that the cluster is up by a file `ready` in the folder, and stays."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with (folder() / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            preexec_fn=_record,
        )  # fmt: skip
    _holders.append(process)
    return process


def _record() -> None:
    """Say who holds the cluster: its first act, so that no moment is left in which nobody could end it."""
    (folder() / "pid").write_text(f"{os.getpid()} {_start_time(os.getpid())}")


def wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until the cluster is up.

    Raises:
        ClusterError: it does not come up.
    """
    end = time.monotonic() + START_SECONDS
    while not (folder() / "ready").exists():
        if process.poll() is not None:
            raise ClusterError(f"the cluster did not come up:\n{tail(folder() / 'node.log')}")
        if time.monotonic() > end:
            raise ClusterError(f"the cluster is not up after {START_SECONDS} s:\n{tail(folder() / 'node.log')}")
        time.sleep(0.1)


def end() -> None:
    """End the holder and wait until it is gone."""
    if (running := pid()) is not None:
        os.kill(running, signal.SIGKILL)  # and the kernel its processes
        while _start_time(running) is not None and not _is_zombie(running):
            time.sleep(0.05)
    while _holders:
        _holders.pop().wait()


def _start_time(number: int) -> str | None:
    """When a process started, in the kernel's ticks; None: there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
