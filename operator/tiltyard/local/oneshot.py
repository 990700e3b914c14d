"""Worker processes that belong to no bundle: preflight, copying and comparing results."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tiltyard.local.jobs import read_summary
from tiltyard.local.ledger import write_atomically
from tiltyard.local.processes import end
from tiltyard.local.workers import Workers
from tiltyard_jobs.contracts.solo_tasks import SoloTask
from tiltyard_jobs.contracts.summary import Summary

GRACE_SECONDS = 5.0
PROGRESS = "progress.json"
"""The file in the task's folder that says how far it is."""


async def run_once(task: SoloTask, folder: Path, workers: Workers) -> Summary:
    """Run one task to its end.

    Args:
        task: what to do.
        folder: where its document, log and summary go.
        workers: start its process.
    """
    document, report, log = folder / "task.json", folder / "summary.json", folder / "log"
    environment = {"TILTYARD_SUMMARY": str(report), "TILTYARD_PROGRESS": str(folder / PROGRESS)}
    write_atomically(document, task.model_dump_json(by_alias=True))
    await asyncio.to_thread(report.unlink, missing_ok=True)
    await asyncio.to_thread((folder / PROGRESS).unlink, missing_ok=True)
    process = await workers.start([task.stage, "--task", str(document)], log, environment)
    try:
        code = await process.wait()
    finally:
        await asyncio.shield(end(process, GRACE_SECONDS))
    return read_summary(report, code, log)
