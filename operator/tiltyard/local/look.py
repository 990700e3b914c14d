"""A look at the world on behalf of a command that runs nothing: `plan`, `report`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tiltyard.local.oneshot import run_once
from tiltyard.local.workers import Workers
from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.solo_tasks import SoloTask
from tiltyard_jobs.contracts.summary import Summary


async def look(task: SoloTask, python: str) -> Summary:
    """Run a task in a folder of its own, so that it disturbs no run that is at work.

    Args:
        task: what to do.
        python: interpreter with tiltyard_jobs.
    """
    folder = Path(tempfile.mkdtemp(prefix="tiltyard-"))
    summary = await run_once(task, folder, Workers(python, folder / "log", many=False))
    if summary.exit_code in set(ExitCode):  # its sentence says all; the log of any other is worth keeping
        shutil.rmtree(folder)
        return summary
    return summary.model_copy(update={"message": f"{summary.message} ({folder / 'log'})"})
