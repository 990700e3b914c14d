"""Being stopped: a signal sets an event, and whoever works looks at it.

The loop over records (`shard.loop`) ends by itself, with what is paid for. What asks a model outside of it, or makes no
artifact, is cancelled: `unless_stopped`. Where its replies are worth having all the same, it gets some seconds first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.errors import JobError

T = TypeVar("T")

DRAIN_SECONDS = 5.0  # for replies under way: they are paid for


class Stopped(JobError):
    """The shard was asked to stop and kept what it has: no failure, the next attempt goes on."""

    exit_code = ExitCode.STOPPED

    def __init__(self) -> None:
        super().__init__("Stopped; the work so far is kept, and the next attempt continues from it.")


async def unless_stopped(work: Awaitable[T], stop: asyncio.Event, *, patience: float = 0.0) -> T:
    """The result of `work`, which is cancelled when `stop` is set and `patience` seconds later it is not there.

    Raises:
        Stopped: it was.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if patience and not task.done():
            await asyncio.wait((task,), timeout=patience)
        if task.done():
            return task.result()
        raise Stopped
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)
