"""Copying a complete run's files out of the store, or writing its tables in another tool's form."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from tiltyard_jobs.contracts.layout import run_prefix
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.results.exported import Exported, export_tables
from tiltyard_jobs.results.hub import push
from tiltyard_jobs.results.run_folder import MANIFEST
from tiltyard_jobs.shard.context import ExportContext
from tiltyard_jobs.stages.finished import FinishedRun, finished_run
from tiltyard_jobs.store import Store


async def export(context: ExportContext) -> Summary:
    """Copy what the run's manifest names, and the manifest last; or write tables in a form."""
    task = context.task
    if task.hub is not None:
        url = await asyncio.to_thread(_upload, context, task.hub)
        return Summary(exit_code=0, outputs={"dataset": url})
    if task.form is None:
        await asyncio.to_thread(copy_run, context.store, task.run, Path(task.folder))
        return Summary(exit_code=0)
    done = await asyncio.to_thread(_write_tables, context, task.form)
    outputs = {file: str(Path(task.folder) / file) for file in done.rows}
    return Summary(exit_code=0, rows=sum(done.rows.values()), outputs=outputs, notes=tuple(done.told))


def _upload(context: ExportContext, name: str) -> str:
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        copy_run(context.store, context.task.run, Path(folder))
        run = Manifest.model_validate_json(Path(folder, MANIFEST).read_bytes()).run
        return push(Path(folder), name, run, os.environ)


def _write_tables(context: ExportContext, form: ExportForm) -> Exported:
    task, store = context.task, context.store
    return export_tables(
        store,
        _complete(store, task.run).manifest,
        run_prefix(task.run),
        form=form,
        wanted=task.tables,
        folder=Path(task.folder),
        must_stop=context.stop.is_set,
    )


def copy_run(store: Store, run: str, folder: Path) -> None:
    """Copy a run's files to a folder, verified by their digests.

    Raises:
        ConfigurationError: the run is not complete, or the folder cannot be written.
        PermanentError: the manifest or a file is damaged, or a file is gone.
    """
    finished = _complete(store, run)
    try:
        for file in finished.manifest.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(run_prefix(run) + file.path, path, sha256=file.sha256)
        (folder / "manifest.json").write_bytes(finished.data)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None


def _complete(store: Store, run: str) -> FinishedRun:
    finished = finished_run(store, run)
    if finished is None:
        raise ConfigurationError(
            f"run {run} is not complete in {store.place}"
            if run
            else f"{store.place} has no manifest.json: name the folder of a complete run, such as out/runs/0123456789ab"
        )
    return finished
