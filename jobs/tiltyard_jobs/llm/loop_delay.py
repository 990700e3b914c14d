"""How late this process comes to what is due: behind work of its own, or for want of a CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SAMPLE_SECONDS = 0.02


class LoopDelay:
    """Sees by a timer how long what is due waits for the event loop.

    A reply that has arrived waits as long as a timer that is due: the time is ours, and says nothing about the server.

    Args:
        is_wanted: asked at each sample; when it says no, sampling ends until the next `watch`.
    """

    def __init__(self, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self._watching = False
        self._sum = 0.0
        self._samples = 0

    def watch(self) -> None:
        """Sample from now on; for the thread of a running event loop."""
        if not self._watching:
            self._watching = True
            self._sample_later()

    def take(self) -> float:
        """The mean delay since the last call, in seconds; zero where there is no sample."""
        mean = self._sum / self._samples if self._samples else 0.0
        self._sum, self._samples = 0.0, 0
        return mean

    def _sample_later(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + SAMPLE_SECONDS
        loop.call_at(due, self._sample, due)

    def _sample(self, due: float) -> None:
        self._sum += asyncio.get_running_loop().time() - due
        self._samples += 1
        self._watching = self._is_wanted()
        if self._watching:
            self._sample_later()
