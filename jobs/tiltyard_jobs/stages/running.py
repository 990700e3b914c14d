"""Running programs for the stages that do: in this pod's sidecar, else in processes of this worker's."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.recipes import ProgramsRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sandbox.archive import archive
from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.exchange import ask
from tiltyard_jobs.sandbox.host import Limits, ProgramOutcome, run_programs
from tiltyard_jobs.shard.context import ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped

SANDBOX_VARIABLE = "TILTYARD_SANDBOX"
"""Names a folder whose server runs the programs; without it this process's children do."""


async def run_all(context: ShardContext[Recipe], programs: Sequence[str], by: ProgramsRecipe) -> list[ProgramOutcome]:
    """Run programs of hostile origin; returns how each ended.

    Raises:
        ConfigurationError: this machine cannot hold them back, or lacks the interpreter.
    """
    return await unless_stopped(_run(context, programs, Limits(seconds=by.seconds, memory=by.memory)), context.stop)


async def _run(context: ShardContext[Recipe], programs: Sequence[str], limits: Limits) -> list[ProgramOutcome]:
    found: dict[int, ProgramOutcome] = {}
    try:
        if (folder := os.environ.get(SANDBOX_VARIABLE)) is not None:
            return await ask(Path(folder), programs, limits, context.progress.advance)
        with tempfile.TemporaryDirectory(prefix="tiltyard-") as own:
            start = None
            if (python := context.task.programs_python) is not None:
                file = Path(own, "sandbox.pyz")
                await asyncio.to_thread(file.write_bytes, archive())
                start = (python, "-I", str(file))
            async for place, outcome in run_programs(programs, limits, len(os.sched_getaffinity(0)), start):
                found[place] = outcome
                context.progress.advance(len(found), len(programs))
    except ConfinementError as error:
        raise ConfigurationError(f"spec.evaluation: code that models wrote cannot be run here: {error}") from None
    return [found[place] for place in range(len(programs))]
