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
               end: neither; the timer is set, where the reconciliation returned a pause or         │
               failed, or where a plan is to be tried again                                         │
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
             the plan has ended: add, where a reconciliation overlapped it; where it failed, the timer is set

A reconciliation that begins during an execution (overlapped) writes the status and executes nothing. One that starts
something may leave the status to the next (defer_status), so that one write reports both; the next has to write it.

A tournament has one timer. A plan that failed is tried again after longer and longer pauses, however often the
tournament is reconciled meanwhile (backing_off): where only some objects were refused (`Refused`), all others of later
plans are made, and those are left out; after any other failure nothing is executed until then. Where what was
lacking may be there by now (`retry`), the pauses end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import NOT_FOUND, ApiError, NotYet, Refused

log = structlog.get_logger(__name__)

WORKERS = 16  # reconciliations at once: each is one call, or none
EXECUTIONS = 8  # plans that are executed at once, each in as many calls as `executor.CALLS`
SETTLE_SECONDS = 0.2  # a Job's end is three changes of it and some of its pods: one status reports them all
MAX_BACKOFF_SECONDS = 60.0
STOP_SECONDS = 10.0  # less than the 30 of a pod's grace; a call that waits for a webhook may take those alone


@dataclass
class QueueEntry:
    """Where a tournament is in the queue. Times are those of the event loop's clock, which is monotonic.

    Attributes:
        queued: it settles, or waits for a worker.
        processing: it is being reconciled.
        dirty_since: when the first change arrived that no reconciliation has taken in; None: there is none.
        taken_since: of the reconciliation under way: when the first change arrived that it takes in.
        status_deferred_since: when the first change arrived whose status is left to the next reconciliation.
        writes_deferred: the reconciliation under way is that next one.
        reconcile_failures: in a row.
        execution_failures: likewise.
        retry_at: when a plan that failed is to be tried again; None: the last was executed.
        blocked: nothing is executed until then.
        backing_off: the reconciliation under way, or the last, began before then.
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
    retry_at: float | None = None
    blocked: bool = False
    backing_off: bool = False
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
        self.backing_off = self.retry_at is not None and _now() < self.retry_at
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def end(self) -> bool:
        """The reconciliation has ended; whether another must follow."""
        self.processing = False
        return self.dirty_since is not None or self.status_deferred_since is not None

    def set_timer(self, moment: float, add: Callable[[], None]) -> None:
        """Add it at a moment, unless it is added earlier anyway."""
        if self.timer is not None:
            if self.timer.when() <= moment:
                return
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_at(moment, add)

    def end_pauses(self) -> None:
        """Nothing waits for its next attempt any more; the next failure is followed by the shortest pause."""
        self.execution_failures, self.retry_at, self.blocked = 0, None, False


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
    _reconciliations: set[asyncio.Task[float | None]] = field(default_factory=set)

    def add(self, key: str) -> None:
        """A tournament or a child of it has changed: reconcile it soon."""
        entry = self._entries.setdefault(key, QueueEntry())
        if entry.dirty_since is None:
            entry.dirty_since = _now()
            if not entry.processing:
                self._add_settled(key, entry)

    def retry(self, key: str) -> None:
        """What was refused may be accepted by now: reconcile it soon, and try that again at once."""
        if (entry := self._entries.get(key)) is not None:
            entry.end_pauses()
        self.add(key)

    def is_executing(self, key: str) -> bool:
        """Whether a plan was executed when the reconciliation under way began; the plan's end brings the next."""
        return self._entries[key].overlapped

    def is_backing_off(self, key: str) -> bool:
        """Whether what was refused is not to be tried again yet; the timer brings a reconciliation that may."""
        return self._entries[key].backing_off

    def execute(self, key: str, plan: Callable[[], Awaitable[None]]) -> None:
        """Execute a plan beside the queue; nothing where `is_executing`, or until a failed one may be tried again."""
        entry = self._entries[key]
        if not entry.overlapped and not (entry.blocked and entry.backing_off):
            entry.execution = asyncio.create_task(self._execute(key, entry, plan))

    def defer_status(self, key: str) -> bool:
        """Leave the status to the next reconciliation; False: the one before did so, and this one has to write it."""
        entry = self._entries[key]
        if entry.writes_deferred:
            return False
        entry.status_deferred_since = _now() if entry.taken_since is None else entry.taken_since
        return True

    async def work(self) -> None:
        """Be one worker, until cancelled. A reconciliation that is under way goes on: `shut_down` waits for it."""
        while True:
            key = await self._queue.get()
            metrics.QUEUE.set(self._queue.qsize())
            entry = self._entries.get(key)
            if entry is None:
                continue
            entry.begin()
            reconciliation = asyncio.create_task(self._reconcile(key, entry))
            self._reconciliations.add(reconciliation)
            reconciliation.add_done_callback(self._reconciliations.discard)
            pause = await asyncio.shield(reconciliation)
            if entry.taken_since is not None and entry.status_deferred_since is None:
                metrics.STATUS_DELAY_SECONDS.observe(_now() - entry.taken_since)
            if entry.end():
                self._add_settled(key, entry)
            elif pause is None and entry.execution is None and not self.exists(key):
                del self._entries[key]
            else:
                if pause is not None:
                    entry.set_timer(_now() + pause, partial(self.add, key))
                if entry.retry_at is not None and entry.execution is None:
                    entry.set_timer(entry.retry_at, partial(self.add, key))

    async def shut_down(self) -> None:
        """Wait for the reconciliations and plans that are under way, once no worker works any more.

        What has not ended after `STOP_SECONDS` is cancelled, as if the process were killed: who comes next goes on.
        """
        end = _now() + STOP_SECONDS
        while tasks := self._under_way():
            ended, _ = await asyncio.wait(tasks, timeout=end - _now(), return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                log.warning("stopped in the middle: calls of the API server have not ended", tasks=len(tasks))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _under_way(self) -> list[asyncio.Task[Any]]:
        executions = [entry.execution for entry in self._entries.values() if entry.execution is not None]
        return [*self._reconciliations, *executions]

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
        tries_all, error = not entry.backing_off, None
        try:
            async with self._executions:
                await plan()
        except Exception as raised:
            error = raised
        finally:
            entry.execution = None
        if error is not None and not _is_gone(error):
            self._retry(key, entry, error, more=tries_all)
        elif tries_all:
            entry.end_pauses()
        # A reconciliation ends the timer, and sets none while a plan is executed.
        if entry.retry_at is not None and not (entry.queued or entry.processing):
            entry.set_timer(entry.retry_at, partial(self.add, key))
        if entry.overlapped:
            self.add(key)

    def _retry(self, key: str, entry: QueueEntry, error: Exception, *, more: bool) -> None:
        """A plan has failed: it is tried again after a pause; after more than the last, where that had passed."""
        if more:
            entry.execution_failures += 1
            entry.retry_at = _now() + self._back_off(error, "plan not executed", entry.execution_failures)
        entry.blocked = not isinstance(error, Refused)

    def _back_off(self, error: Exception, event: str, failures: int) -> float:
        """Log why it is tried again, and count it where it is a failure; returns seconds until the next attempt."""
        pause: float = min(MAX_BACKOFF_SECONDS, 0.2 * 2.0**failures) * self.rng.uniform(0.5, 1.0)
        if isinstance(error, NotYet):
            log.info("plan waits", retry_s=round(pause, 2), why=str(error))
            return pause
        metrics.RECONCILE_ERRORS.inc()
        if isinstance(error, ApiError):
            log.warning(event, retry_s=round(pause, 2), error=str(error), status=error.status)
        else:
            log.error(f"{event}: a bug in the operator", retry_s=round(pause, 2), exc_info=error)
        return pause


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_gone(error: Exception) -> bool:
    """Whether the tournament or its namespace was deleted in the middle."""
    if isinstance(error, ApiError) and error.status == NOT_FOUND:
        log.debug("gone", error=str(error))
        return True
    return False
