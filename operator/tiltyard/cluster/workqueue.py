"""When each tournament is looked at, and what is carried out beside its looks.

Any change of a tournament or of a child says "look again", and the look comes `SETTLE_SECONDS` later: changes come in
flocks. Looks at one tournament never overlap; those at several do, as far as `WORKERS` goes. A look tells what was
seen; what the plan asks for, which may be many calls, is carried out beside the looks, one plan of a tournament at a
time. A look that has something to begin may leave the telling to the next, which tells what came of it too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import KubeError

log = structlog.get_logger(__name__)

WORKERS = 16  # looks at once: each is one call, or none
ACTING = 8  # plans that are carried out at once, each in as many calls as `execute.AT_ONCE`
SETTLE_SECONDS = 0.2  # a Job's end is three changes of it and some of its pods: one status tells them all
MAX_BACKOFF_SECONDS = 60.0


@dataclass
class Due:
    """When a tournament is to be looked at.

    Attributes:
        since: when the change arrived that is not taken in yet, by the monotonic clock; None: there is none.
        taken: when the change arrived that the look under way takes in.
        untold: when the change arrived that was taken in and left to the next look to tell.
        follows: the look under way is that next look.
        queued: a look will come.
        busy: a look is under way.
        failed_looks: in a row.
        failed_acts: likewise, of plans that could not be carried out.
        timer: a look that time will bring.
        acting: a plan that is being carried out.
        missed: a look since then had more to do.
    """

    since: float | None = None
    taken: float | None = None
    untold: float | None = None
    follows: bool = False
    queued: bool = False
    busy: bool = False
    failed_looks: int = 0
    failed_acts: int = 0
    timer: asyncio.TimerHandle | None = None
    acting: asyncio.Task[None] | None = None
    missed: bool = False

    def begin(self) -> None:
        """A look begins: it takes in all that arrived."""
        self.follows = self.untold is not None
        self.taken = self.untold if self.follows else self.since
        self.since = self.untold = None
        self.queued, self.busy = False, True
        self.missed = self.acting is not None
        if self.timer is not None:
            self.timer.cancel()

    def end(self) -> bool:
        """The look has ended; whether something arrived meanwhile, or is to be told."""
        self.busy = False
        return self.since is not None or self.untold is not None


@dataclass
class Looks:
    """The queue of tournaments, by owner (`namespace/name`).

    Args:
        look: one look; returns seconds until the next where time alone asks for one.
        exists: whether a tournament is still there.
        rng: spreads retries.
        settle: seconds from a change to the look that takes it in, and others with it.
    """

    look: Callable[[str], Awaitable[float | None]]
    exists: Callable[[str], bool]
    rng: Random
    settle: float = SETTLE_SECONDS
    _due: dict[str, Due] = field(default_factory=dict)
    _queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ACTING))

    def changed(self, owner: str) -> None:
        """A change of a tournament or of a child: look at it soon."""
        due = self._due.setdefault(owner, Due())
        if due.since is None:
            due.since = time.monotonic()
            if not due.busy:
                self._soon(owner, due)

    def is_acting(self, owner: str) -> bool:
        """Whether a plan was being carried out when the look under way began: the end of that one brings the next."""
        return self._due[owner].missed

    def act(self, owner: str, carry_out: Callable[[], Awaitable[None]]) -> None:
        """Carry a plan out beside the looks; nothing where `is_acting`."""
        due = self._due[owner]
        if not due.missed:
            due.acting = asyncio.create_task(self._act(owner, due, carry_out))

    def leave_telling(self, owner: str) -> bool:
        """Leave it to the next look to tell what the one under way has seen; False: the look before did that."""
        due = self._due[owner]
        if due.follows:
            return False
        due.untold = time.monotonic() if due.taken is None else due.taken
        return True

    async def work(self) -> None:
        """Look at what is due, until cancelled. A look that is under way is brought to its end."""
        while True:
            owner = await self._queue.get()
            metrics.QUEUE.set(self._queue.qsize())
            due = self._due.get(owner)
            if due is None:
                continue
            due.begin()
            look = asyncio.create_task(self._look(owner, due))
            try:
                pause = await asyncio.shield(look)
            except asyncio.CancelledError:
                await look
                raise
            if due.taken is not None and due.untold is None:
                metrics.STATUS_DELAY_SECONDS.observe(time.monotonic() - due.taken)
            if due.end():
                self._soon(owner, due)
            elif pause is not None:
                due.timer = asyncio.get_running_loop().call_later(pause, self.changed, owner)
            elif due.acting is None and not self.exists(owner):
                del self._due[owner]

    def _soon(self, owner: str, due: Due) -> None:
        if not due.queued:
            due.queued = True
            asyncio.get_running_loop().call_later(self.settle, self._enqueue, owner)

    def _enqueue(self, owner: str) -> None:
        self._queue.put_nowait(owner)
        metrics.QUEUE.set(self._queue.qsize())

    async def finish(self) -> None:
        """Wait for the plans that are being carried out."""
        acting = [due.acting for due in self._due.values() if due.acting is not None]
        await asyncio.gather(*acting, return_exceptions=True)

    async def _look(self, owner: str, due: Due) -> float | None:
        """One look, its errors told."""
        namespace, _, name = owner.partition("/")
        structlog.contextvars.bind_contextvars(namespace=namespace, tournament=name)
        try:
            with metrics.RECONCILE_SECONDS.time():
                pause = await self.look(owner)
        except Exception as error:
            if _gone(error):
                return None
            due.failed_looks += 1
            return self._told(error, "look failed", due.failed_looks)
        due.failed_looks = 0
        return pause

    async def _act(self, owner: str, due: Due, carry_out: Callable[[], Awaitable[None]]) -> None:
        pause = None
        try:
            async with self._gate:
                await carry_out()
            due.failed_acts = 0
        except Exception as error:
            if not _gone(error):
                due.failed_acts += 1
                pause = self._told(error, "plan not carried out", due.failed_acts)
        finally:
            due.acting = None
        if pause is not None:
            asyncio.get_running_loop().call_later(pause, self.changed, owner)
        elif due.missed:
            self.changed(owner)

    def _told(self, error: Exception, event: str, failures: int) -> float:
        """Log a failure; returns seconds until the next attempt."""
        metrics.RECONCILE_ERRORS.inc()
        pause: float = min(MAX_BACKOFF_SECONDS, 0.2 * 2.0**failures) * self.rng.uniform(0.5, 1.0)
        if isinstance(error, KubeError):
            log.warning(event, retry_s=round(pause, 2), error=str(error), status=error.status)
        else:
            log.error(f"{event}: a mistake of the operator's own", retry_s=round(pause, 2), exc_info=error)
        return pause


def _gone(error: Exception) -> bool:
    """Whether the tournament or its namespace has gone in the middle."""
    if isinstance(error, KubeError) and error.status == 404:
        log.debug("gone", error=str(error))
        return True
    return False
