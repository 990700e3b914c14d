"""The tasks of a benchmark, read from a file of the user's or from where its authors publish it."""

from __future__ import annotations

from collections.abc import Iterable

from tiltyard_jobs.contracts.recipes import TaskSetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.download import PATIENCE, Patience
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks import benchmark
from tiltyard_jobs.evaluation.benchmarks.base import Record, Task
from tiltyard_jobs.evaluation.hub import hub_rows
from tiltyard_jobs.userfiles import read_records

FIELD = "spec.evaluation.benchmarks"


def load_tasks(recipe: TaskSetRecipe, store: StoreRef, *, patience: Patience = PATIENCE) -> list[Task]:
    """The tasks of a benchmark, in its own order.

    Args:
        recipe: which benchmark, and where its file is.
        store: S3's endpoint, region and certificates.
        patience: with the server that has the file that the recipe names.

    Raises:
        ConfigurationError: they cannot be had, or are not such records; the message names the field.
        TransientError: the server that has them fails.
    """
    read = benchmark(recipe.name).read
    try:
        tasks = [read(record) for record in _records(recipe, store, patience)]
    except KeyError as error:
        raise ConfigurationError(f"{FIELD}: a record of {recipe.name} has no {error.args[0]!r}") from None
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{FIELD}: a record of {recipe.name} cannot be read: {error}") from None
    if not tasks or len(tasks) > recipe.rows:
        raise ConfigurationError(f"{FIELD}: {recipe.name} has 1 to {recipe.rows} tasks, given {len(tasks)}")
    if len({task.task_id for task in tasks}) != len(tasks):
        raise ConfigurationError(f"{FIELD}: {recipe.name} has two records of one task_id")
    return tasks


def _records(recipe: TaskSetRecipe, store: StoreRef, patience: Patience) -> Iterable[Record]:
    if recipe.uri is not None:
        return read_records(recipe.uri, store, sha256=recipe.sha256, patience=patience)
    known = benchmark(recipe.name)
    if (installed := known.installed()) is not None:
        return installed
    advice = f"or name a file of it: evaluation.files: [{{benchmark: {recipe.name}, uri: …}}]"
    return hub_rows(f"{FIELD}: {recipe.name}", *known.hub, advice)
