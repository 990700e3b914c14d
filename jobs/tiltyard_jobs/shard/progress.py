"""How far a shard is, for whoever draws bars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

INTERVAL_SECONDS: Final = 0.5


class Progress:
    """Writes `{"done": …, "total": …}` to a file, at most twice a second, and always when the work is complete.

    A reader sees one whole document or another, never a half. Without a path nothing is written. The file is a
    courtesy: where it cannot be written the work goes on.

    Args:
        path: the file; its folder must be there.
        clock: monotonic seconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._due = -float("inf")

    def advance(self, done: int, total: int) -> None:
        """So many of so many records are done."""
        if self._path is None:
            return
        now = self._clock()
        if now < self._due and done < total:
            return
        self._due = now + INTERVAL_SECONDS
        staged = self._path.with_name(f"{self._path.name}.next")
        try:
            staged.write_text(json.dumps({"done": done, "total": total}))
            staged.replace(self._path)
        except OSError:
            self._path = None
