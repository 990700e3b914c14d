"""The loop over a shard's records: each is asked once, written when it is done, and never lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
import structlog

from tiltyard_jobs.errors import (
    JobError,
    NothingUsableError,
    PermanentError,
    RecordVoidError,
    TooManyVoidsError,
    TransientError,
    VoidReason,
    told,
)
from tiltyard_jobs.shard.journal import Journal
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.stopping import DRAIN_SECONDS, Stopped

T = TypeVar("T")

EXPORT_SECONDS = 30.0  # what the death of a machine may cost, in time
EXPORT_RECORDS = 1000  # and in records
TELL_SECONDS = 1.0  # between two looks at what is under way, where no record is done in between
DRAIN_SILENCE_SECONDS = 1.0  # of `DRAIN_SECONDS`, as long as some come in
MAX_DETAIL = 500  # characters: a detail may quote a model
MAX_TOLD_DETAIL = 120  # of them in a message
LOGGED_REASONS = 8
FIRST_RECORDS = 16  # without a usable one among them end the shard,
FEWEST_RECORDS = 4  # as do so many, or more, where there are no others: fewer say little
_BREATH = 64  # records that one worker may finish without a pause: signals and exports want their turn

log = structlog.get_logger(__name__)


class WorkItem(NamedTuple, Generic[T]):
    """One record to make.

    Attributes:
        part: the position of its part among the parts of the index.
        row: its row in that part.
        payload: what the work needs. Cheap to have: items that are done already are made and passed over, so prompts
            and the like belong into the work.
    """

    part: int
    row: int
    payload: T


async def run_records(
    items: Iterator[WorkItem[T]],
    work: Callable[[T], Awaitable[dict[str, Any]]],
    void: Callable[[T, VoidReason, str], dict[str, Any]],
    *,
    journal: Journal,
    total: int,
    concurrency: int,
    stop: asyncio.Event,
    progress: Progress,
    max_failures: int,
    failing: frozenset[VoidReason],
    max_undecided: int = 0,
    export_seconds: float = EXPORT_SECONDS,
    export_records: int = EXPORT_RECORDS,
) -> None:
    """Make each record that the journal does not hold, and write it there when it is done.

    Items are taken in order, as slots come free, and are never all in memory. Rows are dicts; one with a `void` is a
    void row. Void rows that the endpoint's absence caused (`Unavailable`) are not taken over from an earlier attempt.

    Args:
        items: what there is to make; iterated on the event loop.
        work: makes a row, or raises RecordVoidError.
        void: the row that stands for a record that could not be made.
        journal: where rows go.
        total: how many records the index has, those in the journal included.
        concurrency: the most records under way at once.
        stop: when set, nothing more is begun, and what is under way has some seconds to be answered.
        progress: told of each record.
        max_failures: more failing records than this fail the shard.
        failing: reasons that count as failures.
        max_undecided: so many that are `Undecided` do not count.
        export_seconds: changes are exported this often, where the journal has checkpoints.
        export_records: and after this many records.

    Raises:
        Stopped: `stop` was set; the journal is exported.
        TooManyVoidsError: too many records failed. They are forgotten, so that a later attempt asks them again.
        NothingUsableError: so are all voids where the first records are nothing else. Those that were not asked, since
            what they are made from is void, say nothing of the model.
        Exception: whatever else `items` or `work` raised; the journal is exported.
    """
    run = _Run(items, work, void, journal, total, progress, max_failures, failing, max_undecided, export_records)
    run.recall()
    await run.run(concurrency, stop, export_seconds)


class _Run(Generic[T]):
    """The state of one run: what is done, what failed, what is to be exported."""

    def __init__(
        self,
        items: Iterator[WorkItem[T]],
        work: Callable[[T], Awaitable[dict[str, Any]]],
        void: Callable[[T, VoidReason, str], dict[str, Any]],
        journal: Journal,
        total: int,
        progress: Progress,
        max_failures: int,
        failing: frozenset[VoidReason],
        max_undecided: int,
        export_records: int,
    ) -> None:
        self._items = items
        self._work = work
        self._void = void
        self._journal = journal
        self._total = total
        self._progress = progress
        self._max_failures = max_failures
        self._failing = frozenset(str(reason) for reason in failing)
        self._max_undecided = max_undecided
        self._failed: list[tuple[int, int]] = []
        self._reasons: Counter[str] = Counter()
        self._details: Counter[tuple[str, str]] = Counter()
        self._unusable: list[tuple[int, int]] = []  # until the first usable record is seen
        self._any_usable = False
        self._asking = 0
        self._noted = asyncio.Event()
        self._done = self._recalled = 0
        self._voids: Counter[str] = Counter()  # of what is done, by reason
        self._export_records = export_records
        self._export_due = asyncio.Event()
        self._over = False
        self._draining = False

    def recall(self) -> None:
        """Take over what an earlier attempt did, but not what failed for want of an endpoint, nor too many failures."""
        for part, row in self._journal:
            made = orjson.loads(self._journal.get(part, row))
            if made.get("void") == VoidReason.UNAVAILABLE:
                self._journal.forget(part, row)
            else:
                self._note(part, row, made)
        self._forget_failures()
        if len(self._unusable) >= FIRST_RECORDS:  # of an attempt that ended for it, or was about to
            self._forget_unusable()
        self._recalled = self._done
        self._tell()

    async def run(self, concurrency: int, stop: asyncio.Event, export_seconds: float) -> None:
        """Work until all is done, or `stop` is set, or something raises."""
        workers = [asyncio.create_task(self._worker()) for _ in range(concurrency)]
        working = asyncio.gather(*workers)
        stopping = asyncio.create_task(stop.wait())
        exporting = asyncio.create_task(self._export_regularly(export_seconds))
        telling = asyncio.create_task(self._tell_regularly())
        complete = False
        try:
            await asyncio.wait((working, stopping, exporting), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set() and not working.done():
                await self._drain(working)
            complete = working.done() and working.exception() is None and not self._draining
        finally:
            for task in (*workers, stopping, telling):
                task.cancel()
            self._over = True
            self._export_due.set()  # the exporter ends by itself: a thread cannot be cancelled in the middle of a put
            results = await asyncio.gather(working, exporting, stopping, telling, *workers, return_exceptions=True)
            nothing = self._nothing_usable() if complete and len(self._unusable) >= FEWEST_RECORDS else None
            if nothing is not None or isinstance(results[0], PermanentError):
                self._log_voids()
            complete = complete and nothing is None
            self._forget_failures()
            if nothing is not None or isinstance(results[0], NothingUsableError):
                self._forget_unusable()
            if not complete:
                await self._export(survives=JobError)
        for result in results[:2]:
            if isinstance(result, Exception):
                raise result
        if nothing is not None:
            raise nothing
        if not complete:
            raise Stopped

    async def _drain(self, working: asyncio.Future[Any]) -> None:
        """Begin nothing more; wait for replies to what is asked, while there are any: they are paid for."""
        self._draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        answered = -1
        while not working.done() and answered != self._done and (left := until - loop.time()) > 0:
            answered = self._done
            await asyncio.wait((working,), timeout=min(left, DRAIN_SILENCE_SECONDS))

    async def _worker(self) -> None:
        """One slot. All slots draw from one iterator, so items are taken in order and each once."""
        for count, item in enumerate(self._items):
            part, row, payload = item
            if (part, row) in self._journal:
                continue
            await self._leave_to_ask()
            if self._draining:
                return
            self._asking += 1
            try:
                made = await self._work(payload)
            except RecordVoidError as error:
                made = self._void(payload, error.reason, error.detail[:MAX_DETAIL])
            finally:
                self._asking -= 1
                self._noted.set()
            self._journal.append(part, row, row_json(made))
            self._note(part, row, made)
            if self._failed_too_often():
                raise self._too_many()
            if len(self._unusable) >= FIRST_RECORDS:
                raise self._nothing_usable()
            self._tell()
            if self._done % self._export_records == 0:
                self._export_due.set()
            if count % _BREATH == 0:
                await asyncio.sleep(0)

    async def _leave_to_ask(self) -> None:
        """Until one record is usable, no more are paid for than show that none will be."""
        while not self._draining and not self._any_usable and self._asking + len(self._unusable) >= FIRST_RECORDS:
            self._noted.clear()
            await self._noted.wait()

    def _note(self, part: int, row: int, made: Mapping[str, Any]) -> None:
        self._done += 1
        reason = made.get("void")
        if reason is None:
            self._any_usable = True
            self._unusable.clear()
            return
        self._voids[reason] += 1
        self._details[reason, made.get("detail") or ""] += 1
        if not self._any_usable and reason != VoidReason.INPUT_VOID:
            self._unusable.append((part, row))
        if reason in self._failing:
            self._failed.append((part, row))
            self._reasons[reason] += 1

    def _failed_too_often(self) -> bool:
        undecided = min(self._reasons[VoidReason.UNDECIDED], self._max_undecided)
        return len(self._failed) - undecided > self._max_failures

    def _forget_failures(self) -> None:
        """Where too many records failed, none of these failures is kept: whoever mends the cause may ask them again."""
        if not self._failed_too_often():
            return
        for part, row in self._failed:
            self._journal.forget(part, row)
        self._done -= len(self._failed)
        self._voids -= self._reasons
        self._failed.clear()
        self._reasons.clear()

    def _forget_unusable(self) -> None:
        for part, row in self._unusable:
            if (part, row) in self._journal:
                self._journal.forget(part, row)
                self._done -= 1
        self._voids = Counter({name: count for name, count in self._voids.items() if name == VoidReason.INPUT_VOID})
        self._unusable.clear()

    def _too_many(self) -> TooManyVoidsError:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(self._reasons.items()))
        reason, detail = self._commonest(self._failing)
        undecided = f" (and {self._max_undecided} Undecided)" if VoidReason.UNDECIDED in self._reasons else ""
        return TooManyVoidsError(
            f"{len(self._failed)} of {self._total} records could not be made ({reasons}), most often for this reason:"
            f" {told(reason, detail)}; spec.jobs.maxVoidFraction allows {self._max_failures}{undecided}",
            VoidReason(reason),
        )

    def _nothing_usable(self) -> NothingUsableError:
        reason, detail = self._commonest({reason for reason, _ in self._details if reason != VoidReason.INPUT_VOID})
        return NothingUsableError(len(self._unusable), VoidReason(reason), detail)

    def _commonest(self, reasons: Set[str]) -> tuple[str, str]:
        """The commonest of these reasons with its detail, as far as a sentence has room; by name where two are even."""
        counts = {key: count for key, count in self._details.items() if key[0] in reasons}
        reason, detail = min(counts, key=lambda key: (-counts[key], key))
        return reason, detail[:MAX_TOLD_DETAIL]

    def _log_voids(self) -> None:
        for (reason, detail), count in self._details.most_common(LOGGED_REASONS):
            log.info("void records", reason=reason, detail=detail[:MAX_TOLD_DETAIL], records=count)

    def _tell(self) -> None:
        self._progress.count(self._done, self._total, recalled=self._recalled, asking=self._asking, voids=self._voids)

    async def _tell_regularly(self) -> None:
        """Records that are asked for, and tokens, are counted before the first record is done."""
        while not self._over:
            await asyncio.sleep(TELL_SECONDS)
            self._tell()

    async def _export_regularly(self, seconds: float) -> None:
        while not self._over:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._export_due.wait(), seconds if self._journal.exports else None)
            self._export_due.clear()
            if not self._over:
                await self._export(survives=TransientError)

    async def _export(self, *, survives: type[JobError]) -> None:
        if not self._journal.exports:
            return
        try:
            await asyncio.to_thread(self._journal.export)
        except survives as error:
            # The local journal has it all; the next export takes along what this one could not write.
            log.warning("checkpoint not written", error=str(error))


def row_json(row: Mapping[str, Any]) -> bytes:
    """A row as JSON. A text that is not Unicode (a lone surrogate from a model's escape) has it replaced."""
    try:
        return orjson.dumps(row)
    except orjson.JSONEncodeError:
        return orjson.dumps({name: _mended(value) for name, value in row.items()})


def _mended(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
