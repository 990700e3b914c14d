"""Work in steps: each one is seen in the progress bar, and between two of them the shard may be stopped."""

from __future__ import annotations

import asyncio

from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.stopping import Stopped


class Pace:
    """Counts steps.

    Args:
        stop: set when the shard must end.
        progress: for bars.
        total: steps in all.
    """

    def __init__(self, stop: asyncio.Event, progress: Progress, total: int) -> None:
        self._stop = stop
        self._progress = progress
        self._total = total
        self._done = 0

    def step(self) -> None:
        """One step is done.

        Raises:
            Stopped: the shard must end. What it was making is recomputed by the next attempt, in seconds.
        """
        if self._stop.is_set():
            raise Stopped
        self._done += 1
        self._progress.advance(self._done, self._total)
