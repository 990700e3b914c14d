"""What a stage is given, and what it gives back."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeAlias, TypeVar

from structlog.typing import FilteringBoundLogger

from tiltyard_jobs.contracts.layout import Seal, checkpoint_prefix
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.solo_tasks import (
    CalibrateTask,
    CompareTask,
    ExportTask,
    FetchTask,
    PagesTask,
    PreflightTask,
    ShowPromptsTask,
    SoloTask,
)
from tiltyard_jobs.contracts.summary import Standing
from tiltyard_jobs.contracts.tasks import BundleTask, EndpointRef
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.checkpoints import Checkpoints
from tiltyard_jobs.shard.folders import PartFolder
from tiltyard_jobs.shard.journal import Journal, PartLog
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.recordlog import RecordLog
from tiltyard_jobs.store.base import Store

if TYPE_CHECKING:
    from tiltyard_jobs.llm.client import ModelClient

Task = TypeVar("Task", bound=SoloTask)
RecipeT_co = TypeVar("RecipeT_co", bound=Recipe, covariant=True)


@dataclass(slots=True)
class Meter:
    """What models cost so far; it goes into the summary however the shard ends.

    Attributes:
        usage: requests and tokens.
        seconds: how long a model was held, by the wall.
        clients: those that are open: what they have cost is counted when they are closed.
    """

    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    clients: list[ModelClient] = field(default_factory=list)

    def so_far(self) -> Usage:
        """What models have cost, those that are asked now included."""
        return sum((client.usage for client in self.clients), self.usage)

    def add(self, usage: Usage, seconds: float) -> None:
        """Count a client that is closed."""
        self.usage += usage
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made; it goes into the summary, and the meter's numbers beside it.

    Attributes:
        rows: rows of the parts' main tables.
        voids: void rows by reason.
        leaderboard: from the rate stage.
        notes: what a reader of the results should know, from the rate stage and the last one.
        outputs: URIs by name, from the last stages.
        instructions: one line about them, from the last stage.
    """

    rows: int = 0
    voids: Mapping[str, int] = field(default_factory=dict)
    leaderboard: tuple[Standing, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    instructions: str = ""

    @classmethod
    def of(cls, seals: Iterable[Seal]) -> Self:
        """The outcome of a stage that made these parts and has no more to say."""
        rows, voids = 0, Counter[str]()
        for seal in seals:
            rows += seal.rows
            voids.update(seal.voids)
        return cls(rows=rows, voids=voids)


@dataclass(frozen=True)
class ShardContext(Generic[RecipeT_co]):
    """One index of one bundle, ready to be worked on.

    Attributes:
        task: the bundle.
        index: which of its indices.
        parts: (recipe, shard number) of what is still to make; what is sealed already is not among them.
        folders: the parts' claimed folders, in the same order.
        store: where artifacts live.
        artifacts: the same, read and sealed as artifacts.
        work_dir: an existing folder for scratch files, removed when the index is complete. A killed attempt may have
            left something there.
        checkpoints: keep the journal in the store too, since the work folder may be lost.
        stop: set when the shard must end.
        progress: for bars.
        clock: monotonic seconds.
        rng: for jitter; nothing that it draws shows in a result.
        log: bound to tournament, stage and index.
        meter: what models cost.
        warnings: sentences for the user about what does not end the shard.
    """

    task: BundleTask
    index: int
    parts: tuple[tuple[RecipeT_co, int], ...]
    folders: tuple[PartFolder, ...]
    store: Store
    artifacts: Artifacts
    work_dir: Path
    checkpoints: bool
    stop: asyncio.Event
    progress: Progress
    clock: Callable[[], float]
    rng: random.Random
    log: FilteringBoundLogger
    meter: Meter = field(default_factory=Meter)
    warnings: list[str] = field(default_factory=list)

    @property
    def recipe(self) -> RecipeT_co:
        """The recipe of a stage whose index makes one part."""
        ((recipe, _),) = self.parts
        return recipe

    @property
    def shard(self) -> int:
        """The number of the parts that the index makes."""
        return self.parts[0][1]

    @property
    def field(self) -> str:
        """The manifest's field that asked for the model, for messages; empty where there is no model."""
        return self.task.endpoint.field if self.task.endpoint else ""

    def open_journal(self) -> Journal:
        """The journal of the parts, with what earlier attempts did. It blocks: call it from a thread."""
        opened: list[PartLog] = []
        try:
            for (recipe, shard), folder in zip(self.parts, self.folders, strict=True):
                prefix = checkpoint_prefix(recipe.ref, shard, self.artifacts.reads_of(recipe, shard))
                every = checkpoint_prefix(recipe.ref, shard)
                checkpoints = Checkpoints(self.store, prefix, every) if self.checkpoints else None
                opened.append(PartLog(RecordLog(folder.journal), checkpoints))
            journal = Journal(opened)
            journal.restore()
        except BaseException:
            for part in opened:
                part.log.close()
            raise
        return journal

    @asynccontextmanager
    async def connect(self, endpoint: EndpointRef | None = None) -> AsyncIterator[ModelClient]:
        """A client of `endpoint` (the bundle's model by default), whose cost is metered.

        Raises:
            ConfigurationError: the endpoint's URL, key variable or CA bundle cannot be used.
        """
        # Stages without a model need not pay for the import of an HTTP client.
        from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
        from tiltyard_jobs.llm.retry import RetryPolicy

        ref = endpoint or self.task.endpoint
        if ref is None:
            raise ValueError(f"stage {self.task.stage} has no model")
        limits = self.task.limits
        policy = RetryPolicy(
            deadline=limits.record_deadline_seconds, endpoint_deadline=limits.endpoint_deadline_seconds
        )
        started = self.clock()
        async with connect(ModelEndpoint.of(ref), rng=self.rng, policy=policy, clock=self.clock) as client:
            self.meter.clients.append(client)
            try:
                yield client
            finally:
                self.meter.clients.remove(client)
                self.meter.add(client.usage, self.clock() - started)
                self.warnings.extend(f"{ref.field}: {sentence}" for sentence in client.warnings)


@dataclass(frozen=True)
class TaskContext(Generic[Task]):
    """What a task is given that makes no artifact: preflight, export, fetch, compare, calibrate, pages, show_prompts.

    Attributes:
        task: what is to be done.
        store: where artifacts live; not checked yet.
        stop: set when the process must end.
        clock: monotonic seconds.
        rng: for jitter.
        log: bound to tournament and stage.
        meter: what models cost.
        warnings: sentences for the user about what does not end the task.
        progress: for bars.
    """

    task: Task
    store: Store
    stop: asyncio.Event
    clock: Callable[[], float]
    rng: random.Random
    log: FilteringBoundLogger
    meter: Meter
    warnings: list[str]
    progress: Progress


PreflightContext: TypeAlias = TaskContext[PreflightTask]
ExportContext: TypeAlias = TaskContext[ExportTask]
FetchContext: TypeAlias = TaskContext[FetchTask]
CompareContext: TypeAlias = TaskContext[CompareTask]
CalibrateContext: TypeAlias = TaskContext[CalibrateTask]
PagesContext: TypeAlias = TaskContext[PagesTask]
ShowPromptsContext: TypeAlias = TaskContext[ShowPromptsTask]
