"""Programs run by another container: orders and outcomes cross in a folder that both see.

On a cluster the worker holds the bucket's keys, so it runs nothing that a model wrote. A sidecar of its pod does, which
has no key, no task and no service account: `python -m tiltyard_jobs.sandbox FOLDER`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.host import Limits, ProgramOutcome, run_programs

POLL_SECONDS = 0.2
ORDER, ANSWER, PROGRESS = "order.json", "answer.json", "progress"


def write(path: Path, text: str) -> None:
    """A whole file or none."""
    staged = path.with_name(f".{path.name}")
    staged.write_text(text)
    staged.replace(path)


async def ask(
    folder: Path, programs: Sequence[str], limits: Limits, each: Callable[[int, int], None]
) -> list[ProgramOutcome]:
    """Have programs run by whoever serves the folder; returns their outcomes in order.

    Args:
        folder: that both see.
        programs: Python sources.
        limits: of each.
        each: told of (done, total) now and then.

    Raises:
        ConfinementError: they cannot be held back there; nothing was run.
    """
    number = os.urandom(8).hex()
    (folder / ANSWER).unlink(missing_ok=True)
    write(folder / ORDER, json.dumps({"number": number, "limits": asdict(limits), "programs": list(programs)}))
    while True:
        answer = read(folder / ANSWER)
        if answer is not None and answer.get("number") == number:
            break
        each(int((read(folder / PROGRESS) or {}).get("done", 0)), len(programs))
        await asyncio.sleep(POLL_SECONDS)
    if "refused" in answer:
        raise ConfinementError(str(answer["refused"]))
    return [ProgramOutcome(**outcome) for outcome in answer["outcomes"]]


async def serve(folder: Path, at_once: int) -> None:
    """Run each order of a folder, until cancelled."""
    last = None
    while True:
        order = read(folder / ORDER)
        if order is not None and order["number"] != last:
            last = order["number"]
            write(folder / ANSWER, json.dumps(await _run(folder, order, at_once)))
        await asyncio.sleep(POLL_SECONDS)


async def _run(folder: Path, order: dict[str, Any], at_once: int) -> dict[str, Any]:
    programs = order["programs"]
    outcomes: dict[int, ProgramOutcome] = {}
    ran: AsyncIterator[tuple[int, ProgramOutcome]] = run_programs(programs, Limits(**order["limits"]), at_once)
    try:
        async for place, outcome in ran:
            outcomes[place] = outcome
            write(folder / PROGRESS, json.dumps({"done": len(outcomes)}))
    except ConfinementError as error:
        return {"number": order["number"], "refused": str(error)}
    return {"number": order["number"], "outcomes": [asdict(outcomes[place]) for place in range(len(programs))]}


def read(path: Path) -> dict[str, Any] | None:
    """A document; None: it is not there, or not whole."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document
