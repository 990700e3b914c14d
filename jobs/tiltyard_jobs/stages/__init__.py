"""One module a stage. Each is an async function from a shard's context to its outcome.

A stage's imports are paid for by the shards of that stage alone: the registry names functions, and loads them late.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from tiltyard_jobs.contracts.recipes import RECIPES
from tiltyard_jobs.contracts.solo_tasks import SOLO_TASKS

STAGES = (*RECIPES, *SOLO_TASKS)
"""Those that make artifacts, and those that make none."""


def stage_function(name: str) -> Callable[[Any], Awaitable[Any]]:
    """The function of a stage: `tiltyard_jobs.stages.NAME.NAME`."""
    if name not in STAGES:
        raise KeyError(name)
    function: Callable[[Any], Awaitable[Any]] = getattr(importlib.import_module(f"tiltyard_jobs.stages.{name}"), name)
    return function
