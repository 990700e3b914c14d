"""Worker processes that belong to no bundle: preflight, copying and comparing results."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tiltyard.local.jobs import read_summary
from tiltyard.local.ledger import write_atomically
from tiltyard.local.occupancy import Occupancy
from tiltyard.local.processes import end, spawn
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import SoloTask

GRACE_SECONDS = 5.0


async def run_once(task: SoloTask, folder: Path, python: str, occupancy: Occupancy | None = None) -> Summary:
    """Run one task to its end.

    Args:
        task: what to do.
        folder: where its document, log and summary go.
        python: interpreter with tiltyard_jobs.
        occupancy: the run that it belongs to, if any.
    """
    document, report, log = folder / "task.json", folder / "summary.json", folder / "log"
    write_atomically(document, task.model_dump_json(by_alias=True))
    await asyncio.to_thread(report.unlink, missing_ok=True)
    command = [python, "-m", "tiltyard_jobs", task.stage, "--task", str(document)]
    process = await spawn(command, log, {"TILTYARD_SUMMARY": str(report)}, occupancy)
    try:
        code = await process.wait()
    finally:
        await asyncio.shield(end(process, GRACE_SECONDS))
    return read_summary(report, code, log)
