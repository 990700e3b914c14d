"""Memory and CPU of a shard's own machinery, at N records and at ten times as many.

    python bench/memory/shard.py [--records 5000] [--bytes 2000] [--concurrency 64]

Each size runs in a fresh process: records are made by a stub that only yields to the event loop, and pass through the
loop, the journal, the table and the seal, into a folder store. Printed are the process's peak resident memory and the
CPU time of the loop (journal included) and of the table and seal, for 1,000 records. Needs the `jobs` extra alone.
The goal: the same peak within 10% at ten times the records, and at most 0.05 CPU seconds in the loop for 1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "jobs"))

import structlog  # noqa: E402

from tiltyard_jobs.contracts.identity import ModelIdentity  # noqa: E402
from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe  # noqa: E402
from tiltyard_jobs.contracts.recipes import AnswerRecipe, SamplingRecipe  # noqa: E402
from tiltyard_jobs.contracts.tasks import BundleTask, Part, StoreRef  # noqa: E402
from tiltyard_jobs.errors import VoidReason  # noqa: E402
from tiltyard_jobs.results.stage_tables import ANSWERS  # noqa: E402
from tiltyard_jobs.shard.artifacts import Artifacts  # noqa: E402
from tiltyard_jobs.shard.context import ShardContext  # noqa: E402
from tiltyard_jobs.shard.finish import finish_parts  # noqa: E402
from tiltyard_jobs.shard.folders import PartFolder  # noqa: E402
from tiltyard_jobs.shard.loop import WorkItem, run_records  # noqa: E402
from tiltyard_jobs.shard.progress import Progress  # noqa: E402
from tiltyard_jobs.store.folder import FolderStore  # noqa: E402


class Measured(NamedTuple):
    peak_mib: float
    loop_seconds: float
    finish_seconds: float


def context_in(folder: Path, records: int) -> ShardContext[Recipe]:
    recipe = AnswerRecipe(
        model=ModelIdentity(uri="sim://stub"),
        instructions=ArtifactRef(stage="curate", key="0" * 32),
        sampling=SamplingRecipe(temperature=Decimal(0), top_p=Decimal(1), max_tokens=16),
        rows=records,
        seed=0,
        shard_size=max(records, 1),
    )
    task = BundleTask(
        stage="answer",
        tournament="bench",
        store=StoreRef(uri=(folder / "store").as_uri()),
        recipes=(recipe,),
        indices=((Part(recipe=0, shard=0),),),
    )
    store = FolderStore(folder / "store")
    return ShardContext(
        task=task,
        index=0,
        parts=((recipe, 0),),
        folders=(PartFolder.claim(folder / "work", recipe.ref, 0),),
        store=store,
        artifacts=Artifacts(store, folder / "cache"),
        work_dir=folder,
        checkpoints=False,
        stop=asyncio.Event(),
        progress=Progress(None, time.monotonic),
        clock=time.monotonic,
        rng=random.Random(0),
        log=structlog.get_logger(),
    )


async def make(context: ShardContext[Recipe], records: int, size: int, concurrency: int) -> tuple[float, float]:
    """CPU seconds of the loop, and of the table and the seal."""

    async def work(row: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        text = f"{row:020x}" * (size // 20)  # compresses well: what is measured is ours, not zstd's
        return {
            "instruction_id": f"{row:020x}",
            "model_id": "stub",
            "answer": text,
            "finish_reason": "stop",
            "prompt_tokens": 100,
            "completion_tokens": 100,
        }

    def void(row: int, reason: VoidReason, detail: str) -> dict[str, Any]:
        return {"instruction_id": f"{row:020x}", "model_id": "stub", "void": str(reason), "detail": detail}

    items: Iterator[WorkItem[int]] = (WorkItem(0, row, row) for row in range(records))
    with context.open_journal() as journal:
        started = time.process_time()
        await run_records(
            items,
            work,
            void,
            journal=journal,
            total=records,
            concurrency=concurrency,
            stop=context.stop,
            progress=context.progress,
            max_failures=0,
            failing=frozenset(VoidReason),
        )
        looped = time.process_time()
        await finish_parts(context, journal, schema=ANSWERS, rows=(records,))
        return looped - started, time.process_time() - looped


def child(records: int, size: int, concurrency: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loop_seconds, finish_seconds = asyncio.run(make(context_in(Path(folder), records), records, size, concurrency))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(Measured(peak, loop_seconds, finish_seconds)))


def measure(records: int, size: int, concurrency: int) -> Measured:
    output = subprocess.run(
        [
            *(sys.executable, __file__, "--child"),
            *("--records", str(records), "--bytes", str(size), "--concurrency", str(concurrency)),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    ).stdout
    return Measured(*json.loads(output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--bytes", type=int, default=2000, help="of one reply")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.records, options.bytes, options.concurrency)
        return
    sizes = (options.records, 10 * options.records)
    found = [measure(records, options.bytes, options.concurrency) for records in sizes]
    print(f"{'records':>9} {'peak MiB':>9} {'loop CPU s/1000':>16} {'table CPU s/1000':>17}")
    for records, one in zip(sizes, found, strict=True):
        per = 1000 / records
        print(f"{records:>9} {one.peak_mib:>9.1f} {one.loop_seconds * per:>16.4f} {one.finish_seconds * per:>17.4f}")
    print(f"peak at ten times the records: {found[1].peak_mib / found[0].peak_mib:.3f} of the peak at one")


if __name__ == "__main__":
    main()
