"""A shard whose records are made by what a test says, in the loop that makes all records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiltyard_jobs.errors import (
    RecordVoidError,
    VoidReason,
)
from tiltyard_jobs.shard.checkpoints import Checkpoints
from tiltyard_jobs.shard.journal import Journal, PartLog
from tiltyard_jobs.shard.loop import WorkItem, run_records
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.recordlog import RecordLog
from tiltyard_jobs.store.folder import FolderStore

FAILING = frozenset({VoidReason.UNAVAILABLE, VoidReason.MALFORMED, VoidReason.UNDECIDED})


class Shard:
    """A shard over rows 0 to `total` - 1 whose work is `behaviour`, and what was asked of it, in order."""

    def __init__(self, folder: Path, total: int, *, concurrency: int = 4, max_failures: int = 0) -> None:
        self.folder = folder
        self.total = total
        self.concurrency = concurrency
        self.max_failures = max_failures
        self.max_undecided = 100
        self.store = FolderStore(folder / "store")
        self.stop = asyncio.Event()
        self.asked: list[int] = []
        self.voids: dict[int, VoidReason] = {}
        self.export_records = 1000
        self.export_seconds = 30.0

    def journal(self, *, node: str = "node", checkpoints: bool = False) -> Journal:
        prefix = Checkpoints(self.store, "checkpoints/answer/aa/00000/") if checkpoints else None
        journal = Journal([PartLog(RecordLog(self.folder / node), prefix)])
        journal.restore()
        return journal

    async def behave(self, row: int) -> None:
        await asyncio.sleep(0)

    async def work(self, row: int) -> dict[str, Any]:
        self.asked.append(row)
        await self.behave(row)
        if row in self.voids:
            raise RecordVoidError(self.voids[row], "x" * 2000)
        return {"row": row, "text": f"reply {row}"}

    def void(self, row: int, reason: VoidReason, detail: str) -> dict[str, Any]:
        return {"row": row, "void": str(reason), "detail": detail}

    async def run(self, journal: Journal, items: Iterator[WorkItem[int]] | None = None) -> None:
        await run_records(
            items or (WorkItem(0, row, row) for row in range(self.total)),
            self.work,
            self.void,
            journal=journal,
            total=self.total,
            concurrency=self.concurrency,
            stop=self.stop,
            progress=Progress(self.folder / "progress", lambda: 0.0),
            max_failures=self.max_failures,
            failing=FAILING,
            max_undecided=self.max_undecided,
            export_records=self.export_records,
            export_seconds=self.export_seconds,
        )


def rows_in(journal: Journal) -> dict[int, dict[str, Any]]:
    return {row: json.loads(journal.get(0, row)) for _, row in journal}
