"""The queue of tournaments to reconcile, and the plans that are executed beside it.

Every change of a tournament or of a child adds its key (`namespace/name`). A tournament is never reconciled twice at
once; several are, up to `WORKERS`. Changes come in flocks: a key settles for `SETTLE_SECONDS`, then a worker takes it.

An entry is in one of three states:

                     add, or its timer             settled, and taken by a worker: begin
        ┌──────────┐ ──────────────► ┌──────────┐ ─────────────────────────────────────► ┌────────────┐
        │   IDLE   │                 │  QUEUED  │                                        │ PROCESSING │
        └──────────┘                 └──────────┘ ◄───────────────────────────────────── └────────────┘
             ▲                                       end: dirty_since is set, or           │        │
             │                                       status_deferred_since is              │        │
             └─────────────────────────────────────────────────────────────────────────────┘        │
               end: neither; a timer is set where the reconciliation returned a pause, or failed    │
                                                                                                    ▼
                                               end: neither, no pause, no execution, and the tournament
                                               does not exist any more: the entry is deleted

The first add makes an entry that is QUEUED. An add to one that is QUEUED or PROCESSING only sets dirty_since.

A plan may take many calls, so it is executed beside the queue, one plan of a tournament at a time, whatever state its
entry is in:

                           execute
        ┌───────────────┐ ─────────► ┌───────────┐
        │ NOT EXECUTING │            │ EXECUTING │   the entry's execution is a task
        └───────────────┘ ◄───────── └───────────┘
             the plan has ended: add, where a reconciliation overlapped it; where it failed, add after a pause

A reconciliation that begins during an execution (overlapped) writes the status and executes nothing. One that starts
something may leave the status to the next (defer_status), so that one write reports both; the next has to write it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import NOT_FOUND, ApiError

log = structlog.get_logger(__name__)

WORKERS = 16  # reconciliations at once: each is one call, or none
EXECUTIONS = 8  # plans that are executed at once, each in as many calls as `executor.CALLS`
SETTLE_SECONDS = 0.2  # a Job's end is three changes of it and some of its pods: one status reports them all
MAX_BACKOFF_SECONDS = 60.0


@dataclass
class QueueEntry:
    """Where a tournament is in the queue. Times are those of the monotonic clock.

    Attributes:
        queued: it settles, or waits for a worker.
        processing: it is being reconciled.
        dirty_since: when the first change arrived that no reconciliation has taken in; None: there is none.
        taken_since: of the reconciliation under way: when the first change arrived that it takes in.
        status_deferred_since: when the first change arrived whose status is left to the next reconciliation.
        writes_deferred: the reconciliation under way is that next one.
        reconcile_failures: in a row.
        execution_failures: likewise.
        timer: adds it again later.
        execution: the plan that is being executed.
        overlapped: the reconciliation under way, or the last, began while a plan was executed.
    """

    queued: bool = False
    processing: bool = False
    dirty_since: float | None = None
    taken_since: float | None = None
    status_deferred_since: float | None = None
    writes_deferred: bool = False
    reconcile_failures: int = 0
    execution_failures: int = 0
    timer: asyncio.TimerHandle | None = None
    execution: asyncio.Task[None] | None = None
    overlapped: bool = False

    def begin(self) -> None:
        """A reconciliation begins: it takes in all that has arrived."""
        self.writes_deferred = self.status_deferred_since is not None
        self.taken_since = self.status_deferred_since if self.writes_deferred else self.dirty_since
        self.dirty_since = self.status_deferred_since = None
        self.queued, self.processing = False, True
        self.overlapped = self.execution is not None
        if self.timer is not None:
            self.timer.cancel()

    def end(self) -> bool:
        """The reconciliation has ended; whether another must follow."""
        self.processing = False
        return self.dirty_since is not None or self.status_deferred_since is not None


@dataclass
class WorkQueue:
    """The queue, by key: `namespace/name` of a tournament.

    Args:
        reconcile: one reconciliation; returns seconds until the next, where time alone asks for one.
        exists: whether a tournament is still there.
        rng: spreads retries.
        settle: seconds from a change to the reconciliation that takes it in, and others with it.
    """

    reconcile: Callable[[str], Awaitable[float | None]]
    exists: Callable[[str], bool]
    rng: Random
    settle: float = SETTLE_SECONDS
    _entries: dict[str, QueueEntry] = field(default_factory=dict)
    _queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _executions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EXECUTIONS))

    def add(self, key: str) -> None:
        """A tournament or a child of it has changed: reconcile it soon."""
        entry = self._entries.setdefault(key, QueueEntry())
        if entry.dirty_since is None:
            entry.dirty_since = time.monotonic()
            if not entry.processing:
                self._add_settled(key, entry)

    def is_executing(self, key: str) -> bool:
        """Whether a plan was executed when the reconciliation under way began; the plan's end brings the next."""
        return self._entries[key].overlapped

    def execute(self, key: str, plan: Callable[[], Awaitable[None]]) -> None:
        """Execute a plan beside the queue; nothing where `is_executing`."""
        entry = self._entries[key]
        if not entry.overlapped:
            entry.execution = asyncio.create_task(self._execute(key, entry, plan))

    def defer_status(self, key: str) -> bool:
        """Leave the status to the next reconciliation; False: the one before did so, and this one has to write it."""
        entry = self._entries[key]
        if entry.writes_deferred:
            return False
        entry.status_deferred_since = time.monotonic() if entry.taken_since is None else entry.taken_since
        return True

    async def work(self) -> None:
        """Be one worker, until cancelled. A reconciliation that is under way is brought to its end."""
        while True:
            key = await self._queue.get()
            metrics.QUEUE.set(self._queue.qsize())
            entry = self._entries.get(key)
            if entry is None:
                continue
            entry.begin()
            reconciliation = asyncio.create_task(self._reconcile(key, entry))
            try:
                pause = await asyncio.shield(reconciliation)
            except asyncio.CancelledError:
                await reconciliation
                raise
            if entry.taken_since is not None and entry.status_deferred_since is None:
                metrics.STATUS_DELAY_SECONDS.observe(time.monotonic() - entry.taken_since)
            if entry.end():
                self._add_settled(key, entry)
            elif pause is not None:
                entry.timer = asyncio.get_running_loop().call_later(pause, self.add, key)
            elif entry.execution is None and not self.exists(key):
                del self._entries[key]

    async def shut_down(self) -> None:
        """Wait for the plans that are being executed."""
        executions = [entry.execution for entry in self._entries.values() if entry.execution is not None]
        await asyncio.gather(*executions, return_exceptions=True)

    def _add_settled(self, key: str, entry: QueueEntry) -> None:
        if not entry.queued:
            entry.queued = True
            asyncio.get_running_loop().call_later(self.settle, self._put, key)

    def _put(self, key: str) -> None:
        self._queue.put_nowait(key)
        metrics.QUEUE.set(self._queue.qsize())

    async def _reconcile(self, key: str, entry: QueueEntry) -> float | None:
        """One reconciliation; an error is logged, and tried again after the pause that is returned."""
        namespace, _, name = key.partition("/")
        structlog.contextvars.bind_contextvars(namespace=namespace, tournament=name)
        try:
            with metrics.RECONCILE_SECONDS.time():
                pause = await self.reconcile(key)
        except Exception as error:
            if _is_gone(error):
                return None
            entry.reconcile_failures += 1
            return self._back_off(error, "reconciliation failed", entry.reconcile_failures)
        entry.reconcile_failures = 0
        return pause

    async def _execute(self, key: str, entry: QueueEntry, plan: Callable[[], Awaitable[None]]) -> None:
        pause = None
        try:
            async with self._executions:
                await plan()
            entry.execution_failures = 0
        except Exception as error:
            if not _is_gone(error):
                entry.execution_failures += 1
                pause = self._back_off(error, "plan not executed", entry.execution_failures)
        finally:
            entry.execution = None
        if pause is not None:
            asyncio.get_running_loop().call_later(pause, self.add, key)
        elif entry.overlapped:
            self.add(key)

    def _back_off(self, error: Exception, event: str, failures: int) -> float:
        """Log a failure; returns seconds until the next attempt."""
        metrics.RECONCILE_ERRORS.inc()
        pause: float = min(MAX_BACKOFF_SECONDS, 0.2 * 2.0**failures) * self.rng.uniform(0.5, 1.0)
        if isinstance(error, ApiError):
            log.warning(event, retry_s=round(pause, 2), error=str(error), status=error.status)
        else:
            log.error(f"{event}: a bug in the operator", retry_s=round(pause, 2), exc_info=error)
        return pause


def _is_gone(error: Exception) -> bool:
    """Whether the tournament or its namespace was deleted in the middle."""
    if isinstance(error, ApiError) and error.status == NOT_FOUND:
        log.debug("gone", error=str(error))
        return True
    return False
