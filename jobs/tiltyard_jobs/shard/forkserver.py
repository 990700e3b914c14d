"""A fork server: workers without an interpreter's start and its imports, most of what a small shard costs.

It imports what a stage needs once and forks a process for each index. A worker is as apart as one that was started from
nothing: its session, log, exit code and death are its own, so what holds for a killed worker holds here. Nothing is
computed in the server itself, so that no thread, lock or random state is there to be copied.
"""

from __future__ import annotations

import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from tiltyard_jobs.contracts.forking import StartWorker, WorkerEnded, WorkerStarted
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.stages import stage_function

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2): PR_SET_PDEATHSIG


def serve(descriptor: int) -> int:
    """Fork workers until the other end of a socket is closed.

    Args:
        descriptor: a connected stream socket.

    Returns:
        An exit code: the server's own, or in a worker that worker's.
    """
    with socket.socket(fileno=descriptor) as connection:
        worker = _Server(connection).run()
    return 0 if worker is None else worker()


class _Server:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._prctl = ctypes.CDLL(None).prctl  # loaded before any fork

    def run(self) -> Callable[[], int] | None:
        """Returns None at the end, and in a forked worker what it has to do."""
        ended, signalled = socket.socketpair()
        signalled.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(signalled.fileno())
        with ended, signalled, selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if ended in ready:
                    ended.recv(4096)
                    self._reap()
                if self._connection in ready:
                    data = self._connection.recv(65_536)
                    if not data:
                        return None
                    *lines, self._received = (self._received + data).split(b"\n")
                    for line in lines:
                        worker = self._start(StartWorker.model_validate_json(line))
                        if worker is not None:
                            return worker

    def _start(self, order: StartWorker) -> Callable[[], int] | None:
        with suppress(Exception):  # a worker that cannot import it says so itself
            stage_function(order.arguments[0])
        gc.collect()
        gc.freeze()  # what is there stays shared with the workers
        parent = os.getpid()
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            return self._become(order, parent, told)
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            pipe.read()  # until it leads its own session, or is gone: it can be signalled as a group from here on
        self._tell(WorkerStarted(number=order.number, pid=pid))
        return None

    def _become(self, order: StartWorker, server: int, told: int) -> Callable[[], int]:
        """Turn the forked process into a worker like one that was started by itself."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        self._prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != server:  # it was killed before the kernel was asked
            os._exit(128 + signal.SIGTERM)
        log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.update(order.environment)
        _name(order.arguments)
        os.close(told)
        return lambda: main(order.arguments, environment=os.environ)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._tell(WorkerEnded(pid=pid, code=os.waitstatus_to_exitcode(status)))

    def _tell(self, message: WorkerStarted | WorkerEnded) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # then the next read tells
            self._connection.sendall(message.model_dump_json().encode() + b"\n")


def _name(arguments: tuple[str, ...]) -> None:
    """Give the worker the command line of one that was started by itself, where `ps` looks."""
    try:
        from setproctitle import setproctitle
    except ModuleNotFoundError:  # an interpreter that has the worker's packages alone
        return
    setproctitle(" ".join([sys.executable, "-m", "tiltyard_jobs", *arguments]))
