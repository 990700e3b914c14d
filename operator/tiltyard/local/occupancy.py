"""One run at a time in a state folder, the processes of a run that was killed included.

Two locks in the folder. `lock` is held by the run itself: a second run is refused. `processes` is held by the run and
by every process that it starts, through the descriptor that they inherit: it is free once the last of them has ended,
whatever became of the run. So a run that follows a killed one waits until nobody holds a journal, a port or a GPU.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

WAIT_SECONDS = 60.0  # a model that is told to stop has freed its memory by then
_POLL_SECONDS = 0.1
_NOTE_AFTER_SECONDS = 1.0


class StateError(Exception):
    """The folder cannot be a run's; the text is a sentence for the user."""


class OccupiedError(StateError):
    """It is another run's."""


@dataclass(frozen=True)
class Occupancy:
    """A run's hold on its state folder.

    Attributes:
        descriptor: of the file `processes`; each process of the run inherits it.
    """

    descriptor: int

    def add(self, pid: int) -> None:
        """Write down a process of the run."""
        os.write(self.descriptor, b"%d\n" % pid)


@contextmanager
def occupied(
    state: Path, run: str, note: Callable[[str], None], wait_seconds: float = WAIT_SECONDS
) -> Iterator[Occupancy]:
    """Hold a state folder, which is made where it is missing.

    Args:
        state: the folder.
        run: who holds it.
        note: told what is waited for, once that takes a while.
        wait_seconds: for processes of an earlier run.

    Raises:
        OccupiedError: another run is at work in it, or processes of an earlier one do not end.
        StateError: it is no folder that can be written.
    """
    with ExitStack() as held:
        lock, processes = _opened(state, held)
        if not _try(lock):
            raise OccupiedError(
                f"{state}: another `tiltyard run` is in progress here; wait for it to end, or give another --state"
            )
        _wait(processes, state, note, wait_seconds)
        os.ftruncate(processes, 0)
        os.ftruncate(lock, 0)
        os.write(lock, run.encode())
        yield Occupancy(processes)


def _opened(state: Path, held: ExitStack) -> list[int]:
    """The descriptors of `lock` and `processes`, which `held` closes."""
    descriptors = []
    try:
        state.mkdir(parents=True, exist_ok=True)
        for name in ("lock", "processes"):
            descriptor = os.open(state / name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            held.callback(os.close, descriptor)
            descriptors.append(descriptor)
    except OSError as error:
        why = f"{state} cannot hold the files of a run ({error.strerror})"
        raise StateError(f"{why}: give another folder with --state") from None
    return descriptors


def is_occupied(state: Path, run: str | None = None) -> bool:
    """Whether a run, or this one, is at work in a state folder."""
    try:
        with (state / "lock").open() as lock:
            return not _try(lock.fileno(), fcntl.LOCK_SH) and run in (None, lock.read())
    except OSError:
        return False


def _try(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(descriptor: int, state: Path, note: Callable[[str], None], wait_seconds: float) -> None:
    began = time.monotonic()
    noted = False
    while not _try(descriptor):
        waited = time.monotonic() - began
        if waited > wait_seconds:
            alive = ", ".join(map(str, _alive(state))) or "whose ids are not known"
            raise OccupiedError(
                f"{state}: processes of an earlier run are still running ({alive}); kill them and run again"
            )
        if waited > _NOTE_AFTER_SECONDS and not noted:
            noted = True
            note("waiting for the processes of an earlier run to end")
        time.sleep(_POLL_SECONDS)


def _alive(state: Path) -> list[int]:
    """The processes that an earlier run wrote down and that are still there."""
    alive = []
    for word in (state / "processes").read_text().split():
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(word), 0)
            alive.append(int(word))
    return alive
