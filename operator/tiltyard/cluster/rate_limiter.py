"""How fast Jobs are created.

A new Job brings a dozen writes of others: its pods, their nodes, their ends. Where the API server answers slowly, more
Jobs would only make it slower, and statuses late. So a slot rests after each Job, in proportion to the time that
creating it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SLOTS = 4  # Jobs that are created at once
REST = 4.0  # times as long as creating one took
MAX_REST_SECONDS = 5.0


class RateLimiter:
    """Slots that rest the longer, the longer their last use took.

    Args:
        slots: how many may be in use at once.
        rest: how long a slot rests, in times of its last use.
    """

    def __init__(self, slots: int = SLOTS, rest: float = REST) -> None:
        self._slots, self._rest = asyncio.Semaphore(slots), rest

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot; it is the slot that rests afterwards, not the caller."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            yield
        finally:
            rest = min(MAX_REST_SECONDS, self._rest * (loop.time() - begun))
            loop.call_later(rest, self._slots.release)
