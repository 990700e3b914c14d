"""Writing a complete run's battles as pages, beside its report."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from tiltyard_jobs.contracts.layout import battles_key, run_prefix
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.reader.index import build_index
from tiltyard_jobs.reader.source import run_folder
from tiltyard_jobs.reader.static import File, files
from tiltyard_jobs.shard.context import PagesContext
from tiltyard_jobs.store import Store

_BATCH = 64  # files in memory
_WRITERS = 8  # at once: in a bucket the store's latency is what a small file costs


async def pages(context: PagesContext) -> Summary:
    """Write the pages; those of an earlier call that are no more among them are deleted."""
    task = context.task
    await asyncio.to_thread(write_pages, context.store, task.run, task.most, Path(task.folder) if task.folder else None)
    return Summary(exit_code=0)


def write_pages(store: Store, run: str, most: int, folder: Path | None = None) -> None:
    """Write the pages to the run's folder in a store, and to a copy of it.

    Raises:
        ConfigurationError: the run is not complete, or the copy cannot be written.
        PermanentError: a table is gone or damaged.
    """
    index = build_index(run_folder(store, run_prefix(run), store))
    copy = folder / "battles" if folder is not None else None

    def write(file: File) -> str:
        key = battles_key(run, file.name)
        store.put(key, file.data)
        if copy is not None:
            (copy / file.name).write_bytes(file.data)
        return key

    try:
        if copy is not None:
            copy.mkdir(parents=True, exist_ok=True)
        drawn, written = files(index, most), set[str]()
        with ThreadPoolExecutor(_WRITERS) as pool:
            while batch := list(islice(drawn, _BATCH)):
                written.update(pool.map(write, batch))
    except OSError as error:
        raise ConfigurationError(f"{copy} cannot be written: {error.strerror}") from None
    for info in list(store.list(battles_key(run, ""))):
        if info.key not in written:
            store.delete(info.key)
