"""From an exception to an exit code and a sentence. The one place where that is decided."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from typing import NamedTuple

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.errors import JobError, TransientError

BUG = 1  # what Python itself exits with; retried as often as the Job's own limit allows, and no more

# A machine in trouble, not a mistake: another machine, or the same one later, may do better.
_WORLD = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE})


class Ending(NamedTuple):
    """How a shard ends.

    Attributes:
        exit_code: of the process.
        message: one sentence for people; never what a model or a prompt said.
        cause: the exception behind it.
    """

    exit_code: int
    message: str
    cause: BaseException

    @property
    def is_bug(self) -> bool:
        """Nobody foresaw this one: its traceback is worth a log line."""
        return self.exit_code == BUG


def ending_of(error: BaseException) -> Ending:
    """How a shard ends that raised `error`.

    Of a group, the exception that leaves least to hope for counts: a bug, then a wrong configuration, a permanent
    error, a transient one, a stop.
    """
    return min((_ending(leaf) for leaf in _leaves(error)), key=lambda ending: _ORDER.index(ending.exit_code))


_ORDER = (BUG, ExitCode.CONFIGURATION, ExitCode.PERMANENT, ExitCode.TRANSIENT, ExitCode.STOPPED)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _ending(error: BaseException) -> Ending:
    if isinstance(error, JobError):
        return Ending(error.exit_code, str(error), error)
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Ending(ExitCode.STOPPED, "Stopped.", error)
    if isinstance(error, OSError) and error.errno in _WORLD:
        where = f" ({error.filename})" if error.filename else ""
        helps = "; free some space there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return Ending(TransientError.exit_code, f"This machine has a problem: {error.strerror}{where}{helps}.", error)
    if isinstance(error, MemoryError):
        return Ending(TransientError.exit_code, "This machine has a problem: out of memory.", error)
    kind = type(error)
    return Ending(BUG, f"A bug in Tiltyard ({kind.__module__}.{kind.__qualname__}); the log says where.", error)
