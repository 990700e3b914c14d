"""Copying a trained model out of the store, to where a server finds it."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import FetchContext
from tiltyard_jobs.stages.train import MODEL
from tiltyard_jobs.store import Store


async def fetch(context: FetchContext) -> Summary:
    """Copy the model's files; the folder appears when all of them are there."""
    task = context.task
    await asyncio.to_thread(copy_model, context.store, task.model, Path(task.folder))
    return Summary(exit_code=0)


def copy_model(store: Store, model: ArtifactRef, folder: Path) -> None:
    """Copy a trained model to a folder, verified by its digests. One that was trained anew replaces the one before.

    Raises:
        ConfigurationError: the folder cannot be written.
        PermanentError: the model is not made, or a file is damaged or gone.
    """
    artifacts = Artifacts(store, folder)
    (seal,) = artifacts.require(model)
    note = folder.with_name(f".{folder.name}.content")
    if folder.is_dir() and (not note.is_file() or note.read_text() == seal.content):
        return
    staged = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        staged.mkdir(parents=True)
        try:
            for name, sealed in seal.files.items():
                if name.startswith(MODEL):
                    target = staged / (name.removeprefix(MODEL) + Path(sealed.path).suffix)
                    store.get_file(sealed.path, target, sha256=sealed.sha256)
            if note.is_file() and note.read_text() != seal.content:
                shutil.rmtree(folder, ignore_errors=True)
            note.write_text(seal.content)
            staged.rename(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        if not folder.is_dir():  # another process was faster
            raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
