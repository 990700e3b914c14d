"""How far a worker is, for whoever draws bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tiltyard_jobs.contracts.progress import Step, WorkerProgress
from tiltyard_jobs.llm.usage import Usage

INTERVAL_SECONDS: Final = 0.5


class Progress:
    """Keeps a worker's progress, and writes it to a file at most twice a second, and always when all is done.

    A reader of the file sees one whole document or another, never a half. Without a path nothing is written. The file
    is a courtesy: where it cannot be written the work goes on.

    Args:
        path: the file; its folder must be there.
        clock: monotonic seconds.
        used: what models have cost so far.
    """

    def __init__(
        self, path: Path | None, clock: Callable[[], float], used: Callable[[], Usage] = lambda: Usage()
    ) -> None:
        self._path = path
        self._clock = clock
        self._used = used
        self._due = -float("inf")
        self._last: dict[str, Any] = {}

    def advance(self, done: int, total: int) -> None:
        """So many of so many steps are done."""
        self._tell({"done": done, "total": total}, whole=done >= total)

    def count(self, done: int, total: int, *, recalled: int, asking: int, voids: Mapping[str, int]) -> None:
        """So many of so many records are done; see `WorkerProgress`."""
        told = {"done": done, "total": total, "recalled": recalled, "asking": asking, "voids": dict(voids)}
        self._tell({"records": True, **told}, whole=done >= total)

    def step(self, step: Step) -> None:
        """Preflight begins with a step."""
        self._tell({"step": step}, whole=True)

    def look(self) -> WorkerProgress:
        """The progress at this moment."""
        used = self._used()
        names = ("prompt_tokens", "cached_tokens", "completion_tokens")
        return WorkerProgress(**self._last, **{name: getattr(used, name) for name in names})

    def _tell(self, told: dict[str, Any], *, whole: bool) -> None:
        self._last = told
        if self._path is None:
            return
        now = self._clock()
        if now < self._due and not whole:
            return
        self._due = now + INTERVAL_SECONDS
        staged = self._path.with_name(f"{self._path.name}.next")
        try:
            staged.write_text(self.look().model_dump_json(by_alias=True, exclude_defaults=True))
            staged.replace(self._path)
        except OSError:
            self._path = None
