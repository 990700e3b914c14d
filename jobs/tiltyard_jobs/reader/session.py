"""A run that is being read: its index, made again when there is more to read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tiltyard_jobs.contracts.reading import ReadTask
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.reader.index import Index, build_index
from tiltyard_jobs.reader.source import Source, folder_of, is_complete, run_folder, runs_in, unfinished
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.store.base import Store

_PATIENCE = 5.0  # seconds between two looks for more


class Session:
    """A run, complete or at work.

    Args:
        store: as in `ReadTask`.
        task: which run.
        clock: seconds from any start.
    """

    def __init__(self, store: Store, task: ReadTask, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._task, self._clock = store, task, clock
        self._artifacts = Artifacts(store, Path("/nonexistent"))  # for seals: tables are read where they are
        self._lock = threading.Lock()
        self._looked = 0.0
        self._index: Index | None = None

    def index(self) -> Index:
        """The index; of a run at work that of what is sealed, no older than a few seconds.

        Raises:
            ConfigurationError: there is no such run.
            PermanentError: a table is gone or damaged.
        """
        with self._lock:
            known = self._index
            if known is not None and (known.source.complete or self._clock() - self._looked < _PATIENCE):
                return known
            source = self._source()
            if known is None or source.complete or source.state != known.source.state:
                self._index = build_index(source)
            self._looked = self._clock()
            assert self._index is not None
            return self._index

    def _source(self) -> Source:
        store, task = self._store, self._task
        if task.run is None:
            return run_folder(store, "")
        run = task.run or self._only_run()
        if task.recipe is None or is_complete(store, run):
            return run_folder(store, folder_of(run), store)
        return unfinished(store, task.recipe, run, self._artifacts)

    def _only_run(self) -> str:
        runs = runs_in(self._store)
        if not runs:
            raise ConfigurationError(
                f"{self._store.place} has no complete run; give the tournament's FILE to read one in progress"
            )
        if len(runs) > 1:
            raise ConfigurationError(f"{self._store.place} has {len(runs)} runs, give one: runs/{', runs/'.join(runs)}")
        return runs[0]
