"""A bundle's Job on this machine: an Indexed Job with `backoffLimitPerIndex`, made of processes.

Exit codes are read as `podFailurePolicy` reads them on a cluster (`contracts.exit_codes`): a transient one is tried
again up to `spec.jobs.backoffLimitPerShard` times, a configuration or permanent error is final, a stop is no failure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from tiltyard.local.processes import Process, end, how_it_ended
from tiltyard.local.workers import GRACE_SECONDS, Workers
from tiltyard.plan.observed import JobPhase, JobSeen, ShardSeen
from tiltyard.plan.planner import JobOrder
from tiltyard.render.tasks import parts_of
from tiltyard_jobs.contracts.exit_codes import FINAL, ExitCode
from tiltyard_jobs.contracts.progress import MAX_BYTES, WorkerProgress
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import BundleTask

BACKOFF_SECONDS = 1.0  # before the first retry of a shard, doubled with each
BACKOFF_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Attempt:
    """A shard's process that has ended."""

    order: JobOrder
    index: int
    summary: Summary

    @property
    def complete(self) -> bool:
        """Whether the shard is made."""
        return self.summary.exit_code == ExitCode.COMPLETE


@dataclass(frozen=True)
class Workshop:
    """What all Jobs of a run share.

    Attributes:
        workers: start the shards' processes.
        folder: task documents, logs and summaries.
        work_dir: where shards keep their journals.
        slots: shard processes at once, over all Jobs.
        backoff_limit: retries of one shard.
        parallelism: shards of one Job at once.
        ended: told of each process that has ended, whatever became of it.
        look_again: called when something changed.
    """

    workers: Workers
    folder: Path
    work_dir: Path
    slots: asyncio.Semaphore
    backoff_limit: int
    parallelism: int
    ended: Callable[[Attempt], None]
    look_again: Callable[[], None]


@dataclass
class LocalJob:
    """One bundle at work.

    Args:
        workshop: what it shares with the others.
        order: the bundle, and its indices.
        task: what its workers are told.
    """

    workshop: Workshop
    order: JobOrder
    task: BundleTask
    phase: JobPhase = JobPhase.ACTIVE
    failed: int = 0
    message: str = ""
    _running: dict[int, Process] = field(default_factory=dict)
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False

    @property
    def folder(self) -> Path:
        """Where this Job's files are."""
        return self.workshop.folder / self.order.bundle.name.replace("/", ".")

    def seen(self) -> JobSeen:
        """What the planner is told."""
        told = ((index, read_progress(self._progress_file(index))) for index in self._running)
        shards = tuple(
            ShardSeen(parts_of(self.order.bundle, self.order, index), one) for index, one in told if one is not None
        )
        active, version = len(self._running), self.order.bundle.version
        return JobSeen(self.phase, version, active, self.failed, self.message, shards=shards)

    def progress(self) -> float:
        """Shards' worth of work done by the shards that run."""
        told = (read_progress(self._progress_file(index)) for index in self._running)
        return sum(one.share for one in told if one is not None)

    def start(self) -> None:
        """Begin; the workers take the indices in order."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "task.json").write_text(self.task.model_dump_json(by_alias=True))
        pending = deque(range(len(self.order.indices)))
        count = min(self.workshop.parallelism, len(pending))
        self._workers = [asyncio.create_task(self._work(pending)) for _ in range(count)]
        asyncio.gather(*self._workers, return_exceptions=True).add_done_callback(self._ended)

    async def stop(self) -> None:
        """End the shards; they flush what they have. Once they are gone the Job has ended, and no shard has failed."""
        if not self._stopping:  # a second cancellation would not wait for the processes
            self._stopping = True
            for worker in self._workers:
                worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _ended(self, workers: asyncio.Future[list[BaseException | None]]) -> None:
        if not workers.cancelled():
            for result in workers.result():
                if isinstance(result, Exception):
                    self._fail(f"{type(result).__name__}: {result}")
        if self.phase is JobPhase.ACTIVE:
            self.phase = JobPhase.ENDED
        self.workshop.look_again()

    async def _work(self, pending: deque[int]) -> None:
        while pending and self.phase is JobPhase.ACTIVE:
            await self._make(pending.popleft())

    async def _make(self, index: int) -> None:
        """One index, with its retries."""
        attempt = 0
        while self.phase is JobPhase.ACTIVE:
            async with self.workshop.slots:
                summary = await self._attempt(index)
            if summary.exit_code == ExitCode.COMPLETE:
                return
            if summary.exit_code in FINAL:
                self._fail(_with_log(summary.message, self._log(index)))
            elif summary.exit_code != ExitCode.STOPPED:
                attempt += 1
                if attempt > self.workshop.backoff_limit:
                    message = f"shard {index} failed {attempt} times; the last time: {summary.message}"
                    self._fail(_with_log(message, self._log(index)))
                else:
                    await asyncio.sleep(min(BACKOFF_SECONDS * 2 ** (attempt - 1), BACKOFF_LIMIT_SECONDS))

    async def _attempt(self, index: int) -> Summary:
        """Run the shard's process to its end."""
        arguments = [self.task.stage, "--task", str(self.folder / "task.json"), "--index", str(index)]
        arguments += ["--work-dir", str(self.workshop.work_dir), "--no-checkpoints"]
        log, report = self._log(index), self.folder / f"{index}.summary.json"
        report.unlink(missing_ok=True)
        environment = {"TILTYARD_SUMMARY": str(report), "TILTYARD_PROGRESS": str(self._progress_file(index))}
        process = await self.workshop.workers.start(arguments, log, environment)
        self._running[index] = process
        try:
            await process.wait()
        finally:
            await asyncio.shield(end(process, GRACE_SECONDS))
            del self._running[index]
            self._progress_file(index).unlink(missing_ok=True)
            summary = read_summary(report, process.returncode or 0, log)
            self.workshop.ended(Attempt(self.order, index, summary))
        return summary

    def _fail(self, message: str) -> None:
        self.phase, self.message = JobPhase.FAILED, message
        self.failed += 1

    def _log(self, index: int) -> Path:
        return self.folder / f"{index}.log"

    def _progress_file(self, index: int) -> Path:
        return self.folder / f"{index}.progress.json"


def _with_log(message: str, log: Path) -> str:
    return message if str(log) in message else f"{message.rstrip('.')}; its log is {log}"


def read_progress(path: Path) -> WorkerProgress | None:
    """What a worker has told of itself last; None: nothing yet, or more than it may."""
    try:
        with path.open("rb") as file:
            return WorkerProgress.model_validate_json(file.read(MAX_BYTES))
    except (OSError, ValidationError):
        return None


def read_summary(path: Path, code: int, log: Path) -> Summary:
    """The summary that a shard left, or one that says how it ended where it left none."""
    try:
        return Summary.model_validate_json(path.read_bytes()).model_copy(update={"exit_code": code})
    except (OSError, ValidationError):
        return Summary(exit_code=code, message=f"the worker {how_it_ended(code)} and left no summary; its log is {log}")
