"""Reading a task document, with one sentence for each thing that is wrong with it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.solo_tasks import SOLO_TASKS, SoloTask
from tiltyard_jobs.contracts.tasks import BundleTask
from tiltyard_jobs.errors import ConfigurationError

Document = TypeVar("Document", bound=Contract)

MAX_PROBLEMS = 10
_MAX_GIVEN = 60


def load_bundle(path: Path, stage: str, index: int) -> BundleTask:
    """The bundle task in a file.

    Raises:
        ConfigurationError: it cannot be read, is not valid, is of another stage, or has no such index.
    """
    task = _load(path, BundleTask)
    if task.stage != stage:
        raise ConfigurationError(f"{path} is a task of stage {task.stage}, not {stage}.")
    if others := sorted({recipe.stage for recipe in task.recipes} - {stage}):
        raise ConfigurationError(f"{path} is a task of stage {stage} with recipes of stage {', '.join(others)}.")
    if not 0 <= index < len(task.indices):
        raise ConfigurationError(f"{path} has indices 0 to {len(task.indices) - 1}; there is no index {index}.")
    for part in task.indices[index]:
        if not 0 <= part.recipe < len(task.recipes) or not 0 <= part.shard < task.recipes[part.recipe].shards:
            raise ConfigurationError(
                f"{path}: index {index} names part {part.shard} of recipe {part.recipe}, of which there is none."
            )
    return task


def load_solo(path: Path, stage: str) -> SoloTask:
    """The task in a file of a stage that makes no artifact; raises as `load_bundle` does."""
    return _load(path, SOLO_TASKS[stage])


def _load(path: Path, document: type[Document]) -> Document:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":  # one that is too large for a ConfigMap as it is
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(
            f"The task {path} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    try:
        return document.model_validate_json(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        sentences = [_sentence(problem) for problem in problems[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            sentences.append(f"And {len(problems) - MAX_PROBLEMS} more.")
        raise ConfigurationError(f"The task {path} is not valid. " + " ".join(sentences)) from None


def _sentence(problem: ErrorDetails) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]).removeprefix(".")
    given = problem["input"]
    shown = f" (given: {str(given)[:_MAX_GIVEN]!r})" if isinstance(given, (str, int, float)) else ""
    return f"{path or 'The document'}: {problem['msg'].rstrip('.')}{shown}."
