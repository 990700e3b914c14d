"""Where lm-evaluation-harness runs: a child of this process, or another container of its pod.

On a cluster the worker holds the bucket's keys, and what runs in its container could read them. So the harness has a
sidecar, which has no key, no task and no role: `python -m tiltyard_jobs.evaluation.beside FOLDER`. Orders and answers
cross in a folder that both see.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiltyard_jobs.engine import Engine, run_engine
from tiltyard_jobs.errors import ConfigurationError, JobError, TransientError
from tiltyard_jobs.evaluation import harness
from tiltyard_jobs.sandbox.exchange import ANSWER, ORDER, POLL_SECONDS, read, write

FOLDER_VARIABLE = "TILTYARD_LM_EVAL"
"""Names the folder whose server runs the harness; without it a child of this process does."""

_BEGUN = "begun.json"
_HARNESS = Path(harness.__file__)
_ENGINE = Engine(
    "the harness",
    "ask tasks",
    "lm-evaluation-harness",
    "--lm-eval-python",
    "lmEval",
    "more memory in spec.jobs.resources",
)
_ERRORS: dict[str, type[JobError]] = {kind.__name__: kind for kind in (ConfigurationError, TransientError)}


def shared_folder(own: Path) -> Path:
    """Where the harness finds what it is given: a folder of this process, unless another container runs it."""
    return Path(os.environ.get(FOLDER_VARIABLE) or own)


async def run_harness(python: str | None, document: Path) -> None:
    """Run the harness to its end; it is ended when this is cancelled.

    Args:
        python: an interpreter that has it; None: the one that runs the program which starts it.
        document: what it is to do, in the `shared_folder`.

    Raises:
        ConfigurationError: it cannot be run, or refuses what it was given.
        TransientError: it failed.
    """
    if (folder := os.environ.get(FOLDER_VARIABLE)) is not None:
        await _ask(Path(folder), python, document)
    else:
        await _run(python, document)


async def serve(folder: Path) -> None:
    """Run the harness as each order of a folder says, until cancelled. An order that is taken back is ended."""
    last = None
    while True:
        order = read(folder / ORDER)
        if order is None or order["number"] == last:
            await asyncio.sleep(POLL_SECONDS)
            continue
        last = order["number"]
        if read(folder / _BEGUN) == {"number": last}:  # by this container before it was started again
            said = f"{_ENGINE.name} was ended while it was running, perhaps for lack of memory: {_ENGINE.out_of_memory}"
            write(folder / ANSWER, json.dumps({"number": last, "error": "TransientError", "message": said}))
            continue
        write(folder / _BEGUN, json.dumps({"number": last}))
        running = asyncio.create_task(_answer(order))
        try:
            while not running.done() and read(folder / ORDER) == order:
                await asyncio.wait([running], timeout=POLL_SECONDS)
        finally:
            ended = running.done()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        if ended:
            write(folder / ANSWER, json.dumps(running.result()))


async def _run(python: str | None, document: Path) -> None:
    arguments = [str(_HARNESS), str(document)]
    await run_engine(_ENGINE, python or sys.executable, arguments, document.with_name("harness.log"))


async def _ask(folder: Path, python: str | None, document: Path) -> None:
    order = {"number": os.urandom(8).hex(), "python": python, "document": str(document)}
    write(folder / ORDER, json.dumps(order))
    try:
        while True:
            answer = read(folder / ANSWER)
            if answer is not None and answer.get("number") == order["number"]:
                break
            await asyncio.sleep(POLL_SECONDS)
    finally:
        (folder / ORDER).unlink(missing_ok=True)
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["message"])


async def _answer(order: dict[str, Any]) -> dict[str, Any]:
    answer = {"number": order["number"]}
    try:
        await _run(order["python"], Path(order["document"]))
    except (ConfigurationError, TransientError) as error:
        return answer | {"error": type(error).__name__, "message": str(error)}
    return answer


async def _serve(folder: Path) -> None:
    task = asyncio.create_task(serve(folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
