"""One run of a worker, from its task to its summary, inside the event loop."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.solo_tasks import SoloTask
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import BundleTask, StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.shard.claims import Claims, claim_parts
from tiltyard_jobs.shard.context import Meter, Outcome, ShardContext, TaskContext
from tiltyard_jobs.shard.options import Options
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.progress_server import progress_served
from tiltyard_jobs.shard.stopping import Stopped, unless_stopped
from tiltyard_jobs.store import Store, open_store

StageFunction = Callable[[Any], Awaitable[Any]]

log = structlog.get_logger(__name__)


@dataclass
class Tally:
    """What the summary tells, however the run ends."""

    meter: Meter
    fresh: Callable[[], int]
    outcome: Outcome = field(default_factory=Outcome)
    reused: int = 0
    warnings: list[str] = field(default_factory=list)

    def summary(self, exit_code: int, message: str = "") -> Summary:
        """The summary of a bundle's index."""
        return Summary(
            exit_code=exit_code,
            message=message,
            rows=self.outcome.rows,
            reused=self.reused,
            fresh=self.fresh(),
            voids=dict(sorted(self.outcome.voids.items())),
            **self._costs(),
            warnings=tuple(self.warnings),
            leaderboard=self.outcome.leaderboard,
            instructions=self.outcome.instructions,
            notes=self.outcome.notes,
            outputs=dict(sorted(self.outcome.outputs.items())),
        )

    def added_to(self, summary: Summary) -> Summary:
        """What a task without an artifact reports of itself, with what it cost."""
        return summary.model_copy(update={**self._costs(), "warnings": tuple(self.warnings)})

    def _costs(self) -> dict[str, Any]:
        return {"seconds": round(self.meter.seconds, 3), **self.meter.usage._asdict()}


class Worker:
    """Runs one task.

    Args:
        options: the command line.
        stage_of: from a stage's name to its function.
    """

    def __init__(self, options: Options, stage_of: Callable[[str], StageFunction]) -> None:
        meter = Meter()
        self.progress = Progress(options.progress, time.monotonic, meter.so_far)
        self.tally = Tally(meter, fresh=lambda: self.progress.look().fresh)
        self._options = options
        self._stage_of = stage_of
        self._rng = random.Random()  # noqa: S311  # for jitter, which must differ between shards that start together

    async def run(self, task: BundleTask | SoloTask) -> Summary:
        """Do what the task says; SIGTERM and SIGINT end it early.

        Raises:
            JobError: the task cannot be done, or not now; whatever else is raised is a mistake in Tiltyard.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with progress_served(self.progress, self._options.address):
            return await self._do(task, stop)

    async def _do(self, task: BundleTask | SoloTask, stop: asyncio.Event) -> Summary:
        with _opened(task.store) as store:
            if not isinstance(task, BundleTask):
                context = TaskContext(
                    task=task,
                    store=store,
                    stop=stop,
                    clock=time.monotonic,
                    rng=self._rng,
                    log=log,
                    meter=self.tally.meter,
                    warnings=self.tally.warnings,
                    progress=self.progress,
                )
                summary: Summary = await unless_stopped(self._stage_of(task.stage)(context), stop)
                return self.tally.added_to(summary)
            with _work_dir(self._options.work_dir) as work_dir:
                await self._run_index(task, store, work_dir, stop)
        return self.tally.summary(ExitCode.COMPLETE)

    async def _run_index(self, task: BundleTask, store: Store, work_dir: Path, stop: asyncio.Event) -> None:
        wanted = [(task.recipes[part.recipe], part.shard) for part in task.indices[self._options.index]]
        with await asyncio.to_thread(claim_parts, store, work_dir, wanted) as claims:
            self.tally.reused = sum(seal.rows for seal in claims.reused)
            log.info("shard started", parts=len(claims.parts), reused_parts=len(claims.reused))
            self.tally.warnings += [_recomputed(*both) for both in dict.fromkeys(claims.outdated)]
            if stop.is_set():
                raise Stopped
            if not claims.parts:
                return
            context = self._context(task, store, claims, stop)
            self.tally.outcome = await self._stage_of(task.stage)(context)
            _check_sealed(context)
            claims.remove()

    def _context(self, task: BundleTask, store: Store, claims: Claims, stop: asyncio.Event) -> ShardContext[Recipe]:
        folder, artifacts = claims.folders[0].path, claims.artifacts
        artifacts.cache = folder / "cache"
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return ShardContext(
            task=task,
            index=self._options.index,
            parts=claims.parts,
            folders=claims.folders,
            store=store,
            artifacts=artifacts,
            work_dir=scratch,
            checkpoints=self._options.checkpoints,
            stop=stop,
            progress=self.progress,
            clock=time.monotonic,
            rng=self._rng,
            log=log,
            meter=self.tally.meter,
            warnings=self.tally.warnings,
        )


def _recomputed(stage: str, source: str) -> str:
    return (
        f"{stage}: recomputed, since what was there was made from earlier results of {source}; these were lost, or"
        " recomputed themselves, and had another content"
    )


def _check_sealed(context: ShardContext[Recipe]) -> None:
    """The folders hold the only copy of what is not sealed: they may go only where everything is."""
    for recipe, shard in context.parts:
        if context.artifacts.seal(recipe.ref, shard) is None:
            raise RuntimeError(f"stage {recipe.stage} returned without sealing part {shard} of {recipe.ref.key}")


@contextmanager
def _opened(ref: StoreRef) -> Iterator[Store]:
    store = open_store(ref)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _work_dir(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
            yield Path(folder)
        return
    try:
        given.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The work folder {given} cannot be made: {error.strerror}.") from None
    yield given.absolute()
