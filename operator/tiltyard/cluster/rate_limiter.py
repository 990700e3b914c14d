"""How fast Jobs are made.

A Job that is made brings a dozen writes of others: its pods, their nodes, their ends. Where the API server answers
slowly, more Jobs would only make it slower, and late with telling of what is at work already. So a lane rests after
each Job, in proportion to the time that making it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LANES = 4  # Jobs that are made at once
REST = 4.0  # as many times as long as making one took
MAX_REST_SECONDS = 5.0


class Pace:
    """Lanes that rest the longer, the longer a turn took.

    Args:
        lanes: turns at once.
        rest: how long a lane rests, in turns.
    """

    def __init__(self, lanes: int = LANES, rest: float = REST) -> None:
        self._lanes, self._rest = asyncio.Semaphore(lanes), rest

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a lane; it is the lane that rests afterwards, not the caller."""
        await self._lanes.acquire()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            yield
        finally:
            rest = min(MAX_REST_SECONDS, self._rest * (loop.time() - begun))
            loop.call_later(rest, self._lanes.release)
